package keystore

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// Store is an open, locked keystore, safe for many goroutines. It keeps no
// record in memory: every call reads the disk, and what it returns is the
// caller's.
type Store struct {
	mu      sync.Mutex
	dir     directory
	lock    *os.File
	options Options
	seal    *sealFile // nil until it is read or made
	ring    keyring
	sealErr error // why new records cannot be sealed
	weaker  error // why the store is protected worse than asked for
	foreign error // why this host may not use the store
	closed  bool
}

// Open takes the lock of the keystore inside dir and unseals it. It makes a 0700
// directory "keystore" in dir (and dir itself, if only that is missing) and the
// lock file; an intact store is not written.
//
// A store that is locked by another process is ErrInUse, and a directory that
// cannot be used or an unknown name in Options.Seal is an error too. A store
// that cannot be unsealed, is damaged, or was made on other hardware opens all
// the same, so that its process stays the owner and can say why: Condition tells
// the reason, and the calls that need what is missing return it.
func Open(ctx context.Context, dir string, o Options) (*Store, error) {
	if _, err := o.wanted(); err != nil {
		return nil, err
	}
	path, err := filepath.Abs(filepath.Join(dir, "keystore"))
	if err != nil {
		return nil, fmt.Errorf("keystore: %w", err)
	}
	d, err := openDirectory(path)
	if err != nil {
		return nil, fmt.Errorf("keystore: %w", err)
	}
	s := &Store{dir: d, options: o}
	if s.lock, err = acquireLock(ctx, d, o.LockWait, o.OnLockWait); err != nil {
		return nil, errors.Join(err, d.f.Close())
	}
	if err := s.loadSeal(); err != nil {
		return nil, errors.Join(fmt.Errorf("keystore: %w", err), s.Close())
	}
	s.settleSeal()
	s.settleHost()
	return s, nil
}

// Close wipes the store's keys from memory and lets go of the lock. Closing
// twice is fine.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	s.ring.wipe()
	return errors.Join(s.lock.Close(), s.dir.f.Close())
}

// Path is the directory in which the store lies.
func (s *Store) Path() string { return s.dir.f.Name() }

// Condition is nil when the store can be used, else ErrForeignHost, ErrSealed or
// ErrNewerFormat. An empty store can be used.
func (s *Store) Condition() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ready()
}

// Protector is what protects the store's key now, ProtectorNone until something
// was stored.
func (s *Store) Protector() Protector {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seal == nil {
		return ProtectorNone
	}
	return s.seal.protectorOf(s.seal.newest())
}

func (s *Store) ready() error {
	switch {
	case s.closed:
		return fmt.Errorf("keystore: %w", os.ErrClosed)
	case s.foreign != nil:
		return s.foreign
	}
	return s.sealErr
}

func (s *Store) observe(e Event) {
	if s.options.Observe != nil {
		s.options.Observe(e)
	}
}

// pick chooses the frame of a record and opens it. A frame that was not sealed
// with one of our keys is set aside, as if it were damaged; but while the newest
// key is missing nobody can tell what is ours, and no older copy is taken.
func (s *Store) pick(name string) (c *copies, chosen int, body []byte, err error) {
	if c, err = s.inspect(name); err != nil {
		return nil, -1, nil, err
	}
	for {
		i := c.newest()
		if i < 0 {
			return c, i, nil, c.verdict()
		}
		body, err := s.unseal(c.whole[i])
		if err == nil {
			return c, i, body, nil
		}
		if s.sealErr != nil {
			return c, i, nil, s.sealErr
		}
		c.discard(i, err)
	}
}

func (s *Store) unseal(f *frame) ([]byte, error) {
	key := s.ring.keys[f.key]
	switch {
	case f.protector == ProtectorNone:
		return nil, errForged
	case key == nil:
		return nil, &SealError{Reason: SealKeyUnknown}
	case f.protector.strength() > s.seal.strongest().strength():
		return nil, &SealError{Reason: SealNowWeaker, Protector: f.protector}
	}
	return f.unseal(key)
}

// load reads a record and heals its copies.
func (s *Store) load(name string) (*frame, []byte, error) {
	c, i, body, err := s.pick(name)
	if errors.Is(err, ErrNotFound) {
		err = errors.Join(err, s.sweep(c)) // what a first write left that was cut
	}
	if err != nil {
		return nil, nil, err
	}
	s.heal(c, i)
	if c.whole[i].dropped {
		return nil, nil, fmt.Errorf("%w: %s", ErrNotFound, name)
	}
	return c.whole[i], body, nil
}

// save stores a record, or its drop, and has read it back when it returns nil.
func (s *Store) save(f frame) error {
	if err := s.put(f); err != nil {
		return err
	}
	s.tidySeal()
	return nil
}

func (s *Store) put(f frame) error {
	key, err := s.ensureKey()
	if err != nil {
		return err
	}
	c, _, old, err := s.pick(f.name)
	clear(old)
	if errors.Is(err, ErrNewerFormat) {
		return err // anything else that is wrong with the old content ends with this write
	}
	if f.sequence, err = c.next(); err != nil {
		return err
	}
	f.protector = s.seal.protectorOf(key.number)
	raw, err := encodeFrame(f, key)
	if err != nil {
		return err
	}
	sealed, err := decodeFrame(raw)
	if err != nil {
		return err
	}
	if err := s.writeBoth(c, sealed); err != nil {
		return err
	}
	back, i, body, err := s.pick(f.name)
	defer clear(body)
	if err != nil || !bytes.Equal(back.whole[i].raw, raw) || !bytes.Equal(body, f.body) {
		return fmt.Errorf("keystore: %w: %s reads back differently: %w", ErrUncertain, f.name, errors.Join(err, ErrDamaged))
	}
	return nil
}

// drop stores that a record is gone; dropping what is not there writes nothing.
func (s *Store) drop(name string) error {
	_, body, err := s.load(name)
	clear(body)
	switch {
	case errors.Is(err, ErrNotFound):
		return nil
	case errors.Is(err, ErrNewerFormat):
		return err
	}
	return s.save(frame{name: name, dropped: true})
}

// readJSON takes the parts of a record into v (the facts) and secrets.
func (s *Store) readJSON(name string, facts, secrets any) error {
	f, body, err := s.load(name)
	if err != nil {
		return err
	}
	defer clear(body)
	err = json.Unmarshal(f.facts, facts)
	if err == nil && secrets != nil {
		err = json.Unmarshal(body, secrets)
	}
	if err != nil {
		return fmt.Errorf("%w: %s holds no record", ErrDamaged, name) // the cause may quote a secret
	}
	return nil
}

func (s *Store) writeJSON(name string, facts, secrets any) error {
	f := frame{name: name}
	var err error
	if f.facts, err = json.Marshal(facts); err != nil {
		return err
	}
	if secrets != nil {
		if f.body, err = json.Marshal(secrets); err != nil {
			return err
		}
		defer clear(f.body)
	}
	return s.save(f)
}

// records returns the names of everything in the store but the seal.
func (s *Store) records() ([]string, error) {
	files, err := s.dir.list()
	if err != nil {
		return nil, err
	}
	var names []string
	seen := map[string]bool{sealName: true}
	for _, file := range files {
		name := strings.TrimSuffix(file, tempSuffix)
		base, ok := strings.CutSuffix(name, ".a")
		if !ok {
			base, ok = strings.CutSuffix(name, ".b")
		}
		if ok && !seen[base] && isRecord(base) {
			seen[base] = true
			names = append(names, base)
		}
	}
	return names, nil
}

// usedKeys are the keys that whole frames on the disk were sealed with.
func (s *Store) usedKeys() (map[keyID]bool, error) {
	names, err := s.records()
	if err != nil {
		return nil, err
	}
	used := map[keyID]bool{}
	for _, name := range names {
		c, err := s.inspect(name)
		if err != nil {
			continue // of a newer format; told when it is read
		}
		for _, f := range c.whole {
			if f != nil && f.protector != ProtectorNone {
				used[f.key] = true
			}
		}
	}
	return used, nil
}
