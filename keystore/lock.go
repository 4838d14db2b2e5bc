package keystore

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	lockName = "lock"
	lockTurn = 50 * time.Millisecond // between two tries while waiting
)

// acquireLock takes the store's flock, trying again until wait is over. The lock
// file is empty and never written: the kernel reports who holds it, so opening a
// store writes nothing. When a process dies, however that happens, the kernel
// releases its lock.
//
// If it has to wait, onWait is called once, before the first wait. A context that
// is done ends the wait, and also gives back a lock that was taken too late.
func acquireLock(ctx context.Context, d directory, wait time.Duration, onWait func(*InUseError, time.Duration)) (*os.File, error) {
	deadline := time.Now().Add(wait)
	turn := time.NewTicker(lockTurn)
	defer turn.Stop()
	for first := true; ; first = false {
		f, err := tryLock(d)
		if err != nil {
			return nil, err
		}
		if f != nil {
			if ctx.Err() != nil {
				return nil, errors.Join(fmt.Errorf("keystore: %w", contextError(ctx)), f.Close())
			}
			return f, nil
		}
		if !time.Now().Before(deadline) {
			return nil, &InUseError{Path: d.f.Name(), PID: holder(d)}
		}
		if first && onWait != nil {
			onWait(&InUseError{Path: d.f.Name(), PID: holder(d)}, wait)
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %w", &InUseError{Path: d.f.Name(), PID: holder(d)}, contextError(ctx))
		case <-turn.C:
		}
	}
}

// contextError is why a context is done: its cause, and in the chain always
// context.Canceled or context.DeadlineExceeded.
func contextError(ctx context.Context) error {
	if cause := context.Cause(ctx); !errors.Is(cause, ctx.Err()) {
		return fmt.Errorf("%w: %w", ctx.Err(), cause)
	}
	return ctx.Err()
}

// tryLock returns nil and nil when another process has the lock.
func tryLock(d directory) (*os.File, error) {
	f, err := d.openLock()
	if errors.Is(err, unix.EROFS) { // a store on a disk that became read-only can still be opened
		f, err = d.open(lockName, unix.O_RDONLY)
	}
	if err != nil {
		return nil, fmt.Errorf("keystore: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		cerr := f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) || errors.Is(err, unix.EINTR) {
			return nil, nil
		}
		return nil, errors.Join(fmt.Errorf("keystore: lock %s: %w", f.Name(), err), cerr)
	}
	// The file may have been replaced between opening and locking it.
	var held, named unix.Stat_t
	err = errors.Join(unix.Fstat(int(f.Fd()), &held), unix.Fstatat(d.fd(), lockName, &named, unix.AT_SYMLINK_NOFOLLOW))
	if err != nil || held.Ino != named.Ino {
		return nil, f.Close()
	}
	if err := d.settleLock(f, &held); err != nil {
		return nil, errors.Join(fmt.Errorf("keystore: %w", err), f.Close())
	}
	return f, nil
}

// openLock opens the lock file and makes it if it is missing, 0600 whatever the umask.
func (d directory) openLock() (*os.File, error) {
	f, err := d.open(lockName, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL)
	if err == nil {
		if err := unix.Fchmod(int(f.Fd()), 0o600); err != nil {
			return nil, errors.Join(&os.PathError{Op: "chmod", Path: f.Name(), Err: err}, f.Close())
		}
		return f, nil
	}
	f, err = d.open(lockName, unix.O_RDWR|unix.O_CREAT)
	switch {
	case errors.Is(err, unix.ELOOP):
		return nil, &UnsafeError{FileFacts{Path: d.path(lockName), Problem: FileIsLink}}
	case errors.Is(err, unix.EISDIR), errors.Is(err, unix.ENXIO):
		return nil, &UnsafeError{FileFacts{Path: d.path(lockName), Problem: FileNotRegular}}
	}
	return f, err
}

// settleLock gives the lock file to the owner of the store, so that the service can
// open it later, and closes it to everybody else. It does neither to a file that may
// be another one under this name.
func (d directory) settleLock(f *os.File, st *unix.Stat_t) error {
	facts := FileFacts{Path: f.Name(), UID: int(st.Uid), WantUID: d.uid, Links: int(st.Nlink), Mode: fs.FileMode(st.Mode & 0o777)}
	mine, root := int(st.Uid) == os.Geteuid(), os.Geteuid() == 0
	switch {
	case st.Mode&unix.S_IFMT != unix.S_IFREG:
		facts.Problem = FileNotRegular
	case root && int(st.Uid) != d.uid && st.Uid != 0:
		facts.Problem = FileWrongOwner
	case root && d.uid != 0 && st.Nlink != 1:
		facts.Problem = FileLinked
	case root && int(st.Uid) != d.uid:
		return d.giveToOwner(f)
	case (mine || root) && st.Mode&0o077 != 0 && st.Nlink == 1:
		d.tighten(f, st) // it is empty, so that this may fail
	}
	if facts.Problem != 0 {
		return &UnsafeError{facts}
	}
	return nil
}

// holder is the process that has the lock, or 0 when it is not known: some sandboxes
// hide the kernel's list of locks.
func holder(d directory) int {
	var st unix.Stat_t
	if unix.Fstatat(d.fd(), lockName, &st, unix.AT_SYMLINK_NOFOLLOW) != nil {
		return 0
	}
	f, err := os.Open("/proc/locks")
	if err != nil {
		return 0
	}
	defer f.Close()
	return findHolder(f, st.Ino)
}

// findHolder looks for the line of a lock on this inode, such as
//
//	4: FLOCK  ADVISORY  WRITE 2104 fe:00:262153 0 EOF
//
// The device is not compared, because btrfs and overlay show a different one there.
func findHolder(locks io.Reader, inode uint64) int {
	lines := bufio.NewScanner(locks)
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if len(f) < 6 || f[1] != "FLOCK" || f[3] != "WRITE" || !strings.HasSuffix(f[5], ":"+strconv.FormatUint(inode, 10)) {
			continue
		}
		if pid, err := strconv.Atoi(f[4]); err == nil && pid > 0 {
			return pid
		}
	}
	return 0
}
