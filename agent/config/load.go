package config

import (
	"fmt"
	"regexp"
	"strings"
)

// DefaultPath is read when no file is named and it exists.
const DefaultPath = "/etc/peaqos-agent/config.yaml"

// Source is where a configuration is looked for. For one key a flag wins over
// the environment, that over the file, and that over the default.
type Source struct {
	// Path is the file; it must exist. Empty means PEAQOS_AGENT_CONFIG, then
	// DefaultPath if it exists, and otherwise the environment alone.
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
	origins  map[string]Origin
	problems []Problem
	bad      map[string]bool // concrete paths that have a problem already
	file     string
	dir      string // where relative paths of the file start
	unread   bool   // the file could not be read or is not YAML: rules would only add noise
}

// Load reads the configuration. The error is a [*Error] that holds every
// problem found. The file's secrets are not opened, so that checking needs no
// rights; identity_ref_file, which is none, is read.
func Load(src Source) (*Config, error) {
	l := &loader{config: &Config{}, rows: rows(), byPath: map[string]row{}, origins: map[string]Origin{}, bad: map[string]bool{}}
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
		return nil, &Error{l.problems}
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
func (l *loader) set(r row, path, text, dir string, at place, from Origin) {
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

func (l *loader) faultAt(o Origin, key, text string) {
	l.problems = append(l.problems, Problem{Path: o.Name, Line: o.Line, Column: o.Column, Key: key, Text: text})
}

// originOf is where a key was given, or else where it has to be added: the
// section nearest to it, or the variable when the machine comes from there.
func (l *loader) originOf(path string) Origin {
	for near := path; near != ""; near = near[:max(0, strings.LastIndexAny(near, ".["))] {
		if o, ok := l.origins[near]; ok {
			return o
		}
	}
	if r, ok := l.byPath[concretePath.ReplaceAllString(path, "[]")]; ok && isMachineKey(r.Path) {
		return Origin{Kind: "environment", Name: r.Env}
	}
	return Origin{Name: l.file}
}

var concretePath = regexp.MustCompile(`\[\d+\]`)

func (l *loader) warn(format string, args ...any) {
	l.config.Warnings = append(l.config.Warnings, fmt.Sprintf(format, args...))
}
