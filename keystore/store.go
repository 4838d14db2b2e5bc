package keystore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// Options says how to open a store; the zero value is right for a verb on a
// store that a key file protects.
type Options struct {
	// Seal is auto (or empty), keyfile, passphrase or credential: what has to
	// protect the store's key at least. Auto is the passphrase when
	// PassphraseFile is set, else the key file. A store that is protected better
	// stays so, one that is protected worse is sealed anew when it is opened.
	Seal string
	// PassphraseFile is read by the rules of ReadSecretFile; one line end at its
	// end is no part of the passphrase. It may also hold a recovery passphrase.
	PassphraseFile string
	// LockWait is how long Open waits while another process holds the store; with
	// zero it does not wait. The context ends the wait earlier.
	LockWait time.Duration
	// OnLockWait is called once, before Open begins to wait, with the process that
	// holds the store and with LockWait. Nil is not called.
	OnLockWait func(holder *InUseError, limit time.Duration)
	// Host holds the facts of this host; nil switches host binding off.
	Host *Host
	// Observe hears what the store does, for metrics and logs. It is called while
	// the store is locked and must not call it. Nil hears nothing.
	Observe func(Event)
}

// EventKind is what the store tells about itself.
type EventKind int

const (
	EventWrite      EventKind = iota // one slot was written (Bytes, Sequence), or could not be (Err)
	EventFallback                    // one slot could not be used (Reason)
	EventHealed                      // the copies of a record are equal again
	EventNotDurable                  // the disk does not take a change, or took it in one copy only (Err)
	EventResealed                    // the store has a new key, protected as asked for
	EventWeaker                      // the store is protected worse than asked for, and could not be sealed anew (Err)
	EventRelearnt                    // one fact of the host changed and was taken over (Reason)
)

func (k EventKind) String() string {
	names := [...]string{"write", "fallback", "healed", "not durable", "resealed", "weaker", "relearnt"}
	if k < 0 || int(k) >= len(names) {
		return "unknown"
	}
	return names[k]
}

// Event is one thing that happened to the store. It never holds a secret.
type Event struct {
	Kind     EventKind
	Record   string // the record's name, as agent-main
	Bytes    int    // written to the disk
	Sequence uint64 // of the record; grows with every change
	Reason   string // of a fallback: checksum, missing or unseal; of EventRelearnt: the fact
	Err      error
}

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
	if _, err := o.wantedProtector(); err != nil {
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
	s.checkHost()
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
	return s.writable()
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

func (s *Store) writable() error {
	switch {
	case s.closed:
		return fmt.Errorf("keystore: %w", os.ErrClosed)
	case s.foreign != nil:
		return s.foreign
	}
	return s.sealErr
}

// readable is writable for reading: what cannot be unsealed says so record by record.
func (s *Store) readable() error {
	if s.closed || s.foreign != nil {
		return s.writable()
	}
	return nil
}

func (s *Store) observe(e Event) {
	if s.options.Observe != nil {
		s.options.Observe(e)
	}
}

// Reset forgets everything: first the key, so that nothing opens any more, then
// the records. The store is empty afterwards and usable; cut in the middle it is
// sealed for good, and Reset again ends it. It does not ask whether the
// controller key has another copy.
func (s *Store) Reset() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return s.writable()
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
