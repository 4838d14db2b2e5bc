//go:build !amd64

package main

import (
	"errors"

	"golang.org/x/sys/unix"
)

// canFail is the reason why this machine cannot make a call fail.
func canFail() string { return "calls can be made to fail on amd64 only" }

func skipCall(int) error { return errors.ErrUnsupported }

func failCall(int, unix.Errno) error { return errors.ErrUnsupported }
