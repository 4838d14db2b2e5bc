package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime/debug"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/peaqnetwork/peaqos-agent/agent/config"
	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/agent/telemetry"
	"github.com/peaqnetwork/peaqos-agent/keystore"
	"github.com/peaqnetwork/peaqos-agent/sdk"
)

// Options is what a process brings along; the zero value is the ordinary
// daemon. The transports and the clock are there for tests that live in fake
// time, where a socket would never end.
type Options struct {
	Version string
	// LogTo takes the events, in the configured form; nil drops them.
	LogTo       io.Writer
	LogTerminal bool // a person reads along
	// Transport reaches the orchestrator, Probe the endpoints; nil is a real socket.
	Transport http.RoundTripper
	Probe     http.RoundTripper
	// SinceBoot is the boot clock; nil is CLOCK_BOOTTIME.
	SinceBoot func() time.Duration
	// HostRoot is where the facts of the host are read, / when empty.
	HostRoot string
	// LockWait is how long to wait for another process to release the store. The
	// wait is logged when it begins.
	LockWait time.Duration
	// APIKey reads the platform key for enroll.auto, each time it is needed.
	APIKey func() (sdk.Secret, error)
	// NoAdmin leaves the admin socket out: one-shot verbs and bubbles.
	NoAdmin bool
	// Reload reads the configuration anew; each Hangup asks for it (SIGHUP).
	// Without it the agent keeps the configuration it was started with.
	Reload func() (*config.Config, error)
	Hangup <-chan os.Signal
}

// Agent is one process that owns one store: the daemon, or a verb that does the
// same work once, under the same lock.
type Agent struct {
	cfg      *config.Config // the one we were started with: what needs a restart is read here
	opts     Options
	origin   string
	log      *zap.Logger
	logLevel zap.AtomicLevel
	state    *status.Tracker
	store    *keystore.Store
	boot     func() time.Duration
	beaters  map[string]*beater
	watchers []*watcher
	turns    *Turns

	changing  sync.Mutex     // one enrollment or reload at a time; guards what follows
	current   *config.Config // in force
	transport http.RoundTripper
}

// New opens the store under its lock and prepares every task, starting none. A
// store that is held by another process is an error (keystore.ErrInUse); one
// that cannot be unsealed is not: the daemon stays up and names the verb.
func New(ctx context.Context, cfg *config.Config, opts Options) (*Agent, error) {
	origin, err := originOf(cfg.Orchestrator.URL)
	if err != nil {
		return nil, status.NewProblem(status.CodeOrchestratorURL, err.Error())
	}
	a := &Agent{
		cfg: cfg, current: cfg, opts: opts, origin: origin, log: zap.NewNop(), logLevel: zap.NewAtomicLevel(), transport: opts.Transport, boot: opts.SinceBoot,
		state: status.NewTracker(cfg, time.Now()), beaters: map[string]*beater{},
	}
	if opts.LogTo != nil {
		a.log, a.logLevel = NewLogger(cfg.Log, opts.LogTo, opts.LogTerminal, func(level string) {
			a.state.UpdateProcess(func(s *status.Process) { s.LogMessages[level]++ })
		})
	}
	for _, w := range cfg.Warnings {
		a.log.Warn(w, code(status.CodeConfigWarning))
	}
	if a.boot == nil {
		a.boot = sinceBoot
	}
	if a.transport == nil {
		if a.transport, err = newTransport(cfg.Orchestrator); err != nil {
			return nil, err
		}
	}
	a.turns = NewTurns(a.state)
	if err := a.openStore(ctx); err != nil {
		return nil, err
	}
	api, err := a.calls(cfg, a.transport)
	if err != nil {
		return nil, errors.Join(err, a.Close())
	}
	for _, m := range cfg.Machines {
		a.prepare(m, api)
	}
	return a, nil
}

// prepare makes the two tasks of one machine and loads its record.
func (a *Agent) prepare(m config.Machine, api calls) {
	probers := a.probersOf(m)
	b := &beater{
		name: m.Name, origin: a.origin, transport: a.transport, machine: m, conf: a.cfg.Heartbeat, state: a.state, api: api, probers: probers, log: a.log,
		boot: a.boot, start: time.Now(), refused: map[string]time.Time{}, turned: func() {},
		keep: func(r *keystore.Agent) error { return a.store.PutAgent(m.Name, r) },
	}
	a.beaters[m.Name] = b
	a.watchers = append(a.watchers, &watcher{name: m.Name, state: a.state, probers: probers, log: a.log})
	a.load(b)
}

func (a *Agent) probersOf(m config.Machine) []*prober {
	var probers []*prober
	for _, e := range m.Endpoints {
		probers = append(probers, newProber(e, a.opts.Probe))
	}
	return probers
}

// Snapshot is a copy of the whole state, for whoever wants to look.
func (a *Agent) Snapshot() status.Snapshot { return a.state.Snapshot(time.Now(), a.boot()) }

// View is the state as status shows it.
func (a *Agent) View() status.View {
	return status.NewView(a.Snapshot(), a.opts.Version, a.cfg.Keystore.Dir)
}

// configured is the machine as the newest configuration has it.
func (b *beater) configured() config.Machine {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.machine
}

// beaterOf finds a machine by its configured name; none means the only one.
func (a *Agent) beaterOf(name string) (*beater, error) {
	if name == "" && len(a.cfg.Machines) == 1 {
		name = a.cfg.Machines[0].Name
	}
	if b := a.beaters[name]; b != nil {
		return b, nil
	}
	return nil, status.NewProblem(status.CodeUnknownMachine, fmt.Sprintf("%.100q", name))
}

func (b *beater) has(r *keystore.Agent) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.record != nil && b.record.AgentID == r.AgentID
}

// Run is the daemon. The telemetry listener is bound first and closed last;
// between them the tasks run until the context ends or one of them fails, and
// the first cause is the answer. Nothing is sent on the way out.
func (a *Agent) Run(ctx context.Context) error {
	admin := a.bindAdmin()
	telemetry := telemetry.New(a.cfg, a.state, a.turns.Bound(), a.opts.Version, a.boot, a.log)
	telemetry.Bind()
	listening, stopListening := context.WithCancel(context.WithoutCancel(ctx))
	var health sync.WaitGroup
	health.Go(func() { telemetry.Serve(listening) })
	defer health.Wait()
	defer stopListening()

	tasks := []task{{"notify", a.turns.Run}}
	if admin != nil {
		tasks = append(tasks, task{"admin", func(ctx context.Context) error { return a.serveAdmin(ctx, admin) }})
	}
	for _, m := range a.cfg.Machines {
		tasks = append(tasks, task{"beat/" + m.Name, func(ctx context.Context) error { return a.beaters[m.Name].run(ctx, a.turns) }})
	}
	for _, w := range a.watchers {
		tasks = append(tasks, task{"probe/" + w.name, func(ctx context.Context) error { return w.run(ctx, a.turns) }})
	}
	for _, t := range tasks[1:] {
		if t.name != "admin" {
			a.turns.Register(t.name)
		}
	}
	if a.cfg.Enroll.Auto && a.opts.APIKey != nil {
		tasks = append(tasks, task{"enroll", a.autoEnroll})
	}
	tasks = append(tasks, task{"reload", a.reloadOnHangup}, task{"clock", a.watchClock})
	a.log.Info("the agent is up", code(status.CodeStarted), zap.String("version", a.opts.Version), zap.String("orchestrator", a.origin))
	a.state.UpdateProcess(func(s *status.Process) { s.PID = os.Getpid() })
	a.turns.Ready()
	err := runTasks(ctx, tasks)
	a.turns.Stopping()
	a.log.Info("stopped; leases lapse by themselves", code(status.CodeStopped))
	return err
}

// task is one thing that runs as long as the agent does.
type task struct {
	name string
	run  func(context.Context) error
}

// runTasks runs all, ends all when the first one ends, waits for all, and
// returns the first cause. A panic becomes an error with its stack in it.
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
