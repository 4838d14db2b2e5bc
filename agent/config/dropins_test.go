package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/peaqnetwork/peaqos-agent/agent/config"
)

// dropIns writes a configuration and its drop-ins, and returns the path of the former.
func dropIns(t *testing.T, main string, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "config.yaml")
	if err := os.Mkdir(filepath.Join(dir, "conf.d"), 0o755); err != nil {
		t.Fatal(err)
	}
	all := map[string]string{path: main}
	for name, text := range files {
		all[filepath.Join(dir, "conf.d", name)] = text
	}
	for name, text := range all {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

func keysOf(m config.Machine) string {
	var keys []string
	for _, e := range m.Endpoints {
		keys = append(keys, e.ProviderKey+" "+e.ProbePath)
	}
	return strings.Join(keys, ", ")
}

const oneMachine = "machines:\n  - endpoints: [{provider_key: own, base_url: \"http://127.0.0.1:1\"}]\n"

// TestDropIns: endpoints of drop-ins follow the machine's own, in the order of the file
// names, with their own defaults and their own directory for relative paths.
func TestDropIns(t *testing.T) {
	path := dropIns(t, oneMachine, map[string]string{
		"20-b.yaml":           "endpoints:\n  - {provider_key: qvac, base_url: \"http://127.0.0.1:2\", auth_type: bearer, auth_token_file: token}\n",
		"10-a.yaml":           "machine: main\nendpoints:\n  - {provider_key: ollama, base_url: \"http://127.0.0.1:3\", probe_path: /api/tags}\n",
		"30-none.yaml.rpmnew": "not: read",
		".hidden.yaml":        "not: read",
		"old.yml":             "not: read",
	})
	c, err := config.Load(config.Source{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	if got := keysOf(c.Machines[0]); got != "own /health, ollama /api/tags, qvac /v1/models" {
		t.Errorf("endpoints %s", got)
	}
	if got, want := c.Machines[0].Endpoints[2].AuthTokenFile, filepath.Join(filepath.Dir(path), "conf.d", "token"); got != want {
		t.Errorf("auth_token_file %s", got)
	}
	if len(c.DropIns) != 2 || len(c.Warnings) != 1 || !strings.Contains(c.Warnings[0], "old.yml is ignored") {
		t.Errorf("read %q, warnings %q", c.DropIns, c.Warnings)
	}
	if show := c.Show(true); !strings.Contains(show, "provider_key: ollama # "+filepath.Join(filepath.Dir(path), "conf.d", "10-a.yaml")+":3") {
		t.Errorf("the origin is not shown:\n%s", show)
	}
	// The next load sees what changed.
	if err := os.Remove(filepath.Join(filepath.Dir(path), "conf.d", "10-a.yaml")); err != nil {
		t.Fatal(err)
	}
	next, err := config.Load(config.Source{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	if changed, restart := config.Diff(c, next); len(restart) != 0 || strings.Join(changed, " ") != "machines[main].endpoints[ollama]" {
		t.Errorf("changed %q, restart %q", changed, restart)
	}
}

// TestDropInsBesideOthers: they add to a machine from the environment, to one of several,
// and to a configuration without a file.
func TestDropInsBesideOthers(t *testing.T) {
	path := dropIns(t, "machines:\n  - name: a\n  - name: b\n", map[string]string{
		"x.yaml": "machine: b\nendpoints: [{provider_key: x, base_url: \"http://127.0.0.1:1\"}]\n",
	})
	c, err := config.Load(config.Source{Path: path})
	if err != nil || keysOf(c.Machines[0]) != "" || keysOf(c.Machines[1]) != "x /health" {
		t.Errorf("%+v, %v", c, err)
	}
	path = dropIns(t, "log: {level: warn}\n", map[string]string{"x.yaml": "endpoints: [{provider_key: x, base_url: \"http://127.0.0.1:1\"}]\n"})
	env := []string{"PEAQOS_AGENT_ENDPOINT_PROVIDER_KEY=env", "PEAQOS_AGENT_ENDPOINT_BASE_URL=http://127.0.0.1:2"}
	if c, err = config.Load(config.Source{Path: path, Env: env}); err != nil || keysOf(c.Machines[0]) != "env /health, x /health" {
		t.Errorf("%+v, %v", c, err)
	}
	if c, err = config.Load(config.Source{Path: path}); err != nil || keysOf(c.Machines[0]) != "x /health" {
		t.Errorf("%+v, %v", c, err)
	}
}

// TestDropInsRefuse: a drop-in that is not valid is named, with the place in it.
func TestDropInsRefuse(t *testing.T) {
	for text, want := range map[string]string{
		"orchestrator: {url: \"https://x\"}\nendpoints: []\n":                                "x.yaml:1:1: orchestrator: unknown key",
		"endpoints: [{provider_key: own, base_url: \"http://127.0.0.1:2\"}]\n":               "x.yaml:1:28: machines[0].endpoints[1].provider_key: is the same as that of endpoint 1",
		"endpoints: [{provider_key: x, base_ulr: \"http://127.0.0.1:2\"}]\n":                 "x.yaml:1:31: machines[0].endpoints[1].base_ulr: unknown key; did you mean base_url",
		"machine: other\nendpoints: [{provider_key: x, base_url: \"http://127.0.0.1:2\"}]\n": "x.yaml:1:10: machine: names no machine",
		"machine: main\n": "x.yaml:1:1: endpoints: is missing",
		"- 1\n":           "x.yaml:1:1: must hold the key endpoints",
		"":                "x.yaml: is empty",
		"endpoints: [\n":  "is not valid YAML",
		"endpoints:\n":    "x.yaml:1: the file ends here",
	} {
		path := dropIns(t, oneMachine, map[string]string{"x.yaml": text})
		_, err := config.Load(config.Source{Path: path})
		var bad *config.Error
		if !errors.As(err, &bad) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
	path := dropIns(t, "machines: [{name: a}, {name: b}]\n", map[string]string{"x.yaml": "endpoints: [{provider_key: x, base_url: \"http://127.0.0.1:2\"}]\n"})
	if _, err := config.Load(config.Source{Path: path}); err == nil || !strings.Contains(err.Error(), "several machines") {
		t.Errorf("%v", err)
	}
	path = filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(filepath.Join(filepath.Dir(path), "conf.d"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(oneMachine), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := config.Load(config.Source{Path: path}); err == nil || !strings.Contains(err.Error(), "conf.d: cannot be read: not a directory") {
		t.Errorf("%v", err)
	}
}
