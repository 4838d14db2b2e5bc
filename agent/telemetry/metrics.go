package telemetry

import (
	"net/url"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/peaqnetwork/peaqos-agent/agent/status"
)

// newRegistry returns a registry with the agent's own metrics, go_* and process_*.
// It is not the global one, so that metrics which a library registers there do not
// appear.
func newRegistry(version string, snapshot func() status.Snapshot) *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(
		&collector{descs: newDescs(), build: buildLabels(version), snapshot: snapshot},
		newRuntimeCollector(),
	)
	return r
}

// collector turns one snapshot per scrape into metrics. It counts nothing itself:
// all counters are in the state, so that metrics, status and page cannot disagree.
type collector struct {
	descs    descs
	build    []string
	snapshot func() status.Snapshot
}

// Describe sends the descriptions of all metrics.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range c.descs.all {
		ch <- d
	}
}

// Collect reads the state once.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	s := c.snapshot()
	e := emitter{ch}
	e.gauge(c.descs.buildInfo, 1, c.build...)
	c.process(e, s.Process)
	for _, m := range s.Machines {
		c.machine(e, m, s.Process.HostDiffers != "")
		c.heartbeat(e, m, s)
		c.presence(e, m, s)
		c.control(e, m)
		for _, p := range m.Endpoints {
			c.endpoint(e, m.Name, p, s.SinceBoot)
		}
	}
}

func (c *collector) process(e emitter, p status.Process) {
	d := c.descs
	e.timestamp(d.startTime, p.StartedAt)
	e.flag(d.reloadOK, p.ReloadOK)
	e.timestamp(d.reloadAt, p.ReloadAt)
	e.counters(d.enrollments, p.Enrollments, enrollmentResults())
	e.counters(d.challenges, p.Challenges, []string{"signed", "refused", "expired", "failed"})
	e.counters(d.keystoreWrites, p.KeystoreWrites, []string{"success", "error"})
	e.counter(d.keystoreBytes, p.KeystoreBytes)
	e.flag(d.keystoreDurable, p.KeystoreDurable && !p.KeystoreVolatile)
	e.counters(d.keystoreFallbacks, p.KeystoreFallbacks, []string{"checksum", "missing", "unseal"})
	e.gauge(d.keystoreGeneration, float64(p.KeystoreGeneration))
	c.requests(e, p)
	e.counter(d.clockJumps, p.ClockJumps)
	if p.ClockSynced != nil {
		e.flag(d.clockSynced, *p.ClockSynced)
	}
	e.counter(d.watchdogPings, p.WatchdogPings)
	for loop, at := range p.Turns {
		e.timestamp(d.loopTurn, at, loop)
	}
	e.counters(d.logMessages, p.LogMessages, []string{"debug", "info", "warn", "error"})
	e.counter(d.panics, p.Panics)
}

func (c *collector) requests(e emitter, p status.Process) {
	for _, operation := range status.RequestOperations() {
		for _, code := range status.RequestResults() {
			e.counter(c.descs.requests, p.Requests[status.RequestKind{Operation: operation, Code: code}], operation, code)
		}
		took := status.NewBeatHistogram()
		if h := p.RequestDuration[operation]; h != nil {
			took = *h
		}
		e.histogram(c.descs.requestDuration, took, operation)
	}
}

func enrollmentResults() []string {
	return []string{"success", "rejected", "network", "durability", "lost"}
}

func (c *collector) machine(e emitter, m status.Machine, hostDiffers bool) {
	d := c.descs
	for _, state := range status.States() {
		e.flag(d.state, m.State == state, m.Name, string(state))
	}
	if m.Cause != nil {
		e.gauge(d.cause, 1, m.Name, string(m.Cause.Code))
	}
	e.flag(d.cloneSuspected, m.State == status.Quarantined || hostDiffers, m.Name)
	if m.AgentID != "" {
		e.gauge(d.identityInfo, 1, m.Name, m.MachineID, m.IdentityRef, m.AgentID, m.AgentLabel, hostOf(m.Origin))
	}
	if m.SkewKnown {
		e.gauge(d.clockSkew, m.Skew.Seconds(), m.Name)
	}
}

func (c *collector) heartbeat(e emitter, m status.Machine, s status.Snapshot) {
	d := c.descs
	e.counters(d.beats, m.Beats, status.HeartbeatResults(), m.Name)
	e.histogram(d.beatDuration, m.BeatDuration, m.Name)
	e.timestamp(d.lastSuccess, m.LastSuccess, m.Name)
	if !m.LastSuccess.IsZero() {
		e.gauge(d.lastSuccessAge, (s.SinceBoot - m.LastSuccessAt).Seconds(), m.Name)
	}
	if m.Interval > 0 {
		e.gauge(d.interval, m.Interval.Seconds(), m.Name)
	}
	if !m.NextAttempt.IsZero() {
		e.gauge(d.nextAttempt, max(m.NextAttempt.Sub(s.At), 0).Seconds(), m.Name)
	}
	e.gauge(d.failures, float64(m.Failures), m.Name)
	e.gauge(d.retryAfter, m.RetryAfter.Seconds(), m.Name)
}

func (c *collector) endpoint(e emitter, machine string, p status.Endpoint, sinceBoot time.Duration) {
	d := c.descs
	if p.Probed {
		e.flag(d.endpointUp, p.Up, machine, p.ProviderKey)
	}
	for _, s := range []string{"active", "degraded", "unreachable"} {
		e.flag(d.endpointStatus, p.ServerStatus == s, machine, p.ProviderKey, s)
	}
	e.flag(d.endpointContested, p.Contested != "", machine, p.ProviderKey)
	e.flag(d.endpointDisagrees, p.Disagrees(sinceBoot), machine, p.ProviderKey)
	e.timestamp(d.leaseExpiry, p.LeaseExpiresAt, machine, p.ProviderKey)
	e.counters(d.probes, p.Probes, []string{"success", "http", "timeout", "network", "tls", "blocked"}, machine, p.ProviderKey)
	e.histogram(d.probeDuration, p.ProbeDuration, machine, p.ProviderKey)
}

// hostOf returns the host:port of an origin, "" without one.
func hostOf(origin string) string {
	u, err := url.Parse(origin)
	if err != nil {
		return ""
	}
	return u.Host
}

// emitter sends the kinds of metrics that the state holds.
type emitter struct{ ch chan<- prometheus.Metric }

func (e emitter) gauge(d *prometheus.Desc, v float64, labels ...string) {
	e.ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
}

func (e emitter) flag(d *prometheus.Desc, on bool, labels ...string) {
	v := 0.0
	if on {
		v = 1
	}
	e.gauge(d, v, labels...)
}

// timestamp sends nothing before the first event, because alerts would fire on a
// timestamp of zero.
func (e emitter) timestamp(d *prometheus.Desc, at time.Time, labels ...string) {
	if !at.IsZero() {
		e.gauge(d, float64(at.UnixMilli())/1000, labels...)
	}
}

func (e emitter) counter(d *prometheus.Desc, n uint64, labels ...string) {
	e.ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), labels...)
}

// counters sends a series for every value of the last label, including those at
// zero, so that a rate exists before the first event.
func (e emitter) counters(d *prometheus.Desc, counts map[string]uint64, values []string, labels ...string) {
	for _, v := range values {
		e.counter(d, counts[v], append(labels[:len(labels):len(labels)], v)...)
	}
}

func (e emitter) histogram(d *prometheus.Desc, h status.Histogram, labels ...string) {
	cumulative := make(map[float64]uint64, len(h.Bounds))
	sum := uint64(0)
	for i, bound := range h.Bounds {
		sum += h.Counts[i]
		cumulative[bound] = sum
	}
	e.ch <- prometheus.MustNewConstHistogram(d, h.Count, h.Sum, cumulative, labels...)
}
