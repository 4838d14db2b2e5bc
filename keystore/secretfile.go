package keystore

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// maxSecretFile is the maximum length of a secret file in bytes.
const maxSecretFile = 64 << 10

// ReadSecretFile reads a file in which a person or a platform put a key, token or
// passphrase. It must be a regular file of at most 64 KiB, owned by root or the
// current user, not accessible to other users, and accessible to a group only if the
// current user is in it. Symbolic links are followed if every component of the path
// belongs to root or the current user, which is how Kubernetes mounts secrets. The
// mode is not checked where the platform protects the file in another way: under
// $CREDENTIALS_DIRECTORY, /run/secrets, /var/run/secrets, and on a read-only mount.
// The content is returned unchanged, with a trailing newline if there is one. Every
// error is a *SecretFileError.
func ReadSecretFile(path string) ([]byte, error) {
	fail := func(problem FileProblem, err error) ([]byte, error) {
		return nil, &SecretFileError{FileFacts{Path: path, Problem: problem, WantUID: os.Geteuid()}, err}
	}
	f, walked, err := openWalking(path)
	if err != nil {
		return fail(openProblem(err), err)
	}
	defer f.Close()
	if walked.other != "" && walked.links > 0 {
		return nil, &SecretFileError{FileFacts: FileFacts{
			Path: path, Problem: FileLinkOwner, Component: walked.other, UID: int(walked.otherUID),
		}}
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return fail(FileNotRead, err)
	}
	if problem := checkSecretFile(&st, guarded(f.Name(), f)); problem != 0 {
		return nil, &SecretFileError{FileFacts: FileFacts{
			Path: path, Problem: problem, UID: int(st.Uid), GID: int(st.Gid), WantUID: os.Geteuid(),
			Mode: fs.FileMode(st.Mode & 0o777), Size: st.Size,
		}}
	}
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

// ReadPassphraseFile is ReadSecretFile without one trailing newline. An empty
// passphrase is an error.
func ReadPassphraseFile(path string) ([]byte, error) {
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
// for a file that may be used.
func checkSecretFile(st *unix.Stat_t, guarded bool) FileProblem {
	switch mode := st.Mode & 0o777; {
	case st.Mode&unix.S_IFMT != unix.S_IFREG:
		return FileNotRegular
	case st.Size > maxSecretFile:
		return FileTooLong
	case st.Uid != 0 && int(st.Uid) != os.Geteuid():
		return FileWrongOwner
	case guarded:
		return 0
	case mode&0o002 != 0:
		return FileWorldWritable
	case mode&0o007 != 0:
		return FileWorldReadable
	case mode&0o070 != 0 && !inGroup(int(st.Gid)):
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

// guarded reports whether the platform protects this file, so that its mode does not
// matter. The path is the real one, without symbolic links.
func guarded(real string, f *os.File) bool {
	for _, dir := range []string{os.Getenv("CREDENTIALS_DIRECTORY"), "/run/secrets", "/var/run/secrets"} {
		if dir == "" {
			continue
		}
		if dir, err := filepath.EvalSymlinks(dir); err == nil && filepath.IsAbs(dir) && strings.HasPrefix(real, dir+"/") {
			return true
		}
	}
	var fs unix.Statfs_t
	return unix.Fstatfs(int(f.Fd()), &fs) == nil && fs.Flags&unix.ST_RDONLY != 0
}

const maxLinks = 16 // symbolic links on the way to a secret file

// walker follows a path one component at a time through descriptors, so that the
// file that is opened is the one that was checked: no link can be swapped in between.
type walker struct {
	dirs     []int    // descriptors from the root to the current component
	names    []string // their names, without the root's
	links    int      // symbolic links followed
	other    string   // first component that belongs to neither root nor the current user
	otherUID uint32
}

// openWalking opens a file for reading. A file that is not regular is not opened,
// since opening a device can have effects: its descriptor is O_PATH only. The walker
// is returned closed, for what it found on the way.
func openWalking(path string) (*os.File, *walker, error) {
	w := &walker{}
	defer func() { w.up(len(w.dirs)) }()
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, w, err
	}
	root, err := unix.Open("/", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, w, &os.PathError{Op: "open", Path: "/", Err: err}
	}
	w.dirs = append(w.dirs, root)
	for rest := parts(abs); len(rest) > 0; {
		name := rest[0]
		rest = rest[1:]
		target, err := w.step(name)
		if err != nil {
			return nil, w, &os.PathError{Op: "open", Path: w.real(name), Err: err}
		}
		rest = append(parts(target), rest...)
	}
	f, err := w.file()
	if err != nil {
		return nil, w, &os.PathError{Op: "open", Path: w.real(), Err: err}
	}
	return f, w, nil
}

// step descends into one component. If it is a link, it stays and returns the target.
func (w *walker) step(name string) (target string, err error) {
	if name == ".." {
		w.up(min(1, len(w.names)))
		return "", nil
	}
	fd, err := unix.Openat(w.dirs[len(w.dirs)-1], name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", err
	}
	w.dirs, w.names = append(w.dirs, fd), append(w.names, name)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return "", err
	}
	if st.Uid != 0 && int(st.Uid) != os.Geteuid() && w.other == "" {
		w.other, w.otherUID = w.real(), st.Uid
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
