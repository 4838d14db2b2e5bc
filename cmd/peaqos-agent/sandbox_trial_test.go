package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// startSandbox runs the command until the end of the test and returns what it printed with --json.
func startSandbox(t *testing.T, args ...string) sandboxAddresses {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r, w := io.Pipe()
	ended := make(chan struct{})
	var errs bytes.Buffer
	go func() {
		defer close(ended)
		execute(ctx, streams{&bytes.Buffer{}, w, &errs}, append([]string{"sandbox", "--listen", "127.0.0.1:0", "--json"}, args...), nil)
		_ = w.Close()
	}()
	t.Cleanup(func() { cancel(); <-ended })
	var at sandboxAddresses
	if err := json.NewDecoder(bufio.NewReader(r)).Decode(&at); err != nil {
		t.Fatalf("%v: %s", err, errs.String())
	}
	go func() { _, _ = io.Copy(io.Discard, r) }()
	return at
}

// run runs a command line that the sandbox printed.
func run(t *testing.T, line string, more ...string) (exit int, printed string) {
	t.Helper()
	words := strings.Fields(line)
	if len(words) < 2 || words[0] != "peaqos-agent" {
		t.Fatalf("not a command line: %q", line)
	}
	var out, errs bytes.Buffer
	exit = execute(t.Context(), streams{&bytes.Buffer{}, &out, &errs}, append(words[1:], more...), nil)
	return exit, out.String() + errs.String()
}

// TestTrial: the sandbox with a runtime prints commands that work as they are. From nothing
// to an online machine these are two commands: the sandbox, and the enroll that it prints.
func TestTrial(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	for name, args := range map[string][]string{
		"plain": nil, "with TLS": {"--tls", t.TempDir()}, "first signer": {"--trust-first-signer"},
	} {
		t.Run(name, func(t *testing.T) {
			at := startSandbox(t, append(args, "--with-runtime")...)
			if len(at.Commands) != 2 || at.RuntimeURL == "" {
				t.Fatalf("it printed %+v", at)
			}
			if exit, printed := run(t, at.Commands[0]); exit != 0 || !strings.Contains(printed, "Live:      yes") || !strings.Contains(printed, "Next: ") {
				t.Fatalf("%s: exit %d, %s", at.Commands[0], exit, printed)
			}
			if !strings.Contains(at.text(), "\n  "+at.Commands[0]+"\n") {
				t.Errorf("the text is %s", at.text())
			}
		})
	}
	left, err := os.ReadDir(filepath.Join(os.Getenv("XDG_CACHE_HOME"), "peaqos-agent"))
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// TestTrustFirstSigner: without --controller any key can register a machine, for one machine one key.
func TestTrustFirstSigner(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"key": "any-key", "one": "0x" + strings.Repeat("11", 32), "two": "0x" + strings.Repeat("22", 32),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	enroll := func(at sandboxAddresses, store, controller string) (int, string) {
		file := filepath.Join(dir, store+".yaml")
		text := "orchestrator: {url: \"" + at.URL + "\"}\nkeystore: {dir: \"" + filepath.Join(dir, store) + "\", volatile: true}\n" +
			"machines: [{endpoints: [{provider_key: qvac, base_url: \"" + at.URL + "\", probe_path: /health}]}]\n"
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return run(t, "peaqos-agent enroll --identity-ref did:peaq:42 --config "+file, "--controller-key-file", filepath.Join(dir, controller),
			"--api-key-file", filepath.Join(dir, "key"))
	}
	at := startSandbox(t, "--trust-first-signer", "--api-key-file", filepath.Join(dir, "key"))
	if exit, printed := enroll(at, "a", "two"); exit != 0 {
		t.Errorf("exit %d, %s", exit, printed)
	}
	bare := startSandbox(t, "--api-key-file", filepath.Join(dir, "key"))
	if exit, printed := enroll(bare, "b", "one"); exit == 0 || !strings.Contains(printed, "PEAQOS_IDENTITY_UNAVAILABLE") {
		t.Errorf("without a controller: exit %d, %s", exit, printed)
	}
	if notes := strings.Join(bare.Notes, "\n"); !strings.Contains(notes, "--controller") || !strings.Contains(notes, "--trust-first-signer") {
		t.Errorf("the notes are %s", notes)
	}
	if notes := strings.Join(at.Notes, "\n"); strings.Contains(notes, "--controller") || !strings.Contains(notes, "first address that signs") {
		t.Errorf("the notes are %s", notes)
	}
}
