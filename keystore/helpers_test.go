package keystore_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/peaqnetwork/peaqos-agent/keystore"
)

// tempSuffix is the end of the name of a temporary file of the store.
const tempSuffix = ".tmp"

// elevens is the test key of the API contract's vectors.
const elevens = "0x1111111111111111111111111111111111111111111111111111111111111111"

// TestMain lets the test binary act as another process, which testing a lock needs.
func TestMain(m *testing.M) {
	if role := os.Getenv("KEYSTORE_TEST_ROLE"); role != "" {
		os.Exit(actAs(role, os.Getenv("KEYSTORE_TEST_DIR")))
	}
	unix.Umask(0o022) // independent of the shell, so that files have the modes that tests name
	os.Exit(m.Run())
}

func testAgent(token string) *keystore.Agent {
	return &keystore.Agent{
		Origin: "https://o.example", MachineID: "mach_1", IdentityRef: "did:peaq:42", AgentID: "agent_" + token,
		Label: "a#12345678", Token: keystore.NewSecret(token), AllowedProviderKeys: []string{"qvac"},
		EnrolledAt: time.Unix(1, 0).UTC(), Attempts: []string{"a#12345678"},
	}
}

func open(t testing.TB, dir string, o keystore.Options) *keystore.Store {
	t.Helper()
	o.Volatile = true // the temporary directory may be in memory
	s, err := keystore.Open(context.Background(), dir, o)
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

func tokenOf(s *keystore.Store, machine string) (string, error) {
	a, err := s.Agent(machine)
	if err != nil {
		return "", err
	}
	return string(a.Token.Reveal()), nil
}

func wantToken(t testing.TB, s *keystore.Store, want string) {
	t.Helper()
	if got, err := tokenOf(s, "main"); err != nil || got != want {
		t.Fatalf("token %q, %v; want %q", got, err, want)
	}
}

// stored makes a store with one agent and returns its directory.
func stored(t testing.TB, token string) string {
	t.Helper()
	dir := t.TempDir()
	s := open(t, dir, keystore.Options{})
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

// files is the content of a store by file name, without the lock.
type files map[string]string

func snapshot(t testing.TB, dir string) files {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(dir, "keystore"))
	must(t, err)
	f := files{}
	for _, e := range entries {
		if e.Name() != "lock" && e.Type().IsRegular() {
			f[e.Name()] = string(read(t, file(dir, e.Name())))
		}
	}
	return f
}

// restore makes a store from a snapshot in a new directory.
func restore(t testing.TB, f files) string {
	t.Helper()
	dir := t.TempDir()
	must(t, os.Mkdir(filepath.Join(dir, "keystore"), 0o700))
	for name, content := range f {
		write(t, file(dir, name), []byte(content))
	}
	return dir
}

// secretFile writes a file that ReadSecretFile accepts.
func secretFile(t testing.TB, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	write(t, path, []byte(content))
	return path
}
