package keystore

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
)

const sealName = "seal"

// loadSeal unwraps what can be unwrapped. What cannot is kept in s.sealErr and
// told by the records that need it: a store that is locked still opens, so that
// its owner can say why.
func (s *Store) loadSeal() error {
	s.ring.wipe()
	s.seal, s.sealErr = nil, nil
	c, err := s.inspect(sealName)
	if err != nil {
		s.sealErr = err
		return nil
	}
	if err := s.chooseSeal(c); err != nil {
		return err
	}
	i := c.newest()
	if i < 0 {
		s.sealErr, err = s.missingSealError(c.noneIntact())
		return err
	}
	s.heal(c, i)
	s.unwrap()
	return nil
}

// chooseSeal discards frames that hold no seal. Of two that are of two stores the
// one is ours that holds a key our records need.
func (s *Store) chooseSeal(c *copies) error {
	var parsed [4]*sealFile
	stores := map[string]bool{}
	for i, f := range c.whole {
		if f == nil {
			continue
		}
		var err error
		if parsed[i], err = parseSeal(f.body); err != nil {
			c.discard(i, err)
			continue
		}
		stores[parsed[i].Store] = true
	}
	if len(stores) > 1 {
		used, err := s.usedKeys()
		if err != nil {
			return err
		}
		for i := range parsed {
			if c.whole[i] != nil && !parsed[i].holdsAny(used) {
				c.discard(i, errForged)
			}
		}
	}
	if i := c.newest(); i >= 0 {
		s.seal = parsed[i]
	}
	return nil
}

// missingSealError is nil for a store in which nothing was ever sealed.
func (s *Store) missingSealError(verdict error) (sealErr, err error) {
	used, err := s.usedKeys()
	if err != nil || errors.Is(verdict, ErrNotFound) && len(used) == 0 {
		return nil, err
	}
	if errors.Is(verdict, ErrNotFound) {
		verdict = nil // the seal is what is not found: no reader may take it for an empty store
	}
	return &SealError{Reason: SealKeyMissing, Path: s.dir.path(sealName + ".a"), Err: verdict}, nil
}

// unwrap fills the ring from s.seal.
func (s *Store) unwrap() {
	s.ring.newest = s.seal.newest()
	var failures []*SealError
	for i := range s.seal.Wraps {
		w := &s.seal.Wraps[i]
		if s.ring.holds(w) { // a second protector need not be opened, or paid for
			continue
		}
		keys, err := s.open(w)
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

func (s *Store) open(w *wrap) ([]*storeKey, *SealError) {
	p := protectorNamed(w.Protector)
	secret, err := s.options.secretFor(p)
	var keys []*storeKey
	if err == nil {
		keys, err = w.open(p, secret)
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

// saveSeal writes the seal and takes it over: disk first, then memory.
func (s *Store) saveSeal(f *sealFile) error {
	if f.Store == "" {
		id := make([]byte, 16)
		if _, err := rand.Read(id); err != nil {
			return err
		}
		f.Store = hex.EncodeToString(id)
	}
	body, err := json.Marshal(f)
	if err != nil {
		return err
	}
	defer clear(body)
	c, err := s.inspect(sealName)
	if err != nil {
		return err
	}
	sequence, err := c.next()
	if err != nil {
		return err
	}
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
	if i := back.newest(); i < 0 || !bytes.Equal(back.whole[i].raw, raw) {
		return fmt.Errorf("keystore: %w: the key file reads back differently", ErrUncertain)
	}
	s.seal = f
	return nil
}

// ensureKey makes the store's key if there is none, protected as asked for; never
// beside records that need another one.
func (s *Store) ensureKey() (*storeKey, error) {
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
	if err := s.saveSeal(&sealFile{Wraps: []wrap{w}}); err != nil {
		return nil, err
	}
	s.ring.add(key)
	return key, nil
}
