package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"

	"gopkg.in/yaml.v3"
)

// Bounds on lists, far above any real gateway. Aliases make a short file long,
// so the file's size alone bounds nothing.
const (
	MaxMachines  = 4096
	maxEndpoints = 64
	maxItems     = 1024
)

// readYAML walks one document against the table of keys, noting every fault
// instead of stopping at the first.
func (l *loader) readYAML(text []byte) {
	dec := yaml.NewDecoder(bytes.NewReader(text))
	var doc yaml.Node
	err := dec.Decode(&doc)
	if errors.Is(err, io.EOF) {
		return // an empty file says nothing, which is allowed
	}
	if err != nil {
		l.syntax(text, err)
		return
	}
	var second yaml.Node
	switch err := dec.Decode(&second); {
	case err == nil:
		l.faultAt(l.at(&second), "", "a second YAML document begins here; one file is one document, remove the --- line")
	case !errors.Is(err, io.EOF):
		l.syntax(text, err)
		return
	}
	l.section(follow(doc.Content[0]), "", "", place{config: l.config})
}

func (l *loader) at(n *yaml.Node) Origin {
	return Origin{Kind: "file", Name: l.file, Line: n.Line, Column: n.Column}
}

// follow replaces an alias by what it stands for.
func follow(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

// entry is one key of a mapping with its value.
type entry struct {
	key        string
	name, node *yaml.Node
}

// section reads a mapping. pattern is its path in the table, path the same with
// indexes.
func (l *loader) section(n *yaml.Node, pattern, path string, at place) {
	if isNull(n) {
		return // a section whose keys are all commented out
	}
	if n.Kind != yaml.MappingNode {
		l.faultAt(l.at(n), path, "must hold keys below it, not "+describe(n))
		return
	}
	for _, e := range l.entries(n, path) {
		p, here := join(pattern, e.key), join(path, e.key)
		l.origins[here] = l.at(e.name)
		value := follow(e.node)
		r, isKey := l.byPath[p]
		switch {
		case isKey:
			l.origins[here] = l.at(value)
			l.value(r, value, here, at)
		case p == machinesPath[:len(machinesPath)-2]:
			l.machines(value)
		case p == endpointsPath[:len(endpointsPath)-2]:
			l.endpoints(value, here, at)
		case slices.Contains(l.childrenOf(pattern), e.key):
			l.section(value, p, here, at)
		default:
			delete(l.origins, here)
			l.unknown(e, pattern, path)
		}
	}
}

// entries lists a mapping's keys, merged ones (<<) last and only where the
// mapping does not say otherwise itself. A key given twice is a fault.
func (l *loader) entries(n *yaml.Node, path string) []entry {
	var out []entry
	first := map[string]*yaml.Node{}
	var merges []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, value := n.Content[i], n.Content[i+1]
		k := follow(name)
		switch {
		case k.Kind != yaml.ScalarNode:
			l.faultAt(l.at(name), path, "a key must be plain text")
		case k.ShortTag() == "!!merge":
			merges = append(merges, value)
		case first[k.Value] != nil:
			l.faultAt(l.at(name), join(path, safeKey(k.Value)), fmt.Sprintf("is given twice; the first is on line %d", first[k.Value].Line))
		default:
			first[k.Value] = name
			out = append(out, entry{k.Value, name, value})
		}
	}
	for _, m := range merges {
		out = l.merge(out, first, m, path, map[*yaml.Node]bool{n: true})
	}
	return out
}

// merge adds what << brings. Each source counts once, which also ends a mapping
// that merges itself and keeps sources that merge each other from multiplying.
func (l *loader) merge(out []entry, have map[string]*yaml.Node, source *yaml.Node, path string, seen map[*yaml.Node]bool) []entry {
	n := follow(source)
	if seen[n] {
		return out
	}
	seen[n] = true
	var deeper []*yaml.Node
	switch n.Kind {
	case yaml.SequenceNode:
		deeper = n.Content
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			name, value := n.Content[i], n.Content[i+1]
			switch k := follow(name); {
			case k.ShortTag() == "!!merge":
				deeper = append(deeper, value)
			case k.Kind == yaml.ScalarNode && have[k.Value] == nil:
				have[k.Value] = name
				out = append(out, entry{k.Value, name, value})
			}
		}
	default:
		l.faultAt(l.at(source), path, "<< takes a mapping, or a list of them")
	}
	for _, d := range deeper {
		out = l.merge(out, have, d, path, seen)
	}
	return out
}

// machines reads the list of machines.
func (l *loader) machines(n *yaml.Node) {
	items, ok := l.list(n, "machines", MaxMachines)
	if !ok {
		return
	}
	l.addMachines(len(items))
	for i, item := range items {
		path := "machines[" + strconv.Itoa(i) + "]"
		l.origins[path] = l.at(item)
		l.section(item, machinesPath, path, l.place(i, -1))
	}
}

// endpoints reads the list of one machine's endpoints.
func (l *loader) endpoints(n *yaml.Node, path string, at place) {
	items, ok := l.list(n, path, maxEndpoints)
	if !ok {
		return
	}
	l.addEndpoints(at.index, len(items))
	for i, item := range items {
		here := path + "[" + strconv.Itoa(i) + "]"
		l.origins[here] = l.at(item)
		l.section(item, endpointsPath, here, l.place(at.index, i))
	}
}

// list gives the items of a sequence of mappings, aliases followed.
func (l *loader) list(n *yaml.Node, path string, limit int) ([]*yaml.Node, bool) {
	switch {
	case isNull(n):
		return nil, false
	case n.Kind != yaml.SequenceNode:
		l.fault(path, "must be a list (lines that begin with -), not "+describe(n))
		return nil, false
	case len(n.Content) > limit:
		l.fault(path, fmt.Sprintf("holds more than %d entries", limit))
		return nil, false
	}
	items := make([]*yaml.Node, len(n.Content))
	for i, item := range n.Content {
		items[i] = follow(item)
	}
	return items, true
}
