package config

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/peaqnetwork/peaqos-agent/internal/golden"
)

func TestShow(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "c.yaml")
	const text = `orchestrator: {ca_file: ca.pem}
machines:
  - name: robot
    identity_ref_file: ref
    register: {capabilities: [lift, "yes"], labels: {floor: "2", "a: b": "#"}}
    endpoints:
      - provider_key: qvac
        base_url: http://127.0.0.1:11434
  - name: arm
    id: "007"
`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "ref"), []byte("did:peaq:42\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Load(Source{
		Path: path, Hostname: "host", Env: []string{"PEAQOS_AGENT_LOG_LEVEL=debug"}, Flags: map[string]string{"keystore.dir": "/data"},
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, origin := range map[string]bool{"show.txt": false, "show-origin.txt": true} {
		golden.Check(t, "testdata/"+name, strings.ReplaceAll(c.Show(origin), dir, "DIR"))
	}
}

// TestShowReadsBack checks that Load reads back what Show writes.
func TestShowReadsBack(t *testing.T) {
	for _, f := range []string{"../../configs/minimal.yaml", "../../configs/agent.yaml", "../../configs/sidecar.yaml"} {
		c, err := Load(Source{Path: f, Hostname: "robot"})
		if err != nil {
			t.Fatal(err)
		}
		for _, origin := range []bool{true, false} {
			if diff := cmp.Diff(c, mustLoad(t, c.Show(origin)), sameConfig()); diff != "" {
				t.Errorf("%s:\n%s", f, diff)
			}
		}
	}
}

func TestShowLeavesSecretsOut(t *testing.T) {
	c := &Config{
		Orchestrator: Orchestrator{URL: "https://user:canary@host.example"},
		Machines:     []Machine{{Endpoints: []Endpoint{{BaseURL: "http://canary:canary@%zz"}}}},
	}
	if s := c.Show(true); strings.Contains(s, "canary") {
		t.Errorf("Show repeats a password:\n%s", s)
	}
}

func TestValues(t *testing.T) {
	c, err := Load(Source{Hostname: "host", Env: []string{
		"PEAQOS_AGENT_MACHINE_ID=007", "PEAQOS_AGENT_ENDPOINT_PROVIDER_KEY=qvac", "PEAQOS_AGENT_ENDPOINT_BASE_URL=http://127.0.0.1:1",
		"PEAQOS_AGENT_HEARTBEAT_LEASE_TTL=60s",
	}})
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(c.Values())
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"id":"007"`, `"provider_key":"qvac"`, `"lease_ttl":"1m"`, `"allow_plain_http":false`, `"auto":false`, `"endpoints":[{`,
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("%s is not in %s", want, text)
		}
	}
}

// TestCommandFlags: a command that is printed for a person uses the same file and store.
func TestCommandFlags(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "my config.yaml")
	if err := os.WriteFile(file, []byte("keystore: {dir: /var/lib/here}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		source Source
		want   string
	}{
		{Source{}, ""},
		{Source{Path: file}, "--config '" + file + "'"},
		{Source{Flags: map[string]string{"keystore.dir": "/srv/agent"}}, "--keystore-dir /srv/agent"},
		{Source{Path: file, Flags: map[string]string{"keystore.dir": "/srv/agent"}}, "--config '" + file + "' --keystore-dir /srv/agent"},
	} {
		cfg, err := Load(c.source)
		if err != nil {
			t.Fatal(err)
		}
		if got := cfg.CommandFlags(); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}
