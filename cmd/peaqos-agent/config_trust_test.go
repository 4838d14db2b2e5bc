package main

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// TestWritableByOthers: a configuration that somebody else can have written does not
// decide where a secret is sent.
func TestWritableByOthers(t *testing.T) {
	us := map[int]bool{0: true, os.Geteuid(): true}
	for _, c := range []struct {
		file, dir os.FileMode
		readOnly  bool // the directory is a read-only mount
		good      bool
	}{
		{0o600, 0o755, false, true},
		{0o644, 0o700, false, true},
		{0o666, 0o755, false, false},
		{0o646, 0o755, false, false},
		{0o644, 0o777, false, false},
		{0o644, os.ModeSticky | 0o777, false, true},
		{0o644, 0o777, true, true},
	} {
		dir := filepath.Join(t.TempDir(), "d")
		mounted := func(path string) bool { return c.readOnly && path == dir }
		path := filepath.Join(dir, "c.yaml")
		err := errors.Join(os.Mkdir(dir, 0o755), os.WriteFile(path, nil, 0o600), os.Chmod(path, c.file), os.Chmod(dir, c.dir))
		if err != nil {
			t.Fatal(err)
		}
		if fault := writableByOthers(path, us, mounted); (fault == "") != c.good {
			t.Errorf("file %v in directory %v: %q", c.file, c.dir, fault)
		}
	}
	path := filepath.Join(t.TempDir(), "c.yaml")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if fault := writableByOthers(path, map[int]bool{}, onReadOnlyMount); fault == "" {
		t.Error("a file of another user was accepted")
	}
}

// TestPrivateOutput: a secret does not go into a file that others can read.
func TestPrivateOutput(t *testing.T) {
	for mode, good := range map[os.FileMode]bool{0o600: true, 0o400: true, 0o644: false, 0o640: false, 0o604: false} {
		f, err := os.CreateTemp(t.TempDir(), "out")
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Chmod(mode); err != nil {
			t.Fatal(err)
		}
		if err := privateOutput(f); (err == nil) != good {
			t.Errorf("mode %04o: %v", mode, err)
		}
		_ = f.Close()
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := privateOutput(w); err != nil {
		t.Errorf("a pipe: %v", err)
	}
	_, _ = r.Close(), w.Close()
}
