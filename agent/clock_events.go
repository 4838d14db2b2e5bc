package agent

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// clockEvents waits until the wall clock is set: by a person, by a time service, or by
// the kernel when a suspend ends. It waits without a timer of ours.
type clockEvents struct{ file *os.File }

// openClock prepares the descriptor. Errors: the system forbids it.
func openClock() (*clockEvents, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_REALTIME, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK)
	if err != nil {
		return nil, err
	}
	c := &clockEvents{os.NewFile(uintptr(fd), "timerfd")}
	if err := arm(fd); err != nil {
		_ = c.Close()
		return nil, err
	}
	return c, nil
}

// arm sets a timer that is not meant to expire, and is cancelled when the clock is set.
func arm(fd int) error {
	var never unix.ItimerSpec
	never.Value.Sec = 1<<31 - 1 // 2038 also fits into the 32-bit form
	return unix.TimerfdSettime(fd, unix.TFD_TIMER_ABSTIME|unix.TFD_TIMER_CANCEL_ON_SET, &never, nil)
}

// Close ends wait. It may be called for a nil value.
func (c *clockEvents) Close() error {
	if c == nil {
		return nil
	}
	return c.file.Close()
}

// wait waits until the clock is set; it is false when that cannot be known, or not any
// more.
func (c *clockEvents) wait() bool {
	if c == nil {
		return false
	}
	for {
		var expirations [8]byte
		if _, err := c.file.Read(expirations[:]); err != nil {
			return errors.Is(err, unix.ECANCELED)
		} // else the clock is beyond the timer; steps are reported all the same
	}
}
