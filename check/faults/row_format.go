package main

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// golden is the directory of the stores of released formats, from the repository's
// root.
const golden = "keystore/testdata"

// formats opens a store of every released format, and files of a newer one: those
// are rejected with a message and not modified, and work again with the newer
// program.
func formats(h *harness, r *row) {
	old, err := filepath.Glob(filepath.Join(golden, "format-*"))
	if err != nil || len(old) == 0 {
		r.broken(fmt.Errorf("no stores in %s; run this from the repository's root", golden))
		return
	}
	for _, dir := range old {
		f, err := h.opens(dir)
		if err != nil {
			r.broken(err)
			return
		}
		r.add(attempt{dir, true, f}) // the store is a copy of that directory
	}
	w, err := h.newWorld("")
	if err == nil {
		defer w.close()
		_, err = w.enroll()
	}
	var good files
	if err == nil {
		good, err = w.slots()
	}
	if err != nil {
		r.broken(err)
		return
	}
	for _, slot := range slices.Sorted(maps.Keys(good)) {
		f, err := w.newer(good, slot)
		if err != nil {
			r.broken(err)
			return
		}
		r.add(attempt{slot + " of a newer format", true, f}) // newer reads it back
	}
	r.how = fmt.Sprintf("stores of %d format(s) open, and are changed at most by the first opening, which authenticates "+
		"the seal; each slot given the next format number: enroll and rotate fail with an error and change nothing, and work once it is restored", len(old))
}

// opens lets identity show read a store of an earlier release.
func (h *harness) opens(dir string) (finding, error) {
	w, err := h.newWorld("")
	if err != nil {
		return finding{}, err
	}
	defer w.close()
	if err := copyFiles(dir, filepath.Join(w.state, "keystore")); err != nil {
		return finding{}, err
	}
	if _, err := w.runCommand(nil, "identity", "show", "--json"); err != nil { // may bring it to the current format
		return finding{}, err
	}
	before, err := w.slots()
	if err != nil {
		return finding{}, err
	}
	o, err := w.runCommand(nil, "identity", "show", "--json")
	if err != nil {
		return finding{}, err
	}
	var f finding
	if o.Exit != 0 || !strings.Contains(o.Stdout, `"enrolled": true`) || !strings.Contains(o.Stdout, "controller_address") {
		f.lost, f.why = 1, "identity show: "+o.String()+o.Stdout
	}
	after, err := w.slots()
	if !maps.Equal(before, after) && f.good() {
		f.halves, f.why = 1, "the second opening changed it"
	}
	return f, err
}

// newer gives one slot the next format number.
func (w *world) newer(good files, slot string) (finding, error) {
	b := []byte(good[slot])
	b[4]++ // the format number, at the same offset in every format
	sum := sha256.Sum256(b[:len(b)-sha256.Size])
	copy(b[len(b)-sha256.Size:], sum[:])
	changed := maps.Clone(good)
	changed[slot] = string(b)
	if err := w.put(changed); err != nil {
		return finding{}, err
	}
	var f finding
	commands := [][]string{w.enrollArgs(), w.rotateArgs()}
	if strings.HasPrefix(slot, "host") || strings.HasPrefix(slot, "intent") {
		commands = nil // not needed for an active identity, but never written to
		if _, err := w.runCommand(nil, w.enrollArgs()...); err != nil {
			return f, err
		}
	}
	for _, args := range commands {
		o, err := w.runCommand(nil, args...)
		if err != nil {
			return f, err
		}
		if o.Exit != 5 || !strings.Contains(o.Stderr, "newer") {
			f.halves, f.why = f.halves+1, args[0]+": "+o.String()
		}
	}
	if left, err := os.ReadFile(w.keystore(slot)); err != nil || string(left) != string(b) {
		f.lost, f.why = f.lost+1, fmt.Sprintf("the newer file was modified: %v", err)
	}
	if err := w.put(good); err != nil {
		return f, err
	}
	after, err := w.settle(true)
	if f.good() {
		f = after
	}
	return f, err
}
