package agent

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/peaqnetwork/peaqos-agent/sdk"
	"github.com/peaqnetwork/peaqos-agent/sdk/sandbox"
)

// TestForceKeepsTheNewToken: a heartbeat that confirms a rotated token while a forced
// enrollment stores a newer one does not overwrite it.
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
				l.agent.beaters["main"].beatOnce(context.Background()) // the daemon's own heartbeat at this moment
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
			t.Errorf("the store holds %s, want the last agent %s", m.AgentID, r.AgentID)
		}
		l.mustEnroll() // completes what is left to do
		l.onlyActive(r.AgentID)
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
	if _, err := other.agent.Unenroll(context.Background(), LeaveRequest{APIKey: sdk.NewSecret(testAPIKey)}, discard); err != nil {
		l.t.Fatal(err)
	}
	return r.MachineID
}

// TestForceOntoAnotherMachine: the agent of the previous machine is revoked.
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
		l.onlyActive(r.AgentID)
		if len(r.Revoked) != 1 || r.Revoked[0] != first.AgentID {
			t.Errorf("revoked %v, want %s", r.Revoked, first.AgentID)
		}
	})
}

// TestInterruptedElsewhere: the agent of an interrupted attempt for another machine is
// looked for on that machine.
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
			t.Fatal("enroll succeeded without a response")
		}
		l.server.SetFault(nil)
		r, err := l.enroll(nil)
		if err != nil || r.AgentID != first.AgentID || len(l.activeAgents()) != 0 {
			t.Fatalf("%+v, %v; active %+v", r, err, l.activeAgents())
		}
		if r, err = l.enroll(move); err != nil {
			t.Fatal(err)
		}
		l.onlyActive(r.AgentID)
	})
}

// TestDryRunOfAnEnrolledMachine: a dry run sends no heartbeat.
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
			t.Error("a dry run sent a heartbeat")
		}
	})
}

// TestEnrollGivesUp: an orchestrator that never responds does not block the owner of the
// store forever.
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

// TestEnrollmentsCounted: what the agent itself refuses is not counted as a network error.
func TestEnrollmentsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLife(t, "demo")
		defer func() { l.close() }()
		if _, err := l.enroll(func(r *EnrollRequest) { r.Controller = nil }); Explain(err).Code != "controller_key_missing" {
			t.Fatal(err)
		}
		if n := l.agent.snapshot().Process.Enrollments; n["rejected"] != 1 || n["network"] != 0 {
			t.Errorf("%v", n)
		}
	})
}
