package keystore_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/peaqnetwork/peaqos-agent/keystore"
)

// rotated is a store after an enrollment and a rotation.
func rotated(t *testing.T) (dir string) {
	t.Helper()
	dir = stored(t, "old")
	s := open(t, dir, keystore.Options{})
	must(t, s.PutAgent("main", testAgent("tok")))
	must(t, s.Close())
	return dir
}

// TestEveryByte damages each byte of each slot and truncates each slot to each
// length: the token is the same, the fallback is reported, and the damaged copy is
// healed to its previous content.
func TestEveryByte(t *testing.T) {
	for name, c := range map[string]struct {
		dir   string
		slots []string
	}{
		"enrolled": {stored(t, "tok"), []string{"agent-main.a", "agent-main.b", "seal.a", "seal.b"}},
		"rotated":  {rotated(t), []string{"agent-main.a", "agent-main.b"}},
	} {
		dir := c.dir
		good := snapshot(t, dir)
		tried := 0
		for _, slot := range c.slots {
			for i := range len(good[slot]) {
				flipped := []byte(good[slot])
				flipped[i] ^= 1 << (i % 8)
				for _, damaged := range []string{string(flipped), good[slot][:i]} {
					write(t, file(dir, slot), []byte(damaged))
					var reasons []string
					s := open(t, dir, keystore.Options{Observe: func(e keystore.Event) {
						if e.Kind == keystore.EventFallback {
							reasons = append(reasons, e.Reason)
						}
					}})
					wantToken(t, s, "tok")
					must(t, s.Close())
					if len(reasons) != 1 || reasons[0] != "checksum" {
						t.Fatalf("%s: byte %d of %s: fallbacks %v, want one for a checksum", name, i, slot, reasons)
					}
					tried++
				}
			}
		}
		if got := snapshot(t, dir); !maps.Equal(got, good) {
			t.Errorf("%s: the healed store differs from the original", name)
		}
		t.Logf("%s: %d damaged files", name, tried)
	}
}

func TestMissingSlot(t *testing.T) {
	dir := rotated(t)
	good := snapshot(t, dir)
	for slot := range good {
		must(t, os.Remove(file(dir, slot)))
		var reasons []string
		s := open(t, dir, keystore.Options{Observe: func(e keystore.Event) {
			if e.Kind == keystore.EventFallback {
				reasons = append(reasons, e.Reason)
			}
		}})
		wantToken(t, s, "tok")
		must(t, s.Close())
		if len(reasons) != 1 || reasons[0] != "missing" {
			t.Errorf("without %s: fallbacks %v", slot, reasons)
		}
	}
	if got := snapshot(t, dir); !maps.Equal(got, good) {
		t.Error("the healed store differs from the original")
	}
}

// TestOldSlotIsRestored: an older copy of one slot, restored from a backup or by fsck,
// changes neither the token after a rotation nor that an agent was dropped.
func TestOldSlotIsRestored(t *testing.T) {
	for _, slot := range []string{"agent-main.a", "agent-main.b"} {
		dir := stored(t, "old")
		old := read(t, file(dir, slot))
		s := open(t, dir, keystore.Options{})
		must(t, s.PutAgent("main", testAgent("new")))
		write(t, file(dir, slot), old)
		wantToken(t, s, "new")
		if got := read(t, file(dir, slot)); bytes.Equal(got, old) {
			t.Errorf("%s was not updated", slot)
		}
		must(t, s.DropAgent("main"))
		write(t, file(dir, slot), old)
		if _, err := s.Agent("main"); !errors.Is(err, keystore.ErrNotFound) {
			t.Errorf("%s restored a dropped agent: %v", slot, err)
		}
		write(t, file(dir, slot+tempSuffix), old)
		if _, err := s.Agent("main"); !errors.Is(err, keystore.ErrNotFound) {
			t.Errorf("a temporary %s restored a dropped agent: %v", slot, err)
		}
	}
}

// TestTempFileIsUsed: a complete temporary file is the latest content, whatever an
// interruption left in the slots, and the only copy is never removed before there is
// another.
func TestTempFileIsUsed(t *testing.T) {
	dir := stored(t, "old")
	old := snapshot(t, dir)
	s := open(t, dir, keystore.Options{})
	must(t, s.PutAgent("main", testAgent("new")))
	fresh := string(read(t, file(dir, "agent-main.a")))
	oldA, oldB := old["agent-main.a"], old["agent-main.b"]
	for name, cut := range map[string]files{
		"next to two old slots":    {"agent-main.a": oldA, "agent-main.b": oldB, "agent-main.a.tmp": fresh},
		"of the other slot":        {"agent-main.a": oldA, "agent-main.b": oldB, "agent-main.b.tmp": fresh},
		"alone":                    {"agent-main.a.tmp": fresh},
		"alone, of the other slot": {"agent-main.b.tmp": fresh},
		"next to damage":           {"agent-main.a": "damage", "agent-main.b.tmp": fresh},
		"with a torn second one":   {"agent-main.a.tmp": fresh, "agent-main.b.tmp": fresh[:50]},
	} {
		cut["seal.a"], cut["seal.b"] = old["seal.a"], old["seal.b"]
		dir := restore(t, cut)
		copies := 0
		s := open(t, dir, keystore.Options{Observe: func(e keystore.Event) {
			if e.Kind == keystore.EventWrite {
				for _, content := range snapshot(t, dir) {
					if content == fresh {
						copies++
					}
				}
				if copies == 0 {
					t.Errorf("%s: at one time there was no copy", name)
				}
			}
		}})
		wantToken(t, s, "new")
		if left := snapshot(t, dir); left["agent-main.a"] != fresh || left["agent-main.b"] != fresh || len(left) != 4 {
			t.Errorf("%s: not healed: %d files", name, len(left))
		}
		must(t, s.Close())
	}
}

func TestBothSlotsDamaged(t *testing.T) {
	dir := stored(t, "tok")
	for _, f := range []string{"agent-main.a", "agent-main.b"} {
		write(t, file(dir, f), []byte("PQAK damaged"))
	}
	s := open(t, dir, keystore.Options{})
	if _, err := s.Agent("main"); !errors.Is(err, keystore.ErrDamaged) {
		t.Errorf("Agent = %v, want ErrDamaged", err)
	}
	if _, err := s.AgentFacts("main"); !errors.Is(err, keystore.ErrDamaged) {
		t.Errorf("AgentFacts = %v, want ErrDamaged", err)
	}
	must(t, s.PutAgent("main", testAgent("new")))
	wantToken(t, s, "new")
}

// TestSwapped: files of another machine, from the same store or another, are never
// used, whatever their sequence number. If one of them replaces a slot, the other
// slot is used.
func TestSwapped(t *testing.T) {
	dir, foreign := stored(t, "tok"), rotated(t)
	s := open(t, dir, keystore.Options{})
	must(t, s.PutAgent("second", testAgent("other")))
	must(t, s.Close())
	theirs := snapshot(t, foreign)
	mine := snapshot(t, dir)

	for name, c := range map[string]struct {
		put  files
		want error // nil: the right token is read
	}{
		"one slot of another machine here": {files{"agent-main.a": mine["agent-second.a"]}, nil},
		"both slots of another machine here": {
			files{"agent-main.a": mine["agent-second.a"], "agent-main.b": mine["agent-second.b"]}, keystore.ErrDamaged,
		},
		"one slot of another store": {files{"agent-main.b": theirs["agent-main.b"]}, nil},
		"both slots of another store": {
			files{"agent-main.a": theirs["agent-main.a"], "agent-main.b": theirs["agent-main.b"]}, keystore.ErrSealed,
		},
		"a temporary file of another store": {files{"agent-main.a.tmp": theirs["agent-main.a"]}, nil},
		"one seal of another store":         {files{"seal.a": theirs["seal.a"]}, nil},
		"the other seal of another store":   {files{"seal.b": theirs["seal.b"]}, nil},
		"both seals of another store": {
			files{"seal.a": theirs["seal.a"], "seal.b": theirs["seal.b"]}, keystore.ErrSealed,
		},
	} {
		mixed := maps.Clone(mine)
		maps.Copy(mixed, c.put)
		s := open(t, restore(t, mixed), keystore.Options{})
		switch tok, err := tokenOf(s, "main"); {
		case c.want == nil && (err != nil || tok != "tok"):
			t.Errorf("%s: token %q, %v", name, tok, err)
		case c.want != nil && !errors.Is(err, c.want):
			t.Errorf("%s: %q, %v, want %v", name, tok, err, c.want)
		}
		must(t, s.Close())
	}
}

// TestForged: the content of a frame was changed and its checksum recomputed.
func TestForged(t *testing.T) {
	dir := stored(t, "tok")
	forged := read(t, file(dir, "agent-main.a"))
	at := bytes.Index(forged, []byte("https://o.example"))
	copy(forged[at:], "https://x.example")
	fixChecksum(forged)
	write(t, file(dir, "agent-main.a"), forged)
	var reasons []string
	s := open(t, dir, keystore.Options{Observe: func(e keystore.Event) {
		if e.Kind == keystore.EventFallback {
			reasons = append(reasons, e.Reason)
		}
	}})
	a, err := s.Agent("main")
	must(t, err)
	if a.Origin != "https://o.example" || len(reasons) != 1 || reasons[0] != "unseal" {
		t.Errorf("origin %s, fallbacks %v", a.Origin, reasons)
	}
	write(t, file(dir, "agent-main.a"), forged)
	write(t, file(dir, "agent-main.b"), forged)
	if _, err := s.Agent("main"); !errors.Is(err, keystore.ErrDamaged) {
		t.Errorf("both forged: %v, want ErrDamaged", err)
	}
}

func fixChecksum(b []byte) {
	sum := sha256.Sum256(b[:len(b)-sha256.Size])
	copy(b[len(b)-sha256.Size:], sum[:])
}

// TestNewerFormat: a record of a newer program is refused and left unchanged, even
// next to a slot in a known format.
func TestNewerFormat(t *testing.T) {
	for _, name := range []string{"agent-main.a", "agent-main.b", "agent-main.b.tmp", "seal.a"} {
		dir := stored(t, "tok")
		newer := read(t, file(dir, strings.TrimSuffix(name, tempSuffix)))
		newer[4]++ // the format version
		fixChecksum(newer)
		write(t, file(dir, name), newer)
		s := open(t, dir, keystore.Options{})
		for what, err := range map[string]error{
			"Agent": second(s.Agent("main")), "PutAgent": s.PutAgent("main", testAgent("x")), "DropAgent": s.DropAgent("main"),
		} {
			if !errors.Is(err, keystore.ErrNewerFormat) {
				t.Errorf("%s: %s = %v, want ErrNewerFormat", name, what, err)
			}
		}
		if got := read(t, file(dir, name)); !bytes.Equal(got, newer) {
			t.Errorf("%s was written to", name)
		}
	}
}

// TestOpenFilesAreTightened: files of ours that others can reach, as after a restore
// or a mount with fsGroup, are used and closed to the others, whatever their mode was.
func TestOpenFilesAreTightened(t *testing.T) {
	for _, mode := range []os.FileMode{0o640, 0o660, 0o644, 0o666, 0o777, 0o000, 0o200, 0o400} {
		dir := stored(t, "tok")
		must(t, os.Chmod(filepath.Join(dir, "keystore"), 0o700|mode&0o077))
		for _, name := range []string{"lock", "seal.a", "seal.b", "agent-main.a", "agent-main.b"} {
			must(t, os.Chmod(file(dir, name), mode))
		}
		var events []keystore.Event
		s := open(t, dir, keystore.Options{Observe: func(e keystore.Event) { events = append(events, e) }})
		wantToken(t, s, "tok")
		for _, e := range events {
			if e.Kind != keystore.EventTightened || e.Path == "" || e.Err != nil {
				t.Errorf("%04o: event %+v", mode, e)
			}
		}
		if open := mode&0o077 != 0; open && len(events) != 1 || !open && len(events) > 5 {
			t.Errorf("%04o: %d events", mode, len(events))
		}
		must(t, os.Chmod(file(dir, "agent-main.a"), 0o644)) // also while it is open
		must(t, os.Chmod(file(dir, "agent-main.b"), 0o644))
		wantToken(t, s, "tok")
		must(t, s.PutAgent("main", testAgent("new")))
		must(t, s.Close())
		must(t, filepath.WalkDir(filepath.Join(dir, "keystore"), func(path string, d os.DirEntry, err error) error {
			must(t, err)
			st, err := d.Info()
			must(t, err)
			if st.Mode()&0o077 != 0 {
				t.Errorf("%04o: %s has mode %v", mode, path, st.Mode())
			}
			return nil
		}))
	}
}

// TestUnreadable: a file that exists and cannot be read now is neither damaged nor
// lost. Nothing that could replace it is done, and it is used once it can be read.
func TestUnreadable(t *testing.T) {
	for name, c := range map[string]struct{ spoil, repair func(path string) error }{
		"another owner": {
			func(path string) error { return os.Lchown(path, 4243, 4243) }, func(path string) error { return os.Lchown(path, os.Geteuid(), -1) },
		},
		"a symbolic link": {
			func(path string) error {
				return errors.Join(os.Rename(path, path+".moved"), os.Symlink(path+".moved", path))
			},
			func(path string) error { return os.Rename(path+".moved", path) },
		},
		"a directory": {
			func(path string) error { return errors.Join(os.Rename(path, path+".moved"), os.Mkdir(path, 0o700)) },
			func(path string) error { return errors.Join(os.Remove(path), os.Rename(path+".moved", path)) },
		},
	} {
		if name == "another owner" && os.Geteuid() != 0 {
			continue
		}
		for _, record := range []string{"seal", "agent-main", "controller", "host"} {
			host := &keystore.Host{MachineID: "id1", Serial: "s1"}
			dir := enrolledWith(t, keystore.Options{Host: host})
			key, err := keystore.NewKey()
			must(t, err)
			s := open(t, dir, keystore.Options{Host: host})
			must(t, s.PutController(key))
			must(t, s.Close())
			before := snapshot(t, dir)
			a, b := file(dir, record+".a"), file(dir, record+".b")
			must(t, errors.Join(c.spoil(a), c.spoil(b)))
			s = open(t, dir, keystore.Options{Host: host})
			what := name + " of " + record
			other, err := keystore.NewKey()
			must(t, err)
			for call, err := range map[string]error{
				"PutAgent": s.PutAgent("main", testAgent("x")), "PutController": s.PutController(other), "Reseal": s.Reseal(keystore.Protection{}),
				"PrepareNewKey": s.PrepareNewKey("main", true), "DropAgent": s.DropAgent("main"),
			} {
				touches := record == "seal" || record == "host" || call == "Reseal" ||
					record == "agent-main" && (call == "PutAgent" || call == "DropAgent") || record == "controller" && call == "PutController"
				var unreadable *keystore.UnreadableError
				if touches && (!errors.Is(err, keystore.ErrUnreadable) || !errors.As(err, &unreadable) || unreadable.Path != a) {
					t.Errorf("%s: %s = %v, want ErrUnreadable", what, call, err)
				}
			}
			if record == "agent-main" {
				if _, err := s.Agent("main"); !errors.Is(err, keystore.ErrUnreadable) || errors.Is(err, keystore.ErrDamaged) || !s.EverHeld("main") {
					t.Errorf("%s: Agent = %v", what, err)
				}
			}
			must(t, errors.Join(c.repair(a), c.repair(b)))
			if record == "seal" || record == "host" {
				must(t, s.Condition()) // without opening it again
				wantToken(t, s, "tok")
			}
			must(t, s.Close())
			after := snapshot(t, dir)
			if record == "seal" || record == "host" {
				if !maps.Equal(before, after) {
					t.Errorf("%s: the store was written to", what)
				}
			} else if before[record+".a"] != after[record+".a"] || before["seal.a"] != after["seal.a"] {
				t.Errorf("%s: it was written to", what)
			}
		}
	}
}

// TestUnreadableKeepsOldKeys: while a record cannot be read, the key that it may need
// is not removed.
func TestUnreadableKeepsOldKeys(t *testing.T) {
	dir := stored(t, "tok")
	s := open(t, dir, keystore.Options{})
	must(t, s.PutAgent("second", testAgent("other")))
	aside := file(dir, "aside")
	must(t, os.Rename(file(dir, "agent-second.a"), aside))
	must(t, os.Remove(file(dir, "agent-second.b")))
	must(t, os.Symlink("aside", file(dir, "agent-second.a")))
	if err := s.Reseal(keystore.Protection{Passphrase: keystore.NewSecret("pass")}); !errors.Is(err, keystore.ErrUnreadable) {
		t.Errorf("Reseal = %v", err)
	}
	must(t, s.Close())
	o := keystore.Options{PassphraseFile: secretFile(t, "pass")} // resealed when it is opened
	s = open(t, dir, o)
	wantToken(t, s, "tok")
	must(t, s.Close())
	must(t, os.Rename(aside, file(dir, "agent-second.a")))
	s = open(t, dir, o)
	if tok, err := tokenOf(s, "second"); tok != "other" {
		t.Errorf("the record that could not be read for a while: %q, %v", tok, err)
	}
}

// TestReleasedFormats opens the stores that earlier versions wrote. The first opening
// of format 1 authenticates the seal and lets the records tell it, cut anywhere; from
// then on nothing is written.
func TestReleasedFormats(t *testing.T) {
	for _, format := range []string{"format-1", "format-2"} {
		released := files{}
		old := os.DirFS("testdata/" + format)
		must(t, fs.WalkDir(old, ".", func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			b, err := fs.ReadFile(old, path)
			released[path] = string(b)
			return err
		}))
		dir := restore(t, released)
		var cuts []files
		s := open(t, dir, keystore.Options{Observe: func(e keystore.Event) {
			if e.Kind != keystore.EventWrite || e.Err != nil || format != "format-1" {
				t.Errorf("%s: event %+v", format, e)
			}
			cuts = append(cuts, snapshot(t, dir))
		}})
		checkRelease(t, format, s)
		must(t, s.Close())
		for name, content := range snapshot(t, dir) {
			if content[4] != 2 && !strings.HasPrefix(name, "host") { // whose key is not in the seal
				t.Errorf("%s: %s still has format %d", format, name, content[4])
			}
		}
		for _, cut := range append(cuts, snapshot(t, dir)) {
			again := restore(t, cut)
			s := open(t, again, keystore.Options{})
			checkRelease(t, format, s)
			must(t, s.Close())
			s = open(t, again, keystore.Options{Observe: func(e keystore.Event) { t.Errorf("%s: event %+v at the third opening", format, e) }})
			checkRelease(t, format, s)
			must(t, s.Close())
		}
	}
}

func checkRelease(t *testing.T, format string, s *keystore.Store) {
	t.Helper()
	a, err := s.Agent("main")
	must(t, err)
	if string(a.Token.Reveal()) != "first release" || a.Pending == nil || string(a.Pending.Token.Reveal()) != "next" {
		t.Errorf("%s: agent %+v", format, a)
	}
	if i, err := s.Intent("main"); err != nil || i.Label != "label#1" {
		t.Errorf("%s: intent: %v", format, err)
	}
	if c, err := s.Controller(); err != nil || c.Address() != "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A" {
		t.Errorf("%s: controller: %v", format, err)
	}
	if _, err := s.Agent("dropped"); !errors.Is(err, keystore.ErrNotFound) {
		t.Errorf("%s: dropped: %v", format, err)
	}
}
