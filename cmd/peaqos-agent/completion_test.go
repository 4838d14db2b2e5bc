package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestCompletion: the shell completes known values, file names only where a file is meant,
// and nothing else.
func TestCompletion(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(file, []byte(`machines:
  - {name: left, id: mach_1, endpoints: [{provider_key: qvac, base_url: "http://127.0.0.1:1"}]}
  - {name: right, identity_ref: "did:peaq:2", endpoints: [{provider_key: vision, base_url: "http://127.0.0.1:2"}]}
`), 0o600); err != nil {
		t.Fatal(err)
	}
	const files, nothing = ":0", ":4"
	for _, c := range []struct {
		line, values, directive string
	}{
		{"status --check", "live ready enrolled", nothing},
		{"enroll --sign-with", "prompt", nothing},
		{"enroll --machine", "left right", nothing},
		{"rotate --machine-id", "mach_1", nothing},
		{"agents list --identity-ref", "did:peaq:2", nothing},
		{"enroll --provider-key", "qvac vision", nothing},
		{"enroll --agent-label", "", nothing},
		{"enroll --api-key-file", "", files},
		{"status --config", "", files},
		{"sandbox --paging", "offset sequence", nothing},
		{"sandbox --tls", "", ":16"},
		{"status", "", nothing},
		{"identity import", "", files},
		{"completion", "bash zsh fish", nothing},
		{"help config", "check schema show", nothing},
	} {
		args := append([]string{"__completeNoDesc", "--config", file}, strings.Fields(c.line)...)
		var out, errs strings.Builder
		if exit := execute(t.Context(), streams{strings.NewReader(""), &out, &errs}, append(args, ""), nil); exit != 0 {
			t.Errorf("%s: exit %d, %s", c.line, exit, errs.String())
		}
		got := strings.Fields(out.String())
		if want := append(strings.Fields(c.values), c.directive); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", c.line, got, want)
		}
	}
	var out, errs strings.Builder
	execute(t.Context(), streams{strings.NewReader(""), &out, &errs}, []string{"__completeNoDesc", "sandbox", "--scenario", ""}, nil)
	if !strings.Contains(out.String(), "storm\n") || !strings.Contains(out.String(), files) {
		t.Errorf("scenarios: %s", out.String())
	}
}

// TestCompletionScripts: each names the program, and the command prints it.
func TestCompletionScripts(t *testing.T) {
	for shell, marker := range map[string]string{"bash": "complete -o default", "zsh": "#compdef peaqos-agent", "fish": "complete -c peaqos-agent"} {
		if script := outputOf(t, "completion", shell); !strings.Contains(script, marker) {
			t.Errorf("%s has no %q", shell, marker)
		}
	}
}

// TestFlagsThatNameFiles: a flag whose help speaks of a file completes file names, and
// no other does.
func TestFlagsThatNameFiles(t *testing.T) {
	for name, want := range map[string]bool{
		"api-key-file": true, "config": true, "grant": true, "grant-out": true, "state": true, "import file": true, "man dir": true,
		"agent-label": false, "machine": false, "listen": false,
	} {
		if isFile(name) != want {
			t.Errorf("%s names a file: %t", name, !want)
		}
	}
}
