package agent

import (
	"hash/fnv"
	"time"

	"github.com/peaqnetwork/peaqos-agent/agent/config"
)

// The timing of heartbeats and probes, as pure functions: nothing here reads a clock.

const (
	// maxRetryAfter is the longest Retry-After that is obeyed.
	maxRetryAfter = 15 * time.Minute
	// earlyBeatGap is the shortest time between a heartbeat and an early one.
	earlyBeatGap = 5 * time.Second
	// resumeSpread is the time over which the agents of a fleet send their heartbeat after
	// a suspend; a response takes up to a second more.
	resumeSpread = 4 * time.Second
	// rejectedWait and revokedWait are how often a token that the server refuses is retried.
	rejectedWait = 5 * time.Minute
	revokedWait  = time.Hour
	// idleCheck is how often an agent with nothing to publish requests the
	// orchestrator's health, to tell idle from offline.
	idleCheck = time.Hour
	// justEnrolled is how long after its enrollment an agent that starts does not wait for
	// its grid.
	justEnrolled = 2 * time.Minute
	// refusedRetry is how often an endpoint that was refused alone is retried.
	refusedRetry = time.Hour
)

// interval is the time between two heartbeats: the configured one, at most half of
// the granted lease, or (configured 0) a third of the lease. Always within 1 s to 1 h.
func interval(configured, lease time.Duration) time.Duration {
	i := lease / 3
	if configured > 0 {
		i = min(configured, lease/2)
	}
	return min(max(i, config.MinInterval), config.MaxInterval)
}

const (
	// shortestDeadline and longestDeadline bound the time that one heartbeat may take.
	// The first does not follow the interval down: the heartbeats of one agent do not
	// overlap, and a slow server must stay reachable whatever lease it granted.
	shortestDeadline = 5 * time.Second
	longestDeadline  = 10 * time.Second
	// shortestLease is the shortest lease that is believed, as in the configuration.
	shortestLease = 3 * time.Second
)

// beatDeadline is how long one heartbeat may take: half of the interval, within limits.
func beatDeadline(interval time.Duration) time.Duration {
	return max(shortestDeadline, min(longestDeadline, interval/2))
}

// grid is the set of instants at which one agent sends its heartbeats: anchored at
// process start, shifted by a phase of its own, one per interval. Because every
// agent of a fleet keeps to its own grid, an orchestrator that restarts gets the
// steady load and no more.
type grid struct {
	start    time.Time // with its monotonic reading
	phase    time.Duration
	interval time.Duration
}

// newGrid derives the phase from the agent's identity, so that it needs no storage
// and survives restarts: hash(machine id, agent id) mod interval.
func newGrid(start time.Time, machineID, agentID string, interval time.Duration) grid {
	h := fnv.New64a()
	_, _ = h.Write([]byte(machineID + "\x00" + agentID))
	// FNV's low bits are weak for short, similar inputs; the multiplication spreads
	// similar ids over the whole interval.
	spread := h.Sum64() * 0x9e3779b97f4a7c15
	return grid{start: start, phase: time.Duration(spread % uint64(interval)), interval: interval}
}

// after is the first grid point later than t.
func (g grid) after(t time.Time) time.Time {
	first := g.start.Add(g.phase)
	if t.Before(first) {
		return first
	}
	n := t.Sub(first)/g.interval + 1
	return first.Add(n * g.interval)
}

// first is when an agent that has just started sends its first heartbeat: at the next
// grid point, or at once if it was enrolled a moment ago. Then a person waits for it, and
// the lease of enroll's own heartbeat runs; after a power cut a fleet keeps to its grid.
func (g grid) first(now, enrolledAt time.Time) time.Time {
	if age := g.start.Sub(enrolledAt); age >= 0 && age < justEnrolled {
		return now
	}
	return g.after(now)
}

// notBefore is the first grid point at or later than t.
func (g grid) notBefore(t time.Time) time.Time { return g.after(t.Add(-1)) }

// next is when the next heartbeat is due, given how the last one ended at now.
//
//   - accepted, or failed once or twice: the next grid point
//   - the third failure in a row and later: every second grid point, never less often
//   - Retry-After: the first grid point after the wait, which adds up to one interval
//     of jitter
//   - rejected and revoked: likewise after 5 minutes and after an hour
func (g grid) next(now time.Time, f failures) time.Time {
	switch {
	case f.retryAfter > 0:
		return g.notBefore(now.Add(min(f.retryAfter, maxRetryAfter)))
	case f.auth >= refusalsBeforeVerdict:
		return g.notBefore(now.Add(rejectedWait))
	case f.revoked >= refusalsBeforeVerdict:
		return g.notBefore(now.Add(revokedWait))
	case f.inRow >= 3:
		return g.after(g.after(now))
	}
	return g.after(now)
}

// refusalsBeforeVerdict is how many refusals in a row change the state: a single
// wrong response during a deployment must not look like a lost identity.
const refusalsBeforeVerdict = 3

// failures is how the latest heartbeats of one machine ended.
type failures struct {
	inRow      int // heartbeats that were not accepted, in a row
	auth       int // of these, the latest in a row with a refused token
	revoked    int // likewise, with an inactive agent
	retryAfter time.Duration
	absurd     bool // the latest asked for more than maxRetryAfter
}

// count returns f after one more verdict.
func (f failures) count(v verdict) failures {
	if v.kind == accepted {
		return failures{}
	}
	f.inRow++
	f.retryAfter = v.retryAfter
	if v.absurdWait && f.absurd {
		f.retryAfter = 0 // such a wait is obeyed once: it is not what a server means
	}
	f.absurd = v.absurdWait
	switch v.kind {
	case refusedToken:
		f.auth, f.revoked = f.auth+1, 0
	case refusedAgent:
		f.auth, f.revoked = 0, f.revoked+1
	default:
		f.auth, f.revoked = 0, 0
	}
	return f
}

// untilNextTurn is how long the beat loop waits. A long wait is cut into equal turns
// of at most limit, so that the watchdog is fed and a suspend is noticed soon.
func untilNextTurn(now, due time.Time, limit time.Duration) time.Duration {
	if due.IsZero() {
		return limit
	}
	wait := max(due.Sub(now), 0)
	turns := (wait + limit - 1) / limit
	return wait / max(turns, 1)
}

// probePeriod is the longest time between two probes of a machine's endpoints: 5 s
// while one is down, so that it is published within seconds; one interval, at most
// 15 s, while all are up, because each heartbeat probes first anyway.
func probePeriod(every time.Duration, allUp bool) time.Duration {
	if every == 0 { // not enrolled: nothing is published
		return 5 * time.Second
	}
	if !allUp {
		return min(5*time.Second, max(every, config.MinInterval))
	}
	return min(max(every, config.MinInterval), 15*time.Second)
}

// nextLook is when the watcher probes, given the time of the last probe and of the
// next heartbeat. A heartbeat that is due by then probes itself; the watcher leaves
// it the time to do so.
func nextLook(lastProbe, nextBeat time.Time, period time.Duration) time.Time {
	due := lastProbe.Add(period)
	if nextBeat.After(lastProbe) && !nextBeat.After(due.Add(time.Second)) {
		return nextBeat.Add(probeTimeout)
	}
	return due
}
