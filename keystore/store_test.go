package keystore_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/peaqnetwork/peaqos-agent/keystore"
)

func TestAgentRoundTrip(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, keystore.Options{})
	want := testAgent("tok")
	want.Pending = &keystore.PendingToken{
		AgentID: "agent_2", Label: "a#2", Token: keystore.NewSecret("next"),
		AllowedProviderKeys: []string{"x"}, EnrolledAt: time.Unix(9, 0).UTC(),
	}
	must(t, s.PutAgent("main", want))
	must(t, s.Close())

	s = open(t, dir, keystore.Options{})
	got, err := s.Agent("main")
	must(t, err)
	if d := cmp.Diff(want, got); d != "" { // Secret has its own Equal
		t.Error(d)
	}
	facts, err := s.AgentFacts("main")
	must(t, err)
	want.Token, want.Pending.Token = keystore.Secret{}, keystore.Secret{}
	if d := cmp.Diff(want, facts); d != "" {
		t.Error(d)
	}
	if _, err := s.Agent("other"); !errors.Is(err, keystore.ErrNotFound) {
		t.Errorf("a machine that is not stored: %v", err)
	}
	must(t, s.DropAgent("main"))
	must(t, s.DropAgent("main"))
	for name, err := range map[string]error{"Agent": second(s.Agent("main")), "AgentFacts": second(s.AgentFacts("main"))} {
		if !errors.Is(err, keystore.ErrNotFound) {
			t.Errorf("%s after the drop: %v", name, err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestPutAgentRefuses(t *testing.T) {
	s := open(t, t.TempDir(), keystore.Options{})
	for _, bad := range []string{"", "../x", "A", strings.Repeat("a", 33), "a.b", "a\n", "é", "a b", "a_b"} {
		if err := s.PutAgent(bad, testAgent("x")); err == nil {
			t.Errorf("the name %q was accepted", bad)
		}
	}
	for _, good := range []string{"a", "0-z", "-", strings.Repeat("a", 32)} {
		if err := s.PutAgent(good, testAgent("x")); err != nil {
			t.Errorf("the name %q: %v", good, err)
		}
	}
	wiped := testAgent("x")
	wiped.Token.Wipe()
	nameless := testAgent("x")
	nameless.AgentID = ""
	long := testAgent("x")
	long.Attempts = strings.Split(strings.Repeat("attempt,", 20000), ",")
	for name, a := range map[string]*keystore.Agent{"no token": wiped, "no agent id": nameless, "too long": long} {
		if err := s.PutAgent("main", a); err == nil {
			t.Errorf("%s: stored", name)
		}
	}
	if _, err := s.Agent("main"); !errors.Is(err, keystore.ErrNotFound) {
		t.Errorf("a refused record left something: %v", err)
	}
}

func TestIntent(t *testing.T) {
	s := open(t, t.TempDir(), keystore.Options{})
	if _, err := s.Intent("main"); !errors.Is(err, keystore.ErrNotFound) {
		t.Errorf("no journal yet: %v", err)
	}
	want := &keystore.Intent{Kind: "rotate", Origin: "https://o.example", Label: "l#1", StartedAt: time.Unix(5, 0).UTC(), AgentID: "agent_1"}
	must(t, s.PutIntent("main", want))
	got, err := s.Intent("main")
	must(t, err)
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	for range 2 {
		must(t, s.DropIntent("main"))
	}
	if _, err := s.Intent("main"); !errors.Is(err, keystore.ErrNotFound) {
		t.Errorf("after the drop: %v", err)
	}
	must(t, s.PutIntent("main", want))
	if got, err := s.Intent("main"); err != nil || got.Label != "l#1" {
		t.Errorf("a second journal: %v", err)
	}
}

func TestController(t *testing.T) {
	s := open(t, t.TempDir(), keystore.Options{})
	if _, err := s.Controller(); !errors.Is(err, keystore.ErrNotFound) {
		t.Errorf("no key yet: %v", err)
	}
	key, err := keystore.NewKey()
	must(t, err)
	for range 2 { // the same key again is fine
		must(t, s.PutController(key))
	}
	other, err := keystore.NewKey()
	must(t, err)
	if err := s.PutController(other); !errors.Is(err, keystore.ErrKeyExists) {
		t.Errorf("another key replaced the only copy of the first: %v", err)
	}
	signer, err := s.Controller()
	must(t, err)
	if signer.Address() != key.Signer().Address() {
		t.Error("the stored key is another one")
	}
	back, err := s.ControllerKey()
	must(t, err)
	if back.Hex() != key.Hex() {
		t.Error("the exported key is another one")
	}
	must(t, s.DropController())
	must(t, s.PutController(other))
}

// TestOpenWritesNothing: neither opening nor reading an intact store touches a file,
// which its change time would show.
func TestOpenWritesNothing(t *testing.T) {
	host := &keystore.Host{MachineID: "m", MACs: []string{"00:00:5e:00:53:01"}}
	dir := t.TempDir()
	s := open(t, dir, keystore.Options{Host: host})
	must(t, s.CheckDurable())
	must(t, s.PutAgent("main", testAgent("tok")))
	must(t, s.Close())
	before := stamps(t, dir)
	for range 3 {
		s := open(t, dir, keystore.Options{Host: host, Observe: func(e keystore.Event) { t.Errorf("event %+v", e) }})
		wantToken(t, s, "tok")
		_, _ = s.Intent("main")
		must(t, s.Close())
	}
	if d := cmp.Diff(before, stamps(t, dir)); d != "" {
		t.Error(d)
	}
}

// stamps are the change times and inodes of the store's directory and files.
func stamps(t *testing.T, dir string) map[string][3]int64 {
	t.Helper()
	m := map[string][3]int64{}
	must(t, filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		var st unix.Stat_t
		if err == nil {
			err = unix.Lstat(path, &st)
		}
		sec, nsec := st.Ctim.Unix()
		m[path] = [3]int64{sec, nsec, int64(st.Ino)}
		return err
	}))
	return m
}

func TestClosed(t *testing.T) {
	s := open(t, t.TempDir(), keystore.Options{})
	must(t, s.Close())
	must(t, s.Close())
	for name, err := range map[string]error{
		"Agent": second(s.Agent("main")), "PutAgent": s.PutAgent("main", testAgent("x")), "DropAgent": s.DropAgent("main"),
		"Intent": second(s.Intent("main")), "Controller": second(s.Controller()), "Condition": s.Condition(),
		"CheckDurable": s.CheckDurable(), "Reset": s.Reset(), "AdoptHost": s.AdoptHost(),
		"ReplaceLostKey": s.PrepareNewKey("main", false), "Reseal": s.Reseal(keystore.Protection{}),
		"AgentFacts": second(s.AgentFacts("main")),
	} {
		if !errors.Is(err, os.ErrClosed) {
			t.Errorf("%s of a closed store: %v", name, err)
		}
	}
}

// TestManyGoroutines: the store is safe for concurrent use.
func TestManyGoroutines(t *testing.T) {
	s := open(t, t.TempDir(), keystore.Options{})
	var wg sync.WaitGroup
	for _, name := range []string{"a", "b", "c", "d"} {
		wg.Go(func() {
			for range 5 {
				if err := s.PutAgent(name, testAgent("tok-"+name)); err != nil {
					t.Error(err)
				}
				if tok, err := tokenOf(s, name); err != nil || tok != "tok-"+name {
					t.Errorf("%s: %q, %v", name, tok, err)
				}
			}
		})
	}
	wg.Wait()
}

func TestReset(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, keystore.Options{})
	must(t, s.PutAgent("main", testAgent("tok")))
	must(t, s.PutIntent("main", &keystore.Intent{Kind: "enroll"}))
	write(t, file(dir, "agent-main.a.tmp"), []byte("left over"))
	must(t, s.Reset())
	if left := snapshot(t, dir); len(left) != 0 {
		t.Errorf("Reset left %d files", len(left))
	}
	if _, err := s.Agent("main"); !errors.Is(err, keystore.ErrNotFound) {
		t.Errorf("after Reset: %v", err)
	}
	must(t, s.PutAgent("main", testAgent("again")))
	wantToken(t, s, "again")
}

func TestOpenRefuses(t *testing.T) {
	dir := stored(t, "tok")
	var unsafe *keystore.UnsafeError
	other := t.TempDir()
	must(t, os.Symlink(filepath.Join(dir, "keystore"), filepath.Join(other, "keystore")))
	_, err := keystore.Open(context.Background(), other, keystore.Options{})
	if !errors.As(err, &unsafe) || unsafe.Problem != keystore.FileIsLink || !unsafe.Dir {
		t.Errorf("a symbolic link instead of the directory: %v", err)
	}
	third := t.TempDir()
	write(t, filepath.Join(third, "keystore"), nil)
	_, err = keystore.Open(context.Background(), third, keystore.Options{})
	if !errors.As(err, &unsafe) || unsafe.Problem != keystore.FileNotRegular || !unsafe.Dir {
		t.Errorf("a file instead of the directory: %v", err)
	}
	_, err = keystore.Open(context.Background(), t.TempDir(), keystore.Options{Seal: "tpm"})
	if err == nil || !strings.Contains(err.Error(), `"tpm"`) {
		t.Errorf("an unknown seal: %v", err)
	}
	if _, err := keystore.Open(context.Background(), filepath.Join(other, "a", "b"), keystore.Options{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a directory two levels below an existing one: %v", err)
	}
	must(t, open(t, filepath.Join(other, "made"), keystore.Options{}).Close()) // one level is made
}

// TestOwner: files that root makes belong to the owner of the directory, so that the
// service can use them. Files that another user makes belong to that user.
func TestOwner(t *testing.T) {
	dir := t.TempDir()
	want := uint32(os.Geteuid())
	if want == 0 {
		want = 12345
		must(t, os.Chown(dir, 12345, 12345))
	}
	s := open(t, dir, keystore.Options{})
	must(t, s.CheckDurable())
	must(t, s.PutAgent("main", testAgent("tok")))
	must(t, filepath.WalkDir(filepath.Join(dir, "keystore"), func(path string, d os.DirEntry, err error) error {
		var st unix.Stat_t
		if err == nil {
			err = unix.Lstat(path, &st)
		}
		if st.Uid != want {
			t.Errorf("%s belongs to %d, not %d", path, st.Uid, want)
		}
		if mode := st.Mode & 0o777; mode != 0o600 && !(d.IsDir() && mode == 0o700) {
			t.Errorf("%s has mode %04o", path, mode)
		}
		return err
	}))
}

func BenchmarkOpen(b *testing.B) {
	dir := stored(b, "tok")
	for b.Loop() {
		s, err := keystore.Open(context.Background(), dir, keystore.Options{})
		must(b, err)
		wantToken(b, s, "tok")
		must(b, s.Close())
	}
}

func BenchmarkPutAgent(b *testing.B) {
	s := open(b, b.TempDir(), keystore.Options{})
	for b.Loop() {
		must(b, s.PutAgent("main", testAgent("tok")))
	}
}
