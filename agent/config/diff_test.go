package config

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

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
	moved := []string{"keystore.dir", "machines[a].id", "orchestrator.url", "telemetry.listen"}
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
		}, moved, moved},
		{"an endpoint is removed", func(c *Config) {
			c.Machines[0].Endpoints = c.Machines[0].Endpoints[:1]
		}, []string{"machines[a].endpoints[x]"}, nil},
		{"a machine is added", func(c *Config) {
			c.Machines = append(c.Machines, Machine{Name: "c"})
		}, []string{"machines[c]"}, []string{"machines[c]"}},
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
