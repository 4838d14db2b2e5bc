package keystore

import (
	"errors"
	"fmt"
)

const controllerName = "controller"

// Controller returns the signer of the stored controller key, or ErrNotFound.
func (s *Store) Controller() (*Signer, error) {
	key, err := s.ControllerKey()
	if err != nil {
		return nil, err
	}
	defer key.Wipe()
	return key.Signer(), nil
}

// ControllerKey returns the stored controller key itself, for exporting it. The
// caller wipes it.
func (s *Store) ControllerKey() (*Key, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(); err != nil {
		return nil, err
	}
	_, body, err := s.load(controllerName)
	if err != nil {
		return nil, err
	}
	defer clear(body)
	key, err := KeyFromBytes(body)
	if err != nil {
		return nil, fmt.Errorf("%w: the controller record holds no key", ErrDamaged)
	}
	return key, nil
}

// HoldsController reports whether a controller key is stored, readable or not.
func (s *Store) HoldsController() bool {
	var facts struct{}
	err := s.readFacts(controllerName, &facts)
	return err == nil || !errors.Is(err, ErrNotFound)
}

// PutController stores a controller key. Storing the same one again is fine;
// another one is refused with ErrKeyExists, and so is any while the stored one
// cannot be read: it may be the only copy. DropController comes first then.
func (s *Store) PutController(k *Key) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.ready(); err != nil {
		return err
	}
	switch _, body, err := s.load(controllerName); {
	case err == nil:
		defer clear(body)
		old, err := KeyFromBytes(body)
		if err == nil && old.equal(k) {
			old.Wipe()
			return nil
		}
		return fmt.Errorf("%w, and may be its only place", ErrKeyExists)
	case !errors.Is(err, ErrNotFound):
		return fmt.Errorf("%w, and it cannot be read: %w", ErrKeyExists, err)
	}
	body := k.Bytes()
	defer clear(body)
	return s.save(frame{name: controllerName, facts: []byte("{}"), body: body})
}

// DropController forgets the controller key; dropping one that is not there is
// fine. It does not ask whether there is another copy.
func (s *Store) DropController() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(); err != nil {
		return err
	}
	return s.drop(controllerName)
}
