package keystore

import (
	"errors"
	"fmt"
	"strings"
)

const hostName = "host"

// usable is ready for reading: what cannot be unsealed says so record by record.
func (s *Store) usable() error {
	if s.closed || s.foreign != nil {
		return s.ready()
	}
	return nil
}

// settleHost compares the host with the one that the store was made on: two
// facts that differ make it foreign, one is taken over. A store with records
// that knows no host yet learns this one.
func (s *Store) settleHost() {
	now := s.options.Host
	if now == nil || s.sealErr != nil || s.ring.current() == nil {
		return
	}
	var old Host
	err := s.readJSON(hostName, &old, nil)
	if errors.Is(err, ErrNotFound) || errors.Is(err, ErrDamaged) || errors.Is(err, ErrSealed) {
		s.learnHost(*now, "first seen")
		return
	}
	if err != nil {
		s.foreign = err
		return
	}
	v := Compare(old, *now)
	switch {
	case v.Quarantine:
		s.foreign = &ForeignHostError{Factors: v.Differs}
	case v.Learn != nil:
		s.learnHost(*v.Learn, strings.Join(v.Differs, ", "))
	}
}

func (s *Store) learnHost(h Host, why string) {
	if err := s.writeJSON(hostName, h, nil); err != nil {
		s.observe(Event{Kind: EventNotDurable, Record: hostName, Err: err})
		return
	}
	s.observe(Event{Kind: EventRelearnt, Record: hostName, Reason: why})
}

// Adopt takes this host for the store's own: the machine is the same, its
// hardware was replaced. It ends a quarantine.
func (s *Store) Adopt() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return s.ready()
	case s.sealErr != nil:
		return s.sealErr
	case s.options.Host == nil:
		s.foreign = nil
		return nil
	}
	if err := s.writeJSON(hostName, *s.options.Host, nil); err != nil {
		return fmt.Errorf("keystore: this host could not be adopted: %w", err)
	}
	s.foreign = nil
	return nil
}

// Reset forgets everything: first the key, so that nothing opens any more, then
// the records. The store is empty afterwards and usable; cut in the middle it is
// sealed for good, and Reset again ends it. It does not ask whether the
// controller key has another copy.
func (s *Store) Reset() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return s.ready()
	}
	names, err := s.records()
	if err != nil {
		return fmt.Errorf("keystore: %w", err)
	}
	for _, name := range append([]string{sealName, probeName}, names...) {
		c := copies{name: name}
		var faults []error
		for i := range c.whole {
			faults = append(faults, s.dir.scrub(c.file(i)))
		}
		if err := errors.Join(append(faults, s.dir.sync())...); err != nil {
			return fmt.Errorf("keystore: %w", err)
		}
	}
	s.ring.wipe()
	s.seal, s.sealErr, s.weaker, s.foreign = nil, nil, nil, nil
	return nil
}
