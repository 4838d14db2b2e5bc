package agent

import (
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/peaqnetwork/peaqos-agent/agent/status"
)

// TestProbesAreNotDoubled: a heartbeat's own probe counts as the watcher's look.
func TestProbesAreNotDoubled(t *testing.T) {
	for _, c := range []struct {
		interval time.Duration
		want     uint64 // in ten minutes
	}{
		{0, 40},                // every 30 s, and once in between
		{10 * time.Second, 60}, // every heartbeat is a look
		{20 * time.Second, 60}, // every 20 s, and once in between
	} {
		synctest.Test(t, func(t *testing.T) {
			l := newLife(t, "demo")
			l.agent.beaters["main"].conf.Interval = c.interval
			l.mustEnroll()
			l.start()
			time.Sleep(5 * time.Minute)
			before := l.status().Endpoints[0].Probes["success"]
			time.Sleep(10 * time.Minute)
			if got := l.status().Endpoints[0].Probes["success"] - before; got != c.want {
				t.Errorf("interval %s: %d probes in ten minutes, want %d", c.interval, got, c.want)
			}
			l.close()
		})
	}
}

// TestDownIsSeenWithinAPeriod: whenever an endpoint goes down, /readyz reports it
// within 15 s, and an endpoint that comes up again is published within seconds.
func TestDownIsSeenWithinAPeriod(t *testing.T) {
	for _, interval := range []time.Duration{0, 10 * time.Second, time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			l := newLife(t, "demo")
			l.agent.beaters["main"].conf.Interval = interval
			l.mustEnroll()
			l.start()
			time.Sleep(5 * time.Minute)
			for range 40 {
				l.runtime.off.Store(true)
				time.Sleep(15*time.Second + time.Millisecond)
				if status.Ready(l.agent.snapshot()).Ready {
					t.Fatalf("interval %s: ready 15 s after the endpoint went down", interval)
				}
				l.runtime.off.Store(false)
				beats := l.server.Beats()
				time.Sleep(11 * time.Second)
				if l.server.Beats() == beats {
					t.Fatalf("interval %s: not published within 11 s", interval)
				}
				time.Sleep(700 * time.Millisecond) // another phase of the grid
			}
			l.close()
		})
	}
}

// blockingProbe is a runtime that does not respond until it is released.
type blockingProbe struct {
	block atomic.Bool
	next  http.RoundTripper
}

func (p *blockingProbe) RoundTrip(req *http.Request) (*http.Response, error) {
	if p.block.Load() {
		<-req.Context().Done()
		return nil, req.Context().Err()
	}
	return p.next.RoundTrip(req)
}

// TestHangingProbeDelaysNoHeartbeat: an endpoint that does not respond holds up
// neither the loop nor the grid.
func TestHangingProbeDelaysNoHeartbeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLife(t, "demo", "hangs")
		probe := &blockingProbe{next: l.runtime}
		probe.block.Store(true)
		for _, p := range l.agent.beaters["main"].probes.probers {
			if p.endpoint.ProviderKey == "hangs" {
				p.client.Transport = probe
			}
		}
		l.mustEnroll()
		l.start()
		time.Sleep(5 * time.Minute)
		l.want(status.Degraded, status.CodeEndpointMissing)
		before := l.server.Beats()
		time.Sleep(10 * time.Minute)
		if got := l.server.Beats() - before; got != 20 {
			t.Errorf("%d heartbeats in ten minutes, want 20", got)
		}
		l.close()
	})
}

// slowRuntime responds after a while.
type slowRuntime struct{ takes time.Duration }

func (s slowRuntime) RoundTrip(req *http.Request) (*http.Response, error) {
	select {
	case <-req.Context().Done():
		return nil, req.Context().Err()
	case <-time.After(s.takes):
		return &http.Response{StatusCode: 200, Body: http.NoBody, Header: http.Header{}, Request: req}, nil
	}
}

// TestSlowRuntime: whatever the lease, an endpoint is up exactly when it responds
// within its probe_timeout, and then every heartbeat has it.
func TestSlowRuntime(t *testing.T) {
	for _, c := range []struct {
		takes, budget, lease time.Duration
		up                   bool
	}{
		{1500 * time.Millisecond, 0, 6 * time.Second, true},
		{2900 * time.Millisecond, 0, 3 * time.Second, true},
		{2900 * time.Millisecond, 0, 15 * time.Second, true},
		{3100 * time.Millisecond, 0, 6 * time.Second, false},
		{14 * time.Second, 15 * time.Second, 90 * time.Second, true},
		{14 * time.Second, 0, 90 * time.Second, false},
		{20 * time.Minute, 30 * time.Minute, 2 * time.Hour, true},
		{500 * time.Millisecond, 400 * time.Millisecond, 90 * time.Second, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			l := newLife(t, "demo")
			l.cfg.Heartbeat.LeaseTTL = c.lease
			b := l.agent.beaters["main"]
			b.conf.LeaseTTL = c.lease
			if c.budget > 0 {
				b.probes.probers[0].budget = c.budget
			}
			b.probes.probers[0].client.Transport = slowRuntime{c.takes}
			l.mustEnroll()
			l.start()
			time.Sleep(max(time.Minute, 3*c.takes, c.lease))
			before := l.server.Beats()
			intervals := uint64(20)
			for range intervals {
				time.Sleep(interval(0, c.lease))
				if up := l.status().Endpoints[0].Up; up != c.up {
					t.Fatalf("%+v: up %t", c, up)
				}
			}
			beats := l.server.Beats() - before
			if c.up && (beats < intervals-1 || beats > intervals+1) || !c.up && beats > 0 {
				t.Errorf("%+v: %d heartbeats in %d intervals", c, beats, intervals)
			}
			l.close()
		})
	}
}
