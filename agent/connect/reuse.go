package connect

import (
	"sync"
	"time"
)

// relearnAfter is how long a limit is kept: networks and servers change, and finding
// out that a connection is dead costs nothing but a second connection.
const relearnAfter = 6 * time.Hour

// reuse learns how long an idle connection stays usable on this path. A server or a NAT
// that drops connections early is noticed after two that were dead when used again.
type reuse struct {
	mu      sync.Mutex
	lastUse time.Time
	deaths  int
	shorter time.Duration // the shortest idle time of these
	limit   time.Duration // 0: none
	since   time.Time     // of limit
}

// expired reports whether the idle connections are older than the limit; once, because
// closing them also ends the connections that are being made for later.
func (r *reuse) expired(now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.limit > 0 && now.Sub(r.since) > relearnAfter {
		r.limit, r.deaths, r.shorter = 0, deathsToLearn-1, 0
	}
	expired := r.limit > 0 && !r.lastUse.IsZero() && now.Sub(r.lastUse) >= r.limit
	if expired {
		r.lastUse = time.Time{}
	}
	return expired
}

// deathsToLearn is more than one, because a server that restarts ends every connection.
const deathsToLearn = 2

// used records that a connection got its response at this time, after having been idle
// for that time; 0 is a new connection. One that lived longer than those that died shows
// that it was not their age.
func (r *reuse) used(now time.Time, idle time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lastUse = now
	if r.deaths > 0 && idle > 0 && idle >= r.shorter && r.shorter > 0 {
		r.deaths, r.shorter = 0, 0
	}
}

// died records that a reused connection was dead after having been idle, and returns a
// limit if that is a new one.
func (r *reuse) died(now time.Time, idle time.Duration) (limit time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.deaths++
	if r.shorter == 0 || idle < r.shorter {
		r.shorter = idle
	}
	if r.deaths < deathsToLearn {
		return 0
	}
	r.limit, r.since, r.deaths = max(r.shorter*3/4, time.Millisecond), now, 0
	r.shorter = 0
	return r.limit
}
