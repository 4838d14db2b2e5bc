package agent

import (
	"context"
	"errors"
	"os"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/peaqnetwork/peaqos-agent/agent/status"
)

const (
	clockEvery = 20 * time.Second
	// clockStep is the least step that counts: slewing and scheduling stay below.
	clockStep = time.Second
)

// wallWatch notices when somebody sets the wall clock, by comparing it with the
// boot clock, which nobody can set.
type wallWatch struct {
	wall time.Time
	boot time.Duration
}

// turn returns by how much the wall clock was set since the last turn, 0 for less
// than a second.
func (w *wallWatch) turn(now time.Time, boot time.Duration) time.Duration {
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

// watchClock counts steps of the wall clock and asks the system whether it is
// synchronized. Nothing is scheduled by the wall clock, so a step changes no beat;
// people who read logs and leases want to know of it.
func (a *Agent) watchClock(ctx context.Context) error {
	watch := wallWatch{}
	ticker := time.NewTicker(clockEvery)
	defer ticker.Stop()
	for {
		synced, known := clockSynced()
		step := watch.turn(time.Now(), a.boot())
		a.state.UpdateProcess(func(s *status.Process) {
			s.ClockSynced = nil
			if known {
				s.ClockSynced = &synced
			}
			if step != 0 {
				s.ClockJumps++
			}
		})
		if step != 0 {
			a.log.Warn("the wall clock was set; beats go by another clock and are not moved", code(status.CodeClockJump), zap.Duration("by", step.Round(time.Millisecond)))
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-ticker.C:
		}
	}
}

// clockSynced asks the kernel, whose word any time service sets. The shipped unit
// forbids that call together with those that set the clock; then the mark of
// systemd-timesyncd tells, where it is there.
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
