package keystore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/peaqnetwork/peaqos-agent/keystore"
)

// actAs is what another process does, by its role.
func actAs(role, dir string) int {
	if mask, err := strconv.ParseUint(os.Getenv("KEYSTORE_TEST_UMASK"), 8, 9); err == nil {
		unix.Umask(int(mask))
	}
	s, err := keystore.Open(context.Background(), dir, keystore.Options{LockWait: time.Minute, Volatile: true})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	switch role {
	case "count": // not atomic on purpose: only the lock makes it correct
		path := filepath.Join(dir, "count")
		b, _ := os.ReadFile(path)
		n, _ := strconv.Atoi(string(b))
		err = os.WriteFile(path, []byte(strconv.Itoa(n+1)), 0o600)
	case "hold":
		fmt.Println("held")
		_, err = os.Stdin.Read(make([]byte, 1))
	case "umask":
		err = s.PutAgent("main", testAgent("tok"))
	case "full disk":
		err = fillDisk(s)
	}
	if err = errors.Join(err, s.Close()); err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}

// process starts the test binary in a role.
func process(t *testing.T, role, dir string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	must(t, err)
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), "KEYSTORE_TEST_ROLE="+role, "KEYSTORE_TEST_DIR="+dir)
	return cmd
}

// TestLockHeldElsewhere: while another process holds the store, errors and OnLockWait
// name it; kill -9 releases the lock, and the process that waits gets it.
func TestLockHeldElsewhere(t *testing.T) {
	dir := t.TempDir()
	holder := process(t, "hold", dir)
	_, err := holder.StdinPipe() // stays open until the process dies
	must(t, err)
	out, err := holder.StdoutPipe()
	must(t, err)
	must(t, holder.Start())
	_, err = out.Read(make([]byte, 8))
	must(t, err)

	_, err = keystore.Open(context.Background(), dir, keystore.Options{})
	var locked *keystore.InUseError
	if !errors.As(err, &locked) || !errors.Is(err, keystore.ErrInUse) {
		t.Fatalf("Open = %v, want ErrInUse", err)
	}
	if locked.PID != holder.Process.Pid || !strings.Contains(err.Error(), fmt.Sprint(holder.Process.Pid)) {
		t.Errorf("%v, want process %d", err, holder.Process.Pid)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err = keystore.Open(ctx, dir, keystore.Options{LockWait: time.Hour})
	if !errors.Is(err, keystore.ErrInUse) || !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled wait: %v", err)
	}

	got, waiting := make(chan error, 1), make(chan *keystore.InUseError, 2)
	ctx, cancel = context.WithCancel(context.Background())
	o := keystore.Options{LockWait: time.Minute, OnLockWait: func(holder *keystore.InUseError, limit time.Duration) {
		if limit != time.Minute {
			t.Errorf("OnLockWait got a limit of %v", limit)
		}
		waiting <- holder
	}}
	openIt := func(ctx context.Context) {
		s, err := keystore.Open(ctx, dir, o)
		if err == nil {
			err = s.Close()
		}
		got <- err
	}
	go openIt(ctx)
	if who := <-waiting; who.PID != holder.Process.Pid || who.Path != filepath.Join(dir, "keystore") {
		t.Errorf("waiting for %v, want process %d", who, holder.Process.Pid)
	}
	cancel()
	if err := <-got; !errors.Is(err, keystore.ErrInUse) || !errors.Is(err, context.Canceled) {
		t.Errorf("a wait that was cancelled in between: %v", err)
	}

	go openIt(context.Background())
	<-waiting
	must(t, holder.Process.Kill())
	_ = holder.Wait()
	if err := <-got; err != nil {
		t.Errorf("after the holder's death: %v", err)
	}
	if len(waiting) > 0 {
		t.Error("OnLockWait was called more than once")
	}
}

// TestLockOfCancelledContext: a lock that is free is given back when the context
// is done, and OnLockWait is not called.
func TestLockOfCancelledContext(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithCancelCause(context.Background())
	cause := errors.New("interrupted")
	cancel(cause)
	o := keystore.Options{LockWait: time.Hour, OnLockWait: func(*keystore.InUseError, time.Duration) {
		t.Error("it waited for a free lock")
	}}
	_, err := keystore.Open(ctx, dir, o)
	if !errors.Is(err, context.Canceled) || !errors.Is(err, cause) || errors.Is(err, keystore.ErrInUse) {
		t.Errorf("Open = %v, want only the context's error", err)
	}
	must(t, open(t, dir, keystore.Options{}).Close()) // without a wait: the lock is free
}

// TestLockRaceOfProcesses: each process adds one to a number in a file.
func TestLockRaceOfProcesses(t *testing.T) {
	for _, n := range []int{2, 40} {
		dir := t.TempDir()
		var wg sync.WaitGroup
		for range n {
			cmd := process(t, "count", dir)
			wg.Go(func() {
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Errorf("%v: %s", err, out)
				}
			})
		}
		wg.Wait()
		if got := string(bytes.TrimSpace(read(t, filepath.Join(dir, "count")))); got != strconv.Itoa(n) {
			t.Errorf("%d processes counted to %s", n, got)
		}
	}
}

// TestLockRaceOfGoroutines: a lock belongs to the open file, so two stores in one
// process also exclude each other.
func TestLockRaceOfGoroutines(t *testing.T) {
	for _, n := range []int{2, 200} {
		dir := t.TempDir()
		var wg sync.WaitGroup
		var inside sync.Mutex
		for range n {
			wg.Go(func() {
				s, err := keystore.Open(context.Background(), dir, keystore.Options{LockWait: time.Minute})
				if err != nil {
					t.Error(err)
					return
				}
				if inside.TryLock() {
					_ = second(s.Agent("main")) // some work, so that others could get in
					inside.Unlock()
				} else {
					t.Error("two holders at once")
				}
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	}
}

// TestLockFileReplaced: a lock on a file that was unlinked does not count.
func TestLockFileReplaced(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, keystore.Options{})
	must(t, os.Remove(file(dir, "lock")))
	second := open(t, dir, keystore.Options{})
	must(t, second.Close())
	must(t, s.Close())
}
