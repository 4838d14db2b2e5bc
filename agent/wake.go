package agent

import (
	"context"
	"time"

	"github.com/peaqnetwork/peaqos-agent/agent/status"
)

const (
	// quickBurst and quickRefill bound the attempts that a link, an address or a corrected
	// clock brings forward: so many at once, then one per quickRefill. So links that flap
	// all day cost about as much as the ordinary schedule.
	quickBurst  = 6
	quickRefill = 30 * time.Second
	// quickTries is how many attempts one event is good for: an address comes before its
	// route and its name servers. quickPause is the time between the first two; it doubles.
	quickTries = 3
	quickPause = 2 * time.Second
	// quickValid is how long after an event a failure may be due to what changed.
	quickValid = time.Minute
)

// quickRetries decides when a heartbeat that fails is tried again ahead of the grid,
// because something that may have been the reason has just changed. The zero value
// has a full allowance. It reads no clock.
type quickRetries struct {
	used     int       // of the allowance
	refilled time.Time // when used last became less
	tries    int       // that the last event still has
	next     time.Time // not before; valid while tries > 0
	pause    time.Duration
	until    time.Time // after that the last event is history
}

// event records that something has changed at now; at is this agent's own second.
func (q *quickRetries) event(at time.Time) {
	q.tries, q.next, q.pause, q.until = quickTries, at, quickPause, at.Add(quickValid)
}

// due is when the next quick attempt is due; zero for none.
func (q *quickRetries) due(now time.Time) time.Time {
	if q.tries == 0 || now.After(q.until) {
		return time.Time{}
	}
	if q.refill(now); q.used < quickBurst {
		return q.next
	}
	if refill := q.refilled.Add(quickRefill); refill.After(q.next) {
		return refill
	}
	return q.next
}

// attempted records that a heartbeat ended at now, and whether it was accepted.
func (q *quickRetries) attempted(now time.Time, quick, accepted bool) {
	if accepted {
		q.tries = 0
		return
	}
	if !quick || q.tries == 0 {
		return
	}
	q.refill(now)
	if q.used == 0 {
		q.refilled = now
	}
	q.used++
	q.tries--
	q.next, q.pause = now.Add(q.pause), 2*q.pause
}

func (q *quickRetries) refill(now time.Time) {
	if n := int(now.Sub(q.refilled) / quickRefill); q.used > 0 && n > 0 {
		q.used = max(q.used-n, 0)
		q.refilled = q.refilled.Add(time.Duration(n) * quickRefill)
	}
}

// changed tells every machine's tasks that a link, an address or the clock has changed:
// the watcher looks soon if an endpoint is down, and a heartbeat or an
// enrollment that fails is tried again soon.
func (a *Agent) changed() {
	for _, w := range a.watchers {
		w.changed.Store(true)
		w.rearm()
		a.beaters[w.name].changed.Store(true)
		a.state.Signal(w.name)
	}
	select {
	case a.changes <- struct{}{}:
	default:
	}
}

// quick is when the current failure should be tried again ahead of the grid; zero for
// never. Not while the orchestrator asks to wait or refuses this agent: the network has
// no part in that.
func (b *beater) quick(now time.Time) time.Time {
	if b.changed.Swap(false) {
		own := newGrid(b.start, b.record.MachineID, b.record.AgentID, time.Second)
		b.retries.event(own.after(now))
	}
	if b.fails.inRow == 0 || b.fails.retryAfter > 0 || b.fails.auth > 0 || b.fails.revoked > 0 {
		return time.Time{}
	}
	return b.retries.due(now)
}

// watchSystem runs until the context ends: it waits for the kernel to report a link, an
// address or a step of the clock. What the kernel does not offer here is left out; the
// ordinary schedule remains.
func (a *Agent) watchSystem(ctx context.Context) error {
	links, err := openLinks()
	if err != nil {
		a.log.Debug("the kernel reports no network links here: "+err.Error(), code(status.CodeNetworkChanged))
	}
	clock, err := openClock()
	if err != nil {
		a.log.Debug("the kernel reports no steps of the clock here: "+err.Error(), code(status.CodeNetworkChanged))
	}
	context.AfterFunc(ctx, func() {
		_ = links.Close()
		_ = clock.Close()
	})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for clock.wait() {
			// A suspend also ends with a step: the beat loop compares its clocks then.
			a.clock.recheck(time.Now())
			a.changed()
		}
	}()
	for links.wait() {
		a.log.Debug("a network link or address came up", code(status.CodeNetworkChanged))
		a.changed()
	}
	<-done
	<-ctx.Done()
	return context.Cause(ctx)
}
