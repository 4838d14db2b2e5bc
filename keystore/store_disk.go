package keystore

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// probeSize is the bytes that a probe writes: more than all records of one machine
// need, with both slots and a temporary file.
const (
	probeName = "probe"
	probeSize = 32 << 10
)

// CheckDurable does everything that storing a token will do: it checks free space,
// writes, syncs, reads back, renames, syncs the directory, checks owner and mode,
// seals and unseals. So a full, read-only or lying disk, a missing passphrase or a
// file system that ignores modes is found before a one-time token is requested. It
// makes the store's key if there is none. Errors: those of Condition, ErrSealed
// when the store cannot be given the protector that the options ask for, and errors
// of the disk.
func (s *Store) CheckDurable() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	writable := s.writable()
	if s.prepared != nil {
		writable = s.writableFor(s.prepared.machine)
	}
	if err := errors.Join(writable, s.weaker, s.volatile()); err != nil {
		return err
	}
	if err := s.checkDisk(); err != nil {
		s.observe(Event{Kind: EventNotDurable, Record: probeName, Err: err})
		return fmt.Errorf("keystore: %s: %w", s.dir.f.Name(), err)
	}
	fresh := s.ring.current() == nil
	key, err := s.ensureKey()
	if err != nil {
		return err
	}
	if fresh {
		s.checkHost()
	}
	return checkSealing(key)
}

func (s *Store) checkDisk() error {
	var fs unix.Statfs_t
	if err := unix.Fstatfs(s.dir.fd(), &fs); err != nil {
		return err
	}
	free := fs.Bavail
	if os.Geteuid() == 0 {
		free = fs.Bfree
	}
	if free *= uint64(fs.Bsize); free < 2*probeSize {
		return fmt.Errorf("only %d bytes are free", free)
	}
	if fs.Files > 0 && fs.Ffree < 8 {
		return fmt.Errorf("only %d more files fit", fs.Ffree)
	}
	probe := make([]byte, probeSize)
	if _, err := rand.Read(probe); err != nil { // random, so that no file system compresses it
		return err
	}
	const file = probeName + ".a"
	if err := s.dir.writeDurable(file, probe); err != nil {
		return errors.Join(err, s.dir.unlink(file))
	}
	back, err := s.dir.read(file)
	if err == nil && !bytes.Equal(back, probe) {
		err = errors.New("the disk returned other bytes than were written")
	}
	return errors.Join(err, s.dir.unlink(file), s.dir.sync())
}

func checkSealing(key *storeKey) error {
	raw, err := encodeFrame(frame{name: probeName, protector: ProtectorKeyFile, body: []byte(probeName)}, key)
	if err != nil {
		return err
	}
	f, err := decodeFrame(raw)
	if err != nil {
		return err
	}
	body, err := f.unseal(key)
	if err != nil || string(body) != probeName {
		return fmt.Errorf("keystore: a sealed record cannot be unsealed: %w", errors.Join(err, ErrDamaged))
	}
	return nil
}
