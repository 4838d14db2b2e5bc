package keystore

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// maxSecretFile is the maximum length of a secret file in bytes.
const maxSecretFile = 64 << 10

// ReadSecretFile reads a file in which a person or a platform put a key, token or
// passphrase. It must be a regular file of at most 64 KiB, owned by root or the
// current user, not accessible to other users, and accessible to a group only if the
// current user is in it. An access control list is read for what it opens. Root that
// was called through sudo may also use a file of the person who called it, if its mode
// is 0600 or 0400.
//
// Symbolic links are followed if every component of the path belongs to root or the
// current user, which is how Kubernetes mounts secrets. Owner, mode and links are not
// checked where they are the business of the platform: under $CREDENTIALS_DIRECTORY,
// /run/secrets and /var/run/secrets, on a read-only mount, and on a mount of its own,
// which the file or the directory that it is in may be. The names /dev/stdin,
// /dev/fd/N and /proc/self/fd/N stand for an open file of this process, which is read.
//
// The content is returned unchanged, with a trailing newline if there is one. Every
// error is a *SecretFileError. A path that looks like a secret and names no file is
// not repeated in it.
func ReadSecretFile(path string) ([]byte, error) {
	fail := func(problem FileProblem, err error) ([]byte, error) {
		if _, statErr := os.Lstat(path); problem == FileMissing || problem == FileNotOpened && statErr != nil {
			if looksSecret(path, true) || looksSecret(filepath.Base(path), false) {
				return nil, &SecretFileError{FileFacts: FileFacts{Problem: FileIsSecret}}
			}
		}
		return nil, &SecretFileError{FileFacts{Path: path, Problem: problem, WantUID: os.Geteuid()}, err}
	}
	if fd, ok := descriptorOf(path); ok {
		own, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			return fail(FileNoDescriptor, nil)
		}
		f := os.NewFile(uintptr(own), path)
		defer f.Close()
		return readSecret(f, path, fail)
	}
	f, walked, err := openWalking(path)
	if err != nil {
		return fail(openProblem(err), err)
	}
	defer f.Close()
	platform := guarded(f.Name(), path, f, walked)
	if walked.other != "" && walked.links > 0 && !platform {
		return nil, &SecretFileError{FileFacts: FileFacts{
			Path: path, Problem: FileLinkOwner, Component: walked.other, UID: int(walked.otherUID),
		}}
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return fail(FileNotRead, err)
	}
	aclOpen, acl := aclOf(int(f.Fd()))
	if problem := checkSecretFile(&st, platform, acl && !aclOpen); problem != 0 {
		return nil, &SecretFileError{FileFacts: FileFacts{
			Path: path, Problem: problem, UID: int(st.Uid), GID: int(st.Gid), WantUID: os.Geteuid(),
			Mode: fs.FileMode(st.Mode & 0o777), Size: st.Size, ACL: acl, FileSystem: modeless(int(f.Fd())),
		}}
	}
	return readSecret(f, path, fail)
}

// readSecret reads an open file up to the limit.
func readSecret(f *os.File, path string, fail func(FileProblem, error) ([]byte, error)) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(f, maxSecretFile+1))
	if err != nil {
		clear(b)
		return fail(FileNotRead, err)
	}
	if len(b) > maxSecretFile { // it grew, or its file system reports no size
		clear(b)
		return nil, &SecretFileError{FileFacts: FileFacts{Path: path, Problem: FileTooLong, Size: int64(len(b))}}
	}
	return b, nil
}

// descriptorOf is the descriptor that a path stands for.
func descriptorOf(path string) (int, bool) {
	switch path {
	case "/dev/stdin":
		return 0, true
	case "/dev/stdout", "/dev/stderr":
		return -1, true
	}
	for _, dir := range []string{"/dev/fd/", "/proc/self/fd/", fmt.Sprintf("/proc/%d/fd/", os.Getpid())} {
		if number, ok := strings.CutPrefix(path, dir); ok {
			fd, err := strconv.ParseUint(number, 10, 20)
			return int(fd), err == nil
		}
	}
	return 0, false
}

// readPassphraseFile is ReadSecretFile without one trailing newline. An empty
// passphrase is an error.
func readPassphraseFile(path string) ([]byte, error) {
	b, err := ReadSecretFile(path)
	if err != nil {
		return nil, err
	}
	if b = trimLineEnd(b); len(b) == 0 {
		return nil, &SecretFileError{FileFacts: FileFacts{Path: path, Problem: FileEmpty}}
	}
	return b, nil
}

// checkSecretFile checks the kind, size, owner and mode of a file. It returns 0
// for a file that may be used. Guarded means that owner and mode do not matter,
// aclIsOurs that an access control list opens the file to nobody else.
func checkSecretFile(st *unix.Stat_t, guarded, aclIsOurs bool) FileProblem {
	mode := st.Mode & 0o777
	sudo, bySudo := sudoUser()
	ofSudoUser := bySudo && int(st.Uid) == sudo
	switch {
	case st.Mode&unix.S_IFMT != unix.S_IFREG:
		return FileNotRegular
	case st.Size > maxSecretFile:
		return FileTooLong
	case guarded || ofSudoUser && (mode == 0o600 || mode == 0o400):
		return 0
	case st.Uid != 0 && int(st.Uid) != os.Geteuid() && !ofSudoUser:
		return FileWrongOwner
	case mode&0o002 != 0:
		return FileWorldWritable
	case mode&0o007 != 0:
		return FileWorldReadable
	case mode&0o070 != 0 && (ofSudoUser || !inGroup(int(st.Gid))) && !aclIsOurs:
		return FileGroupAccess
	}
	return 0
}

// openProblem classifies an error of openWalking.
func openProblem(err error) FileProblem {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return FileMissing
	case errors.Is(err, fs.ErrPermission):
		return FileNotPermitted
	case errors.Is(err, unix.ELOOP):
		return FileLinkLoop
	}
	return FileNotOpened
}

func inGroup(gid int) bool {
	groups, err := os.Getgroups()
	return gid == os.Getegid() || err == nil && slices.Contains(groups, gid)
}

// guarded reports whether the platform protects this file, so that its owner and mode
// do not matter. The real path has no symbolic links; the named one is as it was given.
func guarded(real, named string, f *os.File, w *walker) bool {
	named, err := filepath.Abs(named)
	if err != nil {
		return false
	}
	for _, dir := range []string{os.Getenv("CREDENTIALS_DIRECTORY"), "/run/secrets", "/var/run/secrets"} {
		if dir == "" || !filepath.IsAbs(dir) || filepath.Clean(dir) == "/" {
			continue
		}
		below := strings.HasPrefix(named, filepath.Clean(dir)+"/")
		if dir, err := filepath.EvalSymlinks(dir); err == nil {
			below = below || strings.HasPrefix(real, dir+"/")
		}
		if below {
			return true
		}
	}
	var fs unix.Statfs_t
	if unix.Fstatfs(int(f.Fd()), &fs) == nil && fs.Flags&unix.ST_RDONLY != 0 {
		return true
	}
	return isMountPoint(int(f.Fd())) || w.inOwnMount && !sharedMount(filepath.Dir(real))
}

// sharedMount reports whether a mount point is a place where anybody may put a file,
// or the whole system, and so no sign that a platform put the file there.
func sharedMount(dir string) bool {
	p := parts(dir)
	switch len(p) {
	case 0:
		return true
	case 1:
		return slices.Contains([]string{"tmp", "dev", "run", "home", "var", "usr", "etc", "opt", "srv", "mnt", "media", "root"}, p[0])
	case 2:
		return p[0] == "home" || slices.Contains([]string{"/var/tmp", "/dev/shm", "/run/lock"}, dir)
	}
	return len(p) == 3 && strings.HasPrefix(dir, "/run/user/")
}

const maxLinks = 16 // symbolic links on the way to a file

// walker follows a path one component at a time through descriptors, so that the
// file that is opened is the one that was checked: no link can be swapped in between.
type walker struct {
	dirs     []int    // descriptors from the root to the current component
	names    []string // their names, without the root's
	links    int      // symbolic links followed
	other    string   // first component that belongs to another user
	otherUID uint32
	// inOwnMount: the directory of the file that was opened is the root of a mount
	inOwnMount bool
	// check, if it is set, may refuse a component: the directory above, its
	// descriptor and path, and whether the component is the last one.
	check func(dir int, above, own *unix.Stat_t, abovePath, path string, last bool) error
}

// openWalking opens a file for reading. A file that is not regular is not opened,
// since opening a device can have effects: its descriptor is O_PATH only. The walker
// is returned closed, for what it found on the way.
func openWalking(path string) (*os.File, *walker, error) {
	w := &walker{}
	defer func() { w.up(len(w.dirs)) }()
	missing, err := w.walk(path)
	if err == nil && missing != "" {
		err = &os.PathError{Op: "open", Path: w.real(missing), Err: unix.ENOENT}
	}
	if err != nil {
		return nil, w, err
	}
	f, err := w.file()
	if err != nil {
		return nil, w, &os.PathError{Op: "open", Path: w.real(), Err: err}
	}
	return f, w, nil
}

// walk goes to the end of a path. If only its last component is missing, the walker
// stays above it and returns its name.
func (w *walker) walk(path string) (missing string, err error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	root, err := unix.Open("/", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", &os.PathError{Op: "open", Path: "/", Err: err}
	}
	w.dirs = append(w.dirs, root)
	for rest := parts(abs); len(rest) > 0; {
		name := rest[0]
		rest = rest[1:]
		target, err := w.step(name, len(rest) == 0)
		if errors.Is(err, unix.ENOENT) && len(rest) == 0 {
			return name, nil
		}
		var unsafe *UnsafeError
		if errors.As(err, &unsafe) {
			return "", err
		}
		if err != nil {
			return "", &os.PathError{Op: "open", Path: w.real(name), Err: err}
		}
		rest = append(parts(target), rest...)
	}
	return "", nil
}

// step descends into one component. If it is a link, it stays and returns the target.
func (w *walker) step(name string, last bool) (target string, err error) {
	if name == ".." {
		w.up(min(1, len(w.names)))
		return "", nil
	}
	above := w.dirs[len(w.dirs)-1]
	fd, err := unix.Openat(above, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", err
	}
	abovePath := w.real()
	w.dirs, w.names = append(w.dirs, fd), append(w.names, name)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return "", err
	}
	if !trusted(st.Uid) && w.other == "" {
		w.other, w.otherUID = w.real(), st.Uid
	}
	if w.check != nil {
		var parent unix.Stat_t
		if err := unix.Fstat(above, &parent); err != nil {
			return "", err
		}
		if err := w.check(above, &parent, &st, abovePath, w.real(), last); err != nil {
			return "", err
		}
	}
	if st.Mode&unix.S_IFMT != unix.S_IFLNK {
		return "", nil
	}
	buf := make([]byte, 4096)
	n, err := unix.Readlinkat(fd, "", buf)
	w.up(1)
	if w.links++; err == nil && w.links > maxLinks {
		err = unix.ELOOP
	}
	if n > 0 && buf[0] == '/' {
		w.up(len(w.names))
	}
	return string(buf[:max(n, 0)]), err
}

// up goes back n components.
func (w *walker) up(n int) {
	for range n {
		_ = unix.Close(w.dirs[len(w.dirs)-1])
		w.dirs = w.dirs[:len(w.dirs)-1]
		w.names = w.names[:max(0, len(w.names)-1)]
	}
}

// file opens the last component for reading. O_NONBLOCK: a named pipe that replaced
// it must not block us.
func (w *walker) file() (*os.File, error) {
	last := w.dirs[len(w.dirs)-1]
	var named, opened unix.Stat_t
	if err := unix.Fstat(last, &named); err != nil {
		return nil, err
	}
	w.inOwnMount = len(w.dirs) > 2 && isMountPoint(w.dirs[len(w.dirs)-2])
	var fd int
	var err error
	if named.Mode&unix.S_IFMT != unix.S_IFREG {
		fd, err = unix.FcntlInt(uintptr(last), unix.F_DUPFD_CLOEXEC, 0)
	} else {
		const flags = unix.O_RDONLY | unix.O_NOFOLLOW | unix.O_NONBLOCK | unix.O_NOCTTY | unix.O_CLOEXEC
		fd, err = unix.Openat(w.dirs[len(w.dirs)-2], w.names[len(w.names)-1], flags, 0)
	}
	if err != nil {
		return nil, err
	}
	if err = unix.Fstat(fd, &opened); err == nil && (opened.Ino != named.Ino || opened.Dev != named.Dev) {
		err = unix.ESTALE // replaced since it was checked
	}
	f := os.NewFile(uintptr(fd), w.real())
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// real is the path that was followed, without links.
func (w *walker) real(more ...string) string {
	return "/" + filepath.Join(slices.Concat(w.names, more)...)
}

// parts splits a path into its components, without "." and empty ones.
func parts(path string) []string {
	var out []string
	for p := range strings.SplitSeq(path, "/") {
		if p != "" && p != "." {
			out = append(out, p)
		}
	}
	return out
}
