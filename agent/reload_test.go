package agent

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/peaqnetwork/peaqos-agent/agent/config"
	"github.com/peaqnetwork/peaqos-agent/agent/status"
)

// reloading puts f between the file and the agent: it changes a copy of the
// configuration that the agent was started with.
func (l *life) reloading(f func(*config.Config)) {
	l.agent.opts.Reload = func() (*config.Config, error) {
		next := *l.cfg
		next.Machines = []config.Machine{l.cfg.Machines[0]}
		next.Machines[0].Endpoints = append([]config.Endpoint{}, l.cfg.Machines[0].Endpoints...)
		f(&next)
		return &next, nil
	}
}

// TestReloadTakesEndpoints: an added endpoint is published within seconds, a
// removed one is omitted, and the heartbeat stays on its grid.
func TestReloadTakesEndpoints(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLife(t, "demo")
		l.cfg.Machines[0].AllowedProviderKeys = []string{"demo", "second"}
		l.agent.beaters["main"].machine.AllowedProviderKeys = []string{"demo", "second"}
		r := l.mustEnroll()
		l.start()
		time.Sleep(5 * time.Minute)
		l.reloading(func(c *config.Config) {
			second := c.Machines[0].Endpoints[0]
			second.ProviderKey, second.BaseURL = "second", "http://127.0.0.1:10"
			c.Machines[0].Endpoints = append(c.Machines[0].Endpoints, second)
		})
		result, err := l.agent.reloadNow(t.Context())
		if err != nil || len(result.Changed) != 1 || !strings.Contains(result.Changed[0], "second") {
			t.Fatalf("reload: %+v, %v", result, err)
		}
		time.Sleep(20 * time.Second)
		if n := len(l.server.Endpoints(r.MachineID)); n != 2 {
			t.Errorf("%d endpoints are published, want the new one as well", n)
		}
		l.want(status.Online, "")
		l.reloading(func(*config.Config) {})
		if _, err := l.agent.reloadNow(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Minute)
		for _, e := range l.server.Endpoints(r.MachineID) {
			if want := map[string]string{"demo": "active", "second": "unreachable"}[e.ProviderKey]; e.Status != want {
				t.Errorf("%s is %s, want %s", e.ProviderKey, e.Status, want)
			}
		}
		if a := l.agent.snapshot().Process; !a.ReloadOK || a.ReloadAt.IsZero() {
			t.Errorf("the reload is not recorded: %+v", a)
		}
		l.close()
	})
}

// TestReloadAppliesWholeOrNot: with a fault, or a key that needs a restart, the current
// configuration stays in use and no heartbeat is missed, a thousand times in a row.
func TestReloadAppliesWholeOrNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLife(t, "demo")
		l.mustEnroll()
		l.start()
		time.Sleep(5 * time.Minute)
		before := l.server.Beats()
		broken := errors.New("line 3: unknown key")
		for i := range 1000 {
			if i%2 == 0 {
				l.agent.opts.Reload = func() (*config.Config, error) { return nil, broken }
				if _, err := l.agent.reloadNow(t.Context()); !errors.Is(err, broken) {
					t.Fatalf("a bad file: %v", err)
				}
			} else {
				l.reloading(func(c *config.Config) {
					c.Orchestrator.URL = "http://127.0.0.1:2"
					c.Heartbeat.LeaseTTL = 10 * time.Second
				})
				_, err := l.agent.reloadNow(t.Context())
				var p *status.Problem
				if !errors.As(err, &p) || p.Code != "reload_needs_restart" || !strings.Contains(p.Detail, "orchestrator.url") {
					t.Fatalf("a key that needs a restart: %v", err)
				}
			}
			time.Sleep(time.Second)
		}
		if got, want := l.server.Beats()-before, uint64(1000/30); got != want && got != want+1 {
			t.Errorf("%d beats in 1000 s, want %d", got, want)
		}
		if l.status().LeaseTTL != 90*time.Second {
			t.Error("half of a rejected configuration is in use")
		}
		if l.agent.snapshot().Process.ReloadOK {
			t.Error("the metric says the last configuration load succeeded")
		}
		l.close()
	})
}

// TestReloadTriesRefusedEndpointsAgain: what the orchestrator refused is retried at
// once, not in an hour.
func TestReloadTriesRefusedEndpointsAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLife(t, "good", "bad")
		l.agent.beaters["main"].machine.AllowedProviderKeys = []string{"good"}
		l.mustEnroll()
		l.start()
		time.Sleep(5 * time.Minute)
		if status := l.status(); status.Endpoint("bad").Refused == "" {
			t.Fatal("the endpoint is not refused, so this tests nothing")
		}
		refusals := l.status().Beats["client_error"]
		l.reloading(func(*config.Config) {})
		if _, err := l.agent.reloadNow(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute)
		if l.status().Beats["client_error"] == refusals {
			t.Error("the refused endpoint was not tried again")
		}
		l.close()
	})
}
