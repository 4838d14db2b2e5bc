package keystore_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/peaqnetwork/peaqos-agent/keystore"
)

// TestLookMakesNothing: a store that does not exist is not made by looking for it, and
// the disk that it would be on is known nevertheless.
func TestLookMakesNothing(t *testing.T) {
	dir := t.TempDir()
	s := keystore.Look(filepath.Join(dir, "a", "b"))
	if s.Exists || s.Err != nil || s.FileSystem == "unknown" || s.FreeBytes == 0 || s.Full() {
		t.Errorf("%+v", s)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("made %v, %v", left, err)
	}
}

// TestLookAndTighten: what is open to others is named, nothing is changed by looking, and
// Tighten closes it and says what it did.
func TestLookAndTighten(t *testing.T) {
	dir := t.TempDir()
	store, err := keystore.Open(t.Context(), dir, keystore.Options{Volatile: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := store.CheckDurable(); err != nil {
		t.Fatal(err)
	}
	if s := keystore.Look(dir); s.HolderPID != os.Getpid() {
		t.Errorf("the lock is held by %d", s.HolderPID)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "keystore")
	if s := keystore.Look(dir); s.Err != nil || len(s.Reachable()) != 0 || len(s.Interrupted()) != 0 || len(s.Files) < 2 {
		t.Fatalf("a healthy store: %+v", s)
	}
	seal, temp := filepath.Join(path, "seal.a"), filepath.Join(path, "seal.b.tmp")
	if err := errors.Join(os.Chmod(path, 0o755), os.Chmod(seal, 0o644), os.WriteFile(temp, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	open := []string{path + " (0755)", seal + " (0644)"}
	for range 2 {
		s := keystore.Look(dir)
		if !slices.Equal(s.Reachable(), open) || !slices.Equal(s.Interrupted(), []string{temp}) {
			t.Errorf("reachable %v, interrupted %v", s.Reachable(), s.Interrupted())
		}
	}
	changed, err := keystore.Tighten(dir)
	if err != nil || !slices.Equal(changed, []string{path, seal}) {
		t.Errorf("changed %v, %v", changed, err)
	}
	if s := keystore.Look(dir); len(s.Reachable()) != 0 {
		t.Errorf("still reachable: %v", s.Reachable())
	}
	if changed, err := keystore.Tighten(dir); err != nil || len(changed) != 0 {
		t.Errorf("changed again: %v, %v", changed, err)
	}
}

// TestLookRefusesWhatOpenRefuses: a link in place of the store or of one of its files.
func TestLookRefusesWhatOpenRefuses(t *testing.T) {
	for _, link := range []string{"keystore", "keystore/seal.a"} {
		dir := t.TempDir()
		if strings.Contains(link, "/") {
			if err := os.Mkdir(filepath.Join(dir, "keystore"), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Symlink(t.TempDir(), filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
		var unsafe *keystore.UnsafeError
		if s := keystore.Look(dir); !errors.As(s.Err, &unsafe) || unsafe.Problem != keystore.FileIsLink {
			t.Errorf("%s: %v", link, s.Err)
		}
	}
}
