package agent

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// DefaultConfigPath is read when no file is named and it exists.
const DefaultConfigPath = "/etc/peaqos-agent/config.yaml"

// maxConfigFile bounds the file; a gateway of a thousand machines needs a third.
const maxConfigFile = 1 << 20

// Source is where a configuration is looked for. For one key a flag wins over
// the environment, that over the file, and that over the default.
type Source struct {
	// Path is the file; it must exist. Empty means PEAQOS_AGENT_CONFIG, then
	// DefaultConfigPath if it exists, and otherwise the environment alone.
	Path string
	// Env is the environment as os.Environ gives it. An empty value counts as
	// not set.
	Env []string
	// Flags are values from the command line by key ("keystore.dir"). Keys of
	// machines[] are for the only machine. An empty value counts.
	Flags map[string]string
	// Hostname is for the default label; empty asks the system.
	Hostname string

	defaultPath string // for tests
}

// loader gathers values, where they came from, and everything wrong with them.
type loader struct {
	config   *Config
	rows     []row
	byPath   map[string]row
	origins  map[string]ValueOrigin
	problems []ConfigProblem
	bad      map[string]bool // concrete paths that have a problem already
	file     string
	dir      string // where relative paths of the file start
	unread   bool   // the file could not be read or is not YAML: rules would only add noise
}

// Load reads the configuration. The error is a [*ConfigError] that holds every
// problem found. The file's secrets are not opened, so that checking needs no
// rights; identity_ref_file, which is none, is read.
func Load(src Source) (*Config, error) {
	l := &loader{config: &Config{}, rows: rows(), byPath: map[string]row{}, origins: map[string]ValueOrigin{}, bad: map[string]bool{}}
	for _, r := range l.rows {
		l.byPath[r.Path] = r
		if !isMachineKey(r.Path) {
			l.preset(r, l.place(-1, -1))
		}
	}
	env := environment(src.Env)
	l.readFile(src, env)
	l.readEnv(env)
	l.readFlags(src.Flags)
	if !l.unread {
		l.complete(src.Hostname)
		l.check()
	}
	if len(l.problems) > 0 {
		sortProblems(l.problems)
		return nil, &ConfigError{l.problems}
	}
	l.config.origins = l.origins
	return l.config, nil
}

func isMachineKey(path string) bool  { return strings.HasPrefix(path, machinesPath+".") }
func isEndpointKey(path string) bool { return strings.HasPrefix(path, endpointsPath+".") }

// preset gives a field its default.
func (l *loader) preset(r row, at place) {
	if r.Default == "" {
		return
	}
	if fault := r.parse(r.Default, "/", r.at(at)); fault != "" {
		panic("the default of " + r.Path + " " + fault)
	}
}

// addMachines makes n machines with their defaults, to be filled in.
func (l *loader) addMachines(n int) {
	l.config.Machines = make([]Machine, n)
	for i := range l.config.Machines {
		for _, r := range l.rows {
			if isMachineKey(r.Path) && !isEndpointKey(r.Path) {
				l.preset(r, l.place(i, -1))
			}
		}
	}
}

// addEndpoints does the same for the endpoints of one machine.
func (l *loader) addEndpoints(machine, n int) {
	if n == 0 {
		return
	}
	l.config.Machines[machine].Endpoints = make([]Endpoint, n)
	for i := range n {
		for _, r := range l.rows {
			if isEndpointKey(r.Path) {
				l.preset(r, l.place(machine, i))
			}
		}
	}
}

// place points at one machine and one of its endpoints; -1 is none.
func (l *loader) place(machine, endpoint int) place {
	p := place{config: l.config}
	if machine >= 0 {
		p.machine, p.index = &l.config.Machines[machine], machine
		if endpoint >= 0 {
			p.endpoint = &p.machine.Endpoints[endpoint]
		}
	}
	return p
}

// set takes one value given as text.
func (l *loader) set(r row, path, text, dir string, at place, from ValueOrigin) {
	l.origins[path] = from
	if fault := r.parse(text, dir, r.at(at)); fault != "" {
		l.fault(path, fault)
	}
}

// fault notes a problem of a key, once per key: the first is what to mend. A key
// that was not given is reported where its section stands.
func (l *loader) fault(path, text string) {
	if !l.bad[path] {
		l.bad[path] = true
		l.faultAt(l.originOf(path), path, text)
	}
}

func (l *loader) faultAt(o ValueOrigin, key, text string) {
	l.problems = append(l.problems, ConfigProblem{Path: o.Name, Line: o.Line, Column: o.Column, Key: key, Text: text})
}

// originOf is where a key was given, or the section nearest to it.
func (l *loader) originOf(path string) ValueOrigin {
	for path != "" {
		if o, ok := l.origins[path]; ok {
			return o
		}
		path = path[:max(0, strings.LastIndexAny(path, ".["))]
	}
	return ValueOrigin{Name: l.file}
}

func (l *loader) warn(format string, args ...any) {
	l.config.Warnings = append(l.config.Warnings, fmt.Sprintf(format, args...))
}

// readFile finds the file, reads it and hands its text to the YAML reader.
func (l *loader) readFile(src Source, env map[string]string) {
	path, named := src.Path, true
	if path == "" {
		path = env[envConfig]
	}
	if path == "" {
		path, named = src.defaultPath, false
		if path == "" {
			path = DefaultConfigPath
		}
	}
	f, err := os.Open(path)
	if !named && errors.Is(err, fs.ErrNotExist) {
		return
	}
	l.file, l.config.Path = path, path
	if abs, err := filepath.Abs(path); err == nil {
		l.dir = filepath.Dir(abs)
	}
	var text []byte
	if err == nil {
		defer f.Close()
		text, err = io.ReadAll(io.LimitReader(f, maxConfigFile+1))
	}
	switch {
	case err != nil:
		l.unread = true
		l.faultAt(ValueOrigin{Name: path}, "", "cannot be read: "+cause(err)+"; check the path and its mode, or name another with --config")
	case len(text) > maxConfigFile:
		l.unread = true
		l.faultAt(ValueOrigin{Name: path}, "", fmt.Sprintf("is larger than %d bytes; this does not look like a configuration", maxConfigFile))
	default:
		if info, err := f.Stat(); err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o002 != 0 {
			l.warn("%s can be written by every user of this machine, who could send the agent elsewhere; chmod o-w it", path)
		}
		l.readYAML(text)
	}
}

// cause is a file error without the path, which is said already.
func cause(err error) string {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err.Error()
	}
	return err.Error()
}

// readFlags takes the command line's values.
func (l *loader) readFlags(flags map[string]string) {
	paths := make([]string, 0, len(flags))
	for p := range flags {
		paths = append(paths, p)
	}
	slices.Sort(paths)
	for _, path := range paths {
		from := ValueOrigin{Kind: "flag", Name: flagName(path)}
		r, ok := l.byPath[path]
		if !ok {
			l.faultAt(from, path, "there is no such key")
			continue
		}
		at, index, fault := l.onlyPlace(r)
		if fault != "" {
			l.faultAt(from, path, fault)
			continue
		}
		l.set(r, index, flags[path], l.workingDir(), at, from)
	}
}

// onlyPlace is where a key goes that is not in the file: for one of machines[],
// the only machine and its only endpoint, made if there is none.
func (l *loader) onlyPlace(r row) (at place, path, fault string) {
	if !isMachineKey(r.Path) {
		return l.place(-1, -1), r.Path, ""
	}
	switch len(l.config.Machines) {
	case 0:
		l.addMachines(1)
	case 1:
	default:
		return place{}, "", "there are several machines; give it in the file"
	}
	if !isEndpointKey(r.Path) {
		return l.place(0, -1), concrete(r.Path, "0", ""), ""
	}
	switch len(l.config.Machines[0].Endpoints) {
	case 0:
		l.addEndpoints(0, 1)
	case 1:
	default:
		return place{}, "", "there are several endpoints; give it in the file"
	}
	return l.place(0, 0), concrete(r.Path, "0", "0"), ""
}

func (l *loader) workingDir() string {
	dir, err := os.Getwd()
	if err != nil {
		return "/"
	}
	return dir
}

// complete fills in the defaults that depend on something else.
func (l *loader) complete(hostname string) {
	c := l.config
	if len(c.Machines) == 0 {
		l.addMachines(1)
	}
	if c.Machines[0].Name == "" {
		c.Machines[0].Name = "main"
	}
	if hostname == "" {
		hostname, _ = os.Hostname() // an unnamed host gets an unnamed label
	}
	for i := range c.Machines {
		m := &c.Machines[i]
		if m.AgentLabel == "" {
			m.AgentLabel = "peaqos-agent@" + hostname
		}
		l.readIdentityRef(m, "machines["+strconv.Itoa(i)+"]")
		for j := range m.Endpoints {
			e := &m.Endpoints[j]
			switch {
			case e.ProbePath != "":
			case e.ProviderKey == "qvac":
				e.ProbePath = "/v1/models"
			default:
				e.ProbePath = "/health"
			}
		}
	}
	if c.Telemetry.Listen == "off" {
		c.Telemetry.Listen = ""
	}
}

// readIdentityRef takes the identity from its file: one line.
func (l *loader) readIdentityRef(m *Machine, path string) {
	if m.IdentityRefFile == "" || l.bad[path+".identity_ref_file"] {
		return
	}
	path += ".identity_ref"
	if m.IdentityRef != "" {
		l.fault(path+"_file", "identity_ref is given as well; keep one of the two")
		return
	}
	f, err := os.Open(m.IdentityRefFile)
	var text []byte
	if err == nil {
		defer f.Close()
		text, err = io.ReadAll(io.LimitReader(f, 1024))
	}
	if err != nil {
		l.fault(path+"_file", m.IdentityRefFile+" cannot be read: "+cause(err))
		return
	}
	m.IdentityRef = strings.TrimSpace(string(text))
	if fault := identityRefFault(m.IdentityRef); fault != "" {
		l.fault(path+"_file", m.IdentityRefFile+": "+fault)
		l.bad[path] = true
		return
	}
	l.origins[path] = ValueOrigin{Kind: "file", Name: m.IdentityRefFile}
}
