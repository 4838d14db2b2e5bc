package main

import "golang.org/x/sys/unix"

// harden protects the memory of a process that may hold secrets: it writes no core
// dump, and no other process of the same user can read it (ptrace, /proc/PID/mem,
// /proc/PID/environ). If the system forbids one of the two, the other still helps.
func harden() {
	_ = unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})
	_ = unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
}
