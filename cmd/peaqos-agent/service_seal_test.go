package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/keystore"
)

// fakeCreds puts a systemd-creds into the path that records how it was called.
func fakeCreds(t *testing.T, body string) (calls string) {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("PATH", dir+":/usr/bin:/bin")
	calls = filepath.Join(dir, "calls")
	script := "#!/bin/sh\necho \"$@\" >>" + calls + "\n" + body + "\n"
	if err := os.WriteFile(filepath.Join(dir, "systemd-creds"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	return calls
}

func problemCode(err error) string {
	var p *status.Problem
	if !errors.As(err, &p) {
		return ""
	}
	return string(p.Code)
}

// TestMakeCredential: a credential that cannot be made or does not decrypt changes
// nothing, and the secret goes through a pipe, not through a command line.
func TestMakeCredential(t *testing.T) {
	secret, err := newSealSecret()
	if err != nil || len(secret.Reveal()) != 64 {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "credstore", keystore.CredentialName)
	t.Setenv("PATH", t.TempDir())
	if err := makeCredential(context.Background(), "tpm2", file, secret); problemCode(err) != "no_systemd_creds" {
		t.Errorf("without systemd-creds: %v", err)
	}
	for name, c := range map[string]struct{ body, code string }{
		"no TPM":             {"echo 'TPM2 support is not installed.' >&2; exit 1", "systemd"},
		"does not decrypt":   {"[ $1 = encrypt ] && cat && exit; exit 1", "credential"},
		"decrypts otherwise": {"[ $1 = encrypt ] && cat && exit; echo other", "credential"},
	} {
		fakeCreds(t, c.body)
		err := makeCredential(context.Background(), "tpm2", file, secret)
		if problemCode(err) != c.code || strings.Contains(err.Error(), string(secret.Reveal())) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := os.Stat(file); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: a credential was written", name)
		}
	}
	calls := fakeCreds(t, "cat")
	if err := makeCredential(context.Background(), "host", file, secret); err != nil {
		t.Fatal(err)
	}
	called, err := os.ReadFile(calls)
	if err != nil || strings.Contains(string(called), string(secret.Reveal())) ||
		!strings.Contains(string(called), "encrypt --name=peaqos-agent.seal --with-key=host - -") {
		t.Errorf("called as %s, %v", called, err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the credential: %v, %v", info, err)
	}
}
