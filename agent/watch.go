package agent

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/peaqnetwork/peaqos-agent/agent/config"
	"github.com/peaqnetwork/peaqos-agent/agent/status"
)

// watcher looks at one machine's endpoints between the beats, so that /readyz
// tells the truth within seconds and an endpoint that comes up is published at
// once. What it finds goes into the state; the beat task reads it there.
type watcher struct {
	name  string // of the machine
	state *status.Tracker
	log   *zap.Logger

	mu      sync.Mutex // one look at a time
	probers []*prober
}

// run is the loop: probe, wait, until the context ends.
func (w *watcher) run(ctx context.Context, turns *Turns) error {
	loop := "probe/" + w.name
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-timer.C:
		}
		turns.Turn(loop)
		period := probePeriod(w.look(ctx))
		timer.Reset(min(period, turns.Limit()))
	}
}

// look probes once and wakes the beat task when an endpoint came up.
func (w *watcher) look(ctx context.Context) (every time.Duration, allUp bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	before, _ := w.state.Machine(w.name)
	up := probeAll(ctx, w.probers, w.state, w.name, probeTimeout)
	after, _ := w.state.Machine(w.name)
	for i, e := range after.Endpoints {
		was := before.Endpoints[i]
		if e.Up == was.Up && was.Probed {
			continue
		}
		if e.Up {
			w.log.Info("the endpoint answers", code(status.CodeEndpointUp), zap.String("machine", w.name), zap.String("provider", e.ProviderKey))
			w.state.Signal(w.name)
		} else {
			w.log.Warn("the endpoint does not answer; it is left out of the next beat", code(status.CodeEndpointDown),
				zap.String("machine", w.name), zap.String("provider", e.ProviderKey), zap.String("why", e.ProbeFault))
		}
	}
	return after.Interval, len(up) == len(w.probers)
}

// probePeriod is the time between two looks: 5 s while something is down, so
// that it is published within seconds; half an interval, at most 15 s, while
// all is well, because each beat probes again anyway.
func probePeriod(every time.Duration, allUp bool) time.Duration {
	if every == 0 { // not enrolled: nobody waits for it
		return 5 * time.Second
	}
	if !allUp {
		return min(5*time.Second, max(every, config.MinInterval))
	}
	return min(max(every/2, config.MinInterval), 15*time.Second)
}

// probeAll asks every endpoint at once, records each finding, and returns the
// endpoints that are up. limit bounds each probe beside its own 3 s.
func probeAll(ctx context.Context, probers []*prober, state *status.Tracker, machine string, limit time.Duration) []config.Endpoint {
	results := make([]probeResult, len(probers))
	var wg sync.WaitGroup
	for i, p := range probers {
		wg.Go(func() { results[i] = p.probe(ctx, limit) })
	}
	wg.Wait()
	if ctx.Err() != nil {
		return nil // a probe that our own stop cut short found nothing
	}
	now := time.Now()
	var up []config.Endpoint
	state.Update(machine, func(m *status.Machine) {
		for i, p := range probers {
			if s := m.Endpoint(p.endpoint.ProviderKey); s != nil {
				recordProbe(s, results[i], now)
			}
		}
	})
	for i, p := range probers {
		if results[i].up {
			up = append(up, p.endpoint)
		}
	}
	return up
}

// recordProbe stores one result in the state.
func recordProbe(s *status.Endpoint, r probeResult, now time.Time) {
	if r.up != s.Up || !s.Probed {
		s.ChangedAt = now
	}
	s.Up, s.Probed, s.ProbedAt = r.up, true, now
	s.ProbeResult, s.ProbeFault = r.result, r.fault
	s.Probes[r.result]++
	s.ProbeDuration.Observe(r.took)
}
