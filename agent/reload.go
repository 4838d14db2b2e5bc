package agent

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/peaqnetwork/peaqos-agent/agent/config"
	"github.com/peaqnetwork/peaqos-agent/agent/status"
)

// ReloadResult is what a reload changed.
type ReloadResult struct {
	Changed []string `json:"changed"` // configuration keys, sorted; empty when the file says what is in force
}

// reloadOnHangup reloads at each signal until the context ends.
func (a *Agent) reloadOnHangup(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-a.opts.Hangup:
			_, _ = a.Reload() // it has said everything itself
		}
	}
}

// Reload reads the configuration anew and brings it into force whole, or not at
// all: with a fault in it, or a change to a key that needs a restart, the old one
// stays and log, status and metrics say so. A beat under way ends first. What was
// refused by the orchestrator is tried again.
//
// Errors: *config.Error with every fault, *status.Problem.
func (a *Agent) Reload() (ReloadResult, error) {
	a.changing.Lock()
	defer a.changing.Unlock()
	a.turns.Reloading()
	defer a.turns.Reloaded()
	result, err := a.reload()
	now := time.Now()
	a.state.UpdateProcess(func(s *status.Process) {
		s.ReloadOK = err == nil
		if err == nil {
			s.ReloadAt = now
		}
	})
	if err != nil {
		// What is wrong stands in the sentence: another fault is news, the same is not.
		a.log.Error("the new configuration is not taken over, the old one stays in force: "+err.Error(), code(status.CodeReloadRefused))
		return result, err
	}
	what := "nothing has changed"
	if len(result.Changed) > 0 {
		what = "changed " + strings.Join(result.Changed, ", ")
	}
	a.log.Info("the configuration was read anew: "+what, code(status.CodeReloaded))
	return result, nil
}

func (a *Agent) reload() (ReloadResult, error) {
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
	if o := next.Orchestrator; a.opts.Transport == nil && (o != a.current.Orchestrator || o.CAFile != "") { // what is in the file may be new
		if transport, err = newTransport(next.Orchestrator); err != nil {
			return ReloadResult{}, err
		}
	}
	api, err := a.calls(next, transport)
	if err != nil {
		return ReloadResult{}, fmt.Errorf("cannot create the orchestrator client: %w", err)
	}
	a.bringIntoForce(next, transport, api)
	return ReloadResult{Changed: append([]string{}, changed...)}, nil
}

// bringIntoForce cannot fail. Machines neither come nor go here: that takes a
// restart.
func (a *Agent) bringIntoForce(next *config.Config, transport http.RoundTripper, api calls) {
	for _, w := range next.Warnings {
		a.log.Warn(w, code(status.CodeConfigWarning))
	}
	a.logLevel.SetLevel(levelOf(next.Log))
	if old, ok := a.transport.(*http.Transport); ok && transport != a.transport {
		old.CloseIdleConnections()
	}
	a.current, a.transport = next, transport
	for _, m := range next.Machines {
		probers := a.probersOf(m)
		for _, w := range a.watchers {
			if w.name == m.Name {
				w.take(probers, func() { a.beaters[m.Name].take(m, next.Heartbeat, transport, api, probers) })
			}
		}
	}
}

// take waits for a look under way, then looks with other probers. meanwhile runs
// before the next look, so that nobody sees one half of a reload.
func (w *watcher) take(probers []*prober, meanwhile func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	meanwhile()
	w.probers = probers
}

// take waits for a beat under way, then goes on with another configuration. The
// granted lease stays: the next beat asks for the new one.
func (b *beater) take(m config.Machine, conf config.Heartbeat, transport http.RoundTripper, api calls, probers []*prober) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.machine, b.conf, b.transport, b.api, b.probers = m, conf, transport, api, probers
	clear(b.refused)
	b.state.Reshape(m)
	b.state.Update(b.name, func(s *status.Machine) {
		s.Mismatch = mismatch(m, b.record)
		if b.record != nil {
			s.Interval = interval(conf.Interval, b.lease)
		} else if s.Origin == "" { // nothing in the store says who we are
			s.MachineID, s.IdentityRef = m.ID, m.IdentityRef
		}
	})
	b.state.Signal(b.name)
}
