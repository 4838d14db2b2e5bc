package keystore

import (
	"errors"
	"fmt"
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

// SecretFileError says which rule a secret file breaks and what mends it.
type SecretFileError struct {
	Path string
	Rule string // what is wrong, as "can be read by every user (mode 0644)"
	Mend string // what to do, as "chmod 600 /etc/peaqos-agent/api-key"
	Err  error  // what the system said, if it said something
}

func (e *SecretFileError) Error() string { return fmt.Sprintf("secret file %s %s", e.Path, e.Rule) }
func (e *SecretFileError) Unwrap() error { return e.Err }

// ReadSecretFile reads a key, token or passphrase that a person or a platform
// put there: a regular file of at most 64 KiB, owned by root or by us, not open
// to others, open to a group only when it is one of ours. A symbolic link is
// fine when every component of the way belongs to root or us, which is how
// Kubernetes mounts secrets. The mode is not judged where the platform guards
// the place instead: under $CREDENTIALS_DIRECTORY, /run/secrets,
// /var/run/secrets, and on a mount that is read-only. The bytes come as they
// are, a line end at the end included. Every error is a *SecretFileError.
func ReadSecretFile(path string) ([]byte, error) {
	fail := func(rule, mend string, err error) ([]byte, error) {
		return nil, &SecretFileError{Path: path, Rule: rule, Mend: mend, Err: err}
	}
	f, way, err := walk(path)
	if err != nil {
		rule, mend := openRule(path, err)
		return fail(rule, mend, err)
	}
	defer f.Close()
	if way.stranger != "" && way.links > 0 {
		return fail(fmt.Sprintf("is reached through a symbolic link, and %s on the way belongs to user %d, neither root nor us", way.stranger, way.strangerUID),
			"give the path of the file itself, or chown -h root "+way.stranger, nil)
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return fail("cannot be examined", "check the disk", err)
	}
	if rule, mend := judge(path, &st, guarded(f.Name(), f)); rule != "" {
		return fail(rule, mend, nil)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxSecretFile+1))
	if err != nil {
		clear(b)
		return fail("cannot be read", "check the disk", err)
	}
	if len(b) > maxSecretFile {
		clear(b)
		return fail("is longer than 64 KiB", "give the file that holds the secret alone", nil)
	}
	return b, nil
}

// ReadPassphraseFile reads a secret file and drops one line end. An empty
// passphrase is refused.
func ReadPassphraseFile(path string) ([]byte, error) {
	b, err := ReadSecretFile(path)
	if err != nil {
		return nil, err
	}
	if b = trimLineEnd(b); len(b) == 0 {
		return nil, &SecretFileError{Path: path, Rule: "is empty", Mend: "write the passphrase into it"}
	}
	return b, nil
}

// judge is the rule on what the file is, its owner and its mode.
func judge(path string, st *unix.Stat_t, guarded bool) (rule, mend string) {
	me := os.Geteuid()
	switch mode := st.Mode & 0o777; {
	case st.Mode&unix.S_IFMT != unix.S_IFREG:
		return "is not a regular file", "give the path of a file, or - for the standard input"
	case st.Size > maxSecretFile:
		return fmt.Sprintf("is %d bytes long, more than 64 KiB", st.Size), "give the file that holds the secret alone"
	case st.Uid != 0 && int(st.Uid) != me:
		return fmt.Sprintf("belongs to user %d, neither root nor us (user %d)", st.Uid, me), fmt.Sprintf("chown %d %s", me, path)
	case guarded:
		return "", ""
	case mode&0o002 != 0:
		return fmt.Sprintf("can be written by every user (mode %04o)", mode), "chmod 600 " + path
	case mode&0o007 != 0:
		return fmt.Sprintf("can be read by every user (mode %04o)", mode), "chmod 600 " + path
	case mode&0o070 != 0 && !inGroup(int(st.Gid)):
		return fmt.Sprintf("is open to group %d, which is not one of ours (mode %04o)", st.Gid, mode), "chmod 600 " + path
	}
	return "", ""
}

func openRule(path string, err error) (rule, mend string) {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "does not exist", "check the path"
	case errors.Is(err, fs.ErrPermission):
		return fmt.Sprintf("may not be read by us (user %d)", os.Geteuid()), fmt.Sprintf("chown %d %s", os.Geteuid(), path)
	case errors.Is(err, unix.ELOOP):
		return "is a chain of too many symbolic links", "give the path of the file itself"
	}
	return "cannot be opened", "check the path"
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
