package keystore

import (
	"errors"
	"fmt"
	"io/fs"
)

// Each record has two slots, name.a and name.b, with the same content outside a
// change. A change goes to one, then to the other; the newest intact one is the
// truth, so a cut between the two leaves the new content or the old, never a
// third thing.
func slotNames(name string) [2]string { return [2]string{name + ".a", name + ".b"} }

// found is the newest content of a record.
type found struct {
	body     []byte
	sequence uint64
	heal     bool // some slot is missing, damaged, older, or lies in a temporary file
}

// readPair reads both slots, and what an interrupted write left beside them: an
// intact temporary file was complete on the disk before its rename was lost,
// and may hold the only copy of a token.
func (s *Store) readPair(name string) (found, error) {
	var best found
	var faults []error
	intact, present := 0, 0
	for i, file := range [4]string{name + ".a", name + ".b", name + ".a" + tempSuffix, name + ".b" + tempSuffix} {
		debris := i >= 2
		b, err := s.dir.read(file)
		if errors.Is(err, fs.ErrNotExist) {
			if !debris {
				best.heal = true
			}
			continue
		}
		present++
		var body []byte
		var sl slot
		if err == nil {
			if sl, err = decodeSlot(b); err == nil {
				body, err = sl.open(name, s.storeKey)
			}
		}
		if err != nil {
			best.heal = true
			if !debris {
				s.observe(Event{Kind: EventFallback, Reason: reasonOf(err)})
			}
			faults = append(faults, fmt.Errorf("%s: %w", file, err))
			continue
		}
		intact++
		if debris || (intact > 1 && sl.sequence != best.sequence) {
			best.heal = true
		}
		if intact == 1 || sl.sequence > best.sequence {
			best.body, best.sequence = body, sl.sequence
		}
	}
	switch {
	case present == 0:
		return found{}, fmt.Errorf("%w: %s", ErrNotFound, name)
	case intact == 0:
		return found{}, verdictOf(errors.Join(faults...))
	}
	return best, nil
}

// verdictOf names the worst thing that is wrong with a record no copy of which
// can be used.
func verdictOf(err error) error {
	for _, known := range []error{ErrNewerFormat, ErrSealed} {
		if errors.Is(err, known) {
			return err
		}
	}
	return fmt.Errorf("%w: %w", ErrDamaged, err)
}

func reasonOf(err error) string {
	if errors.Is(err, ErrSealed) {
		return "unseal"
	}
	return "checksum"
}

// load reads a record and heals what is wrong beside the good copy. Healing that
// fails (a full or read-only disk) is told and does not spoil the reading.
func (s *Store) load(name string) ([]byte, error) {
	f, err := s.readPair(name)
	if err != nil {
		return nil, err
	}
	if f.heal {
		if err := s.writePair(name, f.sequence, s.protectorOf(name), f.body); err != nil {
			s.observe(Event{Kind: EventNotDurable, Err: err})
		} else {
			s.observe(Event{Kind: EventHealed})
		}
	}
	return f.body, nil
}

// save writes new content with the next sequence to both slots and reads it back.
func (s *Store) save(name string, body []byte) error {
	if err := s.ensureStoreKey(); err != nil {
		return err
	}
	sequence := uint64(1)
	if old, err := s.readPair(name); err == nil {
		sequence = old.sequence + 1
	}
	if err := s.writePair(name, sequence, s.protectorOf(name), body); err != nil {
		s.observe(Event{Kind: EventNotDurable, Err: err})
		return fmt.Errorf("keystore: %w", err)
	}
	back, err := s.readPair(name)
	if err != nil || back.sequence != sequence || string(back.body) != string(body) {
		return fmt.Errorf("keystore: %s was written but reads back differently: %w", name, errors.Join(err, ErrDamaged))
	}
	return nil
}

func (s *Store) writePair(name string, sequence uint64, p protector, body []byte) error {
	content, err := encodeSlot(name, sequence, p, s.storeKey, body)
	if err != nil {
		return err
	}
	if len(content) > maxRecord {
		return fmt.Errorf("%s is %d bytes long, more than a record can be", name, len(content))
	}
	for _, file := range slotNames(name) {
		err := s.dir.writeDurable(file, content)
		s.observe(Event{Kind: EventWrite, Bytes: len(content), Err: err})
		if err != nil {
			return err
		}
	}
	return nil
}

// drop removes a record and every trace of it.
func (s *Store) drop(name string) error {
	for _, file := range slotNames(name) {
		for _, f := range []string{file + tempSuffix, file} {
			if err := s.dir.remove(f); err != nil {
				return fmt.Errorf("keystore: %w", err)
			}
		}
	}
	return nil
}
