package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/peaqnetwork/peaqos-agent/agent/config"
)

func ollama() []config.Endpoint {
	return []config.Endpoint{{ProviderKey: "ollama", BaseURL: "http://127.0.0.1:11434", ProbePath: "/api/tags", NetworkScope: "loopback"}}
}

// TestAddEndpoints: what was in the file stays, character by character where the list of
// endpoints has one line for each key.
func TestAddEndpoints(t *testing.T) {
	for name, test := range map[string]struct{ file, machine, want string }{
		"a block list keeps every character": {
			"# mine\n\norchestrator:   {url: \"https://o.example\"} # here\n\nmachines:\n  - name: main   # one\n    endpoints:\n" +
				"      # the first\n      -  provider_key: qvac\n         base_url: http://127.0.0.1:1 # port\n\n# end\nlog: {level: warn}\n",
			"",
			"# mine\n\norchestrator:   {url: \"https://o.example\"} # here\n\nmachines:\n  - name: main   # one\n    endpoints:\n" +
				"      # the first\n      -  provider_key: qvac\n         base_url: http://127.0.0.1:1 # port\n" +
				"      - provider_key: ollama\n        base_url: http://127.0.0.1:11434\n        probe_path: /api/tags\n\n# end\nlog: {level: warn}\n",
		},
		"a list in one line is written out": {
			"machines: # all\n  - endpoints: [{provider_key: qvac, base_url: \"http://127.0.0.1:1\"}]\n", "",
			"machines: # all\n  - endpoints:\n      - {provider_key: qvac, base_url: \"http://127.0.0.1:1\"}\n      - provider_key: ollama\n" +
				"        base_url: http://127.0.0.1:11434\n        probe_path: /api/tags\n",
		},
		"no machine yet": {
			"# about\nlog: {level: warn}\n", "",
			"# about\nlog: {level: warn}\nmachines:\n  - endpoints:\n      - provider_key: ollama\n        base_url: http://127.0.0.1:11434\n        probe_path: /api/tags\n",
		},
		"an empty list": {
			"machines:\n  - name: a\n    endpoints:\n  - name: b\n    endpoints: []\n", "a",
			"machines:\n  - name: a\n    endpoints:\n      - provider_key: ollama\n        base_url: http://127.0.0.1:11434\n        probe_path: /api/tags\n" +
				"  - name: b\n    endpoints: []\n",
		},
		"no line break at the end": {
			"machines:\n- endpoints:\n  - provider_key: qvac\n    base_url: \"http://127.0.0.1:1\"", "main",
			"machines:\n- endpoints:\n  - provider_key: qvac\n    base_url: \"http://127.0.0.1:1\"\n  - provider_key: ollama\n" +
				"    base_url: http://127.0.0.1:11434\n    probe_path: /api/tags\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := config.AddEndpoints([]byte(test.file), test.machine, ollama())
			if err != nil || string(got) != test.want {
				t.Fatalf("%v\n%s", err, got)
			}
			file := filepath.Join(t.TempDir(), "c.yaml")
			if err := os.WriteFile(file, got, 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := config.Load(config.Source{Path: file}); err != nil {
				t.Errorf("it cannot be loaded: %v", err)
			}
			if _, err := config.AddEndpoints(got, test.machine, ollama()); err == nil || !strings.Contains(err.Error(), "provider_key ollama") {
				t.Errorf("a second time: %v", err)
			}
		})
	}
}

func TestAddEndpointsRefuses(t *testing.T) {
	for file, want := range map[string]string{
		"machines:\n  - name: a\n  - name: b\n":                           "several machines",
		"machines:\n  - {name: a, endpoints: [{provider_key: ollama}]}\n": "provider_key ollama",
		"x: &x {name: a}\nmachines:\n  - *x\n":                            "by hand",
		"x: &x {name: a}\nmachines:\n  - <<: *x\n":                        "by hand",
		"machines: &m []\n":                                               "by hand",
		"machines: 7\n":                                                   "by hand",
		"[]\n":                                                            "by hand",
		"machines: [\n":                                                   "yaml",
		"# nothing\n":                                                     "no keys",
	} {
		if got, err := config.AddEndpoints([]byte(file), "", ollama()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v\n%s", file, err, got)
		}
	}
	if _, err := config.AddEndpoints([]byte("machines:\n  - name: a\n"), "c", ollama()); err == nil || !strings.Contains(err.Error(), `no machine "c"`) {
		t.Errorf("an unknown machine: %v", err)
	}
}

// FuzzAddEndpoints: what comes out is YAML with the endpoint in it.
func FuzzAddEndpoints(f *testing.F) {
	for _, seed := range []string{"machines:\n  - endpoints:\n    - provider_key: a\n", "a: |\n  text\nmachines: [{}]\n", "machines: [{endpoints: }]\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		got, err := config.AddEndpoints(file, "", ollama())
		if err != nil {
			return
		}
		if _, err := config.AddEndpoints(got, "", ollama()); err == nil || !strings.Contains(err.Error(), "provider_key ollama") {
			t.Errorf("%v in\n%s", err, got)
		}
	})
}

// TestFileText: a new file is complete, and is read back as what was meant.
func TestFileText(t *testing.T) {
	c := &config.Config{
		Orchestrator: config.Orchestrator{URL: "http://127.0.0.1:8787"}, Keystore: config.Keystore{Dir: "/tmp/x: y"},
		Machines: []config.Machine{{IdentityRef: "did:peaq:42", Endpoints: append(ollama(), config.Endpoint{
			ProviderKey: "qvac", BaseURL: "http://192.168.1.5:11435", NetworkScope: "lan", ProbePath: "/v1/models", ModelAlias: "my-llm",
		})}},
	}
	file := filepath.Join(t.TempDir(), "c.yaml")
	if err := os.WriteFile(file, []byte(config.FileText(c)), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := config.Load(config.Source{Path: file})
	if err != nil {
		t.Fatalf("%v\n%s", err, config.FileText(c))
	}
	m := got.Machines[0]
	if got.Orchestrator.URL != c.Orchestrator.URL || got.Keystore.Dir != c.Keystore.Dir || m.IdentityRef != "did:peaq:42" || len(m.Endpoints) != 2 ||
		m.Endpoints[1].NetworkScope != "lan" || m.Endpoints[1].ModelAlias != "my-llm" || m.Endpoints[0].ProbePath != "/api/tags" {
		t.Errorf("%+v from\n%s", m, config.FileText(c))
	}
}
