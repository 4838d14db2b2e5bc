package keystore

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// change is something done to a store in one call, with what must hold whenever
// it is cut.
type change struct {
	name    string
	options func(t *testing.T) Options
	before  func(t *testing.T, s *Store)
	do      func(s *Store) error
	old     string // the token before; empty for none
	new     string // and after
	coarse  bool   // every opening costs a passphrase: try fewer lengths
}

func changes() []change {
	plain := func(*testing.T) Options { return Options{} }
	enrolled := func(t *testing.T, s *Store) { must(t, s.PutAgent("main", testAgent("old"))) }
	return []change{
		{"enroll", plain, func(t *testing.T, s *Store) { must(t, s.CheckDurable()) }, func(s *Store) error { return s.PutAgent("main", testAgent("new")) }, "", "new", false},
		{"first write of all", plain, func(*testing.T, *Store) {}, func(s *Store) error { return s.PutAgent("main", testAgent("new")) }, "", "new", false},
		{"rotate", plain, enrolled, func(s *Store) error { return s.PutAgent("main", testAgent("new")) }, "old", "new", false},
		{"drop", plain, enrolled, func(s *Store) error { return s.DropAgent("main") }, "old", "", false},
		{"enroll after a drop", plain, func(t *testing.T, s *Store) { enrolled(t, s); must(t, s.DropAgent("main")) }, func(s *Store) error { return s.PutAgent("main", testAgent("new")) }, "", "new", false},
		{
			"reseal", func(t *testing.T) Options { return Options{Seal: "keyfile", PassphraseFile: secretFile(t, "pass")} }, enrolled,
			func(s *Store) error { return s.Reseal(Protection{Passphrase: NewSecret("pass")}) }, "old", "old", true,
		},
	}
}

// TestEveryCut stops each change after each step of each durable write, and at
// each length of each temporary file, as a kill or a power cut does. Then the
// store opens; the token is the old one or the new one; once it is the new one it
// stays; and afterwards both slots are equal and nothing is left lying about.
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

// record does the change and takes a snapshot after every write.
func record(t *testing.T, c change, options Options) []files {
	t.Helper()
	dir := t.TempDir()
	var steps []files
	recording := false
	o := options
	o.Observe = func(e Event) {
		if recording && e.Kind == EventWrite {
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

// between lists the states that the disk goes through from one finished write to
// the next: the temporary file at every length, then whole and not yet renamed.
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
			continue // the ends are the interesting part
		}
		cut := maps.Clone(before)
		cut[name+tempSuffix] = after[name][:n]
		states = append(states, cut)
	}
	return states
}

// reopenTwice opens a store that was cut and returns its token, empty for none.
func reopenTwice(t *testing.T, cut files, options Options) string {
	t.Helper()
	dir := restore(t, cut)
	var tokens [2]string
	for i := range tokens {
		s := open(t, dir, options)
		tok, err := tokenOf(s, "main")
		if err != nil && !errors.Is(err, ErrNotFound) {
			t.Fatalf("after a cut: %v", err)
		}
		tokens[i] = tok
		must(t, s.Close())
	}
	if tokens[0] != tokens[1] {
		t.Fatalf("the first opening said %q, the second %q", tokens[0], tokens[1])
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

// tightDisk lowers the size that a file may have, byte by byte: every write
// fails, in this process of its own.
func tightDisk(s *Store) error {
	signal.Ignore(unix.SIGXFSZ)
	var full unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &full); err != nil {
		return err
	}
	size := len(mustRead(s.dir.path("agent-main.a")))
	for n := range size {
		tight := full
		tight.Cur = uint64(n)
		if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &tight); err != nil {
			return err
		}
		err := s.PutAgent("main", testAgent("new"))
		perr := s.CheckDurable()
		if rerr := unix.Setrlimit(unix.RLIMIT_FSIZE, &full); rerr != nil {
			return rerr
		}
		if err == nil || perr == nil || errors.Is(err, ErrUncertain) {
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

// TestTightDisk: a disk that takes only the first n bytes of a file keeps the old
// token for every n, leaves nothing lying about, and works again afterwards.
func TestTightDisk(t *testing.T) {
	dir := stored(t, "old")
	if out, err := process(t, "tight", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for name := range snapshot(t, dir) {
		if strings.HasSuffix(name, tempSuffix) || strings.HasPrefix(name, probeName) {
			t.Errorf("%s was left", name)
		}
	}
	wantToken(t, open(t, dir, Options{}), "new")
}

// obstruct takes the name of a temporary file with a directory that nobody can
// unlink, root included: that slot cannot be written.
func obstruct(t *testing.T, dir, name string) (clear func()) {
	t.Helper()
	path := file(dir, name+tempSuffix)
	must(t, os.MkdirAll(path+"/x", 0o700))
	return func() { must(t, os.RemoveAll(path)) }
}

// TestOneSlotFails: one certain copy is a success that is told; the other slot's
// old content goes, so that nobody falls back to it.
func TestOneSlotFails(t *testing.T) {
	for _, slot := range []string{"agent-main.a", "agent-main.b"} {
		dir := stored(t, "old")
		var events []EventKind
		s := open(t, dir, Options{Observe: func(e Event) { events = append(events, e.Kind) }})
		free := obstruct(t, dir, slot)
		must(t, s.PutAgent("main", testAgent("new")))
		if !slices.Contains(events, EventNotDurable) {
			t.Errorf("%s: nobody was told", slot)
		}
		if _, err := os.Stat(file(dir, slot)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s still has its old content", slot)
		}
		wantToken(t, s, "new")
		free()
		events = nil
		wantToken(t, s, "new")
		if !slices.Contains(events, EventHealed) {
			t.Errorf("%s: not healed afterwards", slot)
		}
	}
}

func TestBothSlotsFail(t *testing.T) {
	dir := stored(t, "old")
	s := open(t, dir, Options{})
	freeA, freeB := obstruct(t, dir, "agent-main.a"), obstruct(t, dir, "agent-main.b")
	if err := s.PutAgent("main", testAgent("new")); err == nil || errors.Is(err, ErrUncertain) {
		t.Errorf("PutAgent = %v, want a certain failure", err)
	}
	wantToken(t, s, "old")
	freeA()
	freeB()
	wantToken(t, s, "old")
	must(t, s.PutAgent("main", testAgent("new")))
	wantToken(t, s, "new")
}

func TestProveDurable(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	must(t, s.CheckDurable())
	if left := snapshot(t, dir); len(left) != 2 || left["seal.a"] == "" || left["seal.a"] != left["seal.b"] {
		t.Errorf("besides the key the probe left %d files", len(left))
	}
	var events []EventKind
	s.options.Observe = func(e Event) { events = append(events, e.Kind) }
	free := obstruct(t, dir, probeName+".a")
	if err := s.CheckDurable(); err == nil || !slices.Contains(events, EventNotDurable) {
		t.Errorf("a store that takes no file was called durable (%v)", err)
	}
	free()
	must(t, s.CheckDurable())
}

// TestProveDurableFindsUnsealable: what would fail after the token was spent fails
// before.
func TestProveDurableFindsUnsealable(t *testing.T) {
	t.Setenv("CREDENTIALS_DIRECTORY", "")
	for name, o := range map[string]Options{
		"no passphrase file":    {Seal: "passphrase"},
		"its file is not there": {PassphraseFile: "/nonexistent/passphrase"},
		"its file is empty":     {PassphraseFile: secretFile(t, "\n")},
		"no credential":         {Seal: "credential"},
	} {
		dir := t.TempDir()
		if err := open(t, dir, o).CheckDurable(); !errors.Is(err, ErrSealed) {
			t.Errorf("%s: %v, want ErrSealed", name, err)
		}
		if left := snapshot(t, dir); len(left) != 0 {
			t.Errorf("%s: %d files were left", name, len(left))
		}
	}
}

func TestMedium(t *testing.T) {
	for magic, want := range map[uint32]string{unix.EXT4_SUPER_MAGIC: "ext4", unix.TMPFS_MAGIC: "tmpfs", unix.OVERLAYFS_SUPER_MAGIC: "overlay", 0xdead: "0xdead"} {
		if got := fileSystemName(magic); got != want {
			t.Errorf("%x is %q, want %q", magic, got, want)
		}
	}
	if got := open(t, t.TempDir(), Options{}).FileSystem(); got == "" || got == "unknown" {
		t.Errorf("this one is %q", got)
	}
}
