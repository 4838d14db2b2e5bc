package agent

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/sdk"
)

// sinceBoot reads CLOCK_BOOTTIME. It never jumps when the wall clock is set and,
// unlike the monotonic clock, keeps running while the machine sleeps. The age of a
// lease is measured with it, and a suspend shows as the difference between the two.
//
// It is the only clock that tests replace: in fake time it is a function of
// time.Since.
func sinceBoot() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		// Linux has had it since 2.6.39. Without it no age grows, so a lease is trusted
		// for too long; there is no better clock to use.
		return 0
	}
	return time.Duration(ts.Nano())
}

// resumeGap is how far the boot clock may run ahead of the monotonic one between two
// turns before that is a suspend. Scheduling delays are far shorter.
const resumeGap = 3 * time.Second

// sleepWatch notices suspends by comparing the two clocks turn by turn.
type sleepWatch struct {
	mono time.Time
	boot time.Duration
}

// slept reports whether the machine was suspended since the last call.
func (w *sleepWatch) slept(mono time.Time, boot time.Duration) bool {
	slept := !w.mono.IsZero() && (boot-w.boot)-mono.Sub(w.mono) > resumeGap
	w.mono, w.boot = mono, boot
	return slept
}

// clockStep is the smallest step of the wall clock that is reported: slewing and
// scheduling stay below.
const clockStep = time.Second

// wallWatch notices that the wall clock was set, by comparing it with the boot
// clock, which cannot be set.
type wallWatch struct {
	wall time.Time
	boot time.Duration
}

// step returns by how much the wall clock was set since the last call, 0 for less
// than a second.
func (w *wallWatch) step(now time.Time, boot time.Duration) time.Duration {
	wall := now.Round(0) // without the monotonic reading, which would hide a step
	var step time.Duration
	if !w.wall.IsZero() {
		step = wall.Sub(w.wall) - (boot - w.boot)
	}
	w.wall, w.boot = wall, boot
	if step.Abs() < clockStep {
		return 0
	}
	return step
}

// clockEvery is the shortest time between two checks of the wall clock.
const clockEvery = 10 * time.Second

// clockWatch counts steps of the wall clock and asks the system whether it is
// synchronized. Nothing is scheduled by the wall clock, so a step does not affect
// heartbeats; people who read logs and leases want to know about it. It has no timer
// of its own: the beat loops call it in their turns.
type clockWatch struct {
	state *status.Tracker
	log   *zap.Logger
	boot  func() time.Duration
	// stepped, unless nil, is called when the clock was set: what failed because of it
	// can be tried again.
	stepped func()

	mu      sync.Mutex
	checked time.Time
	wall    wallWatch
}

// check checks the clock, unless that was done a moment ago.
func (c *clockWatch) check(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.checked.IsZero() || now.Sub(c.checked) >= clockEvery {
		c.checkNow(now)
	}
}

// recheck checks the clock after the kernel reported that it was set.
func (c *clockWatch) recheck(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.checkNow(now)
}

func (c *clockWatch) checkNow(now time.Time) {
	c.checked = now
	synced, known := clockSynced()
	before := c.wall
	boot := c.boot()
	step := c.wall.step(now, boot)
	c.state.UpdateProcess(func(p *status.Process) {
		p.ClockSynced = nil
		if known {
			p.ClockSynced = &synced
		}
		if step != 0 {
			p.ClockJumps++
		}
	})
	if step != 0 {
		expected := before.wall.Add(boot - before.boot)
		c.log.Info(fmt.Sprintf("the wall clock was set from %s to %s; heartbeat timing is not affected",
			expected.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339)),
			code(status.CodeClockJump), zap.Duration("by", step.Round(time.Millisecond)))
		if c.stepped != nil {
			c.stepped()
		}
	}
}

// clockSynced asks the kernel, whose flag every time service sets. The shipped unit
// forbids that call together with those that set the clock; then the marker file of
// systemd-timesyncd is used, if there is one.
func clockSynced() (synced, known bool) {
	status, err := unix.Adjtimex(&unix.Timex{})
	if err == nil {
		return status != unix.TIME_ERROR, true
	}
	if !errors.Is(err, unix.EPERM) && !errors.Is(err, unix.ENOSYS) {
		return false, false
	}
	_, err = os.Stat("/run/systemd/timesync/synchronized")
	return err == nil, err == nil
}

// skewOf is by how much our clock is ahead of the server's, in whole seconds, by a
// response that came between began and ended. A Date header has whole seconds and does
// not say when in between it was written: what it cannot tell from zero is zero.
func skewOf(began, ended, date time.Time) time.Duration {
	least, most := began.Sub(date)-time.Second, ended.Sub(date)
	if least <= 0 && most >= 0 {
		return 0
	}
	return ((least + most) / 2).Round(time.Second)
}

// fromAPI reports whether a call got a response of the API itself: a gateway's says
// nothing about the orchestrator's clock.
func fromAPI(err error) bool {
	var api *sdk.APIError
	return err == nil || errors.As(err, &api) && api.Envelope
}
