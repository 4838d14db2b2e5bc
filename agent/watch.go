package agent

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/peaqnetwork/peaqos-agent/agent/config"
	"github.com/peaqnetwork/peaqos-agent/agent/status"
)

// probeSet probes the endpoints of one machine, all at once, and records the
// results. The beater probes with it before each heartbeat, the watcher in between.
// It never changes: a reload makes another one.
type probeSet struct {
	machine string
	state   *status.Tracker
	log     *zap.Logger
	probers []*prober
}

// run probes every endpoint, records each result, logs what came up or went down,
// and returns the endpoints that are up. limit bounds each probe in addition to its
// own 3 s.
func (s *probeSet) run(ctx context.Context, limit time.Duration) []config.Endpoint {
	results := make([]probeResult, len(s.probers))
	if len(s.probers) == 1 {
		results[0] = s.probers[0].probe(ctx, limit)
	} else {
		var wg sync.WaitGroup
		for i, p := range s.probers {
			wg.Go(func() { results[i] = p.probe(ctx, limit) })
		}
		wg.Wait()
	}
	if ctx.Err() != nil {
		return nil // probes that our own stop interrupted found nothing
	}
	now := time.Now()
	changed := make([]bool, len(results))
	s.state.Update(s.machine, func(m *status.Machine) {
		for i, p := range s.probers {
			if e := m.Endpoint(p.endpoint.ProviderKey); e != nil {
				changed[i] = recordProbe(e, results[i], now)
			}
		}
	})
	var up []config.Endpoint
	for i, p := range s.probers {
		if changed[i] {
			s.logChange(p.endpoint.ProviderKey, results[i])
		}
		if results[i].up {
			up = append(up, p.endpoint)
		}
	}
	return up
}

// recordProbe stores one result in the state. It reports whether the endpoint came
// up or went down, or was probed for the first time.
func recordProbe(e *status.Endpoint, r probeResult, now time.Time) (changed bool) {
	changed = r.up != e.Up || !e.Probed
	if changed {
		e.ChangedAt = now
	}
	e.Up, e.Probed, e.ProbedAt = r.up, true, now
	e.ProbeResult, e.ProbeFault = r.result, r.fault
	e.Probes[r.result]++
	e.ProbeDuration.Observe(r.took)
	return changed
}

// logChange logs that an endpoint came up or went down. The beat task is woken for
// one that came up, to publish it.
func (s *probeSet) logChange(providerKey string, r probeResult) {
	fields := []zap.Field{zap.String("machine", s.machine), zap.String("provider", providerKey)}
	if r.up {
		s.log.Info("the endpoint answers", append(fields, code(status.CodeEndpointUp))...)
		s.state.Signal(s.machine)
		return
	}
	fields = append(fields, code(status.CodeEndpointDown), zap.String("why", r.fault))
	s.log.Warn("the endpoint does not answer; omitted from the next heartbeat", fields...)
}

// watcher probes one machine's endpoints between the heartbeats, so that /readyz is
// right within seconds and an endpoint that comes up is published at once. A
// heartbeat's own probes count: nothing is probed again within a period. What it
// finds goes into the state, where the beat task reads it.
type watcher struct {
	name     string // of the machine
	state    *status.Tracker
	watchdog *watchdog
	wake     chan struct{} // the time of the next look may have changed

	looking lock // one look at a time; guards probes
	probes  *probeSet
}

// loop names the watcher's loop for the watchdog and /healthz.
func (w *watcher) loop() string { return "probe/" + w.name }

// run is the loop: look when it is time, wait, until the context ends.
func (w *watcher) run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-w.wake:
		case <-timer.C:
		}
		w.watchdog.checkIn(w.loop())
		if w.wait(time.Now()) == 0 {
			w.look(ctx)
		}
		timer.Reset(min(w.wait(time.Now()), w.watchdog.maxWait))
	}
}

// wait is how long there is nothing to do, by the state.
func (w *watcher) wait(now time.Time) time.Duration {
	m, _ := w.state.Machine(w.name)
	var lastProbe time.Time
	allUp := true
	for i, e := range m.Endpoints {
		if allUp = allUp && e.Up; i == 0 || e.ProbedAt.Before(lastProbe) {
			lastProbe = e.ProbedAt
		}
	}
	if len(m.Endpoints) == 0 {
		return w.watchdog.maxWait
	}
	return max(nextLook(lastProbe, m.NextAttempt, probePeriod(m.Interval, allUp)).Sub(now), 0)
}

// look probes once.
func (w *watcher) look(ctx context.Context) {
	if err := w.looking.acquire(ctx, "the current probe"); err != nil {
		return
	}
	defer w.looking.Unlock()
	w.probes.run(ctx, probeTimeout)
}

// rearm makes the loop work out again when to look.
func (w *watcher) rearm() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}
