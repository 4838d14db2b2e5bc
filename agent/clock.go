package agent

import (
	"time"

	"golang.org/x/sys/unix"
)

// sinceBoot reads CLOCK_BOOTTIME: it never jumps when the wall clock is set, and
// unlike the monotonic clock it goes on while the machine sleeps. Lease ages are
// measured with it, and a suspend shows as the difference between the two.
//
// It is the only seam for time: a synctest bubble, whose clocks are fake, puts
// a function over time.Since in its place.
func sinceBoot() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		// Linux has had it since 2.6.39; without it ages stand still, which errs
		// towards a lease that is believed for too long; nothing better is known then.
		return 0
	}
	return time.Duration(ts.Nano())
}

// resumeGap is how far the boot clock may run ahead of the monotonic one
// between two turns before we call it a suspend. Scheduling noise is far below.
const resumeGap = 3 * time.Second

// sleepWatch notices suspends by comparing the two clocks turn by turn.
type sleepWatch struct {
	mono time.Time
	boot time.Duration
}

// turn reports whether the machine slept since the last turn.
func (w *sleepWatch) turn(mono time.Time, boot time.Duration) bool {
	slept := !w.mono.IsZero() && (boot-w.boot)-mono.Sub(w.mono) > resumeGap
	w.mono, w.boot = mono, boot
	return slept
}
