package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A Go program moves between threads, so a tracer that counts the calls of each thread,
// as strace does, misses some. This one counts over all threads: an interruption of the
// n-th call, for every n, covers all of them.

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

// interruption is what happens to a call: SIGKILL before it, or an error instead of it.
type interruption struct {
	errno unix.Errno // 0: kill
	calls []string   // the calls that count; nil for all
}

// traced is how a traced run ended.
type traced struct {
	hit    string         // the call that was interrupted; empty for none
	seen   map[string]int // calls that count, until the interruption
	killed bool           // it died of SIGKILL
	exit   int
	output string // standard output and standard error
	fault  error
}

// syscallInfo returns the system call of a stopped thread: PTRACE_GET_SYSCALL_INFO.
func syscallInfo(tid int) (entering bool, number uint64) {
	const getSyscallInfo, entry = 0x420e, 1
	var b [88]byte
	_, _, errno := unix.Syscall6(unix.SYS_PTRACE, getSyscallInfo, uintptr(tid), uintptr(len(b)), uintptr(unsafe.Pointer(&b[0])), 0, 0)
	return errno == 0 && b[0] == entry, binary.NativeEndian.Uint64(b[24:])
}

// interrupt runs a command and interrupts its n-th file or socket call, counted from 1
// over all threads, once the process is the agent: a front such as sh is not counted.
func interrupt(cmd *exec.Cmd, agent string, n int, at interruption) traced {
	runtime.LockOSThread() // ptrace belongs to a thread
	defer runtime.UnlockOSThread()
	output, err := os.CreateTemp("", "peaqos-faults-output-")
	if err != nil {
		return traced{fault: err}
	}
	defer os.Remove(output.Name())
	defer output.Close()
	cmd.Stdout, cmd.Stderr = output, output
	cmd.SysProcAttr = &syscall.SysProcAttr{Ptrace: true, Setpgid: true}
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
	const options = unix.PTRACE_O_TRACESYSGOOD | unix.PTRACE_O_TRACECLONE | unix.PTRACE_O_TRACEEXEC | exitKill
	if err := errors.Join(unix.PtraceSetOptions(pid, options), unix.PtraceSyscall(pid, 0)); err != nil {
		return traced{fault: err}
	}
	t := &tracer{traced: traced{seen: map[string]int{}}, pid: pid, agent: agent, n: n, at: at, names: numbers()}
	t.follow()
	text, err := os.ReadFile(output.Name())
	t.output, t.fault = string(text), errors.Join(t.fault, err)
	return t.traced
}

// tracer is one traced run.
type tracer struct {
	traced
	pid     int
	agent   string // path of the program whose calls count
	n       int
	at      interruption
	names   map[uint64]string
	counted int
	failing int // the thread whose call is skipped; 0 for none
}

// isAgent reports whether the process runs the agent yet.
func (t *tracer) isAgent() bool {
	path, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", t.pid))
	return err == nil && path == t.agent
}

// follow continues the process after every stop until all threads have ended.
func (t *tracer) follow() {
	known := map[int]bool{t.pid: true}
	counts := t.isAgent()
	for {
		var ws unix.WaitStatus
		tid, err := unix.Wait4(-t.pid, &ws, unix.WALL, nil) // only its process group: other workers have children as well
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil: // ECHILD: all threads have ended
			return
		case ws.Exited() || ws.Signaled():
			if tid == t.pid {
				t.exit, t.killed = ws.ExitStatus(), ws.Signaled() && ws.Signal() == unix.SIGKILL
			}
			continue
		case !ws.Stopped():
			continue
		}
		deliver := 0
		switch sig := ws.StopSignal(); {
		case sig == unix.SIGTRAP|0x80:
			if counts {
				t.call(tid)
			}
		case sig == unix.SIGTRAP && ws.TrapCause() > 0: // a thread was created, or another program runs
			counts = t.isAgent()
		case sig == unix.SIGSTOP && !known[tid]: // a new thread starts
			known[tid] = true
		default:
			deliver = int(sig)
		}
		_ = unix.PtraceSyscall(tid, deliver) // a killed thread has already ended
	}
}

// call handles the begin or the end of a call of one thread.
func (t *tracer) call(tid int) {
	entering, number := syscallInfo(tid)
	if tid == t.failing && !entering {
		t.failing = 0
		t.fault = errors.Join(t.fault, failCall(tid, t.at.errno))
		return
	}
	name, ours := t.names[number]
	if !entering || !ours || t.hit != "" || t.at.calls != nil && !slices.Contains(t.at.calls, name) {
		return
	}
	t.seen[name]++
	if t.counted++; t.counted != t.n {
		return
	}
	t.hit = name
	if t.at.errno == 0 {
		_ = unix.Kill(t.pid, unix.SIGKILL)
		return
	}
	t.failing = tid
	t.fault = errors.Join(t.fault, skipCall(tid))
}
