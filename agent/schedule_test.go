package agent

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/peaqnetwork/peaqos-agent/agent/status"
)

func TestInterval(t *testing.T) {
	for _, c := range []struct{ configured, lease, want time.Duration }{
		{0, 90 * time.Second, 30 * time.Second},
		{0, 2 * time.Second, time.Second}, // never under 1 s
		{0, 24 * time.Hour, time.Hour},    // never over 1 h
		{20 * time.Second, 90 * time.Second, 20 * time.Second},
		{40 * time.Second, 60 * time.Second, 30 * time.Second}, // clamped to half of what was granted
	} {
		if got := interval(c.configured, c.lease); got != c.want {
			t.Errorf("interval(%s, %s) = %s, want %s", c.configured, c.lease, got, c.want)
		}
	}
}

func TestGridNext(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	const every = 30 * time.Second
	g := grid{start: start, phase: 10 * time.Second, interval: every}
	at := func(s int) time.Time { return start.Add(time.Duration(s) * time.Second) }
	for _, c := range []struct {
		name string
		now  time.Time
		f    failures
		want time.Time
	}{
		{"before the first point", at(3), failures{}, at(10)},
		{"on a point, the next one", at(10), failures{}, at(40)},
		{"accepted", at(41), failures{}, at(70)},
		{"second failure", at(41), failures{inRow: 2}, at(70)},
		{"third failure skips one", at(41), failures{inRow: 3}, at(100)},
		{"hundredth failure skips one, never more", at(41), failures{inRow: 100}, at(100)},
		{"Retry-After, then the own grid", at(41), failures{inRow: 1, retryAfter: 60 * time.Second}, at(130)},
		{"Retry-After exactly on the grid", at(40), failures{inRow: 1, retryAfter: 60 * time.Second}, at(100)},
		{"Retry-After is capped at 15 minutes", at(40), failures{inRow: 1, retryAfter: 24 * time.Hour}, at(940)},
		{"rejected waits 5 minutes", at(41), failures{inRow: 3, auth: 3}, at(370)},
		{"revoked waits an hour", at(41), failures{inRow: 3, revoked: 3}, at(3670)},
	} {
		if got := g.next(c.now, c.f); !got.Equal(c.want) {
			t.Errorf("%s: next = +%s, want +%s", c.name, got.Sub(start), c.want.Sub(start))
		}
	}
}

// TestPhasesSpread: the peak of a fleet that starts at the same instant stays near the
// steady rate.
func TestPhasesSpread(t *testing.T) {
	const agents, seconds = 10_000, 30
	var perSecond [seconds]int
	start := time.Unix(0, 0)
	for i := range agents {
		g := newGrid(start, fmt.Sprintf("mach_%d", i), fmt.Sprintf("agent_%d", i), seconds*time.Second)
		perSecond[int(g.phase/time.Second)]++
	}
	for s, n := range perSecond {
		if n > agents/seconds*3/2 {
			t.Errorf("second %d has %d first beats, more than 1.5 times the steady %d", s, n, agents/seconds)
		}
	}
}

func TestFailuresCount(t *testing.T) {
	f := failures{}
	for range 3 {
		f = f.count(verdict{kind: refusedToken})
	}
	if f.auth != 3 || f.inRow != 3 {
		t.Errorf("after three refused tokens: %+v", f)
	}
	if f = f.count(verdict{kind: unreachable}); f.auth != 0 || f.inRow != 4 {
		t.Errorf("an outage in between must not count as a refusal: %+v", f)
	}
	if f = f.count(verdict{kind: accepted}); f != (failures{}) {
		t.Errorf("an accepted heartbeat resets everything: %+v", f)
	}
}

func TestSleepWatch(t *testing.T) {
	base := time.Unix(1000, 0)
	var w sleepWatch
	if w.slept(base, time.Hour) {
		t.Error("the first turn cannot know of a suspend")
	}
	if w.slept(base.Add(20*time.Second), time.Hour+20*time.Second) {
		t.Error("both clocks advanced alike")
	}
	if !w.slept(base.Add(21*time.Second), 2*time.Hour) {
		t.Error("the boot clock ran ahead: the machine slept")
	}
}

func TestUntilNextTurn(t *testing.T) {
	now := time.Unix(1000, 0)
	for _, c := range []struct{ due, want time.Duration }{
		{0, 0},
		{-time.Second, 0},
		{10 * time.Second, 10 * time.Second},
		{20 * time.Second, 20 * time.Second},
		{30 * time.Second, 15 * time.Second},
		{time.Hour, 20 * time.Second},
		{61 * time.Second, 15250 * time.Millisecond},
	} {
		if got := untilNextTurn(now, now.Add(c.due), 20*time.Second); got != c.want {
			t.Errorf("due in %s: %s, want %s", c.due, got, c.want)
		}
	}
	if got := untilNextTurn(now, time.Time{}, 20*time.Second); got != 20*time.Second {
		t.Errorf("never due: %s", got)
	}
}

func TestProbePeriod(t *testing.T) {
	for _, c := range []struct {
		every time.Duration
		allUp bool
		want  time.Duration
	}{
		{0, true, 5 * time.Second},
		{30 * time.Second, true, 15 * time.Second},
		{30 * time.Second, false, 5 * time.Second},
		{10 * time.Second, true, 10 * time.Second},
		{2 * time.Second, false, 2 * time.Second},
		{time.Hour, true, 15 * time.Second},
	} {
		if got := probePeriod(c.every, c.allUp); got != c.want {
			t.Errorf("interval %s, all up %t: %s, want %s", c.every, c.allUp, got, c.want)
		}
	}
}

// TestNextLook: a heartbeat that is due within the period probes in the watcher's place.
func TestNextLook(t *testing.T) {
	last := time.Unix(1000, 0)
	const period = 15 * time.Second
	for _, c := range []struct {
		name       string
		beat, want time.Duration // after the last probe
	}{
		{"no heartbeat until then", 29 * time.Second, period},
		{"a heartbeat is due first", 10 * time.Second, 10*time.Second + probeTimeout},
		{"a heartbeat is due at the same time", period, period + probeTimeout},
		{"a heartbeat is due just after", period + time.Second, period + time.Second + probeTimeout},
		{"the last heartbeat made the last probe", 0, period},
		{"the last heartbeat was long ago", -time.Hour, period},
	} {
		if got := nextLook(last, last.Add(c.beat), period); !got.Equal(last.Add(c.want)) {
			t.Errorf("%s: +%s, want +%s", c.name, got.Sub(last), c.want)
		}
	}
	if got := nextLook(last, time.Time{}, period); !got.Equal(last.Add(period)) {
		t.Errorf("not enrolled: %s", got.Sub(last))
	}
}

// TestFirstHeartbeatAfterEnrollment: an agent that starts just after its enrollment does
// not wait for its grid; one that was enrolled earlier, or while it runs, does.
func TestFirstHeartbeatAfterEnrollment(t *testing.T) {
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	g := newGrid(start, "mach_1", "agent_1", 30*time.Second)
	now := start.Add(time.Second)
	for _, c := range []struct {
		what     string
		enrolled time.Duration // before the start
		atOnce   bool
	}{
		{"a moment ago", 3 * time.Second, true},
		{"two minutes ago", 2 * time.Minute, false},
		{"a month ago", 30 * 24 * time.Hour, false},
		{"by this process", -500 * time.Millisecond, false},
	} {
		got, want := g.first(now, start.Add(-c.enrolled)), g.after(now)
		if c.atOnce {
			want = now
		}
		if got != want {
			t.Errorf("enrolled %s: %s, want %s", c.what, got, want)
		}
	}
}

// TestLiveStaysLive: after enroll has said that the machine is live, the daemon that is
// started next does not say for half a minute that it is not.
func TestLiveStaysLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLife(t, "demo")
		defer func() { l.close() }()
		if r := l.mustEnroll(); !r.Live {
			t.Fatalf("%+v", r)
		}
		l.reopen()
		l.start()
		time.Sleep(time.Second)
		synctest.Wait()
		if m := l.status(); m.State != status.Online || m.Cause != nil {
			t.Errorf("a second after the start: %s, %+v", m.State, m.Cause)
		}
	})
}
