package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/peaqnetwork/peaqos-agent/agent/config"
)

// TestNoCommandLeavesACore: each may have the API key, a key or the token in memory.
func TestNoCommandLeavesACore(t *testing.T) {
	var out, errs bytes.Buffer
	execute(context.Background(), streams{&bytes.Buffer{}, &out, &errs}, []string{"version"}, nil)
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_CORE, &limit); err != nil || limit.Cur != 0 {
		t.Errorf("a core file of %d bytes may be written: %v", limit.Cur, err)
	}
}

// TestStartAllocatesLittle: what a command allocates to begin with stays with the daemon,
// because a small heap is not collected for a long time.
func TestStartAllocatesLittle(t *testing.T) {
	const limit = 256 << 10
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	execute(t.Context(), streams{&bytes.Buffer{}, io.Discard, io.Discard}, []string{"version"}, nil)
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > limit {
		t.Errorf("%d bytes, at most %d", n, limit)
	}
}

// TestIdentityOfTheNamedMachine: of several machines, the named one is proven.
func TestIdentityOfTheNamedMachine(t *testing.T) {
	cfg := &config.Config{Machines: []config.Machine{{Name: "a", IdentityRef: "did:peaq:1"}, {Name: "b", IdentityRef: "did:peaq:2"}}}
	for name, want := range map[string]string{"": "did:peaq:1", "a": "did:peaq:1", "b": "did:peaq:2", "c": ""} {
		if got := configuredIdentity(cfg, name); got != want {
			t.Errorf("machine %q: %s, want %s", name, got, want)
		}
	}
}

// TestRunWritesOnlyItsLog: with the log in JSON every line on standard error is JSON,
// including the warning about a key in the environment.
func TestRunWritesOnlyItsLog(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	var out, errs bytes.Buffer
	code := execute(ctx, streams{&bytes.Buffer{}, &out, &errs}, []string{"run"}, []string{
		"PEAQOS_AGENT_KEYSTORE_DIR=" + t.TempDir(), "PEAQOS_AGENT_KEYSTORE_VOLATILE=true", "PEAQOS_AGENT_ORCHESTRATOR_URL=http://127.0.0.1:1",
		"PEAQOS_AGENT_TELEMETRY_LISTEN=off", "PEAQOS_AGENT_LOG_FORMAT=json",
		"PEAQOS_AGENT_ENROLL_AUTO=true", "PEAQOS_AGENT_ENROLL_EPHEMERAL=true", "PEAQOS_AGENT_MACHINE_AGENT_LABEL=x",
		"PEAQOS_AGENT_IDENTITY_REF=did:peaq:1", "PEAQOS_API_KEY=canary-key",
	})
	log := errs.String()
	if code != 0 || !strings.Contains(log, "the API key comes from PEAQOS_API_KEY") || strings.Contains(log, "canary-key") {
		t.Errorf("exit %d: %s", code, log)
	}
	for line := range strings.Lines(log) {
		if !json.Valid([]byte(line)) {
			t.Errorf("not JSON: %s", line)
		}
	}
}

// TestExitCodes: scripts rely on the exit codes.
func TestExitCodes(t *testing.T) {
	dir := t.TempDir()
	key := filepath.Join(dir, "key")
	if err := os.WriteFile(key, []byte("k\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	challenge := filepath.Join(dir, "challenge")
	if err := os.WriteFile(challenge, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	env := []string{"PEAQOS_AGENT_KEYSTORE_DIR=" + dir, "PEAQOS_AGENT_KEYSTORE_VOLATILE=true", "PEAQOS_AGENT_ORCHESTRATOR_URL=http://127.0.0.1:1"}
	for _, c := range []struct {
		name string
		args []string
		env  []string
		want int
	}{
		{"version", []string{"version"}, nil, 0},
		{"unknown command", []string{"frobnicate"}, nil, 1},
		{"unknown command of a group", []string{"agents", "frobnicate"}, nil, 1},
		{"a group alone", []string{"agents"}, nil, 0},
		{"unknown flag", []string{"status", "--frobnicate"}, nil, 1},
		{"no network", []string{"enroll", "--identity-ref", "did:peaq:1", "--api-key-file", key}, env, 2},
		{"bad configuration", []string{"config", "check"}, []string{"PEAQOS_AGENT_HEARTBEAT_INTERVAL=never"}, 3},
		{"no API key", []string{"enroll", "--identity-ref", "did:peaq:1"}, env, 11},
		{"sandbox off loopback", []string{"sandbox", "--listen", "0.0.0.0:0"}, nil, 1},
		{"check of a store that is not enrolled", []string{"status", "--check", "enrolled"}, env, 2},
		{"an unknown check", []string{"status", "--check", "happy"}, env, 1},
		{"rotate of nothing", []string{"rotate", "--api-key-file", key}, env, 5},
		{"rotate without a key", []string{"rotate"}, env, 11},
		{"unenroll of nothing", []string{"unenroll"}, env, 0},
		{"adopt of nothing", []string{"adopt"}, env, 0},
		{"reset, not confirmed", []string{"reset-identity"}, env, 1},
		{"export of nothing", []string{"identity", "export", "-"}, env, 5},
		{"prove without a key", []string{"identity", "prove", "--challenge-file", challenge}, env, 5},
		{"an invalid grant", []string{"enroll", "--grant", key}, env, 1},
		{"a grant without a runtime", []string{"enroll", "--grant-out", "-", "--machine-id", "m", "--api-key-file", key}, env, 1},
		{"a grant and a dry run", []string{"enroll", "--grant", key, "--dry-run"}, env, 1},
		{"an unknown way to sign", []string{"enroll", "--sign-with", "hope"}, env, 1},
		{"agents without a key", []string{"agents", "list", "--machine-id", "m"}, env, 11},
		{"agents of no machine", []string{"agents", "list", "--api-key-file", key}, env, 3},
		{"agents, no network", []string{"agents", "revoke", "a", "--machine-id", "m", "--api-key-file", key}, env, 2},
		{"seal without a protector", []string{"service", "seal"}, env, 1},
		{"status of nothing", []string{"status"}, env, 0},
	} {
		var out, errs bytes.Buffer
		got := execute(context.Background(), streams{&bytes.Buffer{}, &out, &errs}, c.args, c.env)
		if got != c.want {
			t.Errorf("%s: exit %d, want %d; %s", c.name, got, c.want, errs.String())
		}
		if bytes.Contains(errs.Bytes(), []byte("goroutine")) {
			t.Errorf("%s: a stack trace: %s", c.name, errs.String())
		}
	}
}

// TestUsageErrors: a mistyped command line gets the usage and where the help is.
func TestUsageErrors(t *testing.T) {
	for _, c := range []struct {
		args       []string
		what, next string
	}{
		{[]string{"frobnicate"}, `peaqos-agent has no command "frobnicate"`, "see peaqos-agent --help"},
		{[]string{"frobnicate", "--help"}, `peaqos-agent has no command "frobnicate"`, "see peaqos-agent --help"},
		{[]string{"enrol"}, "did you mean enroll?", "see peaqos-agent --help"},
		{[]string{"init"}, "did you mean enroll?", "see peaqos-agent --help"},
		{[]string{"agents", "frobnicate"}, `peaqos-agent agents has no command "frobnicate"`, "see peaqos-agent agents --help"},
		{[]string{"config", "print"}, "did you mean show?", "see peaqos-agent config --help"},
		{[]string{"config", "print", "--help"}, "did you mean show?", "see peaqos-agent config --help"},
		{[]string{"endpoints", "probe"}, "did you mean check?", "see peaqos-agent endpoints --help"},
		{[]string{"help", "frobnicate"}, `peaqos-agent has no command "frobnicate"`, "see peaqos-agent --help"},
		{[]string{"help", "config", "chekc"}, "did you mean check?", "see peaqos-agent config --help"},
		{[]string{"status", "--frobnicate"}, "peaqos-agent status has no flag --frobnicate", "see peaqos-agent status --help"},
		{[]string{"status", "--chekc", "live"}, "did you mean --check?", "see peaqos-agent status --help"},
		{[]string{"status", "-x"}, "peaqos-agent status has no flag -x", "see peaqos-agent status --help"},
		{[]string{"status", "--check"}, "--check needs a value", "see peaqos-agent status --help"},
		{[]string{"status", "--=x"}, `"--=x" is not a flag`, "see peaqos-agent status --help"},
		{[]string{"status", "--watch=maybe"}, `--watch: "maybe" is not true or false`, "see peaqos-agent status --help"},
		{[]string{"status", "surplus"}, `has no use for the argument "surplus"`, "see peaqos-agent status --help"},
		{[]string{"sandbox", "--lease-max", "x"}, `--lease-max: "x" is not a duration`, "see peaqos-agent sandbox --help"},
		{[]string{"agents", "revoke"}, "AGENT is missing", "see peaqos-agent agents revoke --help"},
		{[]string{"agents", "revoke"}, "usage: peaqos-agent agents revoke AGENT", "see peaqos-agent agents revoke --help"},
		{[]string{"service", "seal"}, "one of --tpm2 and --host-key is required", "see peaqos-agent service seal --help"},
		{[]string{"service", "seal", "--tpm2", "--host-key"}, "--host-key and --tpm2 cannot be combined", "see peaqos-agent service seal --help"},
		{[]string{"completion", "tcsh"}, `no completion for the shell "tcsh"`, "give bash, zsh or fish"},
	} {
		var out, errs bytes.Buffer
		if got := execute(context.Background(), streams{&bytes.Buffer{}, &out, &errs}, c.args, nil); got != 1 || out.Len() > 0 {
			t.Errorf("%v: exit %d, output %q", c.args, got, out.String())
		}
		for _, want := range []string{c.what, c.next} {
			if !bytes.Contains(errs.Bytes(), []byte(want)) {
				t.Errorf("%v: %q is not in %s", c.args, want, errs.String())
			}
		}
	}
}

func TestLocale(t *testing.T) {
	for locale, want := range map[string]bool{"": true, "C": false, "POSIX": false, "C.UTF-8": true, "de_DE.utf8": true, "en_US.ISO-8859-1": false} {
		if got := utf8Locale(map[string]string{"LANG": locale}); got != want {
			t.Errorf("LANG=%s is UTF-8: %t, want %t", locale, got, want)
		}
	}
	if utf8Locale(map[string]string{"LC_ALL": "C", "LANG": "C.UTF-8"}) {
		t.Error("LC_ALL does not come first")
	}
}
