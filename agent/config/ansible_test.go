package config

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/peaqnetwork/peaqos-agent/internal/golden"
)

const (
	ansibleSpecs = "../../deploy/ansible/roles/peaqos_agent/meta/argument_specs.yml"
	// generatedBelow is the last line of that file that a person writes.
	generatedBelow = "      # Generated from agent/config/config.go by go test ./agent/config -run TestDocsAnsible -update.\n"
)

// TestDocsAnsible checks that the Ansible role accepts exactly the keys of the
// configuration: the lower part of its argument_specs.yml is generated from the table.
func TestDocsAnsible(t *testing.T) {
	text, err := os.ReadFile(ansibleSpecs)
	if err != nil {
		t.Fatal(err)
	}
	written, generated, ok := strings.Cut(string(text), generatedBelow)
	if !ok {
		t.Fatalf("%s has no line %q", ansibleSpecs, generatedBelow)
	}
	golden.Check(t, ansibleSpecs, written+generatedBelow+readComments(t).ansible())
	if !golden.Updating() {
		for _, k := range Schema() {
			if !strings.Contains(generated, " "+lastName(k.Path)+":\n") {
				t.Errorf("%s is not an option of the role", k.Path)
			}
		}
	}
}

// ansible writes the specification of the variable peaqos_agent_config: an option for
// each key, below the options of its sections.
func (c comments) ansible() string {
	var b strings.Builder
	b.WriteString(`      peaqos_agent_config:
        type: dict
        required: true
        description: The agent's configuration, as in configs/agent.yaml; only the keys that differ from their default.
        options:
`)
	rows := newTable().byPath
	for _, path := range c.order {
		r, key := rows[path]
		if !key && !strings.HasSuffix(path, "]") && path != registerPath && strings.Contains(path, ".") {
			continue
		}
		indent := strings.Repeat("    ", strings.Count(path, ".")+2) + "  "
		fmt.Fprintf(&b, "%s%s:\n", indent, strings.TrimSuffix(lastName(path), "[]"))
		for _, line := range ansibleType(r, key, path) {
			b.WriteString(indent + "  " + line + "\n")
		}
		b.WriteString(indent + "  description: >-\n" + wrapped(c.of[path], indent+"    "))
		if !key {
			b.WriteString(indent + "  options:\n")
		}
	}
	return b.String()
}

// ansibleType is the type of an option as Ansible names it.
func ansibleType(r row, key bool, path string) []string {
	switch {
	case !key && strings.HasSuffix(path, "]"), r.Type == "list":
		if key {
			return []string{"type: list", "elements: str"}
		}
		return []string{"type: list", "elements: dict"}
	case !key, r.Type == "map":
		return []string{"type: dict"}
	case r.Type == "boolean":
		return []string{"type: bool"}
	}
	lines := []string{"type: str"}
	if len(r.Values) > 0 {
		lines = append(lines, `choices: ["`+strings.Join(r.Values, `", "`)+`"]`)
	}
	if strings.HasSuffix(r.Doc, " Required.") {
		lines = append(lines, "required: true")
	}
	return lines
}

// wrapped is a paragraph in indented lines.
func wrapped(text, indent string) string {
	return strings.ReplaceAll(comment(text, indent), indent+"# ", indent)
}
