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
// be swapped for another one. How it is found and made is in directory_path.go.
type directory struct {
	f        *os.File
	uid, gid int
	observe  func(Event) // never nil
	trace    func(call)  // nil except in tests
}

// call is one call that changes the disk. Tests compute from a list of them what a
// power cut may leave.
type call struct {
	op   string // create, write, sync, rename, unlink, syncdir, zero
	name string
	to   string // of rename
	data []byte // of write
}

func (d directory) did(c call) {
	if d.trace != nil {
		d.trace(c)
	}
}

func (d directory) fd() int                 { return int(d.f.Fd()) }
func (d directory) path(name string) string { return filepath.Join(d.f.Name(), name) }

func (d directory) sync() error {
	if err := d.f.Sync(); err != nil {
		return fmt.Errorf("fsync of directory %s: %w", d.f.Name(), err)
	}
	d.did(call{op: "syncdir"})
	return nil
}

// open opens a file of the store. O_NONBLOCK: a named pipe must not block us. A file
// of ours that its mode closes even to us is opened to us first.
func (d directory) open(name string, flags int) (*os.File, error) {
	flags |= unix.O_NOFOLLOW | unix.O_CLOEXEC | unix.O_NONBLOCK
	fd, err := unix.Openat(d.fd(), name, flags, 0o600)
	if errors.Is(err, unix.EACCES) && flags&unix.O_EXCL == 0 && d.unlockMode(name) {
		fd, err = unix.Openat(d.fd(), name, flags, 0o600)
	}
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: d.path(name), Err: err}
	}
	return os.NewFile(uintptr(fd), d.path(name)), nil
}

// unlockMode gives a regular file of ours the mode 0600.
func (d directory) unlockMode(name string) bool {
	fd, err := unix.Openat(d.fd(), name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer func() { _ = unix.Close(fd) }()
	var st unix.Stat_t
	if unix.Fstat(fd, &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFREG || int(st.Uid) != os.Geteuid() || st.Nlink != 1 {
		return false
	}
	if chmodDescriptor(fd, 0o600) != nil {
		return false
	}
	d.observe(Event{Kind: EventTightened, Path: d.path(name)})
	return true
}

// chmodDescriptor is fchmod for a descriptor that may be O_PATH.
func chmodDescriptor(fd int, mode uint32) error {
	err := unix.Fchmod(fd, mode)
	if errors.Is(err, unix.EBADF) {
		err = unix.Chmod(fmt.Sprintf("/proc/self/fd/%d", fd), mode)
	}
	return err
}

// read reads a file of the store after checking its type, owner, mode and size. A
// file that exists but cannot be read now, for whatever reason, is an
// *UnreadableError.
func (d directory) read(name string) ([]byte, error) {
	f, err := d.open(name, unix.O_RDONLY)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, err
	case errors.Is(err, unix.ELOOP):
		return nil, &UnreadableError{d.path(name), &UnsafeError{FileFacts{Path: d.path(name), Problem: FileIsLink}}}
	case errors.Is(err, unix.ENXIO): // a socket
		return nil, &UnreadableError{d.path(name), &UnsafeError{FileFacts{Path: d.path(name), Problem: FileNotRegular}}}
	case err != nil:
		return nil, &UnreadableError{d.path(name), err}
	}
	defer f.Close()
	st, err := d.check(f)
	if err != nil {
		return nil, &UnreadableError{d.path(name), err}
	}
	if st.Size > maxFile {
		return nil, fmt.Errorf("%s is %d bytes long, more than a record can be", f.Name(), st.Size)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, &UnreadableError{d.path(name), err}
	}
	return b, nil
}

// check refuses a file that another user could have put there, and tightens one that
// is merely too open.
func (d directory) check(f *os.File) (unix.Stat_t, error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return st, err
	}
	facts := FileFacts{
		Path: f.Name(), UID: int(st.Uid), WantUID: d.uid, Mode: fs.FileMode(st.Mode & 0o777), Links: int(st.Nlink),
	}
	switch {
	case st.Mode&unix.S_IFMT != unix.S_IFREG:
		facts.Problem = FileNotRegular
	case int(st.Uid) != d.uid && st.Uid != 0:
		facts.Problem = FileWrongOwner
	case st.Nlink > 1 && os.Geteuid() == 0 && d.uid != 0: // its owner could have linked a file of root here
		facts.Problem = FileLinked
	case st.Mode&0o077 != 0 && !d.tighten(f, &st):
		facts.Problem, facts.FileSystem = FileReachable, modeless(int(f.Fd()))
	}
	if facts.Problem != 0 {
		return st, &UnsafeError{facts}
	}
	return st, nil
}

// tighten takes a file of ours from everybody else, on its descriptor, and reports
// whether it may be used. On a disk that takes no writes it may be, unless others
// can write it.
func (d directory) tighten(f *os.File, st *unix.Stat_t) bool {
	if me := os.Geteuid(); int(st.Uid) != me && me != 0 || st.Nlink != 1 {
		return false
	}
	err := unix.Fchmod(int(f.Fd()), 0o600)
	var now unix.Stat_t
	if err == nil {
		err = unix.Fstat(int(f.Fd()), &now)
	}
	d.observe(Event{Kind: EventTightened, Path: f.Name(), Mode: fs.FileMode(st.Mode & 0o777), Err: err})
	if errors.Is(err, unix.EROFS) {
		return st.Mode&0o022 == 0
	}
	return err == nil && now.Mode&0o077 == 0
}

// tightenAll tightens the files that somebody opened while the store was closed, as
// a kubelet does for a volume with fsGroup.
func (d directory) tightenAll() {
	names, err := d.list()
	if err != nil {
		return
	}
	for _, name := range names {
		var st unix.Stat_t
		if unix.Fstatat(d.fd(), name, &st, unix.AT_SYMLINK_NOFOLLOW) != nil || st.Mode&unix.S_IFMT != unix.S_IFREG || st.Mode&0o077 == 0 {
			continue
		}
		if f, err := d.open(name, unix.O_RDONLY); err == nil {
			_, _ = d.check(f)
			_ = f.Close()
		}
	}
}

// unlink removes a file if it exists; the removal is durable after sync.
func (d directory) unlink(name string) error {
	err := unix.Unlinkat(d.fd(), name, 0)
	if err == nil {
		d.did(call{op: "unlink", name: name})
	} else if !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("remove %s: %w", d.path(name), err)
	}
	return nil
}

// rename gives a file another name, durably. It does not replace one.
func (d directory) rename(from, to string) error {
	if err := unix.Renameat2(d.fd(), from, d.fd(), to, unix.RENAME_NOREPLACE); err != nil {
		if err := unix.Renameat(d.fd(), from, d.fd(), to); err != nil {
			return fmt.Errorf("rename to %s: %w", d.path(to), err)
		}
	}
	d.did(call{op: "rename", name: from, to: to})
	return d.sync()
}

// exists reports whether there is anything with this name.
func (d directory) exists(name string) bool {
	var st unix.Stat_t
	return !errors.Is(unix.Fstatat(d.fd(), name, &st, unix.AT_SYMLINK_NOFOLLOW), unix.ENOENT)
}

// list returns the names in the directory.
func (d directory) list() ([]string, error) {
	fd, err := unix.Openat(d.fd(), ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &UnreadableError{d.f.Name(), err}
	}
	again := os.NewFile(uintptr(fd), d.f.Name())
	defer again.Close()
	names, err := again.Readdirnames(-1)
	if err != nil {
		return nil, &UnreadableError{d.f.Name(), err}
	}
	return names, nil
}

// scrub overwrites a file and removes it. On flash the old blocks remain below the
// file system until they are reused; on other disks they do not. A file that may be
// somebody else's is only removed.
func (d directory) scrub(name string) error {
	f, err := d.open(name, unix.O_WRONLY)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		var st unix.Stat_t
		if unix.Fstat(int(f.Fd()), &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFREG && st.Nlink == 1 &&
			(int(st.Uid) == d.uid || st.Uid == 0) {
			_, err = f.Write(make([]byte, min(st.Size, maxFile)))
			d.did(call{op: "zero", name: name})
			err = errors.Join(err, f.Sync())
			d.did(call{op: "sync", name: name})
		}
		err = errors.Join(err, f.Close())
	}
	return errors.Join(d.unlink(name), ignoreUnopened(err))
}

// ignoreUnopened drops the error of a file that has no content to overwrite or is not
// ours: removing it is enough.
func ignoreUnopened(err error) error {
	for _, ok := range []error{unix.ELOOP, unix.ENXIO, unix.EISDIR, unix.EACCES, unix.EPERM} {
		if errors.Is(err, ok) {
			return nil
		}
	}
	return err
}
