package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// load reads text as a file of its own, with nothing else around it.
func load(t *testing.T, text string, env ...string) (*Config, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "c.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return Load(Source{Path: path, Env: env, Hostname: "robot"})
}

func mustLoad(t *testing.T, text string, env ...string) *Config {
	t.Helper()
	c, err := load(t, text, env...)
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	return c
}

func sameConfig() cmp.Option {
	return cmp.Options{cmpopts.IgnoreUnexported(Config{}), cmpopts.IgnoreFields(Config{}, "Path", "Warnings"), cmpopts.IgnoreFields(Machine{}, "IdentityRefFile")}
}

func TestExamplesLoad(t *testing.T) {
	files, err := filepath.Glob("../../configs/*.yaml")
	if err != nil || len(files) != 3 {
		t.Fatalf("configs/ holds %v (%v), want three files", files, err)
	}
	for _, f := range files {
		if c, err := Load(Source{Path: f, Hostname: "robot"}); err != nil {
			t.Errorf("%s:\n%v", f, err)
		} else if filepath.Base(f) != "sidecar.yaml" && len(c.Warnings) > 0 {
			t.Errorf("%s warns: %v", f, c.Warnings)
		}
	}
}

// TestSidecarComments holds that the environment in sidecar.yaml works.
func TestSidecarComments(t *testing.T) {
	text, err := os.ReadFile("../../configs/sidecar.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var env []string
	for line := range strings.Lines(string(text)) {
		if kv, ok := strings.CutPrefix(line, "#   "); ok && strings.HasPrefix(kv, "PEAQOS_") {
			kv, _, _ = strings.Cut(kv, " ")
			env = append(env, strings.TrimSpace(kv))
		}
	}
	c, err := Load(Source{Path: "../../configs/sidecar.yaml", Env: env, Hostname: "robot"})
	if err != nil {
		t.Fatal(err)
	}
	if len(env) != 4 || len(c.Warnings) > 0 {
		t.Errorf("variables: %v\nwarnings: %v", env, c.Warnings)
	}
	m := c.Machines[0]
	if m.IdentityRef != "did:peaq:42" || len(m.Endpoints) != 1 || m.Endpoints[0].ProviderKey != "qvac" {
		t.Errorf("got %+v", c)
	}
}

// TestAgentYAMLIsTheDefault holds that the long example says what minimal.yaml
// leaves unsaid.
func TestAgentYAMLIsTheDefault(t *testing.T) {
	var both [2]*Config
	for i, f := range []string{"../../configs/minimal.yaml", "../../configs/agent.yaml"} {
		c, err := Load(Source{Path: f, Hostname: "robot"})
		if err != nil {
			t.Fatal(err)
		}
		both[i] = c
	}
	if diff := cmp.Diff(both[0], both[1], sameConfig()); diff != "" {
		t.Errorf("minimal.yaml (-), agent.yaml (+):\n%s", diff)
	}
}
