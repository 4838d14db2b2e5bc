package agent

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/keystore"
	"github.com/peaqnetwork/peaqos-agent/sdk"
	"github.com/peaqnetwork/peaqos-agent/sdk/sandbox"
)

func (l *life) unenroll(change func(*LeaveRequest)) (LeaveResult, error) {
	req := LeaveRequest{APIKey: sdk.NewSecret(testAPIKey)}
	if change != nil {
		change(&req)
	}
	return l.agent.Unenroll(context.Background(), req, func(string) {})
}

func TestUnenroll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLife(t, "demo")
		defer func() { l.close() }()
		if r, err := l.unenroll(nil); err != nil || r.Changed {
			t.Errorf("unenroll of nothing: %+v, %v", r, err)
		}
		agent := l.mustEnroll().AgentID
		l.start()
		time.Sleep(time.Minute)
		if _, err := l.unenroll(func(r *LeaveRequest) { r.APIKey = sdk.Secret{} }); Explain(err).Code != "api_key_missing" {
			t.Errorf("without a key: %v", err)
		}
		r, err := l.unenroll(nil)
		if err != nil || !r.Changed || !slices.Equal(r.Revoked, []string{agent}) || len(l.activeAgents()) != 0 {
			t.Errorf("unenroll: %+v, %v; active %+v", r, err, l.activeAgents())
		}
		beats := l.status().Beats["success"]
		time.Sleep(5 * time.Minute)
		l.want(status.Unenrolled, "not_enrolled")
		if got := l.status().Beats["success"]; got != beats {
			t.Errorf("%d beats after unenroll", got-beats)
		}
		if again := l.mustEnroll(); !again.Changed || again.AgentID == agent || !again.Live {
			t.Errorf("enroll again: %+v", again)
		}
	})
}

// TestUnenrollLocalOnly: nothing is sent, and the agents left behind are listed.
func TestUnenrollLocalOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLife(t, "demo")
		defer func() { l.close() }()
		e := l.mustEnroll()
		l.runtime.off.Store(true)
		pending := l.mustRotate().PendingAgentID
		r, err := l.unenroll(func(r *LeaveRequest) { r.LocalOnly, r.APIKey = true, sdk.Secret{} })
		if err != nil || len(r.LeftBehind) != 2 || len(r.Revoked) != 0 {
			t.Fatalf("unenroll --local-only: %+v, %v", r, err)
		}
		for i, id := range []string{e.AgentID, pending} {
			if left := r.LeftBehind[i]; left.AgentID != id || left.MachineID != e.MachineID || left.Orchestrator != "http://127.0.0.1:1" {
				t.Errorf("left behind: %+v, want agent %s", left, id)
			}
		}
		l.want(status.Unenrolled, "not_enrolled")
	})
}

// TestUnenrollInterrupted: if the response to a revocation is lost, the token stays
// stored, so that unenroll can run again; then nothing is active or stored.
func TestUnenrollInterrupted(t *testing.T) {
	for _, fault := range []sandbox.Fault{{Lost: true}, {Status: 500}} {
		synctest.Test(t, func(t *testing.T) {
			l := newLife(t, "demo")
			defer func() { l.close() }()
			l.mustEnroll()
			l.server.SetFault(onMethod("DELETE", fault))
			if _, err := l.unenroll(nil); err == nil {
				t.Error("unenroll succeeded without a response")
			}
			l.server.SetFault(nil)
			l.reopen()
			if _, err := l.unenroll(nil); err != nil || len(l.activeAgents()) != 0 || l.status().AgentID != "" {
				t.Errorf("unenroll again: %v; active %+v", err, l.activeAgents())
			}
		})
	}
}

// TestUnenrollSealed: the facts that are not encrypted name the agent to revoke.
func TestUnenrollSealed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLife(t, "demo")
		defer func() { l.close() }()
		l.mustEnroll()
		l.close()
		for _, f := range []string{"seal.a", "seal.b"} {
			if err := os.Remove(filepath.Join(l.cfg.Keystore.Dir, "keystore", f)); err != nil {
				t.Fatal(err)
			}
		}
		l.open()
		l.want(status.Locked, "store_sealed")
		if r, err := l.unenroll(nil); err != nil || !r.Changed || len(l.activeAgents()) != 0 {
			t.Errorf("unenroll: %+v, %v", r, err)
		}
		l.want(status.Unenrolled, "not_enrolled")
		l.mustEnroll()
	})
}

// TestLostKeyOfOthers: a lost key that the controller key needs is replaced only on
// request, and a refusal changes neither the store nor the orchestrator.
func TestLostKeyOfOthers(t *testing.T) {
	for command, run := range map[string]func(l *life, replace bool) error{
		"rotate": func(l *life, replace bool) error {
			req := RotateRequest{APIKey: sdk.NewSecret(testAPIKey), ReplaceLostKey: replace}
			_, err := l.agent.Rotate(context.Background(), req, func(string) {})
			return err
		},
		"enroll": func(l *life, replace bool) error {
			_, err := l.enroll(func(r *EnrollRequest) { r.Force, r.ReplaceLostKey = true, replace })
			return err
		},
		"grant": func(l *life, replace bool) error {
			req := GrantRequest{Grant: l.mustGrant(), Force: true, ReplaceLostKey: replace}
			_, err := l.agent.TakeGrant(context.Background(), req, func(string) {})
			return err
		},
		"unenroll": func(l *life, replace bool) error {
			_, err := l.unenroll(func(r *LeaveRequest) { r.ReplaceLostKey = replace })
			return err
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			l := newLife(t, "demo")
			defer func() { l.close() }()
			agent := l.mustEnroll().AgentID
			l.storeKey()
			l.close()
			dir := filepath.Join(l.cfg.Keystore.Dir, "keystore")
			for _, f := range []string{"seal.a", "seal.b"} {
				if err := os.Rename(filepath.Join(dir, f), filepath.Join(dir, f+".away")); err != nil {
					t.Fatal(err)
				}
			}
			l.open()
			l.want(status.Locked, status.CodeStoreSealed)
			if p := Explain(run(l, false)); p.Code != status.CodeLostKeyNeeded || p.Exit != status.ExitKeystore {
				t.Errorf("%s: %+v", command, p)
			}
			if !slices.ContainsFunc(l.activeAgents(), func(a sandbox.Agent) bool { return a.ID == agent }) {
				t.Errorf("%s: the agent was revoked", command)
			}
			l.close()
			for _, f := range []string{"seal.a", "seal.b"} { // the key is found again
				if err := os.Rename(filepath.Join(dir, f+".away"), filepath.Join(dir, f)); err != nil {
					t.Fatal(err)
				}
			}
			l.open()
			if l.status().AgentID != agent || !l.agent.store.HasControllerKey() {
				t.Errorf("%s: agent %q in the store", command, l.status().AgentID)
			}
			l.close()
			for _, f := range []string{"seal.a", "seal.b"} {
				if err := os.Remove(filepath.Join(dir, f)); err != nil {
					t.Fatal(err)
				}
			}
			l.open()
			if err := run(l, true); err != nil {
				t.Errorf("%s with ReplaceLostKey: %v", command, err)
			}
		})
	}
}

// fakeHost writes the facts of a host below a new root directory.
func fakeHost(t *testing.T, machineID, mac string) string {
	t.Helper()
	root := t.TempDir()
	net := filepath.Join(root, "sys/class/net/eth0")
	for name, text := range map[string]string{
		filepath.Join(root, "etc/machine-id"): machineID, net + "/address": mac, net + "/type": "1",
		net + "/addr_assign_type": "0", net + "/device/vendor": "x",
	} {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// TestQuarantine: a copy on other hardware sends nothing, whatever command it gets,
// until adopt or reset-identity. A single changed fact is learned silently.
func TestQuarantine(t *testing.T) {
	first := fakeHost(t, "11111111111111111111111111111111", "00:11:22:33:44:55")
	second := fakeHost(t, "22222222222222222222222222222222", "00:11:22:66:77:88")
	otherCard := fakeHost(t, "11111111111111111111111111111111", "00:11:22:99:99:99")
	for _, end := range []string{"adopt", "reset"} {
		synctest.Test(t, func(t *testing.T) {
			l := newLife(t, "demo")
			defer func() { l.close() }()
			move := func(root string) {
				l.close()
				l.hostRoot, l.cfg.Keystore.BindHost = root, "true"
				l.open()
				l.start()
				time.Sleep(5 * time.Minute)
			}
			move(first)
			agent := l.mustEnroll().AgentID
			move(otherCard)
			l.want(status.Online, "")
			move(second) // the card was learned: the machine id and the card differ now
			l.want(status.Quarantined, "foreign_host")
			if m := l.status(); len(m.Beats) != 0 || m.NextAttempt != (time.Time{}) {
				t.Errorf("beats in quarantine: %+v", m.Beats)
			}
			_, err := l.enroll(func(r *EnrollRequest) { r.Force = true })
			if p := Explain(err); p.Code != "foreign_host" || p.Exit != status.ExitKeystore {
				t.Errorf("enroll --force in quarantine: %v", err)
			}
			if _, err := l.rotate(); Explain(err).Code != "foreign_host" {
				t.Errorf("rotate in quarantine: %v", err)
			}
			if _, err := l.unenroll(nil); Explain(err).Code != "foreign_host" {
				t.Errorf("unenroll in quarantine, which would cut off the original: %v", err)
			}
			l.onlyActive(agent)
			if end == "adopt" {
				l.adoptHere(t, agent)
				move(second)
				l.want(status.Online, "")
				return
			}
			l.resetHere(t)
			l.onlyActive(agent) // the original stays enrolled
			move(second)
			l.want(status.Unenrolled, "not_enrolled")
		})
	}
}

func (l *life) adoptHere(t *testing.T, agent string) {
	r, err := l.agent.Adopt(context.Background(), func(string) {})
	if err != nil || !r.Changed || len(r.Differs) != 2 {
		t.Errorf("adopt: %+v, %v", r, err)
	}
	time.Sleep(time.Minute)
	l.want(status.Online, "")
	if m := l.status(); m.AgentID != agent {
		t.Errorf("adopted as %s, want %s", m.AgentID, agent)
	}
	if r, err := l.agent.Adopt(context.Background(), func(string) {}); err != nil || r.Changed {
		t.Errorf("adopt again: %+v, %v", r, err)
	}
}

func (l *life) resetHere(t *testing.T) {
	if _, err := l.agent.ResetIdentity(context.Background(), ResetRequest{}, func(string) {}); Explain(err).Code != "not_confirmed" {
		t.Errorf("reset without confirmation: %v", err)
	}
	r, err := l.agent.ResetIdentity(context.Background(), ResetRequest{Confirmed: true}, func(string) {})
	if err != nil || !r.Changed || len(r.LeftBehind) != 1 {
		t.Errorf("reset: %+v, %v", r, err)
	}
	l.want(status.Unenrolled, "not_enrolled")
}

// TestResetKeepsTheOnlyKey: a controller key is deleted only on request, even if it
// cannot be read.
func TestResetKeepsTheOnlyKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLife(t, "demo")
		defer func() { l.close() }()
		key, err := keystore.NewKey()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := l.agent.PutController(t.Context(), key); err != nil {
			t.Fatal(err)
		}
		refused := func() {
			_, err := l.agent.ResetIdentity(t.Context(), ResetRequest{Confirmed: true}, discard)
			if Explain(err).Code != "controller_key_here" {
				t.Errorf("reset over a controller key: %v", err)
			}
		}
		refused()
		l.close()
		if err := os.Rename(filepath.Join(l.cfg.Keystore.Dir, "keystore/seal.a"), filepath.Join(t.TempDir(), "a")); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(filepath.Join(l.cfg.Keystore.Dir, "keystore/seal.b")); err != nil {
			t.Fatal(err)
		}
		l.open()
		refused()
		r, err := l.agent.ResetIdentity(t.Context(), ResetRequest{Confirmed: true, ForgetControllerKey: true}, func(string) {})
		if err != nil || !r.Changed || r.ControllerKeyOnDevice {
			t.Errorf("reset: %+v, %v", r, err)
		}
		l.mustEnroll()
	})
}
