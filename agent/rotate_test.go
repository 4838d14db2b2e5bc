package agent

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/sdk"
	"github.com/peaqnetwork/peaqos-agent/sdk/sandbox"
)

func (l *life) rotate() (RotateResult, error) {
	return l.agent.Rotate(context.Background(), RotateRequest{APIKey: sdk.NewSecret(testAPIKey)}, func(string) {})
}

func (l *life) mustRotate() RotateResult {
	l.t.Helper()
	r, err := l.rotate()
	if err != nil {
		l.t.Fatal(err)
	}
	return r
}

// reopen starts a new process on the same store.
func (l *life) reopen() {
	l.t.Helper()
	l.close()
	l.open()
}

// onlyActive checks that this is the one active agent on the server.
func (l *life) onlyActive(id string) {
	l.t.Helper()
	if active := l.activeAgents(); len(active) != 1 || active[0].ID != id {
		l.t.Errorf("active agents: %+v, want only %s", active, id)
	}
}

func TestRotate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLife(t, "demo")
		defer func() { l.close() }()
		old := l.mustEnroll().AgentID
		for range 3 { // each run is a complete rotation
			r := l.mustRotate()
			if !r.Changed || r.Pending || !r.Live || r.AgentID == old || r.LeaseExpiresAt == nil || len(r.Revoked) != 1 || r.Revoked[0] != old {
				t.Errorf("rotate from %s: %+v", old, r)
			}
			l.onlyActive(r.AgentID)
			old = r.AgentID
		}
		l.reopen()
		l.start()
		time.Sleep(2 * time.Minute)
		l.want(status.Online, "")
		if m := l.status(); m.AgentID != old || m.Rotation != nil {
			t.Errorf("after a restart: %s, %+v", m.AgentID, m.Rotation)
		}
	})
}

// TestRotatePending: if no endpoint is up, the new token is stored next to the old one.
// The daemon confirms it with its first heartbeat; rotate run again, or enroll, revokes
// the old agent.
func TestRotatePending(t *testing.T) {
	for _, restart := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			l := newLife(t, "demo")
			defer func() { l.close() }()
			old := l.mustEnroll().AgentID
			l.start()
			l.runtime.off.Store(true)
			time.Sleep(2 * time.Minute)
			r := l.mustRotate()
			if !r.Pending || r.AgentID != old || !strings.Contains(r.Reason, "pending: not confirmed by a heartbeat yet") {
				t.Fatalf("rotate with nothing up: %+v", r)
			}
			if again := l.mustRotate(); !again.Pending || again.Changed || again.PendingAgentID != r.PendingAgentID {
				t.Errorf("rotate again with nothing up: %+v, want the same agent pending", again)
			}
			if m := l.status(); status.CodeOf(m.Rotation) != "rotation_pending" {
				t.Errorf("rotation %+v", m.Rotation)
			}
			if restart {
				l.reopen()
				l.start()
			}
			l.runtime.off.Store(false)
			time.Sleep(2 * time.Minute)
			l.want(status.Online, "")
			if m := l.status(); m.AgentID != r.PendingAgentID || status.CodeOf(m.Rotation) != "rotation_unfinished" {
				t.Errorf("after the runtime came up: %s, %+v; want %s", m.AgentID, m.Rotation, r.PendingAgentID)
			}
			if len(l.activeAgents()) != 2 {
				t.Errorf("active: %+v, want both until a command has an API key", l.activeAgents())
			}
			var revoked []string
			if restart { // enroll completes it as rotate does: both have an API key
				again, err := l.enroll(nil)
				if err != nil || again.Changed || again.AgentID != r.PendingAgentID {
					t.Errorf("enroll: %+v, %v", again, err)
				}
				revoked = again.Revoked
			} else {
				last := l.mustRotate()
				if last.AgentID != r.PendingAgentID {
					t.Errorf("rotate again: %+v", last)
				}
				revoked = last.Revoked
			}
			if len(revoked) != 1 || revoked[0] != old {
				t.Errorf("revoked %v, want %s", revoked, old)
			}
			l.onlyActive(r.PendingAgentID)
		})
	}
}

// TestRotateRefused: the orchestrator rejects the new agent's heartbeats. The old agent
// stays in use without a gap, and the new one is revoked.
func TestRotateRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLife(t, "demo")
		defer func() { l.close() }()
		old := l.mustEnroll().AgentID
		l.runtime.off.Store(true)
		fresh := l.mustRotate().PendingAgentID
		l.runtime.off.Store(false)
		l.start()
		l.server.SetFault(refuseAgent(fresh))
		time.Sleep(5 * time.Minute)
		l.want(status.Online, "")
		m := l.status()
		if m.AgentID != old || status.CodeOf(m.Rotation) != "rotation_refused" || m.Beats["client_error"] != refusalsBeforeVerdict {
			t.Errorf("%s, %+v, %v; want the old agent after three refusals of the new one", m.AgentID, m.Rotation, m.Beats)
		}
		_, err := l.rotate()
		if p := Explain(err); p.Code != "rotation_refused" || p.Exit != status.ExitRejected {
			t.Errorf("rotate after the refusal: %v", err)
		}
		l.onlyActive(old)
		l.server.SetFault(nil)
		if r := l.mustRotate(); !r.Changed || r.AgentID == old || r.AgentID == fresh {
			t.Errorf("rotate once more: %+v", r)
		}
	})
}

// refuseAgent rejects the heartbeats of one agent as if its token were unknown.
func refuseAgent(id string) func(*http.Request) *sandbox.Fault {
	return func(r *http.Request) *sandbox.Fault {
		if !strings.HasSuffix(r.URL.Path, "/heartbeat") || !strings.Contains(bodyOf(r), id) {
			return nil
		}
		return &sandbox.Fault{Status: 401, Code: "AGENT_AUTH_INVALID"}
	}
}

// TestRotateLost: the store's key is gone, or both copies of the record are damaged. The
// daemon keeps running and suggests rotate, which replaces the agent.
func TestRotateLost(t *testing.T) {
	spoil := func(pattern string, with []byte) func(*life) {
		return func(l *life) {
			files, err := filepath.Glob(filepath.Join(l.cfg.Keystore.Dir, "keystore", pattern))
			if err != nil || len(files) == 0 {
				l.t.Fatal(files, err)
			}
			for _, f := range files {
				if with == nil {
					err = os.Remove(f)
				} else {
					err = os.WriteFile(f, with, 0o600)
				}
				if err != nil {
					l.t.Fatal(err)
				}
			}
		}
	}
	for name, c := range map[string]struct {
		spoil  func(*life)
		cause  string
		unsure bool // the id of the old agent is lost as well
	}{
		"key file gone":   {spoil("seal.*", nil), "store_sealed", false},
		"key file broken": {spoil("seal.*", []byte("x")), "store_sealed", false},
		"record broken":   {spoil("agent-main.*", []byte("x")), "store_damaged", true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLife(t, "demo")
				defer func() { l.close() }()
				old := l.mustEnroll()
				l.cfg.Machines[0].ID = old.MachineID
				l.close()
				c.spoil(l)
				l.open()
				l.start()
				time.Sleep(5 * time.Minute)
				l.want(status.Locked, status.Code(c.cause))
				if m := l.status(); !strings.HasPrefix(status.NextCommand(m), "peaqos-agent rotate") || m.MachineID != old.MachineID {
					t.Errorf("next command %q for %+v", status.NextCommand(m), m)
				}
				r := l.mustRotate()
				if !r.Changed || r.Pending || !r.Live || r.AgentID == old.AgentID {
					t.Errorf("rotate: %+v", r)
				}
				if c.unsure {
					if !slices.Equal(r.Unknown, []string{old.AgentID}) {
						t.Errorf("unknown agents %v, want the previous one to be listed", r.Unknown)
					}
				} else {
					l.onlyActive(r.AgentID)
				}
				time.Sleep(5 * time.Minute)
				l.want(status.Online, "")
				l.reopen()
				if m := l.status(); m.AgentID != r.AgentID {
					t.Errorf("after a restart: %+v", m)
				}
			})
		})
	}
}

// TestRotateInterrupted: the response is lost at each step in turn. The next enroll
// leaves one active agent, the one in use, and no lease expires in the meantime.
func TestRotateInterrupted(t *testing.T) {
	for name, fault := range map[string]func(*http.Request) *sandbox.Fault{
		"enrollment lost":  onPath("/enrollment", sandbox.Fault{Lost: true}),
		"enrollment cut":   onPath("/enrollment", sandbox.Fault{CutAfter: 60}),
		"beat lost":        onPath("/heartbeat", sandbox.Fault{Lost: true}),
		"beat dropped":     onPath("/heartbeat", sandbox.Fault{Drop: true}),
		"revocation lost":  onMethod(http.MethodDelete, sandbox.Fault{Lost: true}),
		"revocation fails": onMethod(http.MethodDelete, sandbox.Fault{Status: 500}),
		"list fails":       onMethodPath(http.MethodGet, "/agents", sandbox.Fault{Status: 503}),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLife(t, "demo")
				defer func() { l.close() }()
				l.mustEnroll()
				l.server.SetFault(fault)
				_, _ = l.rotate()
				l.server.SetFault(nil)
				l.reopen()
				l.start()
				time.Sleep(time.Minute)
				l.want(status.Online, "")
				e, err := l.enroll(nil)
				if err != nil || e.Changed {
					t.Errorf("enroll after the interruption: %+v, %v", e, err)
				}
				l.onlyActive(e.AgentID)
				r := l.mustRotate()
				l.onlyActive(r.AgentID)
				time.Sleep(time.Minute)
				l.want(status.Online, "")
				if m := l.status(); m.AgentID != r.AgentID || m.Rotation != nil {
					t.Errorf("%+v after %+v", m, r)
				}
			})
		})
	}
}

func onMethod(method string, f sandbox.Fault) func(*http.Request) *sandbox.Fault {
	return onMethodPath(method, "", f)
}

func onMethodPath(method, suffix string, f sandbox.Fault) func(*http.Request) *sandbox.Fault {
	return func(r *http.Request) *sandbox.Fault {
		if r.Method == method && strings.HasSuffix(r.URL.Path, suffix) {
			return &f
		}
		return nil
	}
}

// TestRotateNeedsKey: rotate needs an API key, and an enrollment.
func TestRotateNeedsKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLife(t, "demo")
		defer l.close()
		if _, err := l.rotate(); Explain(err).Code != "not_enrolled" {
			t.Errorf("rotate of nothing: %v", err)
		}
		l.mustEnroll()
		_, err := l.agent.Rotate(context.Background(), RotateRequest{}, func(string) {})
		if p := Explain(err); p.Code != "api_key_missing" || p.Exit != status.ExitSecret {
			t.Errorf("rotate without a key: %v", err)
		}
	})
}
