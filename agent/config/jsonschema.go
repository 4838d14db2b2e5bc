package config

import "strings"

// JSONSchema is the configuration file as a JSON Schema (draft 7), from the table of
// keys. Editors complete and check the file with it. It knows names, types and fixed
// values; the rules between keys are those of [Load] alone.
func JSONSchema() map[string]any {
	root := newTable().sectionSchema("")
	root["$schema"] = "http://json-schema.org/draft-07/schema#"
	root["title"] = "peaqos-agent configuration"
	root["type"] = "object"
	return root
}

// sectionSchema describes the mapping at a path of the table. A section whose keys are
// all commented out is null.
func (t table) sectionSchema(section string) map[string]any {
	properties := map[string]any{}
	for _, name := range t.children(section) {
		path := join(section, name)
		switch r, isKey := t.byPath[path]; {
		case isKey:
			properties[name] = r.schema()
		case path+"[]" == machinesPath || path+"[]" == endpointsPath:
			properties[name] = map[string]any{"type": []string{"array", "null"}, "items": t.sectionSchema(path + "[]")}
		default:
			properties[name] = t.sectionSchema(path)
		}
	}
	return map[string]any{"type": []string{"object", "null"}, "properties": properties, "additionalProperties": false}
}

// schema describes the value of one key.
func (r row) schema() map[string]any {
	text := map[string]any{"type": "string"}
	s := map[string]any{}
	switch r.Type {
	case "boolean":
		s["type"] = "boolean"
	case "list":
		s["type"], s["items"] = []string{"array", "null"}, text
	case "map":
		s["type"], s["additionalProperties"] = []string{"object", "null"}, text
	case "duration":
		s["type"], s["pattern"] = "string", `^\+?([0-9]*\.?[0-9]+(ns|us|µs|μs|ms|s|m|h))+$`
		if r.auto {
			s["pattern"] = `^auto$|` + s["pattern"].(string)
		}
	default:
		s["type"] = "string"
	}
	if len(r.Values) > 0 {
		delete(s, "type")
		var values []any
		for _, v := range r.Values {
			values = append(values, v)
			if v == "true" || v == "false" {
				values = append(values, v == "true") // YAML's own word is accepted as well
			}
		}
		s["enum"] = values
	}
	if r.Default != "" {
		s["default"] = any(r.Default)
		if r.Type == "boolean" {
			s["default"] = r.Default == "true"
		}
	}
	s["description"] = strings.ReplaceAll(r.Doc, "\n", " ")
	return s
}
