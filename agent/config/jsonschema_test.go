package config_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/peaqnetwork/peaqos-agent/agent/config"
)

// fault validates a value against a schema, as far as ours goes: type, enum, pattern,
// properties, additionalProperties and items. Another keyword is a fault of its own.
// check/discover.sh asks a complete validator.
func fault(schema map[string]any, value any, path string) string {
	for keyword, want := range schema {
		switch keyword {
		case "$schema", "title", "description", "default", "properties", "additionalProperties", "items":
		case "type":
			types, several := want.([]any)
			if !several {
				types = []any{want}
			}
			if !slices.Contains(types, any(typeOf(value))) {
				return fmt.Sprintf("%s is %s, not %v", path, typeOf(value), types)
			}
		case "enum":
			if !slices.Contains(want.([]any), value) {
				return fmt.Sprintf("%s is %v", path, value)
			}
		case "pattern":
			if !regexp.MustCompile(want.(string)).MatchString(fmt.Sprint(value)) {
				return fmt.Sprintf("%s is %v", path, value)
			}
		default:
			return "unknown keyword " + keyword
		}
	}
	switch v := value.(type) {
	case map[string]any:
		properties, _ := schema["properties"].(map[string]any)
		for name, inner := range v {
			next, known := properties[name].(map[string]any)
			if !known {
				if next, known = schema["additionalProperties"].(map[string]any); !known {
					return path + "." + name + " is not a property"
				}
			}
			if f := fault(next, inner, path+"."+name); f != "" {
				return f
			}
		}
	case []any:
		for i, inner := range v {
			if f := fault(schema["items"].(map[string]any), inner, fmt.Sprintf("%s[%d]", path, i)); f != "" {
				return f
			}
		}
	}
	return ""
}

func typeOf(value any) string {
	switch value.(type) {
	case nil:
		return "null"
	case string:
		return "string"
	case bool:
		return "boolean"
	case map[string]any:
		return "object"
	case []any:
		return "array"
	}
	return "number"
}

// jsonSchema is the schema as an editor reads it.
func jsonSchema(t *testing.T) map[string]any {
	t.Helper()
	text, err := json.Marshal(config.JSONSchema())
	if err != nil {
		t.Fatal(err)
	}
	var schema map[string]any
	if err := json.Unmarshal(text, &schema); err != nil {
		t.Fatal(err)
	}
	return schema
}

// TestJSONSchema: the shipped files fit the schema, and so does what Load accepts; what
// it rejects for a name or a type does not fit.
func TestJSONSchema(t *testing.T) {
	schema := jsonSchema(t)
	files, err := filepath.Glob("../../configs/*.yaml")
	if err != nil || len(files) < 3 {
		t.Fatalf("%q, %v", files, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if f := faultOf(t, schema, string(text)); f != "" {
			t.Errorf("%s: %s", file, f)
		}
	}
	for text, good := range map[string]bool{
		"keystore: {bind_host: true}\n":                                         true,
		"keystore: {bind_host: auto}\n":                                         true,
		"keystore: {bind_host: maybe}\n":                                        false,
		"heartbeat: {interval: auto, lease_ttl: 1m30s}\n":                       true,
		"heartbeat: {lease_ttl: auto}\n":                                        false,
		"heartbeat: {lease_ttl: 90}\n":                                          false,
		"heartbeat:\nmachines:\nlog: {}\n":                                      true,
		"machines: [{register: {labels: {floor: \"2\"}, capabilities: [a]}}]\n": true,
		"machines: [{register: {labels: {floor: 2}}}]\n":                        false,
		"machines: [{endpoints: [{base_ulr: x}]}]\n":                            false,
		"machines: {}\n":                                                        false,
		"control: {enabled: yes please}\n":                                      false,
		"log: {level: loud}\n":                                                  false,
		"api_key: x\n":                                                          false,
	} {
		file := filepath.Join(t.TempDir(), "c.yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := config.Load(config.Source{Path: file})
		if f := faultOf(t, schema, text); (f == "") != good || (err == nil) != good {
			t.Errorf("%s: the schema says %q, Load says %v", strings.TrimSpace(text), f, err)
		}
	}
}

// TestJSONSchemaHasEveryKey: every key of the table is in the schema, with its meaning.
func TestJSONSchemaHasEveryKey(t *testing.T) {
	schema := jsonSchema(t)
	for _, k := range config.Schema() {
		at := schema
		for name := range strings.SplitSeq(k.Path, ".") {
			name, list := strings.CutSuffix(name, "[]")
			properties, _ := at["properties"].(map[string]any)
			at, _ = properties[name].(map[string]any)
			if list {
				at, _ = at["items"].(map[string]any)
			}
		}
		if text, _ := at["description"].(string); text == "" {
			t.Errorf("%s is missing", k.Path)
		}
	}
}

func faultOf(t *testing.T, schema map[string]any, text string) string {
	t.Helper()
	var value any
	if err := yaml.Unmarshal([]byte(text), &value); err != nil {
		t.Fatal(err)
	}
	return fault(schema, value, "")
}
