package main

import "golang.org/x/sys/unix"

// harden keeps the memory of a process that may hold secrets to itself: no core
// dump, and no other process of the same user may read it (ptrace, /proc/PID/mem,
// /proc/PID/environ). Where the system forbids either, the rest still helps.
func harden() {
	_ = unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})
	_ = unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
}
