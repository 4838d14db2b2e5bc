package agent

import (
	"context"
	"encoding/pem"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/peaqnetwork/peaqos-agent/keystore"
	"github.com/peaqnetwork/peaqos-agent/sdk"
	"github.com/peaqnetwork/peaqos-agent/sdk/sandbox"
)

// TestForceKeepsTheNewToken: a rotated token that is proven while a forced enrollment
// stores a newer one does not come back over it.
func TestForceKeepsTheNewToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLife(t, "demo")
		defer func() { l.close() }()
		l.mustEnroll()
		l.runtime.off.Store(true)
		if r := l.mustRotate(); !r.Pending {
			t.Fatalf("rotate with nothing up: %+v", r)
		}
		l.runtime.off.Store(false)
		beaten := false
		l.server.SetFault(func(r *http.Request) *sandbox.Fault {
			if r.Method != http.MethodDelete && !strings.HasSuffix(r.URL.Path, "/revoke") {
				return nil
			}
			if !beaten {
				beaten = true
				l.agent.beaters["main"].once(context.Background()) // the daemon's own beat falls into the gap
			}
			return &sandbox.Fault{Status: 500}
		})
		r, err := l.enroll(func(r *EnrollRequest) { r.Force = true })
		if err == nil || !r.Changed || !beaten {
			t.Fatalf("enroll --force: %+v, %v, beaten %v", r, err, beaten)
		}
		l.server.SetFault(nil)
		l.reopen()
		if m := l.status(); m.AgentID != r.AgentID {
			t.Errorf("the store holds %s, want the newest agent %s", m.AgentID, r.AgentID)
		}
		l.mustEnroll() // ends what is left to do
		l.onlyLiving(r.AgentID)
	})
}

// secondMachine registers another machine of the account.
func (l *life) secondMachine() string {
	l.t.Helper()
	other := newLife(l.t, "demo")
	defer other.close()
	other.transport, other.server = nil, l.server
	other.reopen()
	r, err := other.enroll(func(r *EnrollRequest) { r.IdentityRef = "did:peaq:43" })
	if err != nil {
		l.t.Fatal(err)
	}
	if _, err := other.agent.Unenroll(context.Background(), LeaveRequest{APIKey: sdk.NewSecret(testAPIKey)}, unheard); err != nil {
		l.t.Fatal(err)
	}
	return r.MachineID
}

// TestForceOntoAnotherMachine: the agent of the machine that is left is revoked.
func TestForceOntoAnotherMachine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLife(t, "demo")
		defer func() { l.close() }()
		first := l.mustEnroll()
		second := l.secondMachine()
		r, err := l.enroll(func(r *EnrollRequest) { r.Force, r.MachineID, r.IdentityRef = true, second, "" })
		if err != nil || r.MachineID != second || !r.Live {
			t.Fatalf("%+v, %v", r, err)
		}
		l.onlyLiving(r.AgentID)
		if len(r.Revoked) != 1 || r.Revoked[0] != first.AgentID {
			t.Errorf("revoked %v, want %s", r.Revoked, first.AgentID)
		}
	})
}

// TestInterruptedElsewhere: an interrupted attempt for another machine than the one
// that is enrolled is looked for where it happened.
func TestInterruptedElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLife(t, "demo")
		defer func() { l.close() }()
		first := l.mustEnroll()
		second := l.secondMachine()
		l.server.SetFault(func(r *http.Request) *sandbox.Fault {
			if strings.HasSuffix(r.URL.Path, "/enrollment") {
				return &sandbox.Fault{Lost: true}
			}
			return nil
		})
		move := func(r *EnrollRequest) { r.Force, r.MachineID, r.IdentityRef = true, second, "" }
		if _, err := l.enroll(move); err == nil {
			t.Fatal("the answer was lost, and nobody noticed")
		}
		l.server.SetFault(nil)
		r, err := l.enroll(nil)
		if err != nil || r.AgentID != first.AgentID || len(l.living()) != 0 {
			t.Fatalf("%+v, %v; living %+v", r, err, l.living())
		}
		if r, err = l.enroll(move); err != nil {
			t.Fatal(err)
		}
		l.onlyLiving(r.AgentID)
	})
}

// TestUnenrolledIsNotReady: what the former agent was granted is not the machine's
// any more.
func TestUnenrolledIsNotReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLife(t, "demo")
		defer func() { l.close() }()
		l.mustEnroll()
		l.start()
		time.Sleep(time.Minute)
		if _, err := l.agent.Unenroll(context.Background(), LeaveRequest{APIKey: sdk.NewSecret(testAPIKey)}, unheard); err != nil {
			t.Fatal(err)
		}
		s := l.agent.Snapshot()
		if Ready(s).Ready {
			t.Error("unenrolled, and ready")
		}
		if m := s.Machines[0]; !m.NextAttempt.IsZero() || m.Interval != 0 || m.LeaseTTL != 0 || !m.LastSuccess.IsZero() {
			t.Errorf("a beat is still announced: %+v", m)
		}
	})
}

// TestDryRunOfAnEnrolledMachine sends no beat.
func TestDryRunOfAnEnrolledMachine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLife(t, "demo")
		defer func() { l.close() }()
		l.mustEnroll()
		before := l.server.Beats()
		if r, err := l.enroll(func(r *EnrollRequest) { r.DryRun = true }); err != nil || r.Changed {
			t.Errorf("%+v, %v", r, err)
		}
		if l.server.Beats() != before {
			t.Error("a dry run beat")
		}
	})
}

// TestEnrollGivesUp: an orchestrator that takes a request and never answers does not
// hold the store's owner for good.
func TestEnrollGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLife(t, "demo")
		defer func() { l.close() }()
		l.server.SetFault(always(&sandbox.Fault{Latency: 24 * time.Hour}))
		begin := time.Now()
		if _, err := l.enroll(nil); Explain(err).Code != "timeout" {
			t.Errorf("%v", err)
		}
		if took := time.Since(begin); took > 2*callLimit {
			t.Errorf("it took %s", took)
		}
	})
}

// TestEnrollmentsCounted: what we refuse ourselves is no fault of the network.
func TestEnrollmentsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLife(t, "demo")
		defer func() { l.close() }()
		if _, err := l.enroll(func(r *EnrollRequest) { r.Controller = nil }); Explain(err).Code != "controller_key_missing" {
			t.Fatal(err)
		}
		if n := l.agent.Snapshot().Agent.Enrollments; n["rejected"] != 1 || n["network"] != 0 {
			t.Errorf("%v", n)
		}
	})
}

// TestShortLeaseAfterEnroll: the loop plans by the lease that the one-shot beat was
// granted, also when it had planned by a longer one before.
func TestShortLeaseAfterEnroll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLife(t, "demo")
		defer func() { l.close() }()
		l.mustEnroll()
		l.start()
		b := l.agent.beaters["main"]
		l.server.SetFault(onPath("/heartbeat", sandbox.Fault{Status: 200, ContentType: "application/json",
			Body: `{"item":{"machineId":"m","agentId":"a","leaseTtlSeconds":6,"observedAt":"2000-01-01T00:00:00Z","endpoints":[]}}`}))
		time.Sleep(time.Second)
		if o := b.once(t.Context()); !o.live {
			t.Fatalf("%+v", o)
		}
		asked := l.status().LastAttempt
		time.Sleep(3 * time.Second)
		if m := l.status(); !m.LastAttempt.After(asked) {
			t.Errorf("no beat within half a lease of 6 s; the next at %s, interval %s", m.NextAttempt.Sub(time.Now()), m.Interval)
		}
	})
}

// TestRotateARevokedAgent: with nothing up the new token waits, and goes out as soon
// as something is up; the hour that the old one has to wait is not its own.
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
		if c := l.status().Condition; c != Revoked && c != Rejected {
			t.Fatalf("the agent was revoked, and is %s", c)
		}
		l.runtime.off.Store(true)
		time.Sleep(time.Minute)
		if r := l.mustRotate(); !r.Pending {
			t.Fatalf("%+v", r)
		}
		time.Sleep(5 * time.Minute)
		l.runtime.off.Store(false)
		time.Sleep(time.Minute)
		l.want(Online, "")
		if l.status().AgentID == r.AgentID {
			t.Error("the revoked agent beats")
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

// TestNoAdminSocket: a place where the socket cannot be bound stops no beat.
func TestNoAdminSocket(t *testing.T) {
	t.Setenv("RUNTIME_DIRECTORY", filepath.Join(t.TempDir(), "missing"))
	synctest.Test(t, func(t *testing.T) {
		l := newLife(t, "demo")
		defer func() { l.close() }()
		l.mustEnroll()
		l.close()
		l.admin = true
		l.open()
		l.start()
		time.Sleep(time.Minute)
		l.want(Online, "")
		if r := Ready(l.agent.Snapshot()); !r.Ready || len(r.Reasons) != 1 || r.Reasons[0].Code != "admin_socket" {
			t.Errorf("%+v", r)
		}
	})
}

// TestReloadNamesTheMachine: who is to be enrolled is told as the newest
// configuration has it.
func TestReloadNamesTheMachine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLife(t, "demo")
		defer func() { l.close() }()
		l.reloading(func(c *Config) { c.Machines[0].IdentityRef = "did:peaq:42" })
		if _, err := l.agent.Reload(); err != nil {
			t.Fatal(err)
		}
		m := l.status()
		if next := NextCommand(m); m.IdentityRef != "did:peaq:42" || strings.Contains(next, "--identity-ref") {
			t.Errorf("%q, next %s", m.IdentityRef, next)
		}
	})
}

// TestReloadReadsTheRootAgain: a renewed certificate lies under the same name.
func TestReloadReadsTheRootAgain(t *testing.T) {
	l := newLife(t)
	defer l.close()
	l.close()
	l.cfg.Orchestrator.CAFile = filepath.Join(t.TempDir(), "root.pem")
	server := httptest.NewTLSServer(http.NotFoundHandler())
	defer server.Close()
	root := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(l.cfg.Orchestrator.CAFile, root, 0o600); err != nil {
		t.Fatal(err)
	}
	a, err := New(t.Context(), l.cfg, Options{Version: "test", NoAdmin: true, Reload: func() (*Config, error) { return l.cfg, nil }})
	if err != nil {
		t.Fatal(err)
	}
	l.agent = a
	before := a.transport
	if _, err := a.Reload(); err != nil || a.transport == before {
		t.Errorf("the file was not read again: %v", err)
	}
	if err := os.WriteFile(l.cfg.Orchestrator.CAFile, []byte("none"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Reload(); Explain(err).Code != "ca_file" {
		t.Errorf("%v", err)
	}
}

// TestExplainKeepsTheStep: which step failed stands beside what the server said.
func TestExplainKeepsTheStep(t *testing.T) {
	api := &sdk.APIError{StatusCode: 401, Code: sdk.CodeAuthInvalid, Envelope: true}
	p := Explain(fmt.Errorf("the new agent a is in use, but the former one could not be revoked yet; run peaqos-agent rotate again: %w", api))
	if p.Exit != ExitNetwork || !strings.HasPrefix(p.Known, "the new agent a is in use") || !strings.Contains(p.Known, "HTTP 401") {
		t.Errorf("%+v", p)
	}
	p = Explain(fmt.Errorf("keystore: %w", &os.PathError{Op: "open", Path: "/var/lib/peaqos-agent/keystore", Err: fs.ErrPermission}))
	if p.Code != "not_permitted" || p.Next != "run the command with sudo" {
		t.Errorf("%+v", p)
	}
}

// TestLeaseFromTheSending: a slow answer makes no lease longer.
func TestLeaseFromTheSending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLife(t, "demo")
		defer func() { l.close() }()
		l.mustEnroll()
		l.server.SetFault(onPath("/heartbeat", sandbox.Fault{Latency: 8 * time.Second}))
		if o := l.agent.beaters["main"].once(t.Context()); !o.live {
			t.Fatalf("%+v", o)
		}
		if left := l.status().Endpoints[0].LeaseLeft(l.agent.boot()); left > 82*time.Second {
			t.Errorf("%s of 90 s left after 8 s", left)
		}
	})
}

// TestGrantOfALongToken: how long a token is, nobody has said.
func TestGrantOfALongToken(t *testing.T) {
	token := strings.Repeat("t", 1500)
	g := Grant{keystore.Agent{Origin: "https://o.example", MachineID: "m", AgentID: "a", Label: "l", Token: keystore.NewSecret(token)}}
	document, err := g.Document()
	if err != nil {
		t.Fatal(err)
	}
	back, err := ParseGrant(document)
	if err != nil || string(back.record.Token.Reveal()) != token {
		t.Errorf("%v", err)
	}
}

// TestRecordOfAnotherMachine: a configuration that names another machine than the
// store holds is told of, and stops nothing.
func TestRecordOfAnotherMachine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLife(t, "demo")
		defer func() { l.close() }()
		r := l.mustEnroll()
		l.cfg.Machines[0].ID = "mach_other"
		l.reopen()
		l.start()
		time.Sleep(time.Minute)
		l.want(Online, "")
		ready := Ready(l.agent.Snapshot())
		if len(ready.Reasons) != 1 || ready.Reasons[0].Code != "another_identity" || !strings.Contains(ready.Reasons[0].Text, r.MachineID) {
			t.Errorf("%+v", ready)
		}
	})
}

// TestStoreThatOthersReach is a fault of the keystore, with its mend.
func TestStoreThatOthersReach(t *testing.T) {
	l := newLife(t)
	l.close()
	if err := os.Chmod(filepath.Join(l.cfg.Keystore.Dir, "keystore"), 0o755); err != nil {
		t.Fatal(err)
	}
	_, err := New(t.Context(), l.cfg, Options{NoAdmin: true, Transport: l.server.Transport()})
	if p := Explain(err); p.Exit != ExitKeystore || p.Code != "store_unusable" || !strings.Contains(p.What, "chmod 700") {
		t.Errorf("%+v", p)
	}
}
