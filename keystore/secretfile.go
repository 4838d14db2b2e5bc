package keystore

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// maxSecretFile bounds a secret file; nothing that we read as one is longer.
const maxSecretFile = 64 << 10

// SecretFileError says which rule a secret file breaks and what mends it.
type SecretFileError struct {
	Path string
	Rule string // what is wrong
	Mend string // what to do
	Err  error
}

func (e *SecretFileError) Error() string { return fmt.Sprintf("%s: %s", e.Path, e.Rule) }
func (e *SecretFileError) Unwrap() error { return e.Err }

// ReadSecretFile reads a key, token or passphrase that a person or a platform
// put there. The file must be a regular one of at most 64 KiB, owned by root or
// by us, not writable or readable by others, and by a group only when it is one
// of ours. A symlink is fine when every link belongs to root or us, which is how
// Kubernetes mounts secrets. The mode is not judged where the platform guards
// the directory instead: systemd's credentials, /run/secrets, read-only mounts.
func ReadSecretFile(path string) ([]byte, error) {
	fail := func(rule, mend string, err error) ([]byte, error) {
		return nil, &SecretFileError{Path: path, Rule: rule, Mend: mend, Err: err}
	}
	if err := checkLinks(path, 0); err != nil {
		return fail(err.Error(), "point to the file itself", nil)
	}
	// O_NONBLOCK: a named pipe must not hang us; the type is checked below.
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		rule := "cannot be opened"
		if errors.Is(err, os.ErrNotExist) {
			rule = "does not exist"
		} else if errors.Is(err, os.ErrPermission) {
			rule = "may not be read by this user"
		}
		return fail(rule, "check the path and who owns it", err)
	}
	defer f.Close()
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return fail("cannot be examined", "", err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return fail("is not a regular file", "give the path of a file", nil)
	}
	if st.Size > maxSecretFile {
		return fail(fmt.Sprintf("is %d bytes long, more than %d", st.Size, maxSecretFile), "give the right file", nil)
	}
	if !guarded(path, f) {
		if rule, mend := judgeMode(path, &st); rule != "" {
			return fail(rule, mend, nil)
		}
	}
	b, err := io.ReadAll(io.LimitReader(f, maxSecretFile+1))
	if err != nil {
		return fail("cannot be read", "", err)
	}
	if len(b) > maxSecretFile {
		return fail("is longer than 64 KiB", "give the right file", nil)
	}
	return b, nil
}

// judgeMode is the rule on owner and mode.
func judgeMode(path string, st *unix.Stat_t) (rule, mend string) {
	switch {
	case st.Uid != 0 && int(st.Uid) != os.Geteuid():
		return fmt.Sprintf("belongs to user %d, neither root nor us", st.Uid), "chown it to the user that reads it"
	case st.Mode&0o007 != 0:
		return fmt.Sprintf("can be reached by every user (mode %04o)", st.Mode&0o777), "chmod 600 " + path
	case st.Mode&0o020 != 0:
		return fmt.Sprintf("can be written by its group (mode %04o)", st.Mode&0o777), "chmod 600 " + path
	case st.Mode&0o040 != 0 && !inGroup(int(st.Gid)):
		return fmt.Sprintf("can be read by group %d, which is not ours (mode %04o)", st.Gid, st.Mode&0o777), "chmod 600 " + path
	}
	return "", ""
}

func inGroup(gid int) bool {
	groups, _ := os.Getgroups()
	return gid == os.Getegid() || slices.Contains(groups, gid)
}

// checkLinks follows symlinks by hand: each must belong to root or us, so that
// nobody else chooses what we read.
func checkLinks(path string, depth int) error {
	var st unix.Stat_t
	if depth > 8 {
		return errors.New("is a chain of more than eight symbolic links")
	}
	if unix.Lstat(path, &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFLNK {
		return nil
	}
	if st.Uid != 0 && int(st.Uid) != os.Geteuid() {
		return fmt.Errorf("is a symbolic link of user %d, neither root nor us", st.Uid)
	}
	target, err := os.Readlink(path)
	if err != nil {
		return err
	}
	if !filepath.IsAbs(target) {
		target = filepath.Join(filepath.Dir(path), target)
	}
	return checkLinks(target, depth+1)
}

// guarded reports whether the platform guards this file, so that its mode says nothing.
func guarded(path string, f *os.File) bool {
	abs, err := filepath.Abs(path)
	if err != nil {
		return false
	}
	for _, dir := range []string{os.Getenv("CREDENTIALS_DIRECTORY"), "/run/secrets", "/var/run/secrets"} {
		if dir != "" && strings.HasPrefix(abs, filepath.Clean(dir)+"/") {
			return true
		}
	}
	var fs unix.Statfs_t
	return unix.Fstatfs(int(f.Fd()), &fs) == nil && fs.Flags&unix.ST_RDONLY != 0
}
