package keystore

import (
	"bytes"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

const tempSuffix = ".tmp"

// writeDurable replaces the file with this name in the directory. When it returns
// nil, the content survives a power cut; if the power fails earlier, either the old
// or the new content survives. This depends on the order of the steps:
//
//  1. open a temporary file next to the target, exclusively, 0600. A power cut leaves
//     a file with a known name, which reading looks for, and the target unchanged;
//  2. write, then fsync the file, so that its bytes are on the disk before a name
//     points to them. Otherwise ext4 may show an empty file after a power cut;
//  3. close it, which is when some file systems report an exceeded quota;
//  4. read the bytes back through a new descriptor: bytes that the kernel lost, or a
//     mount that ignores owner and mode, are found while the old content is still there;
//  5. rename it over the target: a reader sees the old or the new, never a mixture;
//  6. fsync the directory: otherwise the rename itself may be lost, and with it a
//     token that the server gives only once.
//
// Up to step 4 an error means that the old content is unchanged. From step 5 on the
// error is ErrUncertain: the new name may or may not have reached the disk. After a
// failed fsync the descriptor is closed and not used again: Linux drops the dirty
// pages, and a second fsync would report success.
func (d directory) writeDurable(name string, content []byte) error {
	temp := name + tempSuffix
	if err := d.unlink(temp); err != nil {
		return err
	}
	if err := d.writeTemp(temp, content); err != nil {
		if uerr := d.unlink(temp); uerr != nil { // otherwise it would look like an interrupted write
			return fmt.Errorf("%w: %w", ErrUncertain, errors.Join(err, uerr))
		}
		return err
	}
	if err := unix.Renameat(d.fd(), temp, d.fd(), name); err != nil {
		err = fmt.Errorf("rename to %s: %w", d.path(name), err)
		if uerr := d.unlink(temp); uerr != nil {
			return fmt.Errorf("%w: %w", ErrUncertain, errors.Join(err, uerr))
		}
		return err
	}
	d.did(call{op: "rename", name: temp, to: name})
	if err := d.sync(); err != nil {
		return fmt.Errorf("%w: %w", ErrUncertain, err)
	}
	return nil
}

// writeTemp does steps 1 to 4.
func (d directory) writeTemp(temp string, content []byte) error {
	f, err := d.open(temp, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL)
	if err != nil {
		return err
	}
	d.did(call{op: "create", name: temp})
	err = d.writeAndSync(f, temp, content)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", d.path(temp), err)
	}
	back, err := d.read(temp)
	if err != nil {
		return fmt.Errorf("read back: %w", err)
	}
	if !bytes.Equal(back, content) {
		return fmt.Errorf("read back %s: the disk returned other bytes than were written", d.path(temp))
	}
	return nil
}

// writeAndSync does step 2, after setting mode and owner of the file, which the umask
// and the user who runs this would otherwise decide.
func (d directory) writeAndSync(f *os.File, temp string, content []byte) error {
	if err := unix.Fchmod(int(f.Fd()), 0o600); err != nil && !errors.Is(err, unix.EPERM) { // a disk without modes fails the reading back
		return err
	}
	if err := d.giveToOwner(f); err != nil {
		return err
	}
	if _, err := f.Write(content); err != nil {
		return err
	}
	d.did(call{op: "write", name: temp, data: content})
	err := f.Sync()
	if err == nil {
		d.did(call{op: "sync", name: temp})
	}
	return err
}

// giveToOwner gives a file that root made to the owner of the directory, the user of
// the service.
func (d directory) giveToOwner(f *os.File) error {
	if os.Geteuid() != 0 || d.uid == 0 {
		return nil
	}
	return f.Chown(d.uid, d.gid)
}
