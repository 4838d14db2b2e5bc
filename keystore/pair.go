package keystore

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"strings"
)

// A record has two slots, the files name.a and name.b, which contain the same bytes
// except during a change. The rules, and the reason for each:
//
//   - A change is written to one slot, then to the other, with the next sequence
//     number. The intact frame with the highest sequence is the record. A power cut
//     between the two leaves the new content, never a mixture.
//   - At rest both slots are equal, so a fallback from a damaged slot cannot bring
//     back an older token.
//   - A drop is a change like any other: a frame with the state "dropped" is written
//     to both slots and stays there. Deleting two files could be interrupted between
//     them, and the file left over would look like a damaged record that has to be
//     healed. A slot that is restored from a backup later is older than the drop.
//   - A frame with another record's name, or sealed with a key that this store does
//     not have, does not belong to this record: the other slot is used.
//   - An intact temporary file is a copy like the slots: it was complete before its
//     rename was lost, and may be the only copy of a token.
//   - Healing copies bytes; it never makes new content.
//
// copies is what is found on the disk for one record. The index is 0 and 1 for the
// slots a and b, 2 and 3 for their temporary files.
type copies struct {
	name   string
	intact [4]*frame // nil if the file is missing or not intact
	faults [4]error  // why a file that exists is not intact
}

func (c *copies) file(i int) string {
	return c.name + [...]string{".a", ".b", ".a" + tempSuffix, ".b" + tempSuffix}[i]
}

// inspect reads all files of a record. If one of them has a newer format, it returns
// ErrNewerFormat.
func (s *Store) inspect(name string) (*copies, error) {
	c := &copies{name: name}
	for i := range c.intact {
		raw, err := s.dir.read(c.file(i))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		var f *frame
		if err == nil {
			f, err = decodeFrame(raw)
		}
		if err == nil && f.name != name {
			err = errOtherName
		}
		if errors.Is(err, ErrNewerFormat) {
			return nil, fmt.Errorf("%s: %w", s.dir.path(c.file(i)), err)
		}
		var unsafe *UnsafeError
		if i >= 2 && errors.As(err, &unsafe) && (unsafe.Problem == FileIsLink || unsafe.Problem == FileNotRegular) {
			err = errNotAFrame // we make no such temporary file
		}
		if err != nil {
			c.faults[i] = fmt.Errorf("%s: %w", c.file(i), err)
			continue
		}
		c.intact[i] = f
	}
	return c, nil
}

// newest is the index of the intact frame with the highest sequence, -1 for none.
func (c *copies) newest() int {
	best := -1
	for i, f := range c.intact {
		if f != nil && (best < 0 || f.sequence > c.intact[best].sequence) {
			best = i
		}
	}
	return best
}

// discard treats an intact frame as damaged.
func (c *copies) discard(i int, why error) {
	c.intact[i], c.faults[i] = nil, fmt.Errorf("%s: %w", c.file(i), why)
}

// next is the sequence number of the next change.
func (c *copies) next() (uint64, error) {
	i := c.newest()
	if i < 0 {
		return 1, nil
	}
	if c.intact[i].sequence == math.MaxUint64 {
		return 0, fmt.Errorf("%w: %s has the highest possible sequence number", ErrDamaged, c.file(i))
	}
	return c.intact[i].sequence + 1, nil
}

// unreadable is the error of a file that exists and cannot be read now, nil if all
// can. What it holds is not known, so it is neither damaged nor lost.
func (c *copies) unreadable() error {
	for _, err := range c.faults {
		var unreadable *UnreadableError
		if errors.As(err, &unreadable) {
			return unreadable
		}
	}
	return nil
}

// noneIntact is the error for a record without an intact frame. If there is only a
// damaged temporary file, the very first write was interrupted: nothing is stored yet.
func (c *copies) noneIntact() error {
	all := errors.Join(c.faults[:]...)
	var sealed *SealError
	switch {
	case c.unreadable() != nil:
		return c.unreadable()
	case c.faults[0] == nil && c.faults[1] == nil && !errors.As(all, &sealed):
		return fmt.Errorf("%w: %s", ErrNotFound, c.name)
	case errors.As(all, &sealed):
		return sealed
	}
	return fmt.Errorf("%w: %w", ErrDamaged, all)
}

// heal makes both slots equal to the chosen frame. If the disk refuses the write,
// nothing is lost: the content was read, and the failure is reported to the observer.
func (s *Store) heal(c *copies, chosen int) {
	f, healthy := c.intact[chosen], true
	for i := range 2 {
		switch {
		case c.faults[i] != nil:
			s.observe(Event{Kind: EventFallback, Record: c.name, Reason: reasonOf(c.faults[i]), Err: c.faults[i]})
		case c.intact[i] == nil:
			s.observe(Event{Kind: EventFallback, Record: c.name, Reason: "missing"})
		}
		healthy = healthy && c.matches(i, f)
	}
	if healthy && !c.hasTemps() {
		return
	}
	for _, i := range c.writeOrder(chosen) {
		if c.matches(i, f) {
			continue
		}
		if err := s.write(c, i, f); err != nil {
			s.observe(Event{Kind: EventNotDurable, Record: c.name, Err: err})
			return
		}
	}
	if err := s.removeTemps(c); err != nil {
		s.observe(Event{Kind: EventNotDurable, Record: c.name, Err: err})
		return
	}
	s.observe(Event{Kind: EventHealed, Record: c.name, Sequence: f.sequence})
}

func (c *copies) matches(i int, f *frame) bool {
	return c.intact[i] != nil && bytes.Equal(c.intact[i].raw, f.raw)
}

func (c *copies) hasTemps() bool {
	return c.intact[2] != nil || c.intact[3] != nil || c.faults[2] != nil || c.faults[3] != nil
}

// removeTemps removes temporary files, once both slots are intact.
func (s *Store) removeTemps(c *copies) error {
	if !c.hasTemps() {
		return nil
	}
	return errors.Join(s.dir.unlink(c.file(2)), s.dir.unlink(c.file(3)))
}

// writeOrder is the order in which to write the slots. The first is not the slot
// with the chosen frame, nor the one whose temporary file is the chosen frame, since
// writing a slot removes its temporary file.
func (c *copies) writeOrder(chosen int) [2]int {
	if chosen == 0 || chosen == 2 {
		return [2]int{1, 0}
	}
	return [2]int{0, 1}
}

func (s *Store) write(c *copies, slot int, f *frame) error {
	err := s.dir.writeDurable(c.file(slot), f.raw)
	e := Event{Kind: EventWrite, Record: c.name, Bytes: len(f.raw), Sequence: f.sequence, Err: err}
	if err != nil {
		e.Bytes = 0
	}
	s.observe(e)
	return err
}

// writeBoth makes a change durable. It succeeds when one slot certainly has the new
// content: then a second attempt is made for the other slot, and if that also fails,
// its old content is removed, so that no later fallback finds it. If neither slot was
// written, the old content remains, or the error is ErrUncertain because the disk
// failed after a rename.
func (s *Store) writeBoth(c *copies, f *frame) error {
	var failed [2]error
	done := 0
	order := c.writeOrder(c.newest())
	for _, i := range order {
		if failed[i] = s.write(c, i, f); failed[i] == nil {
			done++
		}
	}
	if done == 0 {
		err := errors.Join(failed[order[0]], failed[order[1]])
		s.observe(Event{Kind: EventNotDurable, Record: c.name, Err: err})
		return fmt.Errorf("keystore: %w", err)
	}
	for _, i := range order {
		if failed[i] == nil {
			continue
		}
		if err := s.write(c, i, f); err != nil {
			err = errors.Join(err, s.dir.unlink(c.file(i)), s.dir.sync())
			s.observe(Event{Kind: EventNotDurable, Record: c.name, Err: err})
		}
	}
	return nil
}

// reasonOf is the reason of an EventFallback.
func reasonOf(fault error) string {
	if errors.Is(fault, errForged) || errors.Is(fault, ErrSealed) {
		return "unseal"
	}
	return "checksum"
}

// pick chooses the frame of a record and unseals it. A frame that was not sealed
// with a key of this store is treated as damaged. But while the newest key is
// missing it cannot be known which frames belong to this store, and no older copy
// is used.
func (s *Store) pick(name string) (c *copies, chosen int, body []byte, err error) {
	if c, err = s.inspect(name); err != nil {
		return nil, -1, nil, err
	}
	for {
		i := c.newest()
		if i < 0 {
			return c, i, nil, c.noneIntact()
		}
		body, err := s.unseal(c.intact[i])
		if err == nil {
			return c, i, body, nil
		}
		if s.sealErr != nil {
			return c, i, nil, s.sealErr
		}
		c.discard(i, err)
	}
}

// unseal opens a frame with its key, unless the store is protected by less than when
// the frame was written.
func (s *Store) unseal(f *frame) ([]byte, error) {
	if n := s.prepared; n != nil && n.key.id() == f.key && f.protector != ProtectorNone {
		return f.unseal(n.key)
	}
	key := s.ring.keys[f.key]
	switch {
	case f.protector == ProtectorNone:
		return nil, errForged
	case key == nil:
		return nil, &SealError{Reason: SealKeyUnknown}
	case f.protector.strength() > s.seal.strongest().strength():
		return nil, &SealError{Reason: SealNowWeaker, Protector: f.protector}
	}
	return f.unseal(key)
}

// load reads a record and heals its copies.
func (s *Store) load(name string) (*frame, []byte, error) {
	c, i, body, err := s.pick(name)
	if errors.Is(err, ErrNotFound) {
		err = errors.Join(err, s.removeTemps(c)) // left behind by a first write that was interrupted
	}
	if err != nil {
		return nil, nil, err
	}
	s.heal(c, i)
	if c.intact[i].dropped {
		return nil, nil, fmt.Errorf("%w: %s", ErrNotFound, name)
	}
	return c.intact[i], body, nil
}

// save stores a record, or its drop. When it returns nil, the record was read back.
// With a prepared key it first makes that the key of the store.
func (s *Store) save(f frame) error {
	if err := s.commitKey(); err != nil {
		return err
	}
	if err := s.put(f); err != nil {
		return err
	}
	s.removeOldKeys()
	return nil
}

// put is save without a change of the store's keys.
func (s *Store) put(f frame) error {
	key, err := s.ensureKey()
	if err != nil {
		return err
	}
	c, _, old, err := s.pick(f.name)
	clear(old)
	switch {
	case errors.Is(err, ErrNewerFormat), errors.Is(err, ErrUnreadable):
		return err // any other fault of the old content ends with this write
	case err != nil && !errors.Is(err, ErrNotFound) && s.prepared == nil:
		if err := s.keepLost(f.name); err != nil {
			return fmt.Errorf("keystore: %w", err)
		}
	}
	if f.sequence, err = c.next(); err != nil {
		return err
	}
	if s.prepared != nil {
		f.protector = s.prepared.seal.protectorOf(key.number)
	} else {
		f.protector = s.seal.protectorOf(key.number)
	}
	raw, err := encodeFrame(f, key)
	if err != nil {
		return err
	}
	sealed, err := decodeFrame(raw)
	if err != nil {
		return err
	}
	if err := s.writeBoth(c, sealed); err != nil {
		return err
	}
	back, i, body, err := s.pick(f.name)
	defer clear(body)
	if err != nil || !bytes.Equal(back.intact[i].raw, raw) || !bytes.Equal(body, f.body) {
		return fmt.Errorf("keystore: %w: %s reads back differently: %w", ErrUncertain, f.name, errors.Join(err, ErrDamaged))
	}
	return nil
}

// drop replaces a record by a frame with the state "dropped". If the record does not
// exist, nothing is written.
func (s *Store) drop(name string) error {
	_, body, err := s.load(name)
	clear(body)
	switch {
	case errors.Is(err, ErrNotFound):
		return nil
	case errors.Is(err, ErrNewerFormat), errors.Is(err, ErrUnreadable):
		return err
	}
	return s.save(frame{name: name, dropped: true})
}

// records returns the names of all records in the store except the seal.
func (s *Store) records() ([]string, error) {
	files, err := s.dir.list()
	if err != nil {
		return nil, err
	}
	var names []string
	seen := map[string]bool{sealName: true}
	for _, file := range files {
		name := strings.TrimSuffix(file, tempSuffix)
		base, ok := strings.CutSuffix(name, ".a")
		if !ok {
			base, ok = strings.CutSuffix(name, ".b")
		}
		if ok && !seen[base] && isRecord(base) {
			seen[base] = true
			names = append(names, base)
		}
	}
	return names, nil
}

// recordCopies is what is on the disk of one record.
type recordCopies struct {
	name   string
	frames []*frame // intact and sealed
	err    error    // why it cannot be known what else it has: unreadable, or of a newer format
}

// survey reads all records, without unsealing them.
func (s *Store) survey() ([]recordCopies, error) {
	names, err := s.records()
	if err != nil {
		return nil, err
	}
	all := make([]recordCopies, 0, len(names))
	for _, name := range names {
		r := recordCopies{name: name}
		c, err := s.inspect(name)
		if err != nil {
			r.err = err
			all = append(all, r)
			continue
		}
		r.err = c.unreadable()
		for _, f := range c.intact {
			if f != nil && f.protector != ProtectorNone {
				r.frames = append(r.frames, f)
			}
		}
		all = append(all, r)
	}
	return all, nil
}

// usedKeys are the keys that intact frames on the disk were sealed with, and the
// error of a record whose frames cannot be read now, which may need any key.
func (s *Store) usedKeys() (used map[keyID]bool, unknown, err error) {
	all, err := s.survey()
	if err != nil {
		return nil, nil, err
	}
	used = map[keyID]bool{}
	for _, r := range all {
		if r.err != nil {
			unknown = r.err
		}
		for _, f := range r.frames {
			used[f.key] = true
		}
	}
	return used, unknown, nil
}
