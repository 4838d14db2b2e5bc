package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// DefaultPath is the file that is read when no file is named. It need not exist.
const DefaultPath = "/etc/peaqos-agent/config.yaml"

const (
	maxConfigFile   = 1 << 20 // bytes; a gateway of a thousand machines needs a third of that
	maxIdentityFile = 1 << 10 // bytes
)

// Source is where a configuration is read from. For each key a flag takes
// precedence over the environment, the environment over the file, and the file
// over the default.
type Source struct {
	// Path is the file; it must exist. Empty means PEAQOS_AGENT_CONFIG, then
	// DefaultPath if it exists, and otherwise the environment alone.
	Path string
	// Env is the environment in the form of os.Environ. An empty value is treated
	// as unset.
	Env []string
	// Flags are values from the command line by key ("keystore.dir"). Keys of
	// machines[] are for the only machine. An empty value is a value.
	Flags map[string]string
	// Hostname is for the default agent label; empty asks the system.
	Hostname string
	// NoFile reads no file: for a configuration that is still to be written.
	NoFile bool

	defaultPath string // replaces DefaultPath in tests
}

// Load reads the configuration: the file, the environment, the flags, and the drop-ins in
// conf.d beside the file. The error is a [*Error] with every problem that
// was found. Secret files are not opened, so that loading needs no privileges;
// identity_ref_file, which holds no secret, is read.
func Load(src Source) (*Config, error) {
	env := environment(src.Env)
	l := newLoader()
	l.readFile(src, env)
	l.readEnv(env)
	l.readFlags(src.Flags)
	l.readDropIns(src, env)
	if !l.unread {
		l.deriveDefaults(src.Hostname)
		l.applyRules()
	}
	if len(l.problems) > 0 {
		sortProblems(l.problems)
		return nil, &Error{Problems: l.problems, Warnings: l.config.Warnings}
	}
	normalize(l.config)
	l.config.Warnings = append(l.config.Warnings, ruleWarnings(l.config)...)
	if path, _ := src.file(env); l.config.Path == "" && !src.NoFile && len(l.config.Machines[0].Endpoints) == 0 {
		l.warn("%s", NoFileText(path))
	}
	l.config.origins = l.origins
	return l.config, nil
}

// NoFileText is the sentence about a configuration that was read without a file.
func NoFileText(path string) string {
	return "no configuration file was found (looked at " + path + ")"
}

// origin is where a value came from.
type origin struct {
	kind   string // default, file, environment or flag
	name   string // the file, the variable or the flag
	line   int    // from 1; 0 outside a file
	column int
}

func (o origin) String() string {
	switch {
	case o.kind == "" || o.kind == "default":
		return "default"
	case o.line > 0:
		return fmt.Sprintf("%s:%d", o.name, o.line)
	}
	return o.name
}

// loader collects values, where they came from, and everything wrong with them.
// env.go has its methods for the environment and the flags.
type loader struct {
	config   *Config
	table    table
	origins  map[string]origin // by concrete path
	problems []Problem
	bad      map[string]bool // concrete paths that have a problem already
	unread   bool            // the file could not be read or is not YAML: rules would only add noise
}

// newLoader starts with the defaults of all keys outside machines[].
func newLoader() *loader {
	l := &loader{config: &Config{}, table: newTable(), origins: map[string]origin{}, bad: map[string]bool{}}
	l.preset(l.place(-1, -1), func(path string) bool { return !isMachineKey(path) })
	return l
}

// readFile finds the file, reads it and passes its text to the YAML reader.
func (l *loader) readFile(src Source, env map[string]string) {
	if src.NoFile {
		return
	}
	path, named := src.file(env)
	text, mode, err := readRegular(path, maxConfigFile)
	if !named && errors.Is(err, fs.ErrNotExist) {
		return
	}
	l.config.Path = path
	if err != nil {
		l.unread = true
		l.faultAt(origin{name: path}, "", "cannot be read: "+err.Error()+"; check the path and its mode, or name another file with --config")
		return
	}
	if mode.Perm()&0o002 != 0 {
		l.warn("%s can be written by every user of this machine, who could redirect the agent; run chmod o-w on it", path)
	}
	y := &yamlReader{l: l, file: path, dir: "/"}
	if abs, err := filepath.Abs(path); err == nil {
		y.dir = filepath.Dir(abs)
	}
	y.read(text)
}

// File is the path of the configuration file, and whether there is one. A file that
// cannot be looked at counts as one.
func (src Source) File() (path string, exists bool) {
	path, _ = src.file(environment(src.Env))
	_, err := os.Stat(path)
	return path, !errors.Is(err, fs.ErrNotExist)
}

// file is the configuration file's path, and whether somebody named it.
func (src Source) file(env map[string]string) (path string, named bool) {
	switch {
	case src.Path != "":
		return src.Path, true
	case env[envConfig] != "":
		return env[envConfig], true
	case src.defaultPath != "":
		return src.defaultPath, false
	}
	return DefaultPath, false
}

// readRegular reads a regular file of at most limit bytes. Anything else is an
// error: a pipe could block and a device could have no end. The error does not
// repeat the path.
func readRegular(path string, limit int64) ([]byte, fs.FileMode, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // the flag keeps a pipe without a writer from blocking
	if err != nil {
		return nil, 0, withoutPath(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, 0, withoutPath(err)
	}
	if !info.Mode().IsRegular() {
		return nil, 0, errors.New("it is " + fileKind(info.Mode()) + ", not a regular file")
	}
	text, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, 0, withoutPath(err)
	}
	if int64(len(text)) > limit {
		return nil, 0, fmt.Errorf("it is larger than %d bytes", limit)
	}
	return text, info.Mode(), nil
}

func fileKind(mode fs.FileMode) string {
	switch {
	case mode.IsDir():
		return "a directory"
	case mode&fs.ModeNamedPipe != 0:
		return "a named pipe"
	case mode&fs.ModeSocket != 0:
		return "a socket"
	}
	return "a device"
}

// withoutPath is a file error without the path, which the message already has.
func withoutPath(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

// place selects one machine and one of its endpoints; -1 selects none.
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

// preset sets the defaults of the chosen keys.
func (l *loader) preset(at place, chosen func(path string) bool) {
	for _, r := range l.table.rows {
		if r.Default == "" || !chosen(r.Path) {
			continue
		}
		if fault := r.parse(r.Default, "/", r.at(at)); fault != "" {
			panic("the default of " + r.Path + " " + fault)
		}
	}
}

// addMachines creates n machines with their defaults, to be filled in.
func (l *loader) addMachines(n int) {
	l.config.Machines = make([]Machine, n)
	for i := range n {
		l.preset(l.place(i, -1), func(path string) bool { return isMachineKey(path) && !isEndpointKey(path) })
	}
}

// addEndpoints adds n endpoints with their defaults to one machine, to be filled in, and
// returns the index of the first one.
func (l *loader) addEndpoints(machine, n int) (first int) {
	m := &l.config.Machines[machine]
	first = len(m.Endpoints)
	if n > 0 {
		m.Endpoints = append(m.Endpoints, make([]Endpoint, n)...)
	}
	for i := range n {
		l.preset(l.place(machine, first+i), isEndpointKey)
	}
	return first
}

// set stores one value given as text. dir is where a relative path starts.
func (l *loader) set(r row, path, text, dir string, at place, from origin) {
	l.origins[path] = from
	if fault := r.parse(text, dir, r.at(at)); fault != "" {
		l.fault(path, fault)
	}
}

// deriveDefaults fills in the defaults that depend on something else.
func (l *loader) deriveDefaults(hostname string) {
	c := l.config
	if len(c.Machines) == 0 {
		l.addMachines(1)
	}
	if c.Machines[0].Name == "" {
		c.Machines[0].Name = "main"
	}
	if hostname == "" {
		hostname, _ = os.Hostname() // without a host name the label ends in @
	}
	for i := range c.Machines {
		m := &c.Machines[i]
		if m.AgentLabel == "" {
			m.AgentLabel = defaultLabel(hostname)
		}
		l.readIdentityRef(m, "machines["+strconv.Itoa(i)+"].identity_ref")
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

// readIdentityRef takes a machine's identity from identity_ref_file, whose key is
// path+"_file".
func (l *loader) readIdentityRef(m *Machine, path string) {
	if m.IdentityRefFile == "" || l.bad[path+"_file"] {
		return
	}
	if m.IdentityRef != "" {
		l.fault(path+"_file", "identity_ref is given as well; keep one of the two")
		return
	}
	text, _, err := readRegular(m.IdentityRefFile, maxIdentityFile)
	if err != nil {
		l.fault(path+"_file", m.IdentityRefFile+" cannot be read: "+err.Error())
		return
	}
	ref := strings.TrimSpace(string(text))
	if fault := IdentityRefFault(ref, l.config.Orchestrator.IdentityRefs); fault != "" {
		l.fault(path+"_file", m.IdentityRefFile+": "+fault)
		return
	}
	m.IdentityRef = ref
	l.origins[path] = origin{kind: "file", name: m.IdentityRefFile}
}

// applyRules records what the rules find, except for keys that have a problem
// already.
func (l *loader) applyRules() {
	given := func(path string) bool { _, ok := l.origins[path]; return ok }
	for _, f := range checkConfig(l.config, given) {
		if f.unless == "" || !l.bad[f.unless] {
			l.fault(f.key, f.text)
		}
	}
}

// fault records a problem of a key, once per key: the first is the one to fix. A
// key that was not given is reported where its section is.
func (l *loader) fault(path, text string) {
	if !l.bad[path] {
		l.bad[path] = true
		l.faultAt(l.originOf(path), path, text)
	}
}

func (l *loader) faultAt(o origin, key, text string) {
	l.problems = append(l.problems, Problem{File: o.name, Line: o.line, Column: o.column, Key: key, Text: text})
}

// originOf is where a key was given, or else where it has to be added: the
// nearest section around it, or the variable when the machine comes from there.
func (l *loader) originOf(path string) origin {
	for near := path; near != ""; near = near[:max(0, strings.LastIndexAny(near, ".["))] {
		if o, ok := l.origins[near]; ok {
			return o
		}
	}
	if r, ok := l.table.byPath[withoutIndexes(path)]; ok && isMachineKey(r.Path) {
		return origin{kind: "environment", name: r.Env}
	}
	return origin{name: l.config.Path}
}

func (l *loader) warn(format string, args ...any) {
	l.config.Warnings = append(l.config.Warnings, fmt.Sprintf(format, args...))
}
