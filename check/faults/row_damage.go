package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// files is what lies in a store, by name.
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

// put makes the slots those.
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

func damageEnrolled(l *lab, r *row) { damage(l, r, false) }

func damageRotated(l *lab, r *row) { damage(l, r, true) }

// harm is one way to spoil one slot.
type harm struct {
	slot, what string
	content    *string // nil: removed
}

// harms are all of them: each byte flipped, each length, zeroes, nothing.
func harms(good files, step int) []harm {
	var all []harm
	for _, slot := range slices.Sorted(maps.Keys(good)) {
		content := good[slot]
		for i := 0; i < len(content); i += step {
			b := []byte(content)
			b[i] ^= 1 << (i % 8)
			flipped, cut := string(b), content[:i]
			all = append(all, harm{slot, fmt.Sprintf("byte %d flipped", i), &flipped}, harm{slot, fmt.Sprintf("cut to %d", i), &cut})
		}
		zero, empty := strings.Repeat("\x00", len(content)), ""
		all = append(all, harm{slot, "zeroed", &zero}, harm{slot, "empty", &empty}, harm{slot, "removed", nil})
	}
	return all
}

// damage spoils one slot at a time and lets enroll find it. Every worker has a
// world of its own, in which the agent must stay the same to the end.
func damage(l *lab, r *row, rotated bool) {
	step := l.pick(40, 1)
	bytes := 0
	l.each(workers, func(part int) {
		w, err := l.newWorld("")
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
		all := harms(good, step)
		for i := part; i < len(all) && l.ctx.Err() == nil; i += workers {
			h := all[i]
			f, err := w.harmed(good, h)
			if err != nil {
				r.broken(fmt.Errorf("%s %s: %w", h.slot, h.what, err))
				return
			}
			r.add(h.slot+" "+h.what, f)
		}
		if part == 0 {
			for _, content := range good {
				bytes += len(content)
			}
			r.how = fmt.Sprintf("slots %s (%s bytes), each found by a new process", strings.Join(slices.Sorted(maps.Keys(good)), ", "), thousands(bytes))
		}
	})
	if step > 1 {
		r.how += fmt.Sprintf("; every %dth byte and length", step)
	}
}

// harmed spoils, settles, and wants the store healed to what it was.
func (w *world) harmed(good files, h harm) (finding, error) {
	bad := maps.Clone(good)
	if h.content == nil {
		delete(bad, h.slot)
	} else {
		bad[h.slot] = *h.content
	}
	if err := w.put(bad); err != nil {
		return finding{}, err
	}
	f, err := w.settle(true)
	if err != nil {
		return f, err
	}
	healed, err := w.slots()
	if err != nil {
		return f, err
	}
	for slot, content := range good {
		// A journal that nobody reads is not healed before somebody does.
		if healed[slot] != content && f.good() {
			f.halves, f.why = 1, slot+" is not what it was"
		}
	}
	return f, nil
}

// swapRecords puts the files of one machine into the store of another: one slot
// is a fallback, both are told, and force or rotate ends it.
func swapRecords(l *lab, r *row) {
	a, b, err := twoMachines(l)
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
			f, err := a.harmed(mine, harm{slot, "holds " + from, &content})
			if err != nil {
				r.broken(err)
				return
			}
			r.add(slot+" holds "+from, f)
		}
	}
	r.how = "each slot replaced by each slot of another machine, and by each of our other records"
	both(r, a, mine, theirs)
}

func twoMachines(l *lab) (a, b *world, err error) {
	if a, err = l.newWorld(""); err != nil {
		return nil, nil, err
	}
	if b, err = l.newWorld(""); err != nil {
		return nil, nil, err
	}
	for _, w := range []*world{a, b} {
		if _, err := w.enroll(); err != nil {
			return nil, nil, err
		}
	}
	return a, b, nil
}

// both replaces both slots of a record, which no copy can mend. A foreign record
// is refused with a sentence and not touched, and all is well once the files are
// back; a foreign seal is refused, too, and one rotate ends it.
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
		r.add("both slots of "+record+" are another machine's", f)
	}
	r.how += "; both slots of a record at once: enroll refuses with a sentence, and putting them back, or for the seal one rotate, ends it"
}

// swappedBoth wants enroll to refuse, and rotate to mend or to refuse.
func (w *world) swappedBoth(mixed files, mends bool) (f finding, err error) {
	if err := w.put(mixed); err != nil {
		return f, err
	}
	for _, args := range [][]string{w.enrollArgs(), w.rotateArgs()} {
		o, err := w.verb(nil, args...)
		if err != nil {
			return f, err
		}
		if mended := mends && args[0] == "rotate"; (o.exit == 0) != mended || (!mended && o.stderr == "") {
			f.halves, f.why = 1, args[0]+": "+o.String()
		}
	}
	left, err := w.slots()
	if !mends && err == nil && !maps.Equal(left, mixed) {
		f.lost, f.why = 1, "the foreign record was written to"
	}
	return f, err
}
