package keystore

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"strings"
)

// A record has two slots, name.a and name.b, with the same bytes outside a
// change. The rules, and what each is for:
//
//   - A change goes to one slot, then to the other, with the next sequence; the
//     newest whole frame is the truth. A cut between the two leaves the new
//     content, never a mixture.
//   - At rest both slots are equal, so falling back from a damaged slot cannot
//     bring an older token back to life.
//   - A drop is a change like any other: a frame that says so is written to both
//     slots and stays. Deleting two files could be cut in the middle, and what is
//     left would look like a damaged record that wants to be healed; and a slot
//     that somebody restores later is older than the drop.
//   - A frame under another record's name, or sealed with a key that this store
//     does not have, is not ours: the other slot is used.
//   - A whole temporary file counts: it was complete before its rename was lost,
//     and may hold the only copy of a token.
//   - Healing copies bytes; it never makes new content.
type copies struct {
	name   string
	whole  [4]*frame // slot a, slot b, and the temporary file of each
	faults [4]error  // why a file that is there is not whole
}

func (c *copies) file(i int) string {
	return c.name + [...]string{".a", ".b", ".a" + tempSuffix, ".b" + tempSuffix}[i]
}

// inspect looks at all files of a record. One of a newer format stops everything.
func (s *Store) inspect(name string) (*copies, error) {
	c := &copies{name: name}
	for i := range c.whole {
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
		if err != nil {
			c.faults[i] = fmt.Errorf("%s: %w", c.file(i), err)
			continue
		}
		c.whole[i] = f
	}
	return c, nil
}

// newest is the index of the newest whole frame, -1 for none.
func (c *copies) newest() int {
	best := -1
	for i, f := range c.whole {
		if f != nil && (best < 0 || f.sequence > c.whole[best].sequence) {
			best = i
		}
	}
	return best
}

// discard takes a frame out of the choice.
func (c *copies) discard(i int, why error) {
	c.whole[i], c.faults[i] = nil, fmt.Errorf("%s: %w", c.file(i), why)
}

// next is the sequence of the next change.
func (c *copies) next() (uint64, error) {
	i := c.newest()
	if i < 0 {
		return 1, nil
	}
	if c.whole[i].sequence == math.MaxUint64 {
		return 0, fmt.Errorf("%w: %s has the last sequence there is", ErrDamaged, c.file(i))
	}
	return c.whole[i].sequence + 1, nil
}

// noneIntact is the error for a record without a whole frame. A torn temporary file
// alone is the first write of all, cut: nothing was stored yet.
func (c *copies) noneIntact() error {
	all := errors.Join(c.faults[:]...)
	var sealed *SealError
	var unsafe *UnsafeError
	switch {
	case c.faults[0] == nil && c.faults[1] == nil && !errors.As(all, &sealed):
		return fmt.Errorf("%w: %s", ErrNotFound, c.name)
	case errors.As(all, &sealed):
		return sealed
	case errors.As(all, &unsafe) && !errors.Is(all, errChecksum):
		return all
	}
	return fmt.Errorf("%w: %w", ErrDamaged, all)
}

// heal makes both slots equal to the frame that was chosen. A disk that does not
// take it spoils nothing: the content is known, and the observer is told.
func (s *Store) heal(c *copies, chosen int) {
	f, healthy := c.whole[chosen], true
	for i := range 2 {
		switch {
		case c.faults[i] != nil:
			s.observe(Event{Kind: EventFallback, Record: c.name, Reason: reasonOf(c.faults[i]), Err: c.faults[i]})
		case c.whole[i] == nil:
			s.observe(Event{Kind: EventFallback, Record: c.name, Reason: "missing"})
		}
		healthy = healthy && c.equal(i, f)
	}
	debris := c.debris()
	if healthy && !debris {
		return
	}
	for _, i := range c.order(chosen) {
		if c.equal(i, f) {
			continue
		}
		if err := s.write(c, i, f); err != nil {
			s.observe(Event{Kind: EventNotDurable, Record: c.name, Err: err})
			return
		}
	}
	if err := s.sweep(c); err != nil {
		s.observe(Event{Kind: EventNotDurable, Record: c.name, Err: err})
		return
	}
	s.observe(Event{Kind: EventHealed, Record: c.name, Sequence: f.sequence})
}

func (c *copies) equal(i int, f *frame) bool {
	return c.whole[i] != nil && bytes.Equal(c.whole[i].raw, f.raw)
}

func (c *copies) debris() bool {
	return c.whole[2] != nil || c.whole[3] != nil || c.faults[2] != nil || c.faults[3] != nil
}

// sweep removes temporary files once both slots are good.
func (s *Store) sweep(c *copies) error {
	if !c.debris() {
		return nil
	}
	return errors.Join(s.dir.unlink(c.file(2)), s.dir.unlink(c.file(3)))
}

// order says which slot to write first: never the one that holds the chosen
// frame, nor the one whose temporary file does, since writing removes that.
func (c *copies) order(chosen int) [2]int {
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

// writeBoth makes a change durable. It is done when one slot has it for certain:
// a second try is made for the other, and if that fails too its old content is
// removed, so that no later fallback finds it. With neither slot written the old
// content stands, unless the disk failed so late that nobody can say.
func (s *Store) writeBoth(c *copies, f *frame) error {
	var failed [2]error
	done := 0
	order := c.order(c.newest())
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
			s.observe(Event{Kind: EventNotDurable, Record: c.name, Err: errors.Join(err, s.dir.unlink(c.file(i)), s.dir.sync())})
		}
	}
	return nil
}

func reasonOf(fault error) string {
	if errors.Is(fault, errForged) || errors.Is(fault, ErrSealed) {
		return "unseal"
	}
	return "checksum"
}

// pick chooses the frame of a record and opens it. A frame that was not sealed
// with one of our keys is set aside, as if it were damaged; but while the newest
// key is missing nobody can tell what is ours, and no older copy is taken.
func (s *Store) pick(name string) (c *copies, chosen int, body []byte, err error) {
	if c, err = s.inspect(name); err != nil {
		return nil, -1, nil, err
	}
	for {
		i := c.newest()
		if i < 0 {
			return c, i, nil, c.noneIntact()
		}
		body, err := s.unseal(c.whole[i])
		if err == nil {
			return c, i, body, nil
		}
		if s.sealErr != nil {
			return c, i, nil, s.sealErr
		}
		c.discard(i, err)
	}
}

func (s *Store) unseal(f *frame) ([]byte, error) {
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
		err = errors.Join(err, s.sweep(c)) // what a first write left that was cut
	}
	if err != nil {
		return nil, nil, err
	}
	s.heal(c, i)
	if c.whole[i].dropped {
		return nil, nil, fmt.Errorf("%w: %s", ErrNotFound, name)
	}
	return c.whole[i], body, nil
}

// save stores a record, or its drop, and has read it back when it returns nil.
func (s *Store) save(f frame) error {
	if err := s.put(f); err != nil {
		return err
	}
	s.removeOldKeys()
	return nil
}

func (s *Store) put(f frame) error {
	key, err := s.ensureKey()
	if err != nil {
		return err
	}
	c, _, old, err := s.pick(f.name)
	clear(old)
	if errors.Is(err, ErrNewerFormat) {
		return err // anything else that is wrong with the old content ends with this write
	}
	if f.sequence, err = c.next(); err != nil {
		return err
	}
	f.protector = s.seal.protectorOf(key.number)
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
	if err != nil || !bytes.Equal(back.whole[i].raw, raw) || !bytes.Equal(body, f.body) {
		return fmt.Errorf("keystore: %w: %s reads back differently: %w", ErrUncertain, f.name, errors.Join(err, ErrDamaged))
	}
	return nil
}

// drop stores that a record is gone; dropping what is not there writes nothing.
func (s *Store) drop(name string) error {
	_, body, err := s.load(name)
	clear(body)
	switch {
	case errors.Is(err, ErrNotFound):
		return nil
	case errors.Is(err, ErrNewerFormat):
		return err
	}
	return s.save(frame{name: name, dropped: true})
}

// records returns the names of everything in the store but the seal.
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

// usedKeys are the keys that whole frames on the disk were sealed with.
func (s *Store) usedKeys() (map[keyID]bool, error) {
	names, err := s.records()
	if err != nil {
		return nil, err
	}
	used := map[keyID]bool{}
	for _, name := range names {
		c, err := s.inspect(name)
		if err != nil {
			continue // of a newer format; told when it is read
		}
		for _, f := range c.whole {
			if f != nil && f.protector != ProtectorNone {
				used[f.key] = true
			}
		}
	}
	return used, nil
}
