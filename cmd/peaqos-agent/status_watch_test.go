package main

import (
	"bytes"
	"context"
	"os"
	"strings"
	"testing"
	"time"
)

// TestRedrawn: a shorter text leaves nothing of a longer one, and a text that is too long
// for the terminal does not scroll it.
func TestRedrawn(t *testing.T) {
	if got, want := redrawn("a\nb\n", 10), "\x1b[Ha\x1b[K\nb\x1b[K\x1b[J"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	got := redrawn("1\n2\n3\n4\n5\n", 3)
	if strings.Count(got, "\n") != 2 || !strings.Contains(got, "(3 more lines)") || strings.Contains(got, "4") {
		t.Errorf("%q", got)
	}
	if got := redrawn("1\n2\n3\n", 0); strings.Contains(got, "more") {
		t.Errorf("without a height: %q", got)
	}
}

// TestWatchWithoutTerminal: the status is appended, without control characters, until the
// command is interrupted.
func TestWatchWithoutTerminal(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	var out, errs bytes.Buffer
	env := []string{"PEAQOS_AGENT_KEYSTORE_DIR=" + t.TempDir(), "PEAQOS_AGENT_ORCHESTRATOR_URL=http://127.0.0.1:1"}
	code := execute(ctx, streams{&bytes.Buffer{}, &out, &errs}, []string{"status", "--watch"}, env)
	if code != 0 || !strings.Contains(out.String(), "unenrolled") || strings.Contains(out.String(), "\x1b") {
		t.Errorf("exit %d: %q, %s", code, out.String(), errs.String())
	}
}

// TestStartCommand: an own configuration is not that of the service.
func TestStartCommand(t *testing.T) {
	if got := startCommand(true); got != "peaqos-agent run" {
		t.Error(got)
	}
	if got := startCommand(false); !systemdRuns() && got != "peaqos-agent run" {
		t.Error(got)
	}
}

// TestMayChange: a store of this user, and one that this user can make.
func TestMayChange(t *testing.T) {
	dir := t.TempDir()
	for path, want := range map[string]bool{dir: true, dir + "/a/b": true, "/": os.Geteuid() == 0} {
		if got := mayChange(path); got != want {
			t.Errorf("%s: %t, want %t", path, got, want)
		}
	}
}
