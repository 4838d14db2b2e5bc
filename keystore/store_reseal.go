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
	if _, unknown, err := s.usedKeys(); err != nil || unknown != nil {
		return errors.Join(err, unknown) // its record would be left behind with the old key
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

// addKey adds a key to the seal file.
func (s *Store) addKey(secrets map[Protector][]byte) error {
	key, f, err := s.nextSeal(secrets)
	if err != nil {
		return err
	}
	if err := s.saveSeal(f); err != nil {
		return err
	}
	s.ring.add(key)
	s.sealErr = nil
	return nil
}

// nextSeal is the seal file with one more key. The new wraps also contain the old
// keys, as far as they are known, because there are still records that need them.
func (s *Store) nextSeal(secrets map[Protector][]byte) (*storeKey, *sealFile, error) {
	f := &sealFile{}
	if s.seal != nil {
		f.Store, f.Wraps, f.Lost = s.seal.Store, slices.Clone(s.seal.Wraps), slices.Clone(s.seal.Lost)
	}
	key, err := newStoreKey(f.newest() + 1)
	if err != nil {
		return nil, nil, err
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
			return nil, nil, err
		}
		f.Wraps = append(f.Wraps, w)
	}
	f.signers = []*storeKey{key}
	return key, f, nil
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
		if errors.Is(err, ErrSealed) || errors.Is(err, ErrDamaged) || errors.Is(err, ErrNotFound) || errors.Is(err, ErrNewerFormat) ||
			errors.Is(err, ErrUnreadable) {
			continue
		}
		if err != nil {
			return err
		}
		f := c.intact[i]
		if f.key != s.ring.current().id() || f.version < formatVersion {
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
// from memory, once no record on the disk needs them. A record that cannot be read
// now may need any of them.
func (s *Store) removeOldKeys() {
	key := s.ring.current()
	if s.seal == nil || key == nil || !s.seal.unfinished() && len(s.seal.Lost) == 0 {
		return
	}
	used, unknown, err := s.usedKeys()
	if err != nil || unknown != nil {
		return
	}
	f := &sealFile{Store: s.seal.Store}
	needed := false
	for id := range s.seal.keys() {
		needed = needed || id != key.id() && used[id]
	}
	for _, w := range s.seal.Wraps {
		if needed || w.newest() == key.number {
			f.Wraps = append(f.Wraps, w)
		}
	}
	for _, id := range s.seal.Lost {
		if used[keyID(id)] {
			f.Lost = append(f.Lost, id)
		}
	}
	if len(f.Wraps) == len(s.seal.Wraps) && len(f.Lost) == len(s.seal.Lost) {
		return
	}
	if err := s.saveSeal(f); err != nil {
		s.observe(Event{Kind: EventNotDurable, Record: sealName, Err: err})
		return
	}
	if needed {
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
