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
	if err := errors.Join(s.writable(), s.weaker); err != nil {
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

// FileSystem is the name of the file system that the store is on, such as "ext4"
// (also for ext2 and ext3), "tmpfs" or "overlay", or its number in hex if it is not
// known. A tmpfs is lost at a restart, an overlay often with its container; whether
// that is acceptable is up to the caller.
func (s *Store) FileSystem() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var fs unix.Statfs_t
	if s.closed || unix.Fstatfs(s.dir.fd(), &fs) != nil {
		return "unknown"
	}
	return fileSystemName(uint32(fs.Type))
}

func fileSystemName(magic uint32) string {
	names := map[uint32]string{
		unix.EXT4_SUPER_MAGIC: "ext4", unix.TMPFS_MAGIC: "tmpfs", unix.RAMFS_MAGIC: "ramfs", unix.OVERLAYFS_SUPER_MAGIC: "overlay",
		unix.BTRFS_SUPER_MAGIC: "btrfs", unix.XFS_SUPER_MAGIC: "xfs", unix.F2FS_SUPER_MAGIC: "f2fs", unix.NFS_SUPER_MAGIC: "nfs",
		unix.MSDOS_SUPER_MAGIC: "vfat", unix.FUSE_SUPER_MAGIC: "fuse", unix.V9FS_MAGIC: "9p", unix.SQUASHFS_MAGIC: "squashfs",
		0x24051905: "ubifs", 0x72b6: "jffs2", 0x2fc12fc1: "zfs", 0xca451a4e: "bcachefs", 0x2011bab0: "exfat",
		0xff534d42: "cifs", 0xfe534d42: "smb2",
	}
	if name, ok := names[magic]; ok {
		return name
	}
	return fmt.Sprintf("0x%x", magic)
}
