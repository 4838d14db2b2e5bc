package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// strace counts the calls of each thread separately, and a Go program moves between
// threads, so the n-th call of one system call misses some. This tracer counts over all
// threads: a kill before the n-th call, for every n, covers all of them.

// numbers are the names of the system calls of files and sockets, by number.
func numbers() map[uint64]string {
	return map[uint64]string{
		unix.SYS_OPENAT: "openat", unix.SYS_MKDIRAT: "mkdirat", unix.SYS_READ: "read", unix.SYS_PREAD64: "pread64",
		unix.SYS_WRITE: "write", unix.SYS_FSYNC: "fsync", unix.SYS_RENAMEAT: "renameat", unix.SYS_UNLINKAT: "unlinkat",
		unix.SYS_CLOSE: "close", unix.SYS_FLOCK: "flock", unix.SYS_FCHMODAT: "fchmodat", unix.SYS_FSTAT: "fstat",
		unix.SYS_FSTATFS: "fstatfs", unix.SYS_GETDENTS64: "getdents64", unix.SYS_FCNTL: "fcntl", unix.SYS_SOCKET: "socket",
		unix.SYS_CONNECT: "connect", unix.SYS_GETSOCKOPT: "getsockopt", unix.SYS_SETSOCKOPT: "setsockopt",
	}
}

// traced is how a traced run ended.
type traced struct {
	hit   string         // the call before which it was killed; empty for none
	seen  map[string]int // calls until then
	exit  int
	fault error
}

// syscallInfo returns the system call of a stopped thread: PTRACE_GET_SYSCALL_INFO.
func syscallInfo(tid int) (entering bool, number uint64) {
	const getSyscallInfo, entry = 0x420e, 1
	var b [88]byte
	_, _, errno := unix.Syscall6(unix.SYS_PTRACE, getSyscallInfo, uintptr(tid), uintptr(len(b)), uintptr(unsafe.Pointer(&b[0])), 0, 0)
	return errno == 0 && b[0] == entry, binary.NativeEndian.Uint64(b[24:])
}

// killBefore runs a command and kills it before its n-th file or socket call,
// counted from 1 over all threads. The output is discarded.
func killBefore(cmd *exec.Cmd, n int) traced {
	runtime.LockOSThread() // ptrace belongs to a thread
	defer runtime.UnlockOSThread()
	t := traced{seen: map[string]int{}}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return traced{fault: err}
	}
	defer null.Close()
	cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = null, null, &syscall.SysProcAttr{Ptrace: true, Setpgid: true}
	if err := cmd.Start(); err != nil {
		return traced{fault: err}
	}
	pid := cmd.Process.Pid
	defer func() { _ = cmd.Process.Release() }()
	var ws unix.WaitStatus
	if _, err := unix.Wait4(pid, &ws, 0, nil); err != nil || !ws.Stopped() {
		return traced{fault: fmt.Errorf("the traced program did not stop: %w", err)}
	}
	const exitKill = 0x100000
	const options = unix.PTRACE_O_TRACESYSGOOD | unix.PTRACE_O_TRACECLONE | exitKill
	if err := errors.Join(unix.PtraceSetOptions(pid, options), unix.PtraceSyscall(pid, 0)); err != nil {
		return traced{fault: err}
	}
	t.follow(pid, n)
	return t
}

// follow continues the process after every stop until all threads have ended.
func (t *traced) follow(pid, n int) {
	names, count := numbers(), 0
	known := map[int]bool{pid: true}
	for {
		var ws unix.WaitStatus
		tid, err := unix.Wait4(-pid, &ws, unix.WALL, nil) // only its process group: other workers have children as well
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil: // ECHILD: all threads have ended
			return
		case ws.Exited() || ws.Signaled():
			if tid == pid {
				t.exit = ws.ExitStatus()
			}
			continue
		case !ws.Stopped():
			continue
		}
		deliver := 0
		switch sig := ws.StopSignal(); {
		case sig == unix.SIGTRAP|0x80:
			entering, number := syscallInfo(tid)
			name, ours := names[number]
			if !entering || !ours || t.hit != "" {
				break
			}
			t.seen[name]++
			if count++; count == n {
				t.hit = name
				_ = unix.Kill(pid, unix.SIGKILL)
			}
		case sig == unix.SIGTRAP && ws.TrapCause() > 0: // a thread was created
		case sig == unix.SIGSTOP && !known[tid]: // a new thread starts
			known[tid] = true
		default:
			deliver = int(sig)
		}
		_ = unix.PtraceSyscall(tid, deliver) // a killed thread has already ended
	}
}
