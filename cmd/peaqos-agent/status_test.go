package main

import (
	"bytes"
	"errors"
	"testing"

	"github.com/peaqnetwork/peaqos-agent/agent/status"
)

// TestCheckStatus: the exit code of status --check, for an agent that is running and
// for a store without one.
func TestCheckStatus(t *testing.T) {
	for _, c := range []struct {
		name    string
		pid     int
		state   status.State
		agentID string
		ready   bool
		live    status.Exit
		isReady status.Exit
		isIn    status.Exit // enrolled
	}{
		{"online and ready", 7, status.Online, "a", true, 0, 0, 0},
		{"degraded", 7, status.Degraded, "a", false, 0, 2, 0},
		{"idle", 7, status.Idle, "a", false, 2, 2, 0},
		{"offline", 7, status.Offline, "a", false, 2, 2, 0},
		{"unenrolled", 7, status.Unenrolled, "", false, 2, 2, 2},
		{"rejected", 7, status.Rejected, "a", false, 4, 4, 4},
		{"revoked", 7, status.Revoked, "a", false, 4, 4, 4},
		{"locked", 7, status.Locked, "", false, 5, 5, 5},
		{"quarantined", 7, status.Quarantined, "a", false, 5, 5, 5},
		{"not running, enrolled", 0, status.Idle, "a", false, 8, 8, 0},
		{"not running, unenrolled", 0, status.Unenrolled, "", false, 8, 8, 2},
		{"not running, locked", 0, status.Locked, "", false, 8, 8, 5},
	} {
		v := status.View{PID: c.pid, Ready: c.ready, Machines: []status.MachineView{{State: string(c.state), AgentID: c.agentID}}}
		for check, want := range map[string]status.Exit{"live": c.live, "ready": c.isReady, "enrolled": c.isIn, "": 0} {
			var got exitError
			if err := checkStatus(v, check); err != nil && !errors.As(err, &got) {
				t.Fatal(err)
			}
			if status.Exit(got) != want {
				t.Errorf("%s, --check %q: exit %d, want %d", c.name, check, got, want)
			}
		}
	}
}

func TestCheckWithoutAgent(t *testing.T) {
	env := []string{"PEAQOS_AGENT_KEYSTORE_DIR=" + t.TempDir(), "PEAQOS_AGENT_ORCHESTRATOR_URL=http://127.0.0.1:1"}
	for check, want := range map[string]int{"live": 8, "ready": 8, "enrolled": 2} {
		var out, errs bytes.Buffer
		got := execute(t.Context(), streams{&bytes.Buffer{}, &out, &errs}, []string{"status", "--check", check}, env)
		if got != want || out.Len() == 0 {
			t.Errorf("--check %s: exit %d, want %d; %q, %s", check, got, want, out.String(), errs.String())
		}
	}
}
