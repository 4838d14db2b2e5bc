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

// maxSecretFile bounds a secret file; nothing that is read as one is longer.
const maxSecretFile = 64 << 10

// ReadSecretFile reads a key, token or passphrase that a person or a platform
// put there: a regular file of at most 64 KiB, owned by root or by us, not open
// to others, open to a group only when it is one of ours. A symbolic link is
// fine when every component of the way belongs to root or us, which is how
// Kubernetes mounts secrets. The mode is not judged where the platform guards
// the place instead: under $CREDENTIALS_DIRECTORY, /run/secrets,
// /var/run/secrets, and on a mount that is read-only. The bytes come as they
// are, a line end at the end included. Every error is a *SecretFileError.
func ReadSecretFile(path string) ([]byte, error) {
	fail := func(problem FileProblem, err error) ([]byte, error) {
		return nil, &SecretFileError{FileFacts{Path: path, Problem: problem, WantUID: os.Geteuid()}, err}
	}
	f, way, err := walk(path)
	if err != nil {
		return fail(openProblem(err), err)
	}
	defer f.Close()
	if way.other != "" && way.links > 0 {
		return nil, &SecretFileError{FileFacts: FileFacts{Path: path, Problem: FileLinkOwner, Component: way.other, UID: int(way.otherUID)}}
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return fail(FileNotRead, err)
	}
	if problem := checkSecretFile(&st, guarded(f.Name(), f)); problem != 0 {
		return nil, &SecretFileError{FileFacts: FileFacts{
			Path: path, Problem: problem, UID: int(st.Uid), GID: int(st.Gid), WantUID: os.Geteuid(), Mode: fs.FileMode(st.Mode & 0o777), Size: st.Size,
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

// ReadPassphraseFile reads a secret file and drops one line end. An empty
// passphrase is refused. Every error is a *SecretFileError.
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

// guarded reports whether the platform guards this file, so that its mode says
// nothing. The path is the real one, with no link in it.
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

const maxLinks = 16

// walker follows a path one component at a time through descriptors, so that
// what is looked at is what is opened: nobody can swap a link between the two.
type walker struct {
	dirs     []int    // descriptors from the root down to where we are
	names    []string // their names, without the root's
	links    int      // symbolic links followed
	other    string   // first component that belongs to neither root nor us
	otherUID uint32
}

// walk opens a file for reading. What is no regular file is not opened, since
// opening a device can have effects; its descriptor only names it. The walker is
// closed and tells of the way.
func walk(path string) (*os.File, *walker, error) {
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

// step goes to one component; of a link it returns the target and stays.
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

// file makes a descriptor that can be read of the last component. O_NONBLOCK: a
// named pipe that took its place must not hang us.
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
		fd, err = unix.Openat(w.dirs[len(w.dirs)-2], w.names[len(w.names)-1], unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	}
	if err != nil {
		return nil, err
	}
	if err = unix.Fstat(fd, &opened); err == nil && (opened.Ino != named.Ino || opened.Dev != named.Dev) {
		err = unix.ESTALE // replaced under our hands
	}
	f := os.NewFile(uintptr(fd), w.real())
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// real is the path that was walked, without links.
func (w *walker) real(more ...string) string {
	return "/" + filepath.Join(slices.Concat(w.names, more)...)
}

// parts cuts a path into its components, without "." and empty ones.
func parts(path string) []string {
	var out []string
	for p := range strings.SplitSeq(path, "/") {
		if p != "" && p != "." {
			out = append(out, p)
		}
	}
	return out
}
