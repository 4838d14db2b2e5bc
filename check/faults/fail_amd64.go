package main

import "golang.org/x/sys/unix"

// canFail is the reason why this machine cannot make a call fail; "" when it can.
func canFail() string { return "" }

// skipCall makes the call that a stopped thread enters do nothing.
func skipCall(tid int) error {
	var regs unix.PtraceRegs
	if err := unix.PtraceGetRegs(tid, &regs); err != nil {
		return err
	}
	regs.Orig_rax = ^uint64(0)
	return unix.PtraceSetRegs(tid, &regs)
}

// failCall gives the call that a stopped thread leaves an error as its result.
func failCall(tid int, errno unix.Errno) error {
	var regs unix.PtraceRegs
	if err := unix.PtraceGetRegs(tid, &regs); err != nil {
		return err
	}
	regs.Rax = -uint64(errno)
	return unix.PtraceSetRegs(tid, &regs)
}
