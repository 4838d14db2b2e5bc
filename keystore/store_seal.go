package keystore

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
)

const sealName = "seal"

// loadSeal reads the seal file, unwraps the keys it can and checks that it is
// authentic. Why keys cannot be unwrapped is kept in s.sealErr and returned by the
// calls that need them: a store that cannot be unsealed still opens, so that the
// process that owns it can report why. A seal heals its other copy only once it is
// known to be authentic.
func (s *Store) loadSeal() {
	s.ring.wipe()
	s.seal, s.sealErr = nil, nil
	c, err := s.inspect(sealName)
	if err != nil {
		s.sealErr = err
		return
	}
	f, err := s.chooseSeal(c)
	if err != nil {
		s.sealErr = err
		return
	}
	i := c.newest()
	if i < 0 {
		s.sealErr = s.missingSealError(c.noneIntact())
		return
	}
	records, err := s.survey()
	if err != nil {
		s.sealErr = err
		return
	}
	s.seal = f
	s.unwrapAll()
	if s.sealErr != nil {
		return
	}
	named := ProtectorNone
	if !s.options.auto() {
		named = protectorNamed(s.options.Seal)
	}
	if !believed(c.intact[i], f, &s.ring, records, named) {
		s.ring.wipe()
		s.seal, s.sealErr = nil, &SealError{Reason: SealChanged, Path: s.dir.path(c.file(i))}
		return
	}
	s.heal(c, i)
	s.upgrade(c.intact[i], records)
}

// upgrade gives a seal of format 1 its MACs, and then its records format 2, which
// shows that a seal without MACs is not theirs. A failure is reported to the
// observer, and the next opening tries again.
func (s *Store) upgrade(fr *frame, records []recordCopies) {
	var err error
	if fr.version < 2 {
		err = s.saveSeal(&sealFile{Store: s.seal.Store, Wraps: s.seal.Wraps, Lost: s.seal.Lost})
	}
	old := slices.ContainsFunc(records, func(r recordCopies) bool {
		return slices.ContainsFunc(r.frames, func(f *frame) bool { return f.version < 2 && s.ring.keys[f.key] != nil })
	})
	if err == nil && old {
		err = s.resealRecords()
	}
	if err != nil {
		s.observe(Event{Kind: EventNotDurable, Record: sealName, Err: err})
	}
}

// chooseSeal discards frames that contain no seal and returns the seal in the newest
// one. If the frames are of two stores, the one that contains a key of this store's
// records is used.
func (s *Store) chooseSeal(c *copies) (*sealFile, error) {
	var parsed [4]*sealFile
	stores := map[string]bool{}
	for i, f := range c.intact {
		if f == nil {
			continue
		}
		var err error
		if parsed[i], err = parseSeal(f); err != nil {
			c.discard(i, err)
			continue
		}
		stores[parsed[i].Store] = true
	}
	if len(stores) > 1 {
		used, unknown, err := s.usedKeys()
		if err = errors.Join(err, unknown); err != nil {
			return nil, err
		}
		for i := range parsed {
			if c.intact[i] != nil && !parsed[i].hasAnyKey(used) {
				c.discard(i, errForged)
			}
		}
	}
	if i := c.newest(); i >= 0 {
		return parsed[i], nil
	}
	return nil, nil
}

// missingSealError is the s.sealErr of a store without an intact seal file; why
// is the error of its copies. It is nil for a store in which nothing was ever sealed.
func (s *Store) missingSealError(why error) error {
	used, unknown, err := s.usedKeys()
	switch {
	case errors.Is(why, ErrUnreadable):
		return why
	case err != nil:
		return err
	case errors.Is(why, ErrNotFound) && unknown != nil:
		return unknown
	case errors.Is(why, ErrNotFound) && len(used) == 0:
		return nil
	case errors.Is(why, ErrNotFound):
		why = nil // only the seal was not found: no caller may mistake this for an empty store
	}
	return &SealError{Reason: SealKeyMissing, Path: s.dir.path(sealName + ".a"), Err: why}
}

// unwrapAll fills the keyring from s.seal.
func (s *Store) unwrapAll() {
	s.ring.newest = s.seal.newest()
	var failures []*SealError
	for i := range s.seal.Wraps {
		w := &s.seal.Wraps[i]
		if s.ring.hasAll(w) { // a second protector is not opened, which saves its key derivation
			continue
		}
		keys, err := s.unwrapOne(w)
		if err != nil {
			failures = append(failures, err)
			continue
		}
		for _, k := range keys {
			s.ring.add(k)
		}
	}
	if s.ring.current() == nil {
		s.sealErr = joinSealErrors(failures)
	}
}

// unwrapOne opens one wrap with the secret of its protector.
func (s *Store) unwrapOne(w *wrap) ([]*storeKey, *SealError) {
	p := protectorNamed(w.Protector)
	secret, err := s.options.secretFor(p)
	var keys []*storeKey
	if err == nil {
		keys, err = w.unwrap(p, secret)
		clear(secret)
	}
	var known *SealError
	switch {
	case err == nil:
		return keys, nil
	case errors.As(err, &known):
		return nil, known
	case errors.Is(err, errWrongSecret):
		return nil, &SealError{Reason: SealWrongSecret, Protector: p}
	}
	return nil, &SealError{Reason: SealKeyDamaged, Protector: p, Err: err}
}

// joinSealErrors joins the errors of several protectors that did not open.
func joinSealErrors(failures []*SealError) error {
	if len(failures) == 1 {
		return failures[0]
	}
	return &SealError{Reason: SealSeveral, Each: failures}
}

// saveSeal writes the seal file and then sets s.seal: disk first, then memory.
func (s *Store) saveSeal(f *sealFile) error {
	if f.Store == "" {
		id := make([]byte, 16)
		if _, err := rand.Read(id); err != nil {
			return err
		}
		f.Store = hex.EncodeToString(id)
	}
	c, err := s.inspect(sealName)
	if err != nil {
		return err
	}
	sequence, err := c.next()
	if err != nil {
		return err
	}
	body, err := encodeSeal(f, sequence, append(slices.Collect(maps.Values(s.ring.keys)), f.signers...))
	if err != nil {
		return err
	}
	defer clear(body)
	raw, err := encodeFrame(frame{name: sealName, sequence: sequence, body: body}, nil)
	if err != nil {
		return err
	}
	fr, err := decodeFrame(raw)
	if err != nil {
		return err
	}
	if err := s.writeBoth(c, fr); err != nil {
		return err
	}
	back, err := s.inspect(sealName)
	if err != nil {
		return err
	}
	if i := back.newest(); i < 0 || !bytes.Equal(back.intact[i].raw, raw) {
		return fmt.Errorf("keystore: %w: the seal file reads back differently", ErrUncertain)
	}
	s.seal = f
	return nil
}

// ensureKey returns the store's key. It makes one, protected as the options ask
// for, in a store that never had one.
func (s *Store) ensureKey() (*storeKey, error) {
	if s.prepared != nil {
		return s.prepared.key, nil
	}
	if s.sealErr != nil {
		return nil, s.sealErr
	}
	if k := s.ring.current(); k != nil {
		return k, nil
	}
	p, err := s.options.wantedProtector()
	if err != nil {
		return nil, err
	}
	secret, err := s.options.secretFor(p)
	if err != nil {
		return nil, err
	}
	defer clear(secret)
	key, err := newStoreKey(1)
	if err != nil {
		return nil, err
	}
	w, err := newWrap(p, secret, []*storeKey{key})
	if err != nil {
		return nil, err
	}
	if err := s.saveSeal(&sealFile{Wraps: []wrap{w}, signers: []*storeKey{key}}); err != nil {
		return nil, err
	}
	s.ring.add(key)
	return key, nil
}
