package keystore

import (
	"bytes"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

const tempSuffix = ".tmp"

// writeDurable replaces the file name in the directory: when it returns nil the
// content survives a power cut; when the power goes before that, the old content
// does, or the new one. The order is what makes it so:
//
//  1. open a temporary file beside the target, exclusively, 0600. A cut leaves
//     debris under a known name and the target untouched; reading looks there;
//  2. write, then fsync the file: its bytes are on the disk before a name points
//     to them. Without it ext4 may show an empty file after a cut;
//  3. close it, which on some file systems is where a quota speaks up;
//  4. read the bytes back through a new descriptor: what the kernel lost, or a
//     mount that ignores owner and mode, is found while the old content stands;
//  5. rename over the target: a reader sees the old or the new, never a mixture;
//  6. fsync the directory: without it the rename itself may be lost, and with it
//     a token that the server gave once.
//
// Up to step 4 an error means that the old content stands. From step 5 on the
// error is ErrUncertain: the name may or may not have reached the disk. After a
// failed fsync the descriptor is closed and never asked again: Linux drops the
// dirty pages, and a second fsync would report success.
func (d directory) writeDurable(name string, content []byte) error {
	temp := name + tempSuffix
	if err := d.unlink(temp); err != nil {
		return err
	}
	if err := d.writeTemp(temp, content); err != nil {
		if uerr := d.unlink(temp); uerr != nil { // left there it could be taken for a cut write
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
	if err := d.sync(); err != nil {
		return fmt.Errorf("%w: %w", ErrUncertain, err)
	}
	return nil
}

// writeTemp is steps 1 to 4.
func (d directory) writeTemp(temp string, content []byte) error {
	f, err := d.open(temp, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL)
	if err != nil {
		return err
	}
	err = d.fill(f, content)
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

func (d directory) fill(f *os.File, content []byte) error {
	if err := d.give(f); err != nil {
		return err
	}
	if _, err := f.Write(content); err != nil {
		return err
	}
	return f.Sync()
}

// give hands a file that root made to the owner of the directory, the service.
func (d directory) give(f *os.File) error {
	if os.Geteuid() != 0 || d.uid == 0 {
		return nil
	}
	return f.Chown(d.uid, d.gid)
}
