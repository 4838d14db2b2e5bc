package agent

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/peaqnetwork/peaqos-agent/agent/status"
)

// TestWallWatch: a step is the difference between the wall clock and the boot clock.
func TestWallWatch(t *testing.T) {
	start := time.Date(1970, 1, 1, 0, 0, 10, 0, time.UTC)
	for _, c := range []struct {
		name       string
		wall, boot time.Duration
		want       time.Duration
	}{
		{"nothing happened", 20 * time.Second, 20 * time.Second, 0},
		{"a slew", 20*time.Second + 900*time.Millisecond, 20 * time.Second, 0},
		{"a night's sleep", 8 * time.Hour, 8 * time.Hour, 0},
		{"a leap second back", 19 * time.Second, 20 * time.Second, -time.Second},
		{"from 1970 to the present", 56 * 365 * 24 * time.Hour, 20 * time.Second, 56*365*24*time.Hour - 20*time.Second},
		{"two years back", -2 * 365 * 24 * time.Hour, 20 * time.Second, -2*365*24*time.Hour - 20*time.Second},
	} {
		watch := wallWatch{}
		if step := watch.step(start, time.Hour); step != 0 {
			t.Errorf("%s: the first check found a step of %s", c.name, step)
		}
		if step := watch.step(start.Add(c.wall), time.Hour+c.boot); step != c.want {
			t.Errorf("%s: a step of %s, want %s", c.name, step, c.want)
		}
		if step := watch.step(start.Add(c.wall+time.Second), time.Hour+c.boot+time.Second); step != 0 {
			t.Errorf("%s: the step is counted twice (%s)", c.name, step)
		}
	}
}

// TestResumeBeatsAtOnce: after a suspend, which only the boot clock shows, one
// heartbeat is sent within five seconds, off the grid.
func TestResumeBeatsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLife(t, "demo")
		start, slept := time.Now(), atomic.Int64{}
		boot := func() time.Duration { return time.Since(start) + time.Duration(slept.Load()) }
		l.agent.boot, l.agent.beaters["main"].boot = boot, boot
		l.mustEnroll()
		l.start()
		time.Sleep(5 * time.Minute)
		for time.Until(l.status().NextAttempt) < 25*time.Second {
			time.Sleep(100 * time.Millisecond)
		}
		before := l.server.Beats()
		slept.Store(int64(time.Hour))
		if status.Ready(l.agent.snapshot()).Ready {
			t.Error("ready, although the lease expired during the suspend")
		}
		// The suspend is noticed at the loop's next turn, then up to 5 s of jitter.
		time.Sleep(l.agent.watchdog.maxWait + 5*time.Second)
		if got := l.server.Beats() - before; got != 1 {
			t.Errorf("%d heartbeats after the resume, want one at once", got)
		}
		if !status.Ready(l.agent.snapshot()).Ready {
			t.Error("not ready after the heartbeat of the resume")
		}
		l.close()
	})
}

// TestSkew: a skew is known to the second, and below that there is none.
func TestSkew(t *testing.T) {
	date := time.Date(2026, 11, 28, 7, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		began, ended float64 // seconds after date, by our clock
		want         time.Duration
	}{
		{0.1, 0.2, 0},
		{0.9, 0.95, 0}, // the same second
		{0.9, 1.8, 0},  // it took a while
		{-0.2, 0.1, 0}, // the server is less than a second ahead
		{600.5, 600.6, 600 * time.Second},
		{-600.1, -600, -601 * time.Second},
		{-9, 9, 0}, // a slow response says nothing
	} {
		at := func(s float64) time.Time { return date.Add(time.Duration(s * float64(time.Second))) }
		got := skewOf(at(c.began), at(c.ended), date)
		if (got-c.want).Abs() > time.Second || c.want == 0 && got != 0 || got%time.Second != 0 {
			t.Errorf("%+v: %s", c, got)
		}
	}
}
