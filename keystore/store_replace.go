package keystore

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// replacement is a key that will become the store's once there is something to seal
// with it. Until then the disk has only the journals that were sealed with it.
type replacement struct {
	machine  string
	key      *storeKey
	seal     *sealFile
	journals map[string][2][]byte // the slots of an intent before; nil: there was none
}

// PrepareNewKey prepares a new key for a store whose key is lost, for the given
// machine. It changes nothing on the disk: the key becomes the store's with the first
// PutAgent or DropAgent of this machine, which first keeps the old seal files under
// names such as seal.a.lost-1. Until then only its journal can be written, and
// DropIntent takes it back. Records that need the old key stay sealed until they are
// replaced or the old key is found.
//
// It fails while the store can be unsealed; with ErrUnreadable when it is only not
// known whether the key is lost; with SealWouldWeaken when Options.Seal is auto and
// would protect the new key by less than the old one; and, unless others is true,
// with a *KeyNeededError when more than the record of the machine needs the old key.
func (s *Store) PrepareNewKey(machine string, others bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.retry()
	switch {
	case s.closed || s.foreign != nil || errors.Is(s.sealErr, ErrNewerFormat) || errors.Is(s.sealErr, ErrUnreadable):
		s.prepared = nil
		return s.writable()
	case s.sealErr == nil:
		return errors.New("keystore: the store can be unsealed and needs no new key")
	}
	records, err := s.survey()
	if err != nil {
		return err
	}
	for _, r := range records {
		if r.err != nil { // it may still be readable with the old key
			return r.err
		}
	}
	if needed := s.needed(records, machine); needed != nil && !others {
		return needed
	}
	if s.prepared != nil && s.prepared.machine == machine {
		return nil
	}
	want, err := s.options.wantedProtector()
	if err != nil {
		return err
	}
	if was := s.lostProtector(records); want.strength() < was.strength() && s.options.auto() {
		return &SealError{Reason: SealWouldWeaken, Protector: was, Weaker: want}
	}
	secret, err := s.options.secretFor(want)
	if err != nil {
		return err
	}
	defer clear(secret)
	key, f, err := s.nextSeal(map[Protector][]byte{want: secret})
	if err != nil {
		return err
	}
	f.Lost = s.lostKeys(f, records)
	s.prepared = &replacement{machine: machine, key: key, seal: f, journals: map[string][2][]byte{}}
	return nil
}

// lostKeys are the keys in a seal and of the records that are not known.
func (s *Store) lostKeys(f *sealFile, records []recordCopies) [][]byte {
	ids := map[keyID]bool{}
	for id := range f.keys() {
		ids[id] = true
	}
	for _, r := range records {
		for _, fr := range r.frames {
			ids[fr.key] = true
		}
	}
	var lost [][]byte
	for _, id := range slices.SortedFunc(maps.Keys(ids), func(a, b keyID) int { return strings.Compare(string(a[:]), string(b[:])) }) {
		if s.ring.keys[id] == nil && !slices.ContainsFunc(f.signers, func(k *storeKey) bool { return k.id() == id }) {
			lost = append(lost, id[:])
		}
	}
	return lost
}

// needed is what needs the lost key in addition to the record of one machine; nil if
// there is nothing.
func (s *Store) needed(records []recordCopies, machine string) error {
	var e KeyNeededError
	for _, r := range records {
		other, isAgent := strings.CutPrefix(r.name, "agent-")
		if !isAgent && r.name != controllerName || isAgent && other == machine {
			continue
		}
		var newest *frame
		for _, f := range r.frames {
			if newest == nil || f.sequence > newest.sequence {
				newest = f
			}
		}
		if newest == nil || newest.dropped || s.ring.keys[newest.key] != nil {
			continue
		}
		if isAgent {
			e.Machines = append(e.Machines, other)
		} else {
			e.ControllerKey = true
		}
	}
	if !e.ControllerKey && len(e.Machines) == 0 {
		return nil
	}
	slices.Sort(e.Machines)
	return &e
}

// commitKey makes the prepared key the key of the store.
func (s *Store) commitKey() error {
	n := s.prepared
	if n == nil {
		return nil
	}
	if err := s.keepLost(sealName); err != nil {
		return fmt.Errorf("keystore: %w", err)
	}
	if err := s.saveSeal(n.seal); err != nil {
		return err
	}
	s.ring.add(n.key)
	s.prepared, s.sealErr = nil, nil
	s.observe(Event{Kind: EventResealed, Record: sealName, Reason: n.seal.protectorOf(n.key.number).String()})
	return nil
}

// keepLost copies the two slots of a record to names under which they are never read
// and stay until Reset.
func (s *Store) keepLost(name string) error {
	c := copies{name: name}
	for n := 1; n < 100; n++ {
		suffix := fmt.Sprintf("%s%d", lostSuffix, n)
		if s.dir.exists(c.file(0)+suffix) || s.dir.exists(c.file(1)+suffix) {
			continue
		}
		for i := range 2 {
			if !s.dir.exists(c.file(i)) {
				continue
			}
			raw, err := s.dir.read(c.file(i))
			if err == nil {
				err = s.dir.writeDurable(c.file(i)+suffix, raw)
			} else if !errors.Is(err, ErrUnreadable) { // too long to be a record
				err = s.dir.rename(c.file(i), c.file(i)+suffix)
			}
			if err != nil {
				return err
			}
		}
		return nil
	}
	return nil // a hundred are enough
}

const lostSuffix = ".lost-"

// putJournal stores an intent. Under a prepared key it remembers what was there.
func (s *Store) putJournal(name string, f frame) error {
	n := s.prepared
	if n == nil {
		return s.save(f)
	}
	if _, again := n.journals[name]; !again {
		var before [2][]byte
		c := copies{name: name}
		for i := range before {
			raw, err := s.dir.read(c.file(i))
			if errors.Is(err, ErrUnreadable) {
				return err
			}
			before[i] = raw
		}
		n.journals[name] = before
	}
	return s.put(f)
}

// takeBack restores what was there before putJournal under a prepared key, and
// reports whether there was one.
func (s *Store) takeBack(name string) (bool, error) {
	if s.prepared == nil {
		return false, nil
	}
	before, ok := s.prepared.journals[name]
	if !ok {
		return false, nil
	}
	c := copies{name: name}
	for i, raw := range before {
		var err error
		if raw != nil {
			err = s.dir.writeDurable(c.file(i), raw)
		} else {
			err = s.dir.unlink(c.file(i))
		}
		if err != nil {
			return true, fmt.Errorf("keystore: %w", err)
		}
	}
	delete(s.prepared.journals, name)
	if err := s.dir.sync(); err != nil {
		return true, fmt.Errorf("keystore: %w", err)
	}
	return true, nil
}

// lostProtector is the strongest protector that the files of the store name.
func (s *Store) lostProtector(records []recordCopies) Protector {
	p := ProtectorNone
	if s.seal != nil {
		p = s.seal.strongest()
	}
	for _, r := range records {
		for _, f := range r.frames {
			p = max(p, f.protector)
		}
	}
	return p
}
