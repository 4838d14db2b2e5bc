package keystore

import (
	"errors"
	"fmt"
	"slices"
)

// Protection is what opens a store after Reseal. Each secret that is set opens it
// alone. With neither, the protector is the key file.
type Protection struct {
	Credential Secret // what systemd will provide as CredentialName; 16 bytes or more
	Passphrase Secret // the passphrase, or next to a credential the recovery passphrase
}

// Reseal gives the store a new key with the given protection and seals every
// record with it. The protection may be weaker than before, because Reseal is an
// explicit command. The old key keeps opening the records until the last one is
// rewritten, so after an interruption at any instant the store still opens; the
// next Open or Reseal continues from there.
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

// reseal writes a seal file that contains both the old and the new wraps, then
// rewrites the records, then writes the seal file without the old wraps.
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

// addKey adds a key to the seal file. The new wraps also contain the old keys, as
// far as they are known, because there are still records that need them.
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

// resealRecords seals records of an older key with the current one. Records whose
// key is lost are left unchanged, in case it is found again.
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
		f := c.intact[i]
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

// removeOldKeys removes the wraps of older keys from the seal file, and the keys
// from memory, once no record on the disk needs them.
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

// resumeReseal finishes a Reseal that was interrupted and returns whether records
// can be resealed. A failure does not keep the store from opening; it is reported
// to the observer.
func (s *Store) resumeReseal() bool {
	if s.seal == nil || s.sealErr != nil {
		return false
	}
	if s.seal.unfinished() {
		if err := s.resealRecords(); err != nil {
			s.observe(Event{Kind: EventNotDurable, Record: sealName, Err: err})
			return false
		}
		s.removeOldKeys()
	}
	return true
}

// strengthen reseals a store that is protected by less than the options ask for.
// A failure does not keep the store from opening; it is reported to the observer
// and kept in s.weaker.
func (s *Store) strengthen() {
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

// ReplaceLostKey gives a new key to a store whose key is lost, so that it can be
// used again. Records that need the old key stay sealed until they are replaced or
// the old key is found. It fails while the store can be unsealed, and with
// SealWouldWeaken when Options.Seal is auto and would protect the new key by less
// than the old one.
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
	if was := s.lostProtector(); want.strength() < was.strength() && s.options.auto() {
		return &SealError{Reason: SealWouldWeaken, Protector: was, Weaker: want}
	}
	secret, err := s.options.secretFor(want)
	if err != nil {
		return err
	}
	defer clear(secret)
	return s.addKey(map[Protector][]byte{want: secret})
}

// lostProtector is the strongest protector that the files of the store name.
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
			p = max(p, c.intact[c.newest()].protector)
		}
	}
	return p
}
