package config

import (
	"fmt"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// value reads one key's value, in the type the field has.
func (l *loader) value(r row, n *yaml.Node, path string, at place) {
	switch t := r.at(at).(type) {
	case *[]string:
		l.textList(n, path, t)
	case *map[string]string:
		l.textMap(n, path, t)
	default:
		text, fault := scalar(n, r.Type)
		if n.ShortTag() == "!!bool" && slices.Contains(r.Values, strings.ToLower(n.Value)) {
			text, fault = strings.ToLower(n.Value), "" // one of several words, which YAML takes for more
		}
		if fault == "" {
			fault = r.parse(text, l.dir, t)
		}
		if fault != "" {
			l.fault(path, fault)
		}
	}
}

// scalar takes a YAML scalar of the wanted type. YAML guesses types, so that a
// name written 007 would arrive as 7: such a guess is refused, not mended.
func scalar(n *yaml.Node, want string) (text, fault string) {
	if n.Kind != yaml.ScalarNode {
		return "", "must be " + article(want) + ", not " + describe(n)
	}
	tag := n.ShortTag()
	switch {
	case tag == "!!null":
		return "", `has no value; write one, "" for an empty text, or remove the key`
	case want == "boolean" && tag == "!!bool":
		return strings.ToLower(n.Value), ""
	case want == "boolean":
		return "", "must be true or false, without quotes, not " + quoteBrief(n.Value)
	case want == "duration" && (tag == "!!str" || tag == "!!int" || tag == "!!float"):
		return n.Value, ""
	case tag == "!!str":
		return n.Value, ""
	}
	return "", "must be " + article(want) + ", but YAML reads it as " + describe(n) + "; put it in quotes"
}

func article(kind string) string {
	switch kind {
	case "text":
		return "a text"
	case "boolean":
		return "true or false"
	}
	return "a " + kind
}

// describe names what stands there, without repeating it.
func describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a group of keys"
	case yaml.SequenceNode:
		return "a list"
	case yaml.ScalarNode:
		switch n.ShortTag() {
		case "!!bool":
			return "true or false"
		case "!!int", "!!float":
			return "a number"
		case "!!timestamp":
			return "a date"
		case "!!null":
			return "nothing"
		}
	}
	return "a single value"
}

func (l *loader) textList(n *yaml.Node, path string, t *[]string) {
	if isNull(n) {
		return
	}
	if n.Kind != yaml.SequenceNode {
		l.fault(path, "must be a list such as [a, b], not "+describe(n))
		return
	}
	if len(n.Content) > maxItems {
		l.fault(path, fmt.Sprintf("holds more than %d items", maxItems))
		return
	}
	var list []string
	for i, item := range n.Content {
		v := follow(item)
		if v.Kind != yaml.ScalarNode || v.ShortTag() != "!!str" {
			l.fault(path, fmt.Sprintf("item %d must be a text; put it in quotes", i+1))
			return
		}
		list = append(list, v.Value)
	}
	if fault := listFault(list); fault != "" {
		l.fault(path, fault)
		return
	}
	*t = list
}

func (l *loader) textMap(n *yaml.Node, path string, t *map[string]string) {
	if isNull(n) {
		return
	}
	if n.Kind != yaml.MappingNode {
		l.fault(path, "must be pairs of texts such as {floor: \"2\"}, not "+describe(n))
		return
	}
	m := map[string]string{}
	for _, e := range l.entries(n, path) {
		v := follow(e.node)
		if v.Kind != yaml.ScalarNode || v.ShortTag() != "!!str" {
			l.fault(path, "the value of "+safeKey(e.key)+" must be a text; put it in quotes")
			return
		}
		m[e.key] = v.Value
	}
	if fault := mapFault(m); fault != "" {
		l.fault(path, fault)
	} else if len(m) > 0 {
		*t = m
	}
}
