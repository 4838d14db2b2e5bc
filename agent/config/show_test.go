package config

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

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
	c, err := Load(Source{Path: path, Hostname: "host", Env: []string{"PEAQOS_AGENT_LOG_LEVEL=debug"}, Flags: map[string]string{"keystore.dir": "/data"}})
	if err != nil {
		t.Fatal(err)
	}
	for name, origin := range map[string]bool{"show.txt": false, "show-origin.txt": true} {
		golden.Check(t, "testdata/"+name, strings.ReplaceAll(c.Show(origin), dir, "DIR"))
	}
}

// TestShowReadsBack holds that what is shown is what counts.
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

// TestAgentYAMLNamesEveryKeyOnce counts keys in the text, not in what it loads to.
func TestAgentYAMLNamesEveryKeyOnce(t *testing.T) {
	text, err := os.ReadFile("../../configs/agent.yaml")
	if err != nil {
		t.Fatal(err)
	}
	counted := map[string]int{}
	for _, m := range regexp.MustCompile(`(?m)^[ -]*([a-z_]+):`).FindAllStringSubmatch(string(text), -1) {
		counted[m[1]]++
	}
	for _, k := range Schema() {
		if n := counted[lastName(k.Path)]; n != 1 {
			t.Errorf("%s stands there %d times", k.Path, n)
		}
	}
	if sections := 8; len(counted) != len(Schema())+sections+1 { // register and endpoints are sections too
		t.Logf("%v", counted)
		t.Errorf("%d names for %d keys", len(counted), len(Schema()))
	}
}

func TestShowLeavesSecretsOut(t *testing.T) {
	c := &Config{Orchestrator: Orchestrator{URL: "https://user:canary@host.example"}, Machines: []Machine{{Endpoints: []Endpoint{{BaseURL: "http://canary:canary@%zz"}}}}}
	if s := c.Show(true); strings.Contains(s, "canary") {
		t.Errorf("Show repeats a password:\n%s", s)
	}
}

func TestDiff(t *testing.T) {
	base := func() *Config {
		return mustLoad(t, `
machines:
  - name: a
    id: mach_1
    endpoints: [{provider_key: qvac, base_url: "http://127.0.0.1:1"}, {provider_key: x, base_url: "http://127.0.0.1:2"}]
  - name: b
`)
	}
	for _, c := range []struct {
		name             string
		change           func(*Config)
		changed, restart []string
	}{
		{"nothing", func(*Config) {}, nil, nil},
		{"order", func(c *Config) {
			c.Machines[0], c.Machines[1] = c.Machines[1], c.Machines[0]
			e := c.Machines[1].Endpoints
			e[0], e[1] = e[1], e[0]
		}, nil, nil},
		{"live keys", func(c *Config) {
			c.Heartbeat.Interval, c.Log.Level, c.Machines[0].Endpoints[0].ModelAlias = 5*time.Second, "debug", "llm"
		}, []string{"heartbeat.interval", "log.level", "machines[a].endpoints[qvac].model_alias"}, nil},
		{"restart keys", func(c *Config) {
			c.Orchestrator.URL, c.Keystore.Dir, c.Telemetry.Listen, c.Machines[0].ID = "https://x", "/x", "", "mach_2"
		}, []string{"keystore.dir", "machines[a].id", "orchestrator.url", "telemetry.listen"}, []string{"keystore.dir", "machines[a].id", "orchestrator.url", "telemetry.listen"}},
		{"an endpoint goes", func(c *Config) { c.Machines[0].Endpoints = c.Machines[0].Endpoints[:1] }, []string{"machines[a].endpoints[x]"}, nil},
		{"a machine comes", func(c *Config) { c.Machines = append(c.Machines, Machine{Name: "c"}) }, []string{"machines[c]"}, []string{"machines[c]"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			newer := base()
			c.change(newer)
			changed, restart := Diff(base(), newer)
			if diff := cmp.Diff([][]string{c.changed, c.restart}, [][]string{changed, restart}); diff != "" {
				t.Error(diff)
			}
		})
	}
}
