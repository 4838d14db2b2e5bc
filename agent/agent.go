package agent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/peaqnetwork/peaqos-agent/agent/config"
	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/agent/telemetry"
	"github.com/peaqnetwork/peaqos-agent/keystore"
	"github.com/peaqnetwork/peaqos-agent/sdk"
)

// Options is what a process passes in; the zero value is the ordinary daemon. The
// transports and the clock are for tests in fake time, where a socket would never end.
type Options struct {
	Version string
	// LogTo receives the log, in the configured format; nil drops it.
	LogTo       io.Writer
	LogTerminal bool // LogTo is a terminal
	// Transport reaches the orchestrator, Probe the endpoints; nil is a real socket.
	Transport http.RoundTripper
	Probe     http.RoundTripper
	// Hook reaches the hooks; nil is a real socket.
	Hook http.RoundTripper
	// SinceBoot is the boot clock; nil is CLOCK_BOOTTIME.
	SinceBoot func() time.Duration
	// HostRoot is where the facts of the host are read, / when empty.
	HostRoot string
	// LockWait is how long to wait for another process to release the store. The
	// wait is logged when it begins.
	LockWait time.Duration
	// APIKey reads the platform key for enroll.auto, each time it is needed.
	APIKey func() (sdk.Secret, error)
	// NoAdmin omits the admin socket: for single commands and for fake time.
	NoAdmin bool
	// Reload reads the configuration again; each Hangup triggers it (SIGHUP).
	// Without it the agent keeps the configuration it was started with.
	Reload func() (*config.Config, error)
	Hangup <-chan os.Signal
}

// Agent is one process that owns one store: the daemon, or a command that does the
// same work once, under the same lock.
type Agent struct {
	cfg      *config.Config // the one of the start: keys that need a restart are read here
	opts     Options
	origin   string
	log      *zap.Logger
	logLevel zap.AtomicLevel
	state    *status.Tracker
	store    *keystore.Store
	boot     func() time.Duration
	beaters  map[string]*beater
	watchers []*watcher
	watchdog *watchdog
	clock    *clockWatch
	changes  chan struct{} // a link, an address or the clock; for enroll.auto
	queues   []*queue      // of the control sockets, while Run runs
	locked   chan struct{} // a machine has a store that cannot be read; for retryStore

	busy atomic.Pointer[underWay] // what holds changing, for those that wait for it

	changing  lock           // one enrollment or reload at a time; guards what follows
	current   *config.Config // in use
	transport http.RoundTripper
}

// New opens the store for a command that works with it. A store that is in use by
// another process is an error (keystore.ErrInUse); one that cannot be unsealed is not:
// the state and the commands report it. The caller closes the agent.
func New(ctx context.Context, cfg *config.Config, opts Options) (*Agent, error) {
	a, err := newAgent(cfg, opts)
	if err != nil {
		return nil, err
	}
	if err := a.open(ctx); err != nil {
		return nil, errors.Join(err, a.Close())
	}
	return a, nil
}

// newAgent prepares what needs neither the store nor the network.
func newAgent(cfg *config.Config, opts Options) (*Agent, error) {
	origin, err := originOf(cfg.Orchestrator.URL)
	if err != nil {
		return nil, status.NewProblem(status.CodeOrchestratorURL, err.Error())
	}
	a := &Agent{
		cfg: cfg, current: cfg, opts: opts, origin: origin, log: zap.NewNop(), logLevel: zap.NewAtomicLevel(),
		transport: opts.Transport, boot: opts.SinceBoot,
		state: status.NewTracker(cfg, time.Now()), beaters: map[string]*beater{}, changing: newLock(),
		changes: make(chan struct{}, 1), locked: make(chan struct{}, 1),
	}
	a.state.UpdateProcess(func(s *status.Process) { s.Flags = cfg.CommandFlags() })
	if opts.LogTo != nil {
		a.log, a.logLevel = newLogger(cfg.Log, opts.LogTo, opts.LogTerminal, logStateOf(a.state))
	}
	for _, w := range cfg.Warnings {
		a.log.Warn(w, code(status.CodeConfigWarning))
	}
	if a.boot == nil {
		a.boot = sinceBoot
	}
	if a.transport == nil {
		a.transport = newTransport(cfg, a.log)
	}
	a.watchdog = newWatchdog(a.state)
	a.clock = &clockWatch{state: a.state, log: a.log, boot: a.boot, stepped: a.changed}
	return a, nil
}

// open opens the store under its lock and prepares every task, starting none.
func (a *Agent) open(ctx context.Context) error {
	api, err := a.calls(a.cfg, a.transport)
	if err != nil {
		return err
	}
	if err := a.openStore(ctx); err != nil {
		return err
	}
	for _, m := range a.cfg.Machines {
		a.prepare(m, api)
	}
	return nil
}

// prepare makes the two tasks of one machine and loads its record.
func (a *Agent) prepare(m config.Machine, api calls) {
	probes := a.probesOf(m)
	w := &watcher{
		name: m.Name, state: a.state, watchdog: a.watchdog, wake: make(chan struct{}, 1), looking: newLock(), probes: probes,
	}
	b := &beater{
		name: m.Name, origin: a.origin, state: a.state, log: a.log, store: a.store, watcher: w, watchdog: a.watchdog, clock: a.clock,
		boot: a.boot, start: time.Now(), sending: newLock(), conf: a.cfg.Heartbeat, api: api, probes: probes,
		refused: map[refusal]time.Time{}, machine: m,
	}
	a.beaters[m.Name] = b
	a.watchers = append(a.watchers, w)
	a.load(b)
}

// probesOf makes the probes of one machine's endpoints.
func (a *Agent) probesOf(m config.Machine) *probeSet {
	s := &probeSet{machine: m.Name, state: a.state, log: a.log}
	for _, e := range m.Endpoints {
		s.probers = append(s.probers, newProber(e, a.opts.Probe))
	}
	return s
}

// snapshot returns a copy of the whole state.
func (a *Agent) snapshot() status.Snapshot { return a.state.Snapshot(time.Now(), a.boot()) }

// View returns the state as the status command shows it.
func (a *Agent) View() status.View {
	return status.NewView(a.snapshot(), a.opts.Version, a.cfg.Keystore.Dir)
}

// beaterOf finds a machine by its configured name; an empty one means the only one.
func (a *Agent) beaterOf(name string) (*beater, error) {
	if name == "" && len(a.cfg.Machines) == 1 {
		name = a.cfg.Machines[0].Name
	}
	if b := a.beaters[name]; b != nil {
		return b, nil
	}
	return nil, status.NewProblem(status.CodeUnknownMachine, fmt.Sprintf("%.100q", name))
}

// Run is the daemon. The telemetry listener is bound first and closed last: opening
// the store may take seconds, for a passphrase or another process that still has it,
// and /healthz and /readyz respond meanwhile. Then the tasks run until the context ends
// or one of them fails, and the first cause is returned. Nothing is sent on the way
// out. Errors of the store are those of New.
func Run(ctx context.Context, cfg *config.Config, opts Options) error {
	a, err := newAgent(cfg, opts)
	if err != nil {
		return err
	}
	defer a.takeStandardLog()()
	return errors.Join(a.run(ctx), a.Close())
}

// run opens the store, unless that was done, and runs the tasks.
func (a *Agent) run(ctx context.Context) error {
	telemetry := telemetry.New(a.cfg, a.state, a.watchdog.stuckAfter(), a.opts.Version, a.boot, a.log)
	// A container that boots systemd is a machine with users of its own; connections are
	// not forwarded to its loopback, and a unit does not see the processes of its users.
	root := cmp.Or(a.opts.HostRoot, "/")
	if _, err := os.Stat(filepath.Join(root, "run/systemd/system")); err != nil && keystore.InContainer(root) {
		telemetry.InContainer()
	}
	listening, stopListening := context.WithCancel(context.WithoutCancel(ctx))
	var health sync.WaitGroup
	defer health.Wait()
	defer stopListening()
	serve := func() { health.Go(func() { telemetry.Serve(listening) }) }
	telemetry.Bind()
	bound := a.listenerFault() == ""
	if bound {
		serve()
	}
	if a.store == nil {
		a.setStarting()
		if err := a.open(ctx); err != nil {
			return err
		}
	}
	if !bound { // perhaps it was the process that had the store, and has ended by now
		telemetry.Bind()
		serve()
	}
	return a.runDaemon(ctx)
}

// setStarting is the state while the store is being opened.
func (a *Agent) setStarting() {
	for _, m := range a.cfg.Machines {
		a.state.Update(m.Name, func(s *status.Machine) {
			s.SetState(status.Locked, status.NewCause(status.CodeStarting, ""), time.Now())
		})
	}
}

// listenerFault is why there is no telemetry listener, empty when there is one.
func (a *Agent) listenerFault() (fault string) {
	a.state.UpdateProcess(func(p *status.Process) { fault = p.ListenerFault })
	return fault
}

// runDaemon binds the admin socket, which needs the store's lock, and runs the tasks.
func (a *Agent) runDaemon(ctx context.Context) error {
	for _, b := range a.beaters {
		if err := a.takeOverRenamed(b, b.configured().ID, b.configured().IdentityRef); err != nil {
			a.log.Error("the record of a renamed machine could not be taken over", code(status.CodeRecordRenamed),
				zap.String("machine", b.name), zap.Error(err))
		}
	}
	for _, m := range a.cfg.Machines {
		if w := notAllowed(m, allowedOf(a.beaters[m.Name].currentRecord())); w != "" {
			a.log.Warn(w, code(status.CodeConfigWarning), zap.String("machine", m.Name))
		}
	}
	admin := a.bindAdmin()
	tasks := []task{{"watchdog", a.watchdog.run}}
	if admin != nil {
		tasks = append(tasks, task{"admin", func(ctx context.Context) error { return a.keepAdmin(ctx, admin) }})
	}
	for _, w := range a.watchers {
		b := a.beaters[w.name]
		a.watchdog.register(b.loop())
		a.watchdog.register(w.loop())
		tasks = append(tasks, task{b.loop(), b.run}, task{w.loop(), w.run})
	}
	services, err := a.services()
	if err != nil {
		return err
	}
	defer a.closeQueues()
	tasks = append(tasks, services...)
	if a.cfg.Enroll.Auto && a.opts.APIKey != nil {
		tasks = append(tasks, task{"enroll", a.autoEnroll})
	}
	tasks = append(tasks, task{"reload", a.reloadOnHangup}, task{"store", a.retryStore})
	if a.opts.SinceBoot == nil { // in fake time the kernel's reports mean nothing
		tasks = append(tasks, task{"system", a.watchSystem})
	}
	a.log.Info("started", code(status.CodeStarted), zap.String("version", a.opts.Version), zap.String("orchestrator", a.origin))
	a.state.UpdateProcess(func(s *status.Process) { s.PID = os.Getpid() })
	a.watchdog.sendReady()
	err = runTasks(ctx, tasks)
	a.watchdog.sendStopping()
	_ = a.log.Sync() // what was held back comes before the last line
	a.log.Info("stopped; leases expire on their own", code(status.CodeStopped))
	return err
}

// task is one thing that runs as long as the agent does.
type task struct {
	name string
	run  func(context.Context) error
}

// runTasks runs all tasks, stops all when the first one ends, waits for all, and
// returns the first cause. A panic becomes an error that contains its stack.
func runTasks(parent context.Context, tasks []task) error {
	ctx, cancel := context.WithCancelCause(parent)
	defer cancel(nil)
	var wg sync.WaitGroup
	for _, t := range tasks {
		wg.Go(func() {
			defer func() {
				if p := recover(); p != nil {
					cancel(fmt.Errorf("task %s: panic: %v\n%s", t.name, p, debug.Stack()))
				}
			}()
			if err := t.run(ctx); err != nil && ctx.Err() == nil {
				cancel(fmt.Errorf("task %s: %w", t.name, err))
			} else {
				cancel(nil)
			}
		})
	}
	wg.Wait()
	if cause := context.Cause(ctx); parent.Err() == nil && !errors.Is(cause, context.Canceled) {
		return cause
	}
	return nil
}
