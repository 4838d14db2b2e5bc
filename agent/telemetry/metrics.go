package telemetry

import (
	"net/url"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/peaqnetwork/peaqos-agent/agent/status"
)

// newRegistry is the process's own registry: ours, go_* and process_*. The
// global one is not touched, so a library that registers itself there says
// nothing here.
func newRegistry(version string, snapshot func() status.Snapshot) *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(
		&collector{descs: newDescs(), build: buildLabels(version), snapshot: snapshot},
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return r
}

// collector turns one snapshot per scrape into metrics. It counts nothing
// itself: the state is the only place where anything is counted, so metrics,
// status and page cannot disagree.
type collector struct {
	descs    descs
	build    []string
	snapshot func() status.Snapshot
}

// Describe sends every description there is.
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
		c.machine(e, m)
		c.heartbeat(e, m, s)
		for _, p := range m.Endpoints {
			c.endpoint(e, m.Name, p)
		}
	}
}

func (c *collector) process(e emitter, a status.Process) {
	d := c.descs
	e.moment(d.startTime, a.StartedAt)
	e.flag(d.reloadOK, a.ReloadOK)
	e.moment(d.reloadAt, a.ReloadAt)
	e.counters(d.enrollments, a.Enrollments, enrollmentResults())
	e.counters(d.challenges, a.Challenges, []string{"signed", "refused", "expired", "failed"})
	e.counters(d.keystoreWrites, a.KeystoreWrites, []string{"success", "error"})
	e.counter(d.keystoreBytes, a.KeystoreBytes)
	e.flag(d.keystoreDurable, a.KeystoreDurable)
	e.counters(d.keystoreFallbacks, a.KeystoreFallbacks, []string{"checksum", "missing", "unseal"})
	e.gauge(d.keystoreGeneration, float64(a.KeystoreGeneration))
	c.requests(e, a)
	e.counter(d.clockJumps, a.ClockJumps)
	if a.ClockSynced != nil {
		e.flag(d.clockSynced, *a.ClockSynced)
	}
	e.counter(d.watchdogPings, a.WatchdogPings)
	for loop, at := range a.Turns {
		e.moment(d.loopTurn, at, loop)
	}
	e.counters(d.logMessages, a.LogMessages, []string{"debug", "info", "warn", "error"})
	e.counter(d.panics, a.Panics)
}

func (c *collector) requests(e emitter, a status.Process) {
	for _, operation := range status.RequestOperations() {
		for _, code := range status.RequestResults() {
			e.counter(c.descs.requests, a.Requests[status.RequestKind{Operation: operation, Code: code}], operation, code)
		}
		took := status.NewBeatHistogram()
		if h := a.RequestDuration[operation]; h != nil {
			took = *h
		}
		e.histogram(c.descs.requestDuration, took, operation)
	}
}

func enrollmentResults() []string {
	return []string{"success", "rejected", "network", "durability", "lost"}
}

func (c *collector) machine(e emitter, m status.Machine) {
	d := c.descs
	for _, state := range status.States() {
		e.flag(d.state, m.State == state, m.Name, string(state))
	}
	e.flag(d.cloneSuspected, m.State == status.Quarantined, m.Name)
	if m.AgentID != "" {
		e.gauge(d.identityInfo, 1, m.Name, m.MachineID, m.AgentID, hostOf(m.Origin))
	}
	if m.SkewKnown {
		e.gauge(d.clockSkew, m.Skew.Seconds(), m.Name)
	}
}

func (c *collector) heartbeat(e emitter, m status.Machine, s status.Snapshot) {
	d := c.descs
	e.counters(d.beats, m.Beats, status.HeartbeatResults(), m.Name)
	e.histogram(d.beatDuration, m.BeatDuration, m.Name)
	e.moment(d.lastSuccess, m.LastSuccess, m.Name)
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

func (c *collector) endpoint(e emitter, machine string, p status.Endpoint) {
	d := c.descs
	if p.Probed {
		e.flag(d.endpointUp, p.Up, machine, p.ProviderKey)
	}
	for _, status := range []string{"active", "degraded", "unreachable"} {
		e.flag(d.endpointStatus, p.ServerStatus == status, machine, p.ProviderKey, status)
	}
	e.moment(d.leaseExpiry, p.LeaseExpiresAt, machine, p.ProviderKey)
	e.counters(d.probes, p.Probes, []string{"success", "http", "timeout", "network", "blocked"}, machine, p.ProviderKey)
	e.histogram(d.probeDuration, p.ProbeDuration, machine, p.ProviderKey)
}

// hostOf is host:port of an origin, empty for none.
func hostOf(origin string) string {
	u, err := url.Parse(origin)
	if err != nil {
		return ""
	}
	return u.Host
}

// emitter writes const metrics of the three kinds that the state holds.
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

// moment appears with its first event: a timestamp of zero would page everyone.
func (e emitter) moment(d *prometheus.Desc, at time.Time, labels ...string) {
	if !at.IsZero() {
		e.gauge(d, float64(at.UnixMilli())/1000, labels...)
	}
}

func (e emitter) counter(d *prometheus.Desc, n uint64, labels ...string) {
	e.ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), labels...)
}

// counters writes every value of the last label, those at zero too, so that a
// rate exists before the first event.
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
