package agent

import (
	"hash/fnv"
	"time"

	"github.com/peaqnetwork/peaqos-agent/agent/config"
)

// The timing of beats, as pure functions: nothing here reads a clock.

const (
	// maxRetryAfter caps what a server may ask us to wait.
	maxRetryAfter = 15 * time.Minute
	// earlyBeatGap is the least time between a beat and an early one.
	earlyBeatGap = 5 * time.Second
	// rejectedWait and revokedWait are how often a token that the server refuses is tried again.
	rejectedWait = 5 * time.Minute
	revokedWait  = time.Hour
	// idleCheck is how often an agent with nothing to publish asks the
	// orchestrator's health, to tell idle from offline.
	idleCheck = time.Hour
	// refusedRetry is how often an endpoint that was refused alone is tried again.
	refusedRetry = time.Hour
)

// interval is the time between two beats: the configured one, clamped to half
// of the granted lease, or (configured 0) a third of the lease. Always within
// 1 s to 1 h.
func interval(configured, lease time.Duration) time.Duration {
	i := lease / 3
	if configured > 0 {
		i = min(configured, lease/2)
	}
	return min(max(i, config.MinInterval), config.MaxInterval)
}

// beatDeadline is how long one beat may take.
func beatDeadline(interval time.Duration) time.Duration {
	return min(10*time.Second, interval/2)
}

// grid is the set of instants at which one agent's beats leave: anchored at
// process start, shifted by a phase of its own, one per interval. Because every
// agent of a fleet keeps to its own grid, a restarted orchestrator meets the
// steady load and no more.
type grid struct {
	start    time.Time // with its monotonic reading
	phase    time.Duration
	interval time.Duration
}

// newGrid derives the phase from who we are, so that it needs no storage and
// survives restarts: hash(machine id, agent id) mod interval.
func newGrid(start time.Time, machineID, agentID string, interval time.Duration) grid {
	h := fnv.New64a()
	_, _ = h.Write([]byte(machineID + "\x00" + agentID))
	// FNV's low bits are weak for short, alike inputs; the multiplication spreads
	// neighbouring ids over the whole interval.
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

// notBefore is the first grid point at or later than t.
func (g grid) notBefore(t time.Time) time.Time { return g.after(t.Add(-1)) }

// next is when the following beat leaves, given how the last one ended at now.
//
//   - accepted, or failed once or twice: the next own grid point
//   - the third failure in a row and later: every second grid point, never rarer
//   - Retry-After: the first own grid point after the wait, which adds up to one
//     interval of jitter
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

// refusalsBeforeVerdict is how many refusals in a row make a state of it: one
// confused answer during a deployment must not look like a lost identity.
const refusalsBeforeVerdict = 3

// failures is how the newest beats of one machine ended.
type failures struct {
	inRow      int // beats that were not accepted, in a row
	auth       int // of these, the newest in a row that refused our token
	revoked    int // likewise, that called the agent inactive
	retryAfter time.Duration
}

// count returns f after one more verdict.
func (f failures) count(v verdict) failures {
	if v.kind == accepted {
		return failures{}
	}
	f.inRow++
	f.retryAfter = v.retryAfter
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
