package agent

import (
	"context"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"github.com/peaqnetwork/peaqos-agent/agent/status"
)

const (
	// defaultMaxWait is the longest wait of a loop when no watchdog asks for less.
	defaultMaxWait = 20 * time.Second
	// turnsPerPeriod is how many turns fit into one watchdog period: one may be
	// late and one may be slow before the watchdog expires.
	turnsPerPeriod = 3
	// notifyLimit bounds one message: a service manager that does not read must
	// not delay a start or a stop.
	notifyLimit = time.Second
)

// watchdog reports the health of the process's loops to the service manager. Each
// loop registers a name, cuts its waits to at most maxWait, and checks in each time
// it has looked at the state. The service manager's watchdog is fed when every
// registered loop has checked in since the last time, so one stuck loop is enough
// for it to expire. It is not fed by a timer.
//
// It also sends the service manager (sd_notify) ready, stopping, reloading and one
// status line, whenever that changes. Without NOTIFY_SOCKET nothing is sent.
type watchdog struct {
	state      *status.Tracker
	maxWait    time.Duration // the longest a loop may wait before it looks at the state again
	supervised bool          // NOTIFY_SOCKET is set
	enabled    bool          // and the service manager expects to be fed
	feed       chan struct{} // every loop has checked in

	mu      sync.Mutex
	loops   map[string]bool // registered → has checked in since the last feed
	waiting int             // loops that have not
	ready   bool
}

// newWatchdog reads what the service manager asks for from the environment
// (NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID).
func newWatchdog(state *status.Tracker) *watchdog {
	period, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		period = 0 // malformed, as if unset
	}
	supervised := os.Getenv("NOTIFY_SOCKET") != ""
	return &watchdog{
		state: state, maxWait: maxWait(period), supervised: supervised, enabled: supervised && period > 0,
		feed: make(chan struct{}, 1), loops: map[string]bool{},
	}
}

// maxWait is the longest time between two turns of a loop for a watchdog period; 0
// means that there is none.
func maxWait(period time.Duration) time.Duration {
	if period <= 0 {
		return defaultMaxWait
	}
	return max(period/turnsPerPeriod, time.Millisecond)
}

// stuckAfter is how long ago a loop may have checked in last before it counts as
// stuck: one watchdog period.
func (w *watchdog) stuckAfter() time.Duration { return turnsPerPeriod * w.maxWait }

// register adds a loop. It counts as the loop's first turn, so that a loop that never
// starts is found stuck like one that ended.
func (w *watchdog) register(loop string) {
	w.mu.Lock()
	if _, known := w.loops[loop]; !known {
		w.loops[loop] = false
		w.waiting++
	}
	w.mu.Unlock()
	w.record(loop)
}

// checkIn records that a loop has just looked at the state. It never blocks. An
// unregistered loop is ignored.
func (w *watchdog) checkIn(loop string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	done, known := w.loops[loop]
	if !known {
		return
	}
	w.record(loop)
	if done {
		return
	}
	w.loops[loop] = true
	if w.waiting--; w.waiting > 0 {
		return
	}
	for name := range w.loops {
		w.loops[name] = false
	}
	w.waiting = len(w.loops)
	select {
	case w.feed <- struct{}{}:
	default:
	}
}

func (w *watchdog) record(loop string) {
	now := time.Now()
	w.state.UpdateProcess(func(p *status.Process) { p.Turns[loop] = now })
}

// run feeds the service manager's watchdog and keeps its status line up to date
// until the context ends.
func (w *watchdog) run(ctx context.Context) error {
	if !w.supervised {
		<-ctx.Done()
		return context.Cause(ctx)
	}
	sent := ""
	for {
		if line := w.statusLine(); line != sent {
			w.send(line)
			sent = line
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-w.feed:
			if w.enabled && w.send(daemon.SdNotifyWatchdog) {
				w.state.UpdateProcess(func(p *status.Process) { p.WatchdogPings++ })
			}
		case <-w.state.Changes():
		}
	}
}

// sendReady reports that the start is over, once: the listener was bound, is off, or
// its port was found taken, and the store was read. Every state is ready in this
// sense; an unreachable orchestrator must not look like a failed start.
func (w *watchdog) sendReady() {
	w.mu.Lock()
	sent := w.ready
	w.ready = true
	w.mu.Unlock()
	if !sent {
		w.send(daemon.SdNotifyReady, w.statusLine())
	}
}

// sendReloading reports that a new configuration is being read; sendReloaded ends it.
func (w *watchdog) sendReloading() {
	w.send(daemon.SdNotifyReloading, strings.TrimSpace(daemon.SdNotifyMonotonicUsec()))
}

// sendReloaded reports that the new configuration was applied, or was rejected.
func (w *watchdog) sendReloaded() { w.send(daemon.SdNotifyReady, w.statusLine()) }

// sendStopping reports that the process is about to exit.
func (w *watchdog) sendStopping() {
	w.send(daemon.SdNotifyStopping, "STATUS=stopping; leases expire on their own")
}

func (w *watchdog) statusLine() string {
	// The protocol ends a value at a line feed. Our sentences have none, but a fault
	// may quote text from outside.
	return "STATUS=" + strings.ReplaceAll(status.Summary(w.state.Snapshot(time.Now(), 0)), "\n", " ")
}

// send sends one message to the service manager and reports whether it was delivered
// in time. A failure changes nothing, because nobody else can be informed of it.
func (w *watchdog) send(lines ...string) bool {
	if !w.supervised {
		return false
	}
	delivered := make(chan bool, 1)
	go func() {
		ok, err := daemon.SdNotify(false, strings.Join(lines, "\n"))
		delivered <- ok && err == nil
	}()
	select {
	case ok := <-delivered:
		return ok
	case <-time.After(notifyLimit):
		return false
	}
}
