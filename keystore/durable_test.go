package keystore_test

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/peaqnetwork/peaqos-agent/keystore"
)

// change is a change to a store in one call, and the tokens that may be read if it is
// interrupted.
type change struct {
	name    string
	options func(t *testing.T) keystore.Options
	before  func(t *testing.T, s *keystore.Store)
	do      func(s *keystore.Store) error
	old     string // the token before; empty for none
	new     string // and after
	coarse  bool   // every opening derives a key from a passphrase: try fewer lengths
}

func changes() []change {
	plain := func(*testing.T) keystore.Options { return keystore.Options{} }
	passphrase := func(t *testing.T) keystore.Options {
		return keystore.Options{Seal: "keyfile", PassphraseFile: secretFile(t, "pass")}
	}
	nothing := func(*testing.T, *keystore.Store) {}
	checked := func(t *testing.T, s *keystore.Store) { must(t, s.CheckDurable()) }
	enrolled := func(t *testing.T, s *keystore.Store) { must(t, s.PutAgent("main", testAgent("old"))) }
	dropped := func(t *testing.T, s *keystore.Store) { enrolled(t, s); must(t, s.DropAgent("main")) }
	put := func(s *keystore.Store) error { return s.PutAgent("main", testAgent("new")) }
	drop := func(s *keystore.Store) error { return s.DropAgent("main") }
	reseal := func(s *keystore.Store) error {
		return s.Reseal(keystore.Protection{Passphrase: keystore.NewSecret("pass")})
	}
	return []change{
		{"enroll", plain, checked, put, "", "new", false},
		{"first write of all", plain, nothing, put, "", "new", false},
		{"rotate", plain, enrolled, put, "old", "new", false},
		{"drop", plain, enrolled, drop, "old", "", false},
		{"enroll after a drop", plain, dropped, put, "", "new", false},
		{"reseal", passphrase, enrolled, reseal, "old", "old", true},
	}
}

// TestEveryCut stops each change after each step of each durable write, and at each
// length of each temporary file, as a kill or a power cut does. Then the store opens,
// and the token is the old or the new one, and from some point on always the new one.
// Afterwards both slots are equal and no temporary file is left.
func TestEveryCut(t *testing.T) {
	for _, c := range changes() {
		t.Run(c.name, func(t *testing.T) {
			options := c.options(t)
			steps := record(t, c, options)
			seen, tried := c.old, 0
			for i := 1; i < len(steps); i++ {
				for _, cut := range between(t, steps[i-1], steps[i], c.coarse) {
					got := reopenTwice(t, cut, options)
					if got != c.old && got != c.new || seen == c.new && got != c.new {
						t.Fatalf("step %d: token %q after %q", i, got, seen)
					}
					seen = got
					tried++
				}
			}
			if got := reopenTwice(t, steps[len(steps)-1], options); got != c.new {
				t.Fatalf("at the end the token is %q, want %q", got, c.new)
			}
			t.Logf("%d writes, %d cuts", len(steps)-1, tried)
		})
	}
}

// record makes the change and returns a snapshot after every write.
func record(t *testing.T, c change, options keystore.Options) []files {
	t.Helper()
	dir := t.TempDir()
	var steps []files
	recording := false
	o := options
	o.Observe = func(e keystore.Event) {
		if recording && e.Kind == keystore.EventWrite {
			steps = append(steps, snapshot(t, dir))
		}
	}
	s := open(t, dir, o)
	c.before(t, s)
	steps = append(steps, snapshot(t, dir))
	recording = true
	must(t, c.do(s))
	must(t, s.Close())
	if len(steps) < 3 {
		t.Fatalf("%d steps: nothing was written twice", len(steps))
	}
	return steps
}

// between returns the states of the disk from one finished write to the next: with
// the temporary file at every length, up to complete and not yet renamed.
func between(t *testing.T, before, after files, coarse bool) []files {
	t.Helper()
	var changed []string
	for name, content := range after {
		if before[name] != content {
			changed = append(changed, name)
		}
	}
	if len(changed) != 1 {
		t.Fatalf("one write changed %v", changed)
	}
	name := changed[0]
	states := []files{before}
	for n := 0; n <= len(after[name]); n++ {
		if n > 64 && n < len(after[name])-40 && n%16 != 0 || coarse && n > 1 && n < len(after[name])-1 {
			continue // the two ends are what matters most
		}
		cut := maps.Clone(before)
		cut[name+tempSuffix] = after[name][:n]
		states = append(states, cut)
	}
	return states
}

// reopenTwice opens a store after an interruption and returns its token, empty for none.
func reopenTwice(t *testing.T, cut files, options keystore.Options) string {
	t.Helper()
	dir := restore(t, cut)
	var tokens [2]string
	for i := range tokens {
		s := open(t, dir, options)
		tok, err := tokenOf(s, "main")
		if err != nil && !errors.Is(err, keystore.ErrNotFound) {
			t.Fatalf("after a cut: %v", err)
		}
		tokens[i] = tok
		must(t, s.Close())
	}
	if tokens[0] != tokens[1] {
		t.Fatalf("the token was %q when opened first, then %q", tokens[0], tokens[1])
	}
	left := snapshot(t, dir)
	for name, content := range left {
		if strings.HasSuffix(name, tempSuffix) && strings.HasPrefix(name, "agent") {
			t.Fatalf("%s was left", name)
		}
		if base, ok := strings.CutSuffix(name, ".a"); ok && left[base+".b"] != content {
			t.Fatalf("the slots of %s differ", base)
		}
	}
	return tokens[0]
}

// fillDisk stores a token while the size of files is limited to 0, 1, 2 … bytes, so
// that every write fails. The limit is of the process, so it runs in one of its own.
func fillDisk(s *keystore.Store) error {
	signal.Ignore(unix.SIGXFSZ)
	var full unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &full); err != nil {
		return err
	}
	size := len(mustRead(filepath.Join(s.Path(), "agent-main.a")))
	for n := range size {
		limited := full
		limited.Cur = uint64(n)
		if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &limited); err != nil {
			return err
		}
		err := s.PutAgent("main", testAgent("new"))
		perr := s.CheckDurable()
		if rerr := unix.Setrlimit(unix.RLIMIT_FSIZE, &full); rerr != nil {
			return rerr
		}
		if err == nil || perr == nil || errors.Is(err, keystore.ErrUncertain) {
			return fmt.Errorf("with %d bytes: PutAgent = %v, CheckDurable = %v", n, err, perr)
		}
		if tok, err := tokenOf(s, "main"); tok != "old" {
			return fmt.Errorf("with %d bytes: token %q, %w", n, tok, err)
		}
	}
	return s.PutAgent("main", testAgent("new"))
}

func mustRead(path string) []byte {
	b, err := os.ReadFile(path)
	if err != nil {
		panic(err)
	}
	return b
}

// TestFullDisk: if the disk accepts only the first n bytes of a file, then for every n
// the old token is kept and no temporary file is left. Later writes succeed.
func TestFullDisk(t *testing.T) {
	dir := stored(t, "old")
	if out, err := process(t, "full disk", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for name := range snapshot(t, dir) {
		if strings.HasSuffix(name, tempSuffix) || strings.HasPrefix(name, "probe") {
			t.Errorf("%s was left", name)
		}
	}
	wantToken(t, open(t, dir, keystore.Options{}), "new")
}

// obstruct makes a directory with the name of a slot's temporary file. It cannot be
// unlinked, even by root, so the slot cannot be written.
func obstruct(t *testing.T, dir, name string) (clear func()) {
	t.Helper()
	path := file(dir, name+tempSuffix)
	must(t, os.MkdirAll(path+"/x", 0o700))
	return func() { must(t, os.RemoveAll(path)) }
}

// TestOneSlotFails: a change that reached one slot for certain succeeds and the failure
// is reported. The old content of the other slot is removed, so that it is never used.
func TestOneSlotFails(t *testing.T) {
	for _, slot := range []string{"agent-main.a", "agent-main.b"} {
		dir := stored(t, "old")
		var events []keystore.EventKind
		s := open(t, dir, keystore.Options{Observe: func(e keystore.Event) { events = append(events, e.Kind) }})
		free := obstruct(t, dir, slot)
		must(t, s.PutAgent("main", testAgent("new")))
		if !slices.Contains(events, keystore.EventNotDurable) {
			t.Errorf("%s: no event", slot)
		}
		if _, err := os.Stat(file(dir, slot)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s still has its old content", slot)
		}
		wantToken(t, s, "new")
		free()
		events = nil
		wantToken(t, s, "new")
		if !slices.Contains(events, keystore.EventHealed) {
			t.Errorf("%s: not healed afterwards", slot)
		}
	}
}

func TestBothSlotsFail(t *testing.T) {
	dir := stored(t, "old")
	s := open(t, dir, keystore.Options{})
	freeA, freeB := obstruct(t, dir, "agent-main.a"), obstruct(t, dir, "agent-main.b")
	if err := s.PutAgent("main", testAgent("new")); err == nil || errors.Is(err, keystore.ErrUncertain) {
		t.Errorf("PutAgent = %v, want a certain failure", err)
	}
	wantToken(t, s, "old")
	freeA()
	freeB()
	wantToken(t, s, "old")
	must(t, s.PutAgent("main", testAgent("new")))
	wantToken(t, s, "new")
}

func TestCheckDurable(t *testing.T) {
	dir := t.TempDir()
	var events []keystore.EventKind
	s := open(t, dir, keystore.Options{Observe: func(e keystore.Event) { events = append(events, e.Kind) }})
	must(t, s.CheckDurable())
	if left := snapshot(t, dir); len(left) != 2 || left["seal.a"] == "" || left["seal.a"] != left["seal.b"] {
		t.Errorf("in addition to the key the check left %d files", len(left))
	}
	events = nil
	free := obstruct(t, dir, "probe.a")
	if err := s.CheckDurable(); err == nil || !slices.Contains(events, keystore.EventNotDurable) {
		t.Errorf("a store that cannot be written passed the check (%v)", err)
	}
	free()
	must(t, s.CheckDurable())
}

// TestCheckDurableFindsUnsealable: a store that could not be sealed fails the check,
// before a token is requested.
func TestCheckDurableFindsUnsealable(t *testing.T) {
	t.Setenv("CREDENTIALS_DIRECTORY", "")
	for name, o := range map[string]keystore.Options{
		"no passphrase file":    {Seal: "passphrase"},
		"its file is not there": {PassphraseFile: "/nonexistent/passphrase"},
		"its file is empty":     {PassphraseFile: secretFile(t, "\n")},
		"no credential":         {Seal: "credential"},
	} {
		dir := t.TempDir()
		if err := open(t, dir, o).CheckDurable(); !errors.Is(err, keystore.ErrSealed) {
			t.Errorf("%s: %v, want ErrSealed", name, err)
		}
		if left := snapshot(t, dir); len(left) != 0 {
			t.Errorf("%s: %d files were left", name, len(left))
		}
	}
}

func TestFileSystem(t *testing.T) {
	if got := open(t, t.TempDir(), keystore.Options{}).FileSystem(); got == "" || got == "unknown" {
		t.Errorf("the file system is %q", got)
	}
}
