package keystore

import (
	"errors"
	"fmt"
	"slices"
)

// Protection says what shall open a store from now on; every secret that is
// given opens it alone. Without any it is the key file.
type Protection struct {
	Credential Secret // what the system will hand us as CredentialName; 16 bytes or more
	Passphrase Secret // the passphrase, or beside a credential the recovery passphrase
}

// Reseal gives the store a new key, protected as asked for (which may be weaker:
// it is a spoken act), and seals every record with it. The old key keeps opening
// the records until the last one is rewritten, so that a cut at any instant
// leaves a store that opens; the next Open or Reseal goes on from there.
func (s *Store) Reseal(p Protection) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.writable(); err != nil {
		return err
	}
	if n := len(p.Credential.Reveal()); n > 0 && n < minCredential {
		return fmt.Errorf("keystore: the credential has %d bytes; it needs %d or more", n, minCredential)
	}
	if _, err := s.ensureKey(); err != nil {
		return err
	}
	secrets := map[Protector][]byte{}
	if !p.Credential.IsZero() {
		secrets[ProtectorCredential] = p.Credential.Reveal()
	}
	if !p.Passphrase.IsZero() {
		secrets[ProtectorPassphrase] = p.Passphrase.Reveal()
	}
	if len(secrets) == 0 {
		secrets[ProtectorKeyFile] = nil
	}
	return s.reseal(secrets)
}

// reseal writes a seal in which the old wraps stand beside the new ones, then
// rewrites the records, then writes the seal without the old wraps.
func (s *Store) reseal(secrets map[Protector][]byte) error {
	if err := s.addKey(secrets); err != nil {
		return err
	}
	if err := s.resealRecords(); err != nil {
		return err
	}
	s.removeOldKeys()
	s.observe(Event{Kind: EventResealed, Record: sealName, Reason: s.seal.protectorOf(s.seal.newest()).String()})
	return nil
}

// addKey adds a key to the seal. The new wraps hold the old keys too, as far as
// they are known, since there are still records that need them.
func (s *Store) addKey(secrets map[Protector][]byte) error {
	f := &sealFile{}
	if s.seal != nil {
		f.Store, f.Wraps = s.seal.Store, slices.Clone(s.seal.Wraps)
	}
	key, err := newStoreKey(f.newest() + 1)
	if err != nil {
		return err
	}
	inside := []*storeKey{key}
	for _, k := range s.ring.keys {
		inside = append(inside, k)
	}
	slices.SortFunc(inside, func(a, b *storeKey) int { return int(a.number) - int(b.number) })
	for _, p := range []Protector{ProtectorKeyFile, ProtectorCredential, ProtectorPassphrase} {
		secret, ok := secrets[p]
		if !ok {
			continue
		}
		w, err := newWrap(p, secret, inside)
		if err != nil {
			return err
		}
		f.Wraps = append(f.Wraps, w)
	}
	if err := s.saveSeal(f); err != nil {
		return err
	}
	s.ring.add(key)
	s.sealErr = nil
	return nil
}

// resealRecords seals what is sealed with an older key anew. Records whose key is lost
// stay as they are, for whoever finds it.
func (s *Store) resealRecords() error {
	names, err := s.records()
	if err != nil {
		return err
	}
	for _, name := range names {
		c, i, body, err := s.pick(name)
		if errors.Is(err, ErrSealed) || errors.Is(err, ErrDamaged) || errors.Is(err, ErrNotFound) || errors.Is(err, ErrNewerFormat) {
			continue
		}
		if err != nil {
			return err
		}
		f := c.whole[i]
		if f.key != s.ring.current().id() {
			err = s.put(frame{name: name, dropped: f.dropped, facts: f.facts, body: body})
		}
		clear(body)
		if err != nil {
			return err
		}
	}
	return nil
}

// removeOldKeys removes the wraps of older keys once no record on the disk needs
// them, and the older keys from memory.
func (s *Store) removeOldKeys() {
	key := s.ring.current()
	if s.seal == nil || key == nil || !s.seal.unfinished() {
		return
	}
	used, err := s.usedKeys()
	delete(used, key.id())
	if err != nil || len(used) > 0 {
		return
	}
	f := &sealFile{Store: s.seal.Store}
	for _, w := range s.seal.Wraps {
		if w.newest() == key.number {
			f.Wraps = append(f.Wraps, w)
		}
	}
	if err := s.saveSeal(f); err != nil {
		s.observe(Event{Kind: EventNotDurable, Record: sealName, Err: err})
		return
	}
	for id := range s.ring.keys {
		if id != key.id() {
			clear(s.ring.keys[id].secret)
			delete(s.ring.keys, id)
		}
	}
}

// settleSeal is what Open does beyond reading: it goes on with a resealing that
// was cut, and seals anew a store that is protected worse than the options ask
// for. Neither spoils the opening; both are told.
func (s *Store) settleSeal() {
	if s.seal == nil || s.sealErr != nil {
		return
	}
	if s.seal.unfinished() {
		if err := s.resealRecords(); err != nil {
			s.observe(Event{Kind: EventNotDurable, Record: sealName, Err: err})
			return
		}
		s.removeOldKeys()
	}
	want, err := s.options.wantedProtector()
	if err != nil || want.strength() <= s.seal.protectorOf(s.seal.newest()).strength() {
		return
	}
	secret, err := s.options.secretFor(want)
	if err == nil {
		err = s.reseal(map[Protector][]byte{want: secret})
		clear(secret)
	}
	s.weaker = err
	if err != nil {
		s.observe(Event{Kind: EventWeaker, Record: sealName, Reason: want.String(), Err: err})
	}
}

// ReplaceLostKey makes a store usable again whose key is lost: it gets a new one, and the
// records that needed the old one stay sealed until they are replaced or the old
// key is found. It is refused while the store can be unsealed, and when the
// options are auto and would protect the new key worse than the old one was.
func (s *Store) ReplaceLostKey() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed || s.foreign != nil || errors.Is(s.sealErr, ErrNewerFormat):
		return s.writable()
	case s.sealErr == nil:
		return errors.New("keystore: the store can be unsealed and needs no new key")
	}
	want, err := s.options.wantedProtector()
	if err != nil {
		return err
	}
	if was := s.lostProtector(); want.strength() < was.strength() && (s.options.Seal == "" || s.options.Seal == "auto") {
		return &SealError{Reason: SealWouldWeaken, Protector: was, Weaker: want}
	}
	secret, err := s.options.secretFor(want)
	if err != nil {
		return err
	}
	defer clear(secret)
	return s.addKey(map[Protector][]byte{want: secret})
}

// lostProtector is the strongest protector of which the disk tells.
func (s *Store) lostProtector() Protector {
	p := ProtectorNone
	if s.seal != nil {
		p = s.seal.strongest()
	}
	names, err := s.records()
	if err != nil {
		return p
	}
	for _, name := range names {
		if c, err := s.inspect(name); err == nil && c.newest() >= 0 {
			p = max(p, c.whole[c.newest()].protector)
		}
	}
	return p
}
