package keystore

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// directory is the open directory of the store. Every file in it is opened relative
// to its descriptor and never through a symbolic link, so that the directory cannot
// be swapped for another one.
type directory struct {
	f        *os.File
	uid, gid int
}

// openDirectory makes and opens path, 0700. A directory that other users can reach,
// or that belongs to another user, is an *UnsafeError: they could have put files
// into it.
func openDirectory(path string) (directory, error) {
	if err := makeDirectory(path); err != nil {
		return directory{}, err
	}
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return directory{}, &os.PathError{Op: "open", Path: path, Err: err}
	}
	d := directory{f: os.NewFile(uintptr(fd), path)}
	if err := d.check(path); err != nil {
		return directory{}, errors.Join(err, d.f.Close())
	}
	return d, nil
}

// makeDirectory makes path, and its parent if that is also missing, and syncs the
// directories they are in. If root makes it, it gets the owner of its parent: the
// user of the service.
func makeDirectory(path string) error {
	parent := filepath.Dir(path)
	if err := os.Mkdir(parent, 0o700); err == nil {
		if err := syncPath(filepath.Dir(parent)); err != nil {
			return err
		}
	}
	err := os.Mkdir(path, 0o700)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	made := err == nil
	if made {
		if err := os.Chmod(path, 0o700); err != nil { // independent of the umask
			return err
		}
	}
	if err := inherit(path, parent, made); err != nil || !made {
		return err
	}
	return syncPath(parent)
}

// inherit gives a directory that root made the owner of its parent. It does so later
// if root was interrupted before.
func inherit(path, parent string, made bool) error {
	if os.Geteuid() != 0 {
		return nil
	}
	var own, above unix.Stat_t
	if err := errors.Join(unix.Stat(parent, &above), unix.Lstat(path, &own)); err != nil {
		return err
	}
	if own.Uid == above.Uid {
		return nil
	}
	if !made {
		entries, err := os.ReadDir(path)
		if err != nil || len(entries) > 0 || own.Uid != 0 {
			return err
		}
	}
	return os.Lchown(path, int(above.Uid), int(above.Gid))
}

// check reads the owner of the directory, and refuses one that other users can reach.
func (d *directory) check(path string) error {
	var st unix.Stat_t
	if err := unix.Fstat(d.fd(), &st); err != nil {
		return err
	}
	d.uid, d.gid = int(st.Uid), int(st.Gid)
	facts := FileFacts{Path: path, Dir: true, UID: d.uid, WantUID: os.Geteuid(), Mode: fs.FileMode(st.Mode & 0o777)}
	switch {
	case facts.WantUID != 0 && facts.UID != facts.WantUID:
		facts.Problem = FileWrongOwner
	case st.Mode&0o077 != 0:
		facts.Problem = FileReachable
	}
	if facts.Problem != 0 {
		return &UnsafeError{facts}
	}
	return nil
}

func syncPath(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func (d directory) fd() int                 { return int(d.f.Fd()) }
func (d directory) path(name string) string { return filepath.Join(d.f.Name(), name) }

func (d directory) sync() error {
	if err := d.f.Sync(); err != nil {
		return fmt.Errorf("fsync of directory %s: %w", d.f.Name(), err)
	}
	return nil
}

// open opens a file of the store. O_NONBLOCK: a named pipe must not block us.
func (d directory) open(name string, flags int) (*os.File, error) {
	fd, err := unix.Openat(d.fd(), name, flags|unix.O_NOFOLLOW|unix.O_CLOEXEC|unix.O_NONBLOCK, 0o600)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: d.path(name), Err: err}
	}
	return os.NewFile(uintptr(fd), d.path(name)), nil
}

// read reads a file of the store after checking its type, owner, mode and size.
func (d directory) read(name string) ([]byte, error) {
	f, err := d.open(name, unix.O_RDONLY)
	if errors.Is(err, unix.ELOOP) {
		return nil, &UnsafeError{FileFacts{Path: d.path(name), Problem: FileIsLink}}
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return nil, err
	}
	facts := FileFacts{Path: f.Name(), UID: int(st.Uid), WantUID: d.uid, Mode: fs.FileMode(st.Mode & 0o777)}
	switch {
	case st.Mode&unix.S_IFMT != unix.S_IFREG:
		facts.Problem = FileNotRegular
	case int(st.Uid) != d.uid && st.Uid != 0:
		facts.Problem = FileWrongOwner
	case st.Mode&0o077 != 0:
		facts.Problem = FileReachable
	case st.Size > maxFile:
		return nil, fmt.Errorf("%s is %d bytes long, more than a record can be", f.Name(), st.Size)
	}
	if facts.Problem != 0 {
		return nil, &UnsafeError{facts}
	}
	return io.ReadAll(io.LimitReader(f, maxFile+1))
}

// unlink removes a file if it exists; the removal is durable after sync.
func (d directory) unlink(name string) error {
	if err := unix.Unlinkat(d.fd(), name, 0); err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("remove %s: %w", d.path(name), err)
	}
	return nil
}

// list returns the names in the directory.
func (d directory) list() ([]string, error) {
	entries, err := os.ReadDir(d.f.Name())
	if err != nil {
		return nil, err
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, nil
}

// scrub overwrites a file and removes it. On flash the old blocks remain below the
// file system until they are reused; on other disks they do not.
func (d directory) scrub(name string) error {
	f, err := d.open(name, unix.O_WRONLY)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		if st, serr := f.Stat(); serr == nil && st.Mode().IsRegular() {
			_, err = f.Write(make([]byte, min(st.Size(), maxFile)))
			err = errors.Join(err, f.Sync())
		}
		err = errors.Join(err, f.Close())
	}
	return errors.Join(d.unlink(name), ignoreLoop(err))
}

// ignoreLoop drops the error of a symbolic link, which has no content to overwrite.
func ignoreLoop(err error) error {
	if errors.Is(err, unix.ELOOP) {
		return nil
	}
	return err
}
