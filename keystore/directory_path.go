package keystore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// openDirectory opens path, whose last component is the store's own directory, 0700,
// and makes it and its parent if only these are missing.
//
// Every component is opened through the descriptor of the one above, and what is
// made, changed or given away is the opened directory and never a path. For root no
// component may be one that another user can replace, because root would store keys
// there; the parent of the store may belong to the user of the service.
func openDirectory(path string, observe func(Event)) (directory, error) {
	parentPath := filepath.Dir(path)
	parent, err := openParent(parentPath)
	if err != nil {
		return directory{}, err
	}
	defer parent.Close()
	var above unix.Stat_t
	if err := unix.Fstat(int(parent.Fd()), &above); err != nil {
		return directory{}, err
	}
	f, err := openOrMake(parent, filepath.Base(path), path, true)
	if err != nil {
		return directory{}, err
	}
	d := directory{f: f, observe: observe}
	if err := d.checkOwner(parent, &above); err != nil {
		return directory{}, errors.Join(err, f.Close())
	}
	return d, nil
}

// openParent opens the directory that the store is in, O_PATH, and makes it if only
// its last component is missing.
func openParent(path string) (*os.File, error) {
	w := &walker{}
	if os.Geteuid() == 0 {
		w.check = checkComponent
	}
	defer func() { w.up(len(w.dirs)) }()
	missing, err := w.walk(path)
	if err != nil {
		return nil, err
	}
	last := w.dirs[len(w.dirs)-1]
	if missing == "" {
		fd, err := unix.FcntlInt(uintptr(last), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			return nil, err
		}
		return os.NewFile(uintptr(fd), path), nil
	}
	if w.check != nil {
		var st, made unix.Stat_t
		if err := unix.Fstat(last, &st); err != nil {
			return nil, err
		}
		if err := w.check(last, &st, &made, w.real(), path, true); err != nil {
			return nil, err
		}
	}
	above := os.NewFile(uintptr(last), w.real())
	w.dirs = w.dirs[:len(w.dirs)-1] // above closes it
	defer above.Close()
	return openOrMake(above, missing, path, false)
}

// openOrMake opens a directory below an open one, 0700 if it has to be made. With
// give, what root makes gets the owner of the directory above: the user of the
// service. It does so later if root was interrupted before.
func openOrMake(above *os.File, name, path string, give bool) (*os.File, error) {
	err := unix.Mkdirat(int(above.Fd()), name, 0o700)
	made := err == nil
	if err != nil && !errors.Is(err, unix.EEXIST) {
		if st := (unix.Stat_t{}); unix.Fstatat(int(above.Fd()), name, &st, unix.AT_SYMLINK_NOFOLLOW) != nil {
			return nil, &os.PathError{Op: "mkdir", Path: path, Err: err}
		} // on a read-only disk the error of one that exists is EROFS
	}
	f, err := openBelow(int(above.Fd()), name, path)
	if err != nil {
		return nil, err
	}
	if err := settle(f, above, made, give); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// openBelow opens a directory, which a symbolic link is not. One of ours whose mode
// closes it even to us is opened to us first.
func openBelow(above int, name, path string) (*os.File, error) {
	fd, err := unix.Openat(above, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	defer func() { _ = unix.Close(fd) }()
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, &os.PathError{Op: "stat", Path: path, Err: err}
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFLNK:
		return nil, &UnsafeError{FileFacts{Path: path, Dir: true, Problem: FileIsLink}}
	case unix.S_IFDIR:
	default:
		return nil, &UnsafeError{FileFacts{Path: path, Dir: true, Problem: FileNotRegular}}
	}
	const flags = unix.O_RDONLY | unix.O_DIRECTORY | unix.O_CLOEXEC
	open, err := unix.Openat(fd, ".", flags, 0)
	if errors.Is(err, unix.EACCES) && int(st.Uid) == os.Geteuid() {
		if err = chmodDescriptor(fd, 0o700); err == nil {
			open, err = unix.Openat(fd, ".", flags, 0)
		}
	}
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	return os.NewFile(uintptr(open), path), nil
}

// settle finishes a directory that we made, whatever the umask.
func settle(f, above *os.File, made, give bool) error {
	var own, parent unix.Stat_t
	if err := errors.Join(unix.Fstat(int(f.Fd()), &own), unix.Fstat(int(above.Fd()), &parent)); err != nil {
		return err
	}
	give = give && os.Geteuid() == 0
	if made || give && own.Uid == 0 && parent.Uid != 0 {
		names, err := f.Readdirnames(1)
		if len(names) > 0 { // of another process that was faster, or not the one we made
			return nil
		}
		if own.Uid != uint32(os.Geteuid()) {
			return &os.PathError{Op: "mkdir", Path: f.Name(), Err: errors.Join(err, unix.ESTALE)}
		}
		if err := unix.Fchmod(int(f.Fd()), 0o700); err != nil {
			return &os.PathError{Op: "chmod", Path: f.Name(), Err: err}
		}
		if give && parent.Uid != own.Uid {
			if err := unix.Fchown(int(f.Fd()), int(parent.Uid), int(parent.Gid)); err != nil {
				return &os.PathError{Op: "chown", Path: f.Name(), Err: err}
			}
		}
	}
	if !made {
		return nil
	}
	fd, err := unix.Openat(int(above.Fd()), ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.EACCES) {
		return nil // only its owner can sync it
	}
	if err != nil {
		return &os.PathError{Op: "open", Path: above.Name(), Err: err}
	}
	readable := os.NewFile(uintptr(fd), above.Name())
	return errors.Join(readable.Sync(), readable.Close())
}

// checkOwner refuses a directory of another user, who could have put files into it,
// and tightens one of ours that is too open.
func (d *directory) checkOwner(parent *os.File, above *unix.Stat_t) error {
	var st unix.Stat_t
	if err := unix.Fstat(d.fd(), &st); err != nil {
		return err
	}
	path := d.f.Name()
	d.uid, d.gid = int(st.Uid), int(st.Gid)
	me := os.Geteuid()
	facts := FileFacts{Path: path, Dir: true, UID: d.uid, WantUID: me, Mode: fs.FileMode(st.Mode & 0o777)}
	switch {
	case me != 0 && d.uid != me:
		facts.Problem = FileWrongOwner
	case me == 0 && d.uid != 0 && d.uid != int(above.Uid):
		facts.Problem, facts.WantUID = FileWrongOwner, int(above.Uid)
	case me == 0 && exposed(int(parent.Fd()), above, &st):
		return exposedError(path, parent.Name(), above)
	case st.Mode&0o077 != 0:
		err := unix.Fchmod(d.fd(), 0o700)
		var now unix.Stat_t
		if err == nil {
			err = unix.Fstat(d.fd(), &now)
		}
		d.observe(Event{Kind: EventTightened, Path: path, Mode: facts.Mode, Err: err})
		if errors.Is(err, unix.EROFS) && st.Mode&0o022 == 0 {
			return nil
		}
		if err != nil || now.Mode&0o077 != 0 {
			facts.Problem, facts.FileSystem = FileReachable, modeless(d.fd())
		}
	}
	if facts.Problem != 0 {
		return &UnsafeError{facts}
	}
	return nil
}

// checkComponent refuses a component of the path that a user other than root could
// have put there. The last one may belong to the user of the service.
func checkComponent(dir int, above, own *unix.Stat_t, abovePath, path string, last bool) error {
	link := own.Mode&unix.S_IFMT == unix.S_IFLNK
	if !trusted(own.Uid) && (link || !last) {
		return exposedError(path, path, own)
	}
	if exposed(dir, above, own) {
		return exposedError(path, abovePath, above)
	}
	return nil
}

// exposed reports whether somebody who is not root could replace an entry of a
// directory. In a directory that others can write, an entry of root is safe if the
// directory is sticky, and in the root of a volume, which nobody else mounts. The
// sticky bit does not protect an entry that may belong to another user.
func exposed(dir int, above, own *unix.Stat_t) bool {
	ownGroup := inGroup(int(above.Gid)) || above.Gid == above.Uid // a group of this user, or of only its owner
	if above.Mode&0o002 == 0 && (above.Mode&0o020 == 0 || ownGroup) {
		return false
	}
	if !trusted(own.Uid) {
		return true
	}
	return above.Mode&unix.S_ISVTX == 0 && !isMountPoint(dir)
}

func exposedError(path, dir string, st *unix.Stat_t) error {
	return &UnsafeError{FileFacts{
		Path: path, Dir: true, Problem: FileExposed, Component: dir, UID: int(st.Uid), Mode: fs.FileMode(st.Mode & 0o1777),
	}}
}

// trusted reports whether a user can do what this process can: root, the current
// user, and the one who runs it through sudo. In a user namespace, root of the host
// has the number of nobody.
func trusted(uid uint32) bool {
	if uid == 0 || int(uid) == os.Geteuid() {
		return true
	}
	if sudo, ok := sudoUser(); ok && int(uid) == sudo {
		return true
	}
	return uid == 65534 && inUserNamespace()
}

// sudoUser is the user who runs this process through sudo. The variable means
// nothing to a process that is not root.
func sudoUser() (int, bool) {
	if os.Geteuid() != 0 {
		return 0, false
	}
	uid, err := strconv.ParseUint(os.Getenv("SUDO_UID"), 10, 31)
	return int(uid), err == nil && uid > 0
}

func inUserNamespace() bool {
	b, err := os.ReadFile("/proc/self/uid_map")
	var inside, outside, count uint64
	if err != nil {
		return false
	}
	if _, err := fmt.Sscan(string(b), &inside, &outside, &count); err != nil {
		return false
	}
	return count < 1<<32-1
}

// isMountPoint reports whether an open file or directory is the root of a mount.
func isMountPoint(fd int) bool {
	var st unix.Statx_t
	if unix.Statx(fd, "", unix.AT_EMPTY_PATH|unix.AT_SYMLINK_NOFOLLOW, unix.STATX_TYPE, &st) == nil &&
		st.Attributes_mask&unix.STATX_ATTR_MOUNT_ROOT != 0 {
		return st.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0
	}
	var own, above unix.Stat_t // kernels before 5.8, which a bind mount of the same disk escapes
	return unix.Fstat(fd, &own) == nil && unix.Fstatat(fd, "..", &above, 0) == nil && own.Dev != above.Dev
}
