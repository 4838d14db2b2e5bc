package keystore

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

const hostName = "host"

// checkHost compares this host with the one that the store was made on; see
// compareHosts. A store that has records but no facts of a host yet stores those of
// this one.
func (s *Store) checkHost() {
	now := s.options.Host
	if errors.Is(s.foreign, ErrUnreadable) {
		s.foreign = nil
	}
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
	v := compareHosts(old, *now)
	s.differs = nil
	switch {
	case v.Doubtful:
		s.differs = v.Differs
		s.observe(Event{Kind: EventHostDiffers, Record: hostName, Reason: strings.Join(v.Differs, ", ")})
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

// HostDiffers names the only known fact of this host's hardware if it differs from
// what the store knows. The store can be used, but it may be a copy; AdoptHost ends it.
func (s *Store) HostDiffers() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.differs)
}

// AdoptHost stores the facts of this host as those of the store's machine and so
// ends a quarantine: the machine is the same, its hardware was replaced.
func (s *Store) AdoptHost() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return s.writable()
	case s.sealErr != nil:
		return s.sealErr
	case s.options.Host == nil:
		s.foreign = nil
		return nil
	}
	if err := s.writeJSON(hostName, *s.options.Host, nil); err != nil {
		return fmt.Errorf("keystore: this host could not be adopted: %w", err)
	}
	s.foreign, s.differs = nil, nil
	return nil
}
