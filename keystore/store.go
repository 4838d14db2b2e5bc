package keystore

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// What can be wrong with a store, for errors.Is.
var (
	ErrLocked      = errors.New("another process holds the store")
	ErrNotFound    = errors.New("nothing is stored")
	ErrSealed      = errors.New("the store cannot be unsealed")
	ErrDamaged     = errors.New("both copies are damaged")
	ErrNewerFormat = errors.New("the store was written by a newer program")
)

// EventKind is what the store tells about itself.
type EventKind int

const (
	EventWrite      EventKind = iota // one slot was written, or could not be (Err)
	EventFallback                    // a slot could not be used (Reason: checksum, unseal)
	EventHealed                      // the other copy was restored
	EventNotDurable                  // the disk does not take writes
)

// Event is one thing that happened to the store, for counters and logs. It
// never holds a secret.
type Event struct {
	Kind   EventKind
	Bytes  int
	Reason string
	Err    error
}

// Options says how to open a store; the zero value is right for a verb.
type Options struct {
	// LockWait is how long to wait while another process holds the store.
	LockWait time.Duration
	// Observe hears of writes, fallbacks and healing; nil hears nothing.
	Observe func(Event)
}

// Store is an open, locked keystore. It is for one goroutine at a time.
type Store struct {
	dir      directory
	path     string
	lock     *os.File
	storeKey []byte // nil until it is read or made
	keyErr   error
	observer func(Event)
}

const storeKeyName = "seal-key"

// Open opens the keystore inside dir (which must exist, and gets a 0700
// directory "keystore") and takes its lock. It writes nothing but that
// directory and the lock file. Errors: ErrLocked, and those of the file system.
func Open(ctx context.Context, dir string, o Options) (*Store, error) {
	path := filepath.Join(dir, "keystore")
	d, err := openDirectory(path)
	if err != nil {
		return nil, fmt.Errorf("keystore: %w", err)
	}
	s := &Store{dir: d, path: path, observer: o.Observe}
	if s.lock, err = takeLock(ctx, d, o.LockWait); err != nil {
		return nil, errors.Join(err, d.f.Close())
	}
	key, err := s.load(storeKeyName)
	switch {
	case err == nil && len(key) == 32:
		s.storeKey = key
	case err == nil:
		s.keyErr = fmt.Errorf("%w: its key file holds no key", ErrSealed)
	case !errors.Is(err, ErrNotFound):
		s.keyErr = fmt.Errorf("%w: its key file: %w", ErrSealed, err)
	}
	return s, nil
}

// Close wipes the key from memory and lets go of the lock.
func (s *Store) Close() error {
	clear(s.storeKey)
	s.storeKey = nil
	return errors.Join(s.lock.Close(), s.dir.f.Close())
}

// takeLock takes an exclusive flock, asking again ten times a second while it
// waits. The file names the holder, for the message.
func takeLock(ctx context.Context, d directory, wait time.Duration) (*os.File, error) {
	f, err := d.open("lock", unix.O_RDWR|unix.O_CREAT)
	if err != nil {
		return nil, fmt.Errorf("keystore: %w", err)
	}
	deadline := time.Now().Add(wait)
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			break
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			return nil, errors.Join(fmt.Errorf("keystore: lock: %w", err), f.Close())
		}
		if !time.Now().Before(deadline) {
			return nil, errors.Join(fmt.Errorf("%w (%s)", ErrLocked, holder(d)), f.Close())
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), f.Close())
		case <-time.After(100 * time.Millisecond):
		}
	}
	if os.Geteuid() == 0 {
		_ = f.Chown(d.uid, d.gid) // so that the service can open it later
	}
	if err := f.Truncate(0); err == nil {
		_, _ = fmt.Fprintf(f, "%d\n", os.Getpid())
	}
	return f, nil
}

func holder(d directory) string {
	b, err := d.read("lock")
	pid := strings.TrimSpace(string(b))
	if err != nil || !regexp.MustCompile(`^[0-9]{1,10}$`).MatchString(pid) {
		return "its process is not known"
	}
	return "process " + pid
}

// ensureStoreKey makes the store key with the first record, never over an
// existing one that cannot be read.
func (s *Store) ensureStoreKey() error {
	if s.storeKey != nil {
		return nil
	}
	if s.keyErr != nil {
		return s.keyErr
	}
	key := make([]byte, 32)
	if _, err := rand.Read(key); err != nil {
		return err
	}
	if err := s.writePair(storeKeyName, 1, protectNone, key); err != nil {
		return fmt.Errorf("keystore: %w", err)
	}
	s.storeKey = key
	return nil
}

func (s *Store) protectorOf(name string) protector {
	if name == storeKeyName {
		return protectNone
	}
	return protectKeyFile
}

func (s *Store) observe(e Event) {
	if s.observer != nil {
		s.observer(e)
	}
}

// ProveDurable does with a probe file all that storing a token will do, so that
// a full, read-only or lying disk is found before anything is spent: room for
// the records, write, fsync, read back, rename, directory fsync, right modes.
func (s *Store) ProveDurable() error {
	if s.keyErr != nil {
		return s.keyErr
	}
	probe := make([]byte, 8<<10) // more than all records of one machine together
	if _, err := rand.Read(probe); err != nil {
		return err
	}
	if err := s.dir.writeDurable("probe", probe); err != nil {
		s.observe(Event{Kind: EventNotDurable, Err: err})
		return fmt.Errorf("keystore: %s: %w", s.path, err)
	}
	return s.dir.remove("probe")
}

// readJSON loads a record into v.
func (s *Store) readJSON(name string, v any) error {
	if s.keyErr != nil {
		return s.keyErr
	}
	body, err := s.load(name)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, v); err != nil {
		return fmt.Errorf("%w: %s holds no record", ErrDamaged, name)
	}
	return nil
}

func (s *Store) writeJSON(name string, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	defer clear(body)
	return s.save(name, body)
}
