package config

import (
	"bytes"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

// Show writes the effective configuration as YAML, every key in the table's
// order; [Load] reads it back to an equal Config. With origin, a comment after each
// value gives its source: the file and line, the variable, the flag or "default".
// A configuration has no secrets; should one be in the user info of a URL, it is
// redacted.
func (c *Config) Show(origin bool) string {
	root := c.document(origin)
	var out bytes.Buffer
	enc := yaml.NewEncoder(&out)
	enc.SetIndent(2)
	if err := enc.Encode(root); err != nil {
		return "# the configuration cannot be written: " + err.Error() + "\n"
	}
	return out.String()
}

// Values returns what Show writes as nested maps and lists, for JSON. Its keys are
// those of the file.
func (c *Config) Values() map[string]any {
	values := map[string]any{}
	if err := c.document(false).Decode(&values); err != nil {
		panic("the document of a Config is made of maps, lists and scalars: " + err.Error())
	}
	return values
}

func (c *Config) document(origin bool) *yaml.Node {
	v := viewer{config: c, table: newTable(), origin: origin}
	return v.section("", "", place{config: c})
}

// viewer turns a Config back into YAML.
type viewer struct {
	config *Config
	table  table
	origin bool
}

// section writes the keys below pattern; lists become sequences.
func (v viewer) section(pattern, path string, at place) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode}
	for _, name := range v.table.children(pattern) {
		p, here := join(pattern, name), join(path, name)
		var value *yaml.Node
		r, isKey := v.table.byPath[p]
		switch {
		case isKey:
			value = v.value(r, here, at)
		case p+"[]" == machinesPath:
			value = &yaml.Node{Kind: yaml.SequenceNode}
			for j := range at.config.Machines {
				inner := place{config: at.config, machine: &at.config.Machines[j]}
				value.Content = append(value.Content, v.section(machinesPath, here+"["+strconv.Itoa(j)+"]", inner))
			}
		case p+"[]" == endpointsPath:
			value = &yaml.Node{Kind: yaml.SequenceNode}
			for j := range at.machine.Endpoints {
				inner := place{config: at.config, machine: at.machine, endpoint: &at.machine.Endpoints[j]}
				value.Content = append(value.Content, v.section(endpointsPath, here+"["+strconv.Itoa(j)+"]", inner))
			}
		default:
			value = v.section(p, here, at)
		}
		if value.Kind == yaml.SequenceNode && len(value.Content) == 0 {
			value.Style = yaml.FlowStyle
		}
		n.Content = append(n.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: name}, value)
	}
	return n
}

func (v viewer) value(r row, path string, at place) *yaml.Node {
	n := &yaml.Node{Kind: yaml.ScalarNode}
	switch t := r.at(at).(type) {
	case *string:
		n.SetString(redactURL(*t))
		if r.Path == machinesPath+".identity_ref_file" {
			n.Value = "" // Load has read the file; its content is identity_ref
		}
	case *[]string:
		n.Kind, n.Style = yaml.SequenceNode, yaml.FlowStyle
		for _, s := range *t {
			item := &yaml.Node{}
			item.SetString(s)
			n.Content = append(n.Content, item)
		}
	case *map[string]string:
		n.Kind, n.Style = yaml.MappingNode, yaml.FlowStyle
		for _, k := range slices.Sorted(maps.Keys(*t)) {
			name, value := &yaml.Node{}, &yaml.Node{}
			name.SetString(k)
			value.SetString((*t)[k])
			n.Content = append(n.Content, name, value)
		}
	case *bool, *time.Duration:
		n.Value = r.formatValue(t)
	}
	if v.origin {
		n.LineComment = v.config.origins[path].String()
	}
	return n
}

// redactURL replaces the user info of anything that looks like a URL.
func redactURL(s string) string {
	if !strings.Contains(s, "://") || !strings.Contains(s, "@") {
		return s
	}
	u, err := url.Parse(s)
	if err != nil {
		return "[REDACTED]"
	}
	if u.User != nil {
		u.User = url.User("REDACTED")
	}
	return u.String()
}
