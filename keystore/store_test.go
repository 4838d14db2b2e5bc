package keystore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func testAgent(token string) *Agent {
	return &Agent{
		Origin: "https://o.example", MachineID: "mach_1", IdentityRef: "did:peaq:42", AgentID: "agent_1", Label: "a#12345678",
		Token: NewSecret([]byte(token)), AllowedProviderKeys: []string{"qvac"}, EnrolledAt: time.Unix(1, 0).UTC(), Attempts: []string{"a#12345678"},
	}
}

func open(t *testing.T, dir string, o Options) *Store {
	t.Helper()
	s, err := Open(context.Background(), dir, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func closeStore(t *testing.T, s *Store) {
	t.Helper()
	if err := s.Close(); err != nil {
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

// stored makes a store with one agent and returns its directory.
func stored(t *testing.T, token string) string {
	t.Helper()
	dir := t.TempDir()
	s := open(t, dir, Options{})
	if err := s.PutAgent("main", testAgent(token)); err != nil {
		t.Fatal(err)
	}
	closeStore(t, s)
	return dir
}

func TestAgentRoundTrip(t *testing.T) {
	dir := stored(t, "tok")
	s := open(t, dir, Options{})
	defer closeStore(t, s)
	got, err := s.Agent("main")
	if err != nil {
		t.Fatal(err)
	}
	want := testAgent("tok")
	if string(got.Token.Reveal()) != "tok" {
		t.Error("the token is another one")
	}
	got.Token, want.Token = Secret{}, Secret{}
	if d := cmp.Diff(want, got, cmp.Comparer(func(a, b Secret) bool { return string(a.Reveal()) == string(b.Reveal()) })); d != "" {
		t.Error(d)
	}
	if _, err := s.Agent("other"); !errors.Is(err, ErrNotFound) {
		t.Errorf("a machine that is not stored: %v", err)
	}
	for _, bad := range []string{"", "../x", "A", strings.Repeat("a", 33)} {
		if err := s.PutAgent(bad, testAgent("x")); err == nil {
			t.Errorf("the name %q was taken", bad)
		}
	}
}

func TestIntent(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	defer closeStore(t, s)
	if _, err := s.Intent("main"); !errors.Is(err, ErrNotFound) {
		t.Errorf("no journal yet: %v", err)
	}
	want := &Intent{Kind: "enroll", Origin: "https://o.example", Label: "l#1", StartedAt: time.Unix(5, 0).UTC()}
	if err := s.PutIntent("main", want); err != nil {
		t.Fatal(err)
	}
	got, err := s.Intent("main")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	for range 2 {
		if err := s.DropIntent("main"); err != nil {
			t.Errorf("drop: %v", err)
		}
	}
	if _, err := s.Intent("main"); !errors.Is(err, ErrNotFound) {
		t.Errorf("after the drop: %v", err)
	}
}

func TestController(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	defer closeStore(t, s)
	key, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the same key again is fine
		if err := s.PutController(key); err != nil {
			t.Fatal(err)
		}
	}
	other, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.PutController(other); err == nil {
		t.Error("another key replaced the only copy of the first")
	}
	got, err := s.Controller()
	if err != nil || got.Address() != key.Signer().Address() {
		t.Errorf("the stored key is another one: %v", err)
	}
}

// TestEveryByteFlipped: damage to any byte of one slot, or any truncation, is
// found, the token is read from the other slot, and the damaged one healed.
func TestEveryByteFlipped(t *testing.T) {
	dir := stored(t, "tok")
	path := filepath.Join(dir, "keystore")
	for _, file := range []string{"agent-main.a", "agent-main.b", "seal.a"} {
		whole, err := os.ReadFile(filepath.Join(path, file))
		if err != nil {
			t.Fatal(err)
		}
		for i := range whole {
			flipped := append([]byte(nil), whole...)
			flipped[i] ^= 0x40
			for name, damaged := range map[string][]byte{"flipped": flipped, "truncated": whole[:i]} {
				if err := os.WriteFile(filepath.Join(path, file), damaged, 0o600); err != nil {
					t.Fatal(err)
				}
				healed := false
				s := open(t, dir, Options{Observe: func(e Event) { healed = healed || e.Kind == EventHealed }})
				if tok, err := tokenOf(s, "main"); err != nil || tok != "tok" {
					t.Fatalf("%s %s at %d: %q, %v", file, name, i, tok, err)
				}
				closeStore(t, s)
				if !healed {
					t.Fatalf("%s %s at %d: not healed", file, name, i)
				}
			}
		}
	}
}

func TestBothSlotsDamaged(t *testing.T) {
	dir := stored(t, "tok")
	for _, f := range []string{"agent-main.a", "agent-main.b"} {
		if err := os.WriteFile(filepath.Join(dir, "keystore", f), []byte("PQAK rubbish"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := open(t, dir, Options{})
	defer closeStore(t, s)
	if _, err := s.Agent("main"); !errors.Is(err, ErrDamaged) {
		t.Errorf("Agent = %v, want ErrDamaged", err)
	}
	if err := s.PutAgent("main", testAgent("new")); err != nil {
		t.Errorf("a damaged record can be replaced: %v", err)
	}
}

// TestCutBetweenSlots: the power goes after the first slot of a change. The new
// content is the truth; and a complete temporary file is as good as a slot.
func TestCutBetweenSlots(t *testing.T) {
	dir := stored(t, "old")
	path := filepath.Join(dir, "keystore")
	old, err := os.ReadFile(filepath.Join(path, "agent-main.b"))
	if err != nil {
		t.Fatal(err)
	}
	s := open(t, dir, Options{})
	if err := s.PutAgent("main", testAgent("new")); err != nil {
		t.Fatal(err)
	}
	closeStore(t, s)
	fresh, err := os.ReadFile(filepath.Join(path, "agent-main.a"))
	if err != nil {
		t.Fatal(err)
	}
	for name, files := range map[string]map[string][]byte{
		"b is still old":                 {"agent-main.a": fresh, "agent-main.b": old},
		"only the temporary file is new": {"agent-main.a": old, "agent-main.b": old, "agent-main.a.tmp": fresh},
		"first write, before the rename": {"agent-main.a.tmp": fresh},
		"a torn temporary file":          {"agent-main.a": fresh, "agent-main.b": fresh, "agent-main.a.tmp": fresh[:40]},
	} {
		for _, f := range []string{"agent-main.a", "agent-main.b", "agent-main.a.tmp"} {
			_ = os.Remove(filepath.Join(path, f))
		}
		for f, b := range files {
			if err := os.WriteFile(filepath.Join(path, f), b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		s := open(t, dir, Options{})
		if tok, err := tokenOf(s, "main"); err != nil || tok != "new" {
			t.Errorf("%s: %q, %v", name, tok, err)
		}
		closeStore(t, s)
	}
}

// TestSwappedRecords: a record copied to another machine's name, or from another
// store, does not open.
func TestSwappedRecords(t *testing.T) {
	dir := stored(t, "tok")
	other := stored(t, "foreign")
	path := filepath.Join(dir, "keystore")
	copyFile := func(from, to string) {
		b, err := os.ReadFile(from)
		if err == nil {
			err = os.WriteFile(to, b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, slot := range []string{".a", ".b"} {
		copyFile(filepath.Join(path, "agent-main"+slot), filepath.Join(path, "agent-second"+slot))
	}
	s := open(t, dir, Options{})
	if _, err := s.Agent("second"); !errors.Is(err, ErrDamaged) {
		t.Errorf("a record under another name: %v, want ErrDamaged", err)
	}
	closeStore(t, s)
	for _, slot := range []string{".a", ".b"} {
		copyFile(filepath.Join(other, "keystore", "agent-main"+slot), filepath.Join(path, "agent-main"+slot))
	}
	s = open(t, dir, Options{})
	defer closeStore(t, s)
	if _, err := s.Agent("main"); !errors.Is(err, ErrSealed) {
		t.Errorf("a record of another store: %v, want ErrSealed", err)
	}
}

func TestLostSealKey(t *testing.T) {
	dir := stored(t, "tok")
	for _, f := range []string{"seal.a", "seal.b"} {
		if err := os.Remove(filepath.Join(dir, "keystore", f)); err != nil {
			t.Fatal(err)
		}
	}
	s := open(t, dir, Options{})
	defer closeStore(t, s)
	if _, err := s.Agent("main"); !errors.Is(err, ErrSealed) {
		t.Errorf("Agent = %v, want ErrSealed", err)
	}
}

func TestLock(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	_, err := Open(context.Background(), dir, Options{})
	if !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), fmt.Sprint(os.Getpid())) {
		t.Errorf("second Open = %v, want ErrLocked with the holder's pid", err)
	}
	closeStore(t, s)
	closeStore(t, open(t, dir, Options{}))
}

// TestLockRace: two hundred at once, one holder at any time.
func TestLockRace(t *testing.T) {
	dir := t.TempDir()
	var wg sync.WaitGroup
	var mu sync.Mutex
	for range 200 {
		wg.Go(func() {
			s, err := Open(context.Background(), dir, Options{LockWait: time.Minute})
			if err != nil {
				t.Error(err)
				return
			}
			if !mu.TryLock() {
				t.Error("two holders")
			} else {
				mu.Unlock()
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

// TestSteadyStateWritesNothing: opening and reading an intact store changes no record.
func TestSteadyStateWritesNothing(t *testing.T) {
	dir := stored(t, "tok")
	s := open(t, dir, Options{Observe: func(e Event) { t.Errorf("event %+v", e) }})
	defer closeStore(t, s)
	for range 3 {
		if _, err := tokenOf(s, "main"); err != nil {
			t.Fatal(err)
		}
	}
}

func TestProveDurable(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	defer closeStore(t, s)
	if err := s.ProveDurable(); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(filepath.Join(dir, "keystore"))
	if err != nil || len(left) != 3 { // the lock and the two slots of the seal
		t.Errorf("the probe left %v behind, %v", left, err)
	}
	// Where no file can be made, nothing may be spent: the probe's name is taken
	// by a directory, which no user, root included, can rename over.
	if err := os.MkdirAll(filepath.Join(dir, "keystore", "probe", "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := s.ProveDurable(); err == nil {
		t.Error("a store that cannot take a file was called durable")
	}
}

func TestLooseModes(t *testing.T) {
	dir := stored(t, "tok")
	path := filepath.Join(dir, "keystore")
	if err := os.Chmod(path, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(context.Background(), dir, Options{}); err == nil || !strings.Contains(err.Error(), "chmod 700") {
		t.Errorf("a directory open to all: %v", err)
	}
}
