package main

import (
	"errors"
	"fmt"
	"testing"

	"github.com/peaqnetwork/peaqos-agent/agent"
	"github.com/peaqnetwork/peaqos-agent/agent/status"
)

// TestRestartable: only what another configuration fixes ends the daemon for good.
func TestRestartable(t *testing.T) {
	for _, c := range []struct {
		err  error
		want status.Exit
	}{
		{errors.New("task beat/main: panic: x"), status.ExitFailed},
		{fmt.Errorf("task admin: %w", errors.New("accept: too many open files")), status.ExitFailed},
		{status.NewProblem(status.CodeCAFile, "late mount"), status.ExitFailed},
		{status.NewProblem(status.CodeUnknownMachine, ""), status.ExitFailed},
		{status.NewProblem(status.CodeStoreInUse, ""), status.ExitRunning},
		{status.NewProblem(status.CodeOrchestratorURL, ""), status.ExitConfig},
	} {
		if got := agent.Explain(restartable(c.err)).Exit; got != c.want {
			t.Errorf("%v: exit %d, want %d", c.err, got, c.want)
		}
	}
	if restartable(nil) != nil {
		t.Error("no error became one")
	}
}
