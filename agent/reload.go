package agent

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/peaqnetwork/peaqos-agent/agent/config"
	"github.com/peaqnetwork/peaqos-agent/agent/connect"
	"github.com/peaqnetwork/peaqos-agent/agent/status"
)

// ReloadResult is what a reload changed.
type ReloadResult struct {
	Changed []string `json:"changed"` // configuration keys, sorted; empty when the file is what is in use
	// Warnings are about endpoints that the orchestrator will refuse.
	Warnings []string `json:"warnings,omitempty"`
}

// reloadOnHangup reloads at each signal until the context ends.
func (a *Agent) reloadOnHangup(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-a.opts.Hangup:
			_, _ = a.reloadWhenFree(ctx, discard) // it logs its result itself
		}
	}
}

// reloadNow is reloadWhenFree for a caller to which no progress can be reported.
func (a *Agent) reloadNow(ctx context.Context) (ReloadResult, error) {
	return a.reloadWhenFree(ctx, nil)
}

// reloadWhenFree reads the configuration again and applies it completely or not at all: if
// it has a fault, changes a key that needs a restart, or the context ends while a
// heartbeat or a probe is under way, the current one stays in use, and log, status
// and metrics report it. What the orchestrator refused is tried again.
//
// Errors: *config.Error with every fault, *status.Problem, the context's.
func (a *Agent) reloadWhenFree(ctx context.Context, progress func(string)) (ReloadResult, error) {
	end, err := a.begin(ctx, "a reload", progress)
	if err != nil {
		return ReloadResult{}, err
	}
	defer end()
	a.watchdog.sendReloading()
	defer a.watchdog.sendReloaded()
	result, err := a.reload(ctx)
	now := time.Now()
	a.state.UpdateProcess(func(s *status.Process) {
		s.ReloadOK = err == nil
		if err == nil {
			s.ReloadAt = now
		}
	})
	if err != nil {
		// The fault is part of the sentence: another fault is logged, the same one is not repeated.
		a.log.Error("the new configuration was rejected; the current one stays in use: "+err.Error(), code(status.CodeReloadRefused))
		return result, err
	}
	what := "nothing has changed"
	if len(result.Changed) > 0 {
		what = "changed " + strings.Join(result.Changed, ", ")
	}
	a.log.Info("the configuration was reloaded: "+what, code(status.CodeReloaded))
	return result, nil
}

func (a *Agent) reload(ctx context.Context) (ReloadResult, error) {
	if a.opts.Reload == nil {
		return ReloadResult{}, errors.New("this process cannot reload its configuration")
	}
	next, err := a.opts.Reload()
	if err != nil {
		return ReloadResult{}, err
	}
	changed, needRestart := config.Diff(a.current, next)
	if len(needRestart) > 0 {
		return ReloadResult{}, status.NewProblem(status.CodeReloadNeedsRestart, strings.Join(needRestart, ", ")+" cannot change while the agent runs")
	}
	transport := a.transport
	if a.opts.Transport == nil && needsTransport(a.current, next) {
		fresh := newTransport(next, a.log)
		if err := fresh.CheckFiles(); err != nil {
			return ReloadResult{}, judge(err, time.Now()).cause.Problem().Wrap(err)
		}
		transport = fresh
	}
	api, err := a.calls(next, transport)
	if err != nil {
		return ReloadResult{}, fmt.Errorf("cannot create the orchestrator client: %w", err)
	}
	release, err := a.pauseTasks(ctx)
	if err != nil {
		return ReloadResult{}, err
	}
	defer release()
	if ctx.Err() != nil {
		return ReloadResult{}, context.Cause(ctx)
	}
	a.apply(next, transport, api)
	result := ReloadResult{Changed: append([]string{}, changed...)}
	for _, m := range next.Machines {
		if b := a.beaters[m.Name]; b != nil {
			if w := notAllowed(m, allowedOf(b.currentRecord())); w != "" {
				result.Warnings = append(result.Warnings, w)
				a.log.Warn(w, code(status.CodeConfigWarning), zap.String("machine", m.Name))
			}
		}
	}
	return result, nil
}

// needsTransport reports whether a reload needs another transport: another configuration,
// or files, which may have changed.
func needsTransport(current, next *config.Config) bool {
	o := next.Orchestrator
	return o != current.Orchestrator || next.Network != current.Network || o.CAFile != "" || o.ClientCertFile != ""
}

// pauseTasks waits for every heartbeat and probe under way and starts no other until
// release is called, so that no task works with half of a reload.
func (a *Agent) pauseTasks(ctx context.Context) (release func(), err error) {
	var held []lock
	release = func() {
		for _, l := range held {
			l.Unlock()
		}
	}
	for _, w := range a.watchers {
		for _, l := range []lock{a.beaters[w.name].sending, w.looking} {
			if err := l.acquire(ctx, "the current heartbeat and probes"); err != nil {
				release()
				return nil, err
			}
			held = append(held, l)
		}
	}
	return release, nil
}

// apply puts a configuration into use; the tasks are paused. It cannot fail. Machines
// are neither added nor removed here: that needs a restart.
func (a *Agent) apply(next *config.Config, transport http.RoundTripper, api calls) {
	for _, w := range next.Warnings {
		a.log.Warn(w, code(status.CodeConfigWarning))
	}
	a.logLevel.SetLevel(levelOf(next.Log))
	if old, ok := a.transport.(*connect.Transport); ok && transport != a.transport {
		old.CloseIdleConnections()
	}
	a.current, a.transport = next, transport
	for _, m := range next.Machines {
		a.state.Update(m.Name, func(s *status.Machine) { s.CAFile = next.Orchestrator.CAFile })
		probes := a.probesOf(m)
		for _, w := range a.watchers {
			if w.name == m.Name {
				w.probes.replaced.Store(true)
				w.probes = probes
				a.beaters[m.Name].reconfigure(m, next.Heartbeat, api, probes)
				w.rearm()
			}
		}
	}
}
