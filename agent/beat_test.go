package agent

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/peaqnetwork/peaqos-agent/agent/config"
	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/sdk"
	"github.com/peaqnetwork/peaqos-agent/sdk/sandbox"
)

// TestUnenrolledIsNotReady: what the previous agent was granted is not valid for the
// machine any more.
func TestUnenrolledIsNotReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLife(t, "demo")
		defer func() { l.close() }()
		l.mustEnroll()
		l.start()
		time.Sleep(time.Minute)
		if _, err := l.agent.Unenroll(context.Background(), LeaveRequest{APIKey: sdk.NewSecret(testAPIKey)}, discard); err != nil {
			t.Fatal(err)
		}
		s := l.agent.snapshot()
		if status.Ready(s).Ready {
			t.Error("unenrolled, but ready")
		}
		if m := s.Machines[0]; !m.NextAttempt.IsZero() || m.Interval != 0 || m.LeaseTTL != 0 || !m.LastSuccess.IsZero() {
			t.Errorf("a heartbeat is still planned: %+v", m)
		}
	})
}

// TestShortLeaseAfterEnroll: the loop plans by the lease that a command's heartbeat was
// granted, even if it had planned by a longer one before.
func TestShortLeaseAfterEnroll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLife(t, "demo")
		defer func() { l.close() }()
		l.mustEnroll()
		l.start()
		b := l.agent.beaters["main"]
		l.server.SetFault(onPath("/heartbeat", sandbox.Fault{
			Status: 200, ContentType: "application/json",
			Body: `{"item":{"machineId":"m","agentId":"a","leaseTtlSeconds":6,"observedAt":"2000-01-01T00:00:00Z","endpoints":[]}}`,
		}))
		time.Sleep(time.Second)
		if o := b.beatOnce(t.Context()); !o.live {
			t.Fatalf("%+v", o)
		}
		asked := l.status().LastAttempt
		time.Sleep(3 * time.Second)
		if m := l.status(); !m.LastAttempt.After(asked) {
			t.Errorf("no heartbeat within half a lease of 6 s; the next in %s, interval %s", time.Until(m.NextAttempt), m.Interval)
		}
	})
}

// TestRotateARevokedAgent: with nothing up the new token waits, and is used as soon as
// something is up; the hour that the old one has to wait does not apply to it.
func TestRotateARevokedAgent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLife(t, "demo")
		defer func() { l.close() }()
		r := l.mustEnroll()
		l.start()
		if err := l.agent.mustClient(t).MachineAgents.Revoke(t.Context(), r.MachineID, r.AgentID); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Minute)
		if c := l.status().State; c != status.Revoked && c != status.Rejected {
			t.Fatalf("the agent was revoked, but is %s", c)
		}
		l.runtime.off.Store(true)
		time.Sleep(time.Minute)
		if r := l.mustRotate(); !r.Pending {
			t.Fatalf("%+v", r)
		}
		time.Sleep(5 * time.Minute)
		l.runtime.off.Store(false)
		time.Sleep(time.Minute)
		l.want(status.Online, "")
		if l.status().AgentID == r.AgentID {
			t.Error("the revoked agent is still in use")
		}
	})
}

// mustClient is a client with the API key.
func (a *Agent) mustClient(t *testing.T) *sdk.Client {
	t.Helper()
	api, err := a.api(a.current, a.transport, sdk.NewSecret(testAPIKey))
	if err != nil {
		t.Fatal(err)
	}
	return api
}

// TestLeaseStartsAtTheRequest: a slow response makes no lease longer.
func TestLeaseStartsAtTheRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLife(t, "demo")
		defer func() { l.close() }()
		l.mustEnroll()
		l.server.SetFault(onPath("/heartbeat", sandbox.Fault{Latency: 8 * time.Second}))
		if o := l.agent.beaters["main"].beatOnce(t.Context()); !o.live {
			t.Fatalf("%+v", o)
		}
		if left := l.status().Endpoints[0].LeaseLeft(l.agent.boot()); left > 82*time.Second {
			t.Errorf("%s of 90 s left after 8 s", left)
		}
	})
}

// TestCommandsWaitByTheirContext: while the orchestrator does not respond to a
// heartbeat, a command gives up when its own time is over, reads without waiting, and
// a reload is applied to nothing.
func TestCommandsWaitByTheirContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLife(t, "demo")
		r := l.mustEnroll()
		l.server.SetFault(onPath("/heartbeat", sandbox.Fault{Latency: time.Hour}))
		l.start()
		b := l.agent.beaters["main"]
		synctest.Wait()                                              // the first heartbeat is planned
		time.Sleep(time.Until(l.status().NextAttempt) + time.Second) // it has 10 s to end
		l.reloading(func(c *config.Config) { c.Heartbeat.LeaseTTL = 10 * time.Second })
		for name, command := range map[string]func(context.Context) error{
			"one heartbeat": func(ctx context.Context) error {
				if o := b.beatOnce(ctx); o.live || o.reason == "" {
					t.Errorf("%+v", o)
				}
				return context.Cause(ctx)
			},
			"reload": func(ctx context.Context) error { _, err := l.agent.reloadNow(ctx); return err },
		} {
			began := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			err := command(ctx)
			cancel()
			if took := time.Since(began); !errors.Is(err, context.DeadlineExceeded) || took != time.Second {
				t.Errorf("%s: %v after %s, want its own second", name, err, took)
			}
		}
		began := time.Now()
		if b.currentRecord().AgentID != r.AgentID || b.configured().Name != "main" || b.refusedPending() {
			t.Error("the record is another one")
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("reading the record took %s", took)
		}
		if l.agent.current.Heartbeat.LeaseTTL != 90*time.Second || b.conf.LeaseTTL != 90*time.Second {
			t.Error("a reload that was given up was applied")
		}
		l.server.SetFault(nil)
		time.Sleep(2 * time.Minute)
		l.want(status.Online, "")
		l.close()
	})
}
