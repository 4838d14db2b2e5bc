package keystore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// Options are how to open a store. The zero value opens a store that a key file
// protects.
type Options struct {
	// Seal is the minimum protection of the store's key: auto (or empty), keyfile,
	// passphrase or credential. Auto is the passphrase if PassphraseFile is set,
	// else the key file. Stronger protection is kept; a store with weaker
	// protection is resealed when it is opened.
	Seal string
	// PassphraseFile is read by the rules of ReadSecretFile; a trailing newline is
	// not part of the passphrase. It may also contain a recovery passphrase.
	PassphraseFile string
	// LockWait is how long Open waits while another process holds the store; with
	// zero it does not wait. The context ends the wait earlier.
	LockWait time.Duration
	// OnLockWait is called once, before Open begins to wait, with the process that
	// holds the store and with LockWait. Nil is not called.
	OnLockWait func(holder *InUseError, limit time.Duration)
	// Host is the facts of this host; nil switches host binding off.
	Host *Host
	// Volatile accepts a store in memory, which is lost at a restart. Without it,
	// CheckDurable and PutController return ErrVolatile for one.
	Volatile bool
	// Observe is called with each Event, for metrics and logs. It is called while
	// the store is locked, so it must not call the store. It may be nil.
	Observe func(Event)

	trace func(call) // for tests
}

// EventKind is the kind of an Event.
type EventKind int

// What happens to a store, and the fields of Event that each kind fills in.
const (
	EventWrite       EventKind = iota // one slot was written (Bytes, Sequence), or failed to be (Err)
	EventFallback                     // one slot could not be used (Reason)
	EventHealed                       // the copies of a record are equal again
	EventNotDurable                   // a change could not be written, or only to one slot (Err)
	EventResealed                     // the store has a new key and the requested protector (Reason)
	EventWeaker                       // the store is protected by less than the options ask for (Reason), and could not be resealed (Err)
	EventRelearnt                     // the stored facts of the host were updated (Reason)
	EventTightened                    // others could reach files (Path and Mode of the first, Files): corrected, or not (Err)
	EventHostDiffers                  // the only known fact of the hardware differs (Reason); the store is used nevertheless
)

func (k EventKind) String() string {
	names := [...]string{"write", "fallback", "healed", "not durable", "resealed", "weaker", "relearnt", "tightened", "host differs"}
	if k < 0 || int(k) >= len(names) {
		return "unknown"
	}
	return names[k]
}

// Event is one thing that happened to the store. It never holds a secret.
type Event struct {
	Kind     EventKind
	Record   string // the record's name, such as agent-main
	Bytes    int    // written to the disk
	Sequence uint64 // of the record; grows with every change
	Reason   string // of EventFallback: checksum, missing or unseal; of EventRelearnt and EventHostDiffers: the facts; else a protector
	Path     string // of a file
	Mode     fs.FileMode
	Files    int // 0 means one
	Err      error
}

// Store is an open, locked keystore. It is safe for concurrent use. It caches no
// records: every call reads the disk, and the caller owns what it returns.
//
// Its methods are in store.go (opening, condition, reset), store_records.go,
// store_seal.go, store_reseal.go, store_host.go, store_disk.go and, for reading and
// writing one record in two slots, pair.go.
type Store struct {
	mu       sync.Mutex
	dir      directory
	lock     *os.File
	options  Options
	seal     *sealFile // nil until it is read or made
	ring     keyring
	sealErr  error        // why new records cannot be sealed
	weaker   error        // why the store could not be given the protector that the options ask for
	foreign  error        // why this host may not use the store
	differs  []string     // the only known facts of the hardware, if they differ
	prepared *replacement // of a key that is lost, nil if there is none
	closed   bool
}

// Open locks the keystore in dir and unseals it. It creates a 0700 directory
// "keystore" in dir, dir itself if only that is missing, and the lock file. An
// intact store is not written to.
//
// Files and directories of ours that others can reach are closed to them; see
// EventTightened. A Reset that was interrupted is finished.
//
// Errors: ErrInUse when another process holds the store, *UnsafeError when the
// directory belongs to another user or, for root, could be replaced by one, the
// context's error, errors from the file system, and an unknown name in Options.Seal. A store that cannot be unsealed, is damaged
// or was made on other hardware does open, so that this process stays its owner
// and can report why: Condition returns the reason, and so do the calls that need
// what is missing.
func Open(ctx context.Context, dir string, o Options) (*Store, error) {
	if _, err := o.wantedProtector(); err != nil {
		return nil, err
	}
	path, err := filepath.Abs(filepath.Join(dir, "keystore"))
	if err != nil {
		return nil, fmt.Errorf("keystore: %w", err)
	}
	s := &Store{options: o}
	tightened := Event{Kind: EventTightened}
	d, err := openDirectory(path, func(e Event) {
		if tightened.Files++; tightened.Files == 1 {
			tightened.Path, tightened.Mode, tightened.Err = e.Path, e.Mode, e.Err
		}
	})
	if err != nil {
		return nil, fmt.Errorf("keystore: %w", err)
	}
	d.trace = o.trace
	s.dir = d
	if s.lock, err = acquireLock(ctx, d, o.LockWait, o.OnLockWait); err != nil {
		return nil, errors.Join(err, d.f.Close())
	}
	d.tightenAll()
	s.dir.observe = s.observe
	if tightened.Files > 0 {
		s.observe(tightened)
	}
	if err := s.finishReset(); err != nil {
		return nil, errors.Join(fmt.Errorf("keystore: %w", err), s.Close())
	}
	s.unsealAll()
	return s, nil
}

// unsealAll reads the seal and finishes what was interrupted.
func (s *Store) unsealAll() {
	s.loadSeal()
	if s.resumeReseal() {
		s.strengthen()
	}
	s.checkHost()
}

// retry reads the seal again if it could not be read before: a disk or a mode may be
// right by now.
func (s *Store) retry() {
	switch {
	case s.closed:
	case errors.Is(s.sealErr, ErrUnreadable):
		s.unsealAll()
	case errors.Is(s.foreign, ErrUnreadable):
		s.checkHost()
	}
}

// Close wipes the store's keys from memory and releases the lock. Closing twice is
// allowed.
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

// Path is the directory of the store, an absolute path.
func (s *Store) Path() string { return s.dir.f.Name() }

// Condition is nil when the store can be used, which an empty store can, else
// ErrForeignHost, ErrSealed, ErrUnreadable or ErrNewerFormat.
func (s *Store) Condition() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.retry()
	if s.closed || s.foreign != nil {
		return s.writable()
	}
	return s.sealErr
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

// writable is the error of every write.
func (s *Store) writable() error {
	s.retry()
	switch {
	case s.closed:
		return fmt.Errorf("keystore: %w", os.ErrClosed)
	case s.foreign != nil:
		return s.foreign
	}
	return s.sealErr
}

// writableFor is the error of every write of one machine, which may have a prepared
// key.
func (s *Store) writableFor(machine string) error {
	err := s.writable()
	if s.prepared != nil && s.prepared.machine == machine && !s.closed && s.foreign == nil {
		return nil
	}
	return err
}

// readable is the error of every read. It does not include s.sealErr, which only
// the records that cannot be unsealed return.
func (s *Store) readable() error {
	s.retry()
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
