package agent

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/peaqnetwork/peaqos-agent/agent/config"
	"github.com/peaqnetwork/peaqos-agent/agent/status"
)

const (
	// probeWait is the longest time for which a loop waits for probes.
	probeWait = 10 * time.Second
	// lateFresh is how much older than its budget the last result of a probe may be that
	// a heartbeat uses while the next probe is still running.
	lateFresh = 30 * time.Second
)

// probeSet probes the endpoints of one machine, all at once, and records the
// results. The beater probes with it before each heartbeat, the watcher in between.
// It never changes: a reload makes another one.
type probeSet struct {
	machine  string
	state    *status.Tracker
	log      *zap.Logger
	probers  []*prober
	replaced atomic.Bool // by a reload: what a late probe finds is out of date
}

// run probes every endpoint, records each result, logs what came up or went down,
// and returns the endpoints that are up. It waits for limit at most. A probe whose
// budget is longer runs on by itself and is recorded when it ends; until then the last
// result is valid, so that the limit never decides whether an endpoint is up.
func (s *probeSet) run(ctx context.Context, limit time.Duration) []config.Endpoint {
	var now []int // probers that end within the limit
	var late []chan struct{}
	for i, p := range s.probers {
		if ended := s.startLate(ctx, p, limit); ended != nil {
			late = append(late, ended)
		} else {
			now = append(now, i)
		}
	}
	start := time.Now()
	results := make([]probeResult, len(now))
	if len(now) == 1 {
		results[0] = s.probers[now[0]].probe(ctx)
	} else {
		var wg sync.WaitGroup
		for i, which := range now {
			wg.Go(func() { results[i] = s.probers[which].probe(ctx) })
		}
		wg.Wait()
	}
	if ctx.Err() != nil {
		return nil // probes that our own stop interrupted found nothing
	}
	s.record(now, results)
	if len(late) > 0 {
		waitForAll(ctx, late, limit-time.Since(start))
	}
	return s.up(now, results)
}

// startLate starts the probe of an endpoint that may take longer than limit, unless it
// is running already, and returns a channel that is closed when it ends; nil if the
// probe ends within the limit.
func (s *probeSet) startLate(ctx context.Context, p *prober, limit time.Duration) chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.running != nil || p.budget <= limit {
		return p.running
	}
	ended := make(chan struct{})
	p.running = ended
	go func() {
		defer close(ended)
		r := p.probe(ctx)
		if ctx.Err() == nil && !s.replaced.Load() {
			s.record([]int{slices.Index(s.probers, p)}, []probeResult{r})
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		p.running = nil
	}()
	return ended
}

// waitForAll waits until every channel is closed, for limit at most.
func waitForAll(ctx context.Context, all []chan struct{}, limit time.Duration) {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for _, ended := range all {
		select {
		case <-ended:
		case <-timer.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// record stores the results of the named probers and logs what changed.
func (s *probeSet) record(which []int, results []probeResult) {
	if len(which) == 0 {
		return
	}
	now := time.Now()
	changed := make([]bool, len(results))
	s.state.Update(s.machine, func(m *status.Machine) {
		for i, n := range which {
			if e := m.Endpoint(s.probers[n].endpoint.ProviderKey); e != nil {
				changed[i] = recordProbe(e, results[i], now)
			}
		}
	})
	for i, n := range which {
		if changed[i] {
			s.logChange(s.probers[n].endpoint.ProviderKey, results[i])
		}
	}
}

// up returns the endpoints that are up, by the results just found or, for probes that
// are still running, by the last one.
func (s *probeSet) up(which []int, results []probeResult) []config.Endpoint {
	var up []config.Endpoint
	if len(which) == len(s.probers) {
		for i, p := range s.probers {
			if results[i].up {
				up = append(up, p.endpoint)
			}
		}
		return up
	}
	m, _ := s.state.Machine(s.machine)
	for _, p := range s.probers {
		e := m.Endpoint(p.endpoint.ProviderKey)
		if e != nil && e.Up && time.Since(e.ProbedAt) <= p.budget+lateFresh {
			up = append(up, p.endpoint)
		}
	}
	return up
}

// recordProbe stores one result in the state. It reports whether the endpoint came up
// or went down, was probed for the first time, or is down for another reason.
func recordProbe(e *status.Endpoint, r probeResult, now time.Time) (changed bool) {
	turned := r.up != e.Up || !e.Probed
	if turned {
		e.ChangedAt = now
	}
	changed = turned || r.fault != e.ProbeFault || r.notice != e.Notice
	e.Up, e.Probed, e.ProbedAt = r.up, true, now
	e.ProbeResult, e.ProbeFault, e.Notice = r.result, r.fault, r.notice
	e.Probes[r.result]++
	e.ProbeDuration.Observe(r.took)
	return changed
}

// logChange logs that an endpoint came up or went down. The beat task is woken for
// one that came up, to publish it.
func (s *probeSet) logChange(providerKey string, r probeResult) {
	fields := []zap.Field{zap.String("machine", s.machine), zap.String("provider", providerKey)}
	if r.up {
		if r.notice != "" {
			s.log.Warn("the endpoint responds, but "+r.notice, append(fields, code(status.CodeEndpointMismatch))...)
		} else {
			s.log.Info("the endpoint responds", append(fields, code(status.CodeEndpointUp))...)
		}
		s.state.Signal(s.machine)
		return
	}
	fields = append(fields, code(status.CodeEndpointDown), zap.String("why", r.fault))
	s.log.Warn("the endpoint is down, and omitted from heartbeats: "+r.fault, fields...)
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

	changed atomic.Bool // a link, an address or the clock, since the last look

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
	var lastProbe time.Time // the oldest of the last probes
	var nextAttempt time.Time
	var interval time.Duration
	endpoints, allUp := 0, true
	w.state.Read(w.name, func(m *status.Machine) {
		endpoints, nextAttempt, interval = len(m.Endpoints), m.NextAttempt, m.Interval
		for i, e := range m.Endpoints {
			if allUp = allUp && e.Up; i == 0 || e.ProbedAt.Before(lastProbe) {
				lastProbe = e.ProbedAt
			}
		}
	})
	if endpoints == 0 {
		return w.watchdog.maxWait
	}
	if !allUp && w.changed.Load() {
		return max(lastProbe.Add(time.Second).Sub(now), 0) // a second apart, however often a link flaps
	}
	return max(nextLook(lastProbe, nextAttempt, probePeriod(interval, allUp)).Sub(now), 0)
}

// look probes once.
func (w *watcher) look(ctx context.Context) {
	if err := w.looking.acquire(ctx, "the current probe"); err != nil {
		return
	}
	defer w.looking.Unlock()
	w.changed.Store(false)
	w.probes.run(ctx, probeWait)
}

// rearm makes the loop work out again when to look.
func (w *watcher) rearm() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}
