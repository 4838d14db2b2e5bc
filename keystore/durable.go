package keystore

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

const tempSuffix = ".tmp"

// writeDurable replaces the file name in the directory, so that after it returns
// nil the content survives a power cut, and whenever the power goes before that,
// the old content does. The order is what makes it so:
//
//  1. a temporary file beside the target, exclusive, 0600: a cut leaves debris
//     with a known name, and the target untouched;
//  2. write, then fsync the file: its bytes are on the disk before any name
//     points to them. Without it ext4 shows an empty file after a cut;
//  3. read the bytes back through a new descriptor: a disk that lies is found
//     while the old content still stands;
//  4. rename over the target: readers see the old or the new, never a mixture;
//  5. fsync the directory: without it the rename itself may be lost, and with it
//     a token that the server gave once.
//
// After a failed fsync the descriptor is closed and never trusted again: Linux
// drops the dirty pages and a second fsync would report success.
func (d directory) writeDurable(name string, content []byte) (err error) {
	temp := name + tempSuffix
	if err := unix.Unlinkat(d.fd(), temp, 0); err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("remove old %s: %w", temp, err)
	}
	defer func() {
		if err != nil {
			_ = unix.Unlinkat(d.fd(), temp, 0)
		}
	}()
	f, err := d.open(temp, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL)
	if err != nil {
		return err
	}
	err = d.fill(f, content)
	if cerr := f.Close(); err == nil && cerr != nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", temp, err)
	}
	back, err := d.read(temp)
	if err != nil {
		return fmt.Errorf("read back %s: %w", temp, err)
	}
	if !bytes.Equal(back, content) {
		return fmt.Errorf("read back %s: the disk returned other bytes than were written", temp)
	}
	if err := unix.Renameat(d.fd(), temp, d.fd(), name); err != nil {
		return fmt.Errorf("rename %s: %w", temp, err)
	}
	return d.sync()
}

func (d directory) fill(f *os.File, content []byte) error {
	if os.Geteuid() == 0 { // a verb run as root leaves files to the service
		if err := f.Chown(d.uid, d.gid); err != nil {
			return err
		}
	}
	if _, err := f.Write(content); err != nil {
		return err
	}
	return f.Sync()
}

// directory is an open directory that belongs to us.
type directory struct {
	f        *os.File
	uid, gid int
}

// openDirectory makes and opens path, 0700. One that exists with looser modes or
// another owner is refused: somebody else could have planted what is in it.
func openDirectory(path string) (directory, error) {
	parent, err := os.Stat(filepath.Dir(path))
	if err != nil {
		return directory{}, err
	}
	if err := os.Mkdir(path, 0o700); err == nil {
		if os.Geteuid() == 0 {
			if st, ok := parent.Sys().(*unixStat); ok {
				if err := os.Chown(path, int(st.Uid), int(st.Gid)); err != nil {
					return directory{}, err
				}
			}
		}
		if err := syncPath(filepath.Dir(path)); err != nil {
			return directory{}, err
		}
	} else if !errors.Is(err, os.ErrExist) {
		return directory{}, err
	}
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return directory{}, &os.PathError{Op: "open", Path: path, Err: err}
	}
	d := directory{f: os.NewFile(uintptr(fd), path)}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return directory{}, errors.Join(err, d.f.Close())
	}
	d.uid, d.gid = int(st.Uid), int(st.Gid)
	if me := os.Geteuid(); me != 0 && d.uid != me {
		return directory{}, errors.Join(fmt.Errorf("%s belongs to user %d, not to us (%d)", path, d.uid, me), d.f.Close())
	}
	if st.Mode&0o077 != 0 {
		return directory{}, errors.Join(fmt.Errorf("%s can be reached by other users (mode %04o): chmod 700 %s", path, st.Mode&0o777, path), d.f.Close())
	}
	return d, nil
}

func syncPath(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func (d directory) fd() int { return int(d.f.Fd()) }

func (d directory) sync() error {
	if err := d.f.Sync(); err != nil {
		return fmt.Errorf("fsync of directory %s: %w", d.f.Name(), err)
	}
	return nil
}

// open opens a file of ours inside the directory, never through a symlink.
func (d directory) open(name string, flags int) (*os.File, error) {
	fd, err := unix.Openat(d.fd(), name, flags|unix.O_NOFOLLOW|unix.O_CLOEXEC|unix.O_NONBLOCK, 0o600)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: filepath.Join(d.f.Name(), name), Err: err}
	}
	return os.NewFile(uintptr(fd), filepath.Join(d.f.Name(), name)), nil
}

// read reads a file of ours, after a look at its owner, mode and size.
func (d directory) read(name string) ([]byte, error) {
	f, err := d.open(name, unix.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return nil, err
	}
	switch {
	case st.Mode&unix.S_IFMT != unix.S_IFREG:
		return nil, fmt.Errorf("%s is not a regular file", f.Name())
	case int(st.Uid) != d.uid && st.Uid != 0:
		return nil, fmt.Errorf("%s belongs to user %d, not to the store's owner", f.Name(), st.Uid)
	case st.Mode&0o077 != 0:
		return nil, fmt.Errorf("%s can be reached by other users (mode %04o): chmod 600 %s", f.Name(), st.Mode&0o777, f.Name())
	case st.Size > maxRecord:
		return nil, fmt.Errorf("%s is %d bytes long, more than a record can be", f.Name(), st.Size)
	}
	return io.ReadAll(io.LimitReader(f, maxRecord+1))
}

// remove deletes a file and makes the deletion durable.
func (d directory) remove(name string) error {
	if err := unix.Unlinkat(d.fd(), name, 0); err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("remove %s: %w", name, err)
	}
	return d.sync()
}
