package keystore

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// elevens is the test key of the contract's vectors.
const elevens = "0x1111111111111111111111111111111111111111111111111111111111111111"

// TestMain lets the test binary play other processes: a real lock needs some.
func TestMain(m *testing.M) {
	if role := os.Getenv("KEYSTORE_TEST_ROLE"); role != "" {
		os.Exit(play(role, os.Getenv("KEYSTORE_TEST_DIR")))
	}
	unix.Umask(0o022) // whatever the shell has, so that modes are those that tests name
	os.Exit(m.Run())
}

func testAgent(token string) *Agent {
	return &Agent{
		Origin: "https://o.example", MachineID: "mach_1", IdentityRef: "did:peaq:42", AgentID: "agent_" + token, Label: "a#12345678",
		Token: NewSecret(token), AllowedProviderKeys: []string{"qvac"}, EnrolledAt: time.Unix(1, 0).UTC(), Attempts: []string{"a#12345678"},
	}
}

func open(t testing.TB, dir string, o Options) *Store {
	t.Helper()
	s, err := Open(context.Background(), dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func tokenOf(s *Store, machine string) (string, error) {
	a, err := s.Agent(machine)
	if err != nil {
		return "", err
	}
	return string(a.Token.Reveal()), nil
}

func wantToken(t testing.TB, s *Store, want string) {
	t.Helper()
	if got, err := tokenOf(s, "main"); err != nil || got != want {
		t.Fatalf("token %q, %v; want %q", got, err, want)
	}
}

// stored makes a store with one agent and returns its directory.
func stored(t testing.TB, token string) string {
	t.Helper()
	dir := t.TempDir()
	s := open(t, dir, Options{})
	must(t, s.PutAgent("main", testAgent(token)))
	must(t, s.Close())
	return dir
}

func file(dir, name string) string { return filepath.Join(dir, "keystore", name) }

func read(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	must(t, err)
	return b
}

func write(t testing.TB, path string, b []byte) {
	t.Helper()
	must(t, os.WriteFile(path, b, 0o600))
}

// files is what lies in a store, by name; the lock is not of interest.
type files map[string]string

func snapshot(t testing.TB, dir string) files {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(dir, "keystore"))
	must(t, err)
	f := files{}
	for _, e := range entries {
		if e.Name() != lockName && e.Type().IsRegular() {
			f[e.Name()] = string(read(t, file(dir, e.Name())))
		}
	}
	return f
}

// restore makes a store of a snapshot in a new place.
func restore(t testing.TB, f files) string {
	t.Helper()
	dir := t.TempDir()
	must(t, os.Mkdir(filepath.Join(dir, "keystore"), 0o700))
	for name, content := range f {
		write(t, file(dir, name), []byte(content))
	}
	return dir
}

// secretFile writes a file that ReadSecretFile takes.
func secretFile(t testing.TB, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	write(t, path, []byte(content))
	return path
}
