package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// files are the contents of a store's files, by name.
type files map[string]string

func (w *world) keystore(name string) string { return filepath.Join(w.state, "keystore", name) }

// slots reads all slots of the store.
func (w *world) slots() (files, error) {
	paths, err := filepath.Glob(w.keystore("*.[ab]"))
	if err != nil {
		return nil, err
	}
	f := files{}
	for _, p := range paths {
		b, err := os.ReadFile(p)
		if err != nil {
			return nil, err
		}
		f[filepath.Base(p)] = string(b)
	}
	if len(f) == 0 {
		return nil, fmt.Errorf("%s holds no slot", w.state)
	}
	return f, nil
}

// put replaces the slots of the store.
func (w *world) put(f files) error {
	paths, _ := filepath.Glob(w.keystore("*.[ab]*"))
	for _, p := range paths {
		if _, keep := f[filepath.Base(p)]; !keep {
			if err := os.Remove(p); err != nil {
				return err
			}
		}
	}
	for name, content := range f {
		if err := os.WriteFile(w.keystore(name), []byte(content), 0o600); err != nil {
			return err
		}
	}
	return nil
}

func damageEnrolled(h *harness, r *row) { damage(h, r, false) }

func damageRotated(h *harness, r *row) { damage(h, r, true) }

// slotDamage is one way to damage one slot.
type slotDamage struct {
	slot, what string
	content    *string // nil: removed
}

// slotDamages are all of them: each byte flipped, each length, zeroes, no file.
func slotDamages(good files, step int) []slotDamage {
	var all []slotDamage
	for _, slot := range slices.Sorted(maps.Keys(good)) {
		content := good[slot]
		for i := 0; i < len(content); i += step {
			b := []byte(content)
			b[i] ^= 1 << (i % 8)
			flipped, cut := string(b), content[:i]
			all = append(all, slotDamage{slot, fmt.Sprintf("byte %d flipped", i), &flipped}, slotDamage{slot, fmt.Sprintf("cut to %d", i), &cut})
		}
		zero, empty := strings.Repeat("\x00", len(content)), ""
		all = append(all, slotDamage{slot, "zeroed", &zero}, slotDamage{slot, "empty", &empty}, slotDamage{slot, "removed", nil})
	}
	return all
}

// damage damages one slot at a time and lets enroll find it. Every worker has a
// world of its own, in which the agent must stay the same to the end.
func damage(h *harness, r *row, rotated bool) {
	step := h.pick(40, 1)
	bytes := 0
	h.each(workers, func(part int) {
		w, err := h.newWorld("")
		if err == nil {
			defer w.close()
			_, err = w.enroll()
		}
		if err == nil && rotated {
			_, err = w.rotate()
		}
		var good files
		if err == nil {
			good, err = w.slots()
		}
		if err != nil {
			r.broken(err)
			return
		}
		all := slotDamages(good, step)
		for i := part; i < len(all) && h.ctx.Err() == nil; i += workers {
			d := all[i]
			a, err := w.damaged(good, d)
			if err != nil {
				r.broken(fmt.Errorf("%s: %w", a.what, err))
				return
			}
			r.add(a)
		}
		if part == 0 {
			for _, content := range good {
				bytes += len(content)
			}
			names := strings.Join(slices.Sorted(maps.Keys(good)), ", ")
			r.how = fmt.Sprintf("slots %s (%s bytes), each read by a new process", names, thousands(bytes))
		}
	})
	if step > 1 {
		r.how += fmt.Sprintf("; every %dth byte and length", step)
	}
}

// damaged damages a slot and lets the agent recover; the store must then be what it
// was.
func (w *world) damaged(good files, d slotDamage) (attempt, error) {
	a := attempt{what: d.slot + " " + d.what}
	bad := maps.Clone(good)
	if d.content == nil {
		delete(bad, d.slot)
	} else {
		bad[d.slot] = *d.content
	}
	if err := w.put(bad); err != nil {
		return a, err
	}
	found, err := w.slots()
	if err != nil {
		return a, err
	}
	a.landed = !maps.Equal(found, good)
	if a.finding, err = w.settle(true); err != nil {
		return a, err
	}
	repaired, err := w.slots()
	if err != nil {
		return a, err
	}
	for slot, content := range good {
		// A journal is repaired only when it is read.
		if repaired[slot] != content && a.good() {
			a.halves, a.why = 1, slot+" is not what it was"
		}
	}
	return a, nil
}

// swapRecords puts the files of one machine into the store of another. When one slot
// is foreign the other copy is used; when both are, enroll reports it, and restoring
// the files or a rotate ends it.
func swapRecords(h *harness, r *row) {
	a, b, err := twoMachines(h)
	if err != nil {
		r.broken(err)
		return
	}
	defer a.close()
	defer b.close()
	mine, err := a.slots()
	theirs, err2 := b.slots()
	if err != nil || err2 != nil {
		r.broken(fmt.Errorf("%w, %w", err, err2))
		return
	}
	for _, slot := range slices.Sorted(maps.Keys(mine)) {
		foreign := map[string]string{}
		for from, content := range theirs {
			foreign["the other machine's "+from] = content
		}
		for from, content := range mine {
			if from[:len(from)-2] != slot[:len(slot)-2] {
				foreign["our own "+from] = content
			}
		}
		for _, from := range slices.Sorted(maps.Keys(foreign)) {
			content := foreign[from]
			swapped, err := a.damaged(mine, slotDamage{slot, "holds " + from, &content})
			if err != nil {
				r.broken(err)
				return
			}
			r.add(swapped)
		}
	}
	r.how = "each slot replaced by each slot of another machine, and by each of our other records"
	both(r, a, mine, theirs)
}

func twoMachines(h *harness) (a, b *world, err error) {
	if a, err = h.newWorld(""); err != nil {
		return nil, nil, err
	}
	if b, err = h.newWorld(""); err != nil {
		return nil, nil, err
	}
	for _, w := range []*world{a, b} {
		if _, err := w.enroll(); err != nil {
			return nil, nil, err
		}
	}
	return a, b, nil
}

// both replaces both slots of a record, so that no copy is left. A foreign record is
// rejected with a message and not modified, and everything works again once the
// files are restored; a foreign seal is rejected as well, and one rotate ends it.
func both(r *row, w *world, mine, theirs files) {
	for _, record := range []string{"agent-main", "seal"} {
		mixed := maps.Clone(mine)
		mixed[record+".a"], mixed[record+".b"] = theirs[record+".a"], theirs[record+".b"]
		f, err := w.swappedBoth(mixed, record == "seal")
		if err == nil && record != "seal" {
			err = w.put(mine)
		}
		var after finding
		if err == nil {
			after, err = w.settle(record != "seal")
		}
		if err != nil {
			r.broken(err)
			return
		}
		if f.good() {
			f = after
		}
		r.add(attempt{"both slots of " + record + " are another machine's", !maps.Equal(mixed, mine), f})
	}
	r.how += "; both slots of a record at once: enroll reports an error; restoring them, or for the seal one rotate, ends it"
}

// swappedBoth checks that enroll fails with a message, and that rotate recovers
// (when it can) or fails with one as well.
func (w *world) swappedBoth(mixed files, recovers bool) (f finding, err error) {
	if err := w.put(mixed); err != nil {
		return f, err
	}
	for _, args := range [][]string{w.enrollArgs(), w.rotateArgs()} {
		o, err := w.runCommand(nil, args...)
		if err != nil {
			return f, err
		}
		if recovered := recovers && args[0] == "rotate"; (o.Exit == 0) != recovered || (!recovered && o.Stderr == "") {
			f.halves, f.why = 1, args[0]+": "+o.String()
		}
	}
	left, err := w.slots()
	if !recovers && err == nil && !maps.Equal(left, mixed) {
		f.lost, f.why = 1, "the foreign record was written to"
	}
	return f, err
}
