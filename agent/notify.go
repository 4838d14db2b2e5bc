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
	// defaultTurn is the longest wait of a loop when no watchdog asks for less.
	defaultTurn = 20 * time.Second
	// turnsPerPeriod is how many turns fit into one watchdog period: one may be
	// late, and one may be slow, before the watchdog bites.
	turnsPerPeriod = 3
	// statusEvery is how often the service manager's status line is compared
	// with the state.
	statusEvery = 5 * time.Second
	// notifyLimit bounds one message: a service manager that does not read must
	// not hold up a start or a stop.
	notifyLimit = time.Second
)

// Turns ties the process's word "I am alive" to its loops. Each loop registers
// a name, cuts its waits to at most [Turns.Limit], and calls [Turns.Turn] each
// time it has looked at the state. The watchdog is fed when every registered
// loop has turned since it was last fed, so one stuck loop is enough to starve
// it. No timer feeds it.
//
// It also speaks to the service manager (sd_notify): ready, stopping, reloading
// and one status line. Without NOTIFY_SOCKET all of that is silent.
type Turns struct {
	state      *status.Tracker
	limit      time.Duration
	supervised bool          // NOTIFY_SOCKET is set
	watchdog   bool          // and wants to be fed
	feed       chan struct{} // every loop has turned

	mu      sync.Mutex
	loops   map[string]bool // registered → has turned since the last feed
	waiting int             // loops that have not
	ready   bool
}

// NewTurns reads what the service manager asks for from the environment
// (NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID).
func NewTurns(state *status.Tracker) *Turns {
	period, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		period = 0 // a malformed period is nobody's watchdog
	}
	supervised := os.Getenv("NOTIFY_SOCKET") != ""
	return &Turns{
		state: state, limit: turnLimit(period), supervised: supervised, watchdog: supervised && period > 0,
		feed: make(chan struct{}, 1), loops: map[string]bool{},
	}
}

// turnLimit is the longest time between two turns for a watchdog period; 0 is
// no watchdog.
func turnLimit(period time.Duration) time.Duration {
	if period <= 0 {
		return defaultTurn
	}
	return max(period/turnsPerPeriod, time.Millisecond)
}

// Limit is the longest a loop may wait before it looks at the state again.
func (t *Turns) Limit() time.Duration { return t.limit }

// Bound is how old a loop's last turn may be before the loop counts as stuck:
// one watchdog period.
func (t *Turns) Bound() time.Duration { return turnsPerPeriod * t.limit }

// Register makes a loop count, and is its first turn: one that never begins is
// found stuck like one that ended.
func (t *Turns) Register(loop string) {
	t.mu.Lock()
	if _, known := t.loops[loop]; !known {
		t.loops[loop] = false
		t.waiting++
	}
	t.mu.Unlock()
	t.record(loop)
}

// Turn says that the loop has just looked at the state. It never blocks.
func (t *Turns) Turn(loop string) {
	t.record(loop)
	t.mu.Lock()
	defer t.mu.Unlock()
	turned, known := t.loops[loop]
	if !known || turned {
		return
	}
	t.loops[loop] = true
	if t.waiting--; t.waiting > 0 {
		return
	}
	for name := range t.loops {
		t.loops[name] = false
	}
	t.waiting = len(t.loops)
	select {
	case t.feed <- struct{}{}:
	default:
	}
}

func (t *Turns) record(loop string) {
	now := time.Now()
	t.state.UpdateProcess(func(a *status.Process) { a.Turns[loop] = now })
}

// Run carries the loops' word to the service manager until the context ends:
// the watchdog's food and the status line.
func (t *Turns) Run(ctx context.Context) error {
	if !t.supervised {
		<-ctx.Done()
		return context.Cause(ctx)
	}
	ticker := time.NewTicker(statusEvery)
	defer ticker.Stop()
	told := ""
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-t.feed:
			if t.watchdog && t.send(daemon.SdNotifyWatchdog) {
				t.state.UpdateProcess(func(a *status.Process) { a.WatchdogPings++ })
			}
		case <-ticker.C:
		}
		if now := t.statusLine(); now != told {
			t.send(now)
			told = now
		}
	}
}

// Ready says that the start is over, once: the listener was bound, is off, or
// its port was found taken, and the store was looked at. Every state is ready
// in this sense; an unreachable orchestrator must not look like a failed start.
func (t *Turns) Ready() {
	t.mu.Lock()
	said := t.ready
	t.ready = true
	t.mu.Unlock()
	if !said {
		t.send(daemon.SdNotifyReady, t.statusLine())
	}
}

// Reloading says that a new configuration is being read; Reloaded ends it.
func (t *Turns) Reloading() {
	t.send(daemon.SdNotifyReloading, strings.TrimSpace(daemon.SdNotifyMonotonicUsec()))
}

// Reloaded says that the new configuration is in force, or was refused whole.
func (t *Turns) Reloaded() { t.send(daemon.SdNotifyReady, t.statusLine()) }

// Stopping says that the process is on its way out.
func (t *Turns) Stopping() {
	t.send(daemon.SdNotifyStopping, "STATUS=stopping; leases lapse by themselves")
}

func (t *Turns) statusLine() string {
	// The protocol ends a value at a line feed; our sentences have none, but a
	// fault may quote foreign text.
	return "STATUS=" + strings.ReplaceAll(status.Summary(t.state.Snapshot(time.Now(), 0)), "\n", " ")
}

// send is one message to the service manager. It says whether it was delivered
// in time; a failure changes nothing, because there is nobody else to tell.
func (t *Turns) send(lines ...string) bool {
	if !t.supervised {
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
