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
