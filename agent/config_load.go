package agent

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// DefaultConfigPath is read when no other file is named, if it exists.
const DefaultConfigPath = "/etc/peaqos-agent/config.yaml"

const (
	envPrefix     = "PEAQOS_AGENT_"
	maxConfigFile = 1 << 20
)

// Source is where a configuration comes from. A flag wins over the environment,
// the environment over the file, the file over the defaults.
type Source struct {
	Path  string            // "" = DefaultConfigPath if it exists, else no file
	Env   []string          // as os.Environ gives it
	Flags map[string]string // by key, such as keystore.dir
}

// Problem of a configuration: where, and what to do about it.
type ConfigProblem struct {
	Line, Column int    // 0 where there is no file
	Where        string // the key, or the variable
	Text         string
}

// ConfigError holds every problem of a configuration at once, in file order.
type ConfigError struct {
	Path     string
	Problems []ConfigProblem
}

func (e *ConfigError) Error() string {
	var b strings.Builder
	for i, p := range e.Problems {
		if i > 0 {
			b.WriteByte('\n')
		}
		if p.Line > 0 {
			fmt.Fprintf(&b, "%s:%d:%d: ", e.Path, p.Line, p.Column)
		}
		fmt.Fprintf(&b, "%s: %s", p.Where, p.Text)
	}
	return b.String()
}

// Load returns the configuration, or a ConfigError with everything that is wrong
// with it. A file that cannot be read is an ordinary error.
func Load(src Source) (*Config, error) {
	l := &loader{cfg: defaults(), places: map[string]*yaml.Node{}, keys: processKeys()}
	if err := l.file(src.Path); err != nil {
		return nil, err
	}
	l.environment(src.Env)
	for path, value := range src.Flags {
		i := slices.IndexFunc(l.keys, func(k key) bool { return k.path == path })
		if i < 0 {
			return nil, fmt.Errorf("no key %s for a flag", path)
		}
		l.apply(l.keys[i], value, "flag of "+path)
	}
	l.complete()
	l.check()
	if len(l.problems) > 0 {
		slices.SortStableFunc(l.problems, func(a, b ConfigProblem) int { return (a.Line-b.Line)*10_000 + a.Column - b.Column })
		return nil, &ConfigError{l.cfg.Path, l.problems}
	}
	return l.cfg, nil
}

// loader gathers one configuration and what is wrong with it.
type loader struct {
	cfg      *Config
	keys     []key
	places   map[string]*yaml.Node // where each key of the file stands
	problems []ConfigProblem
}

func (l *loader) problem(where, format string, a ...any) {
	p := ConfigProblem{Where: where, Text: fmt.Sprintf(format, a...)}
	if n := l.places[where]; n != nil {
		p.Line, p.Column = n.Line, n.Column
	}
	l.problems = append(l.problems, p)
}

func (l *loader) apply(k key, value, where string) {
	if err := k.set(l.cfg, value); err != nil {
		l.problem(where, "%s", err)
	}
}

func (l *loader) file(path string) error {
	optional := path == ""
	if optional {
		path = DefaultConfigPath
	}
	b, err := os.ReadFile(path)
	if optional && errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return problem(ExitConfig, "config_file", "the configuration file cannot be read", err.Error(), "check --config and the file's mode")
	}
	l.cfg.Path = path
	if len(b) > maxConfigFile {
		l.problem("file", "is longer than 1 MiB")
		return nil
	}
	var root yaml.Node
	if err := yaml.Unmarshal(b, &root); err != nil {
		l.problem("file", "%s", strings.TrimPrefix(err.Error(), "yaml: "))
		return nil
	}
	if len(root.Content) > 0 {
		l.walk(root.Content[0])
	}
	return nil
}

// walk reads the top level: sections of settings, and the machines.
func (l *loader) walk(root *yaml.Node) {
	sections := map[string][]string{}
	for _, k := range l.keys {
		section, name, _ := strings.Cut(k.path, ".")
		sections[section] = append(sections[section], name)
	}
	l.mapping("file", root, append(mapKeys(sections), "machines"), func(name string, value *yaml.Node) {
		if name == "machines" {
			l.machines(value)
			return
		}
		l.mapping(name, value, sections[name], func(sub string, v *yaml.Node) {
			path := name + "." + sub
			l.places[path] = v
			i := slices.IndexFunc(l.keys, func(k key) bool { return k.path == path })
			if s, ok := l.scalar(path, v); ok {
				l.apply(l.keys[i], s, path)
			}
		})
	})
}

// mapping visits each member of a mapping, telling unknown and double keys.
func (l *loader) mapping(where string, n *yaml.Node, known []string, visit func(string, *yaml.Node)) {
	n = resolve(n)
	if n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		return
	}
	if n.Kind != yaml.MappingNode {
		l.problems = append(l.problems, ConfigProblem{n.Line, n.Column, where, "must be a mapping of keys"})
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		switch {
		case !slices.Contains(known, k.Value):
			text := fmt.Sprintf("unknown key %.60q", k.Value)
			if near := nearest(k.Value, known); near != "" {
				text += fmt.Sprintf("; did you mean %s?", near)
			}
			l.problems = append(l.problems, ConfigProblem{k.Line, k.Column, where, text})
		case seen[k.Value]:
			l.problems = append(l.problems, ConfigProblem{k.Line, k.Column, where, fmt.Sprintf("key %s stands twice", k.Value)})
		default:
			visit(k.Value, v)
		}
		seen[k.Value] = true
	}
}

func (l *loader) scalar(where string, n *yaml.Node) (string, bool) {
	n = resolve(n)
	if n.Kind != yaml.ScalarNode {
		l.problems = append(l.problems, ConfigProblem{n.Line, n.Column, where, "must be one value"})
		return "", false
	}
	if n.Tag == "!!null" {
		return "", true
	}
	return n.Value, true
}

// resolve follows YAML aliases.
func resolve(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode && n.Alias != nil {
		n = n.Alias
	}
	return n
}

func mapKeys[V any](m map[string]V) []string {
	var out []string
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// nearest is the known name that a misspelt one most likely means: at most a
// third of its letters differ.
func nearest(name string, known []string) string {
	best, least := "", len(name)/3+2
	for _, k := range known {
		if d := distance(name, k); d < least {
			best, least = k, d
		}
	}
	return best
}

// distance is Levenshtein's.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
