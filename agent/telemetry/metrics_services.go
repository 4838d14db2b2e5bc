package telemetry

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/peaqnetwork/peaqos-agent/agent/status"
)

// serviceDescs are the descriptions of the metrics of presence, the control socket and
// its hooks. A service that is off has no series.
type serviceDescs struct {
	presenceState, pushes, pushDuration, presenceSuccess, presenceAge *prometheus.Desc
	presenceFailures, presenceRetryAfter, presenceSkew                *prometheus.Desc
	controlState, connections, messages, queued, queuedBytes          *prometheus.Desc
	queueDurable, deliveries, hookFailures                            *prometheus.Desc
}

func (d *serviceDescs) add(add func(name, help string, labels ...string) *prometheus.Desc) {
	d.presenceState = add("presence_state", "1 for the state the presence service is in, 0 for the others.", "machine", "state")
	d.pushes = add("presence_pushes_total", "Pushes to the presence service by result.", "machine", "result")
	d.pushDuration = add("presence_push_duration_seconds", "Round-trip time of pushes.", "machine")
	d.presenceSuccess = add("presence_last_success_timestamp_seconds",
		"Time of the last accepted push, by the wall clock.", "machine")
	d.presenceAge = add("presence_last_success_age_seconds",
		"Time since a push was last accepted, by the boot clock; the service takes the machine for offline after 180 s.", "machine")
	d.presenceFailures = add("presence_consecutive_failures", "Pushes not accepted since the last accepted one.", "machine")
	d.presenceRetryAfter = add("presence_retry_after_seconds", "Last Retry-After from the presence service, 0 if none.", "machine")
	d.presenceSkew = add("presence_clock_skew_seconds", skewHelp("presence service"), "machine")
	d.controlState = add("control_state", "1 for the state the control socket is in, 0 for the others.", "machine", "state")
	d.connections = add("control_connections_total", "Attempts to open the control socket by result.", "machine", "result")
	d.messages = add("control_messages_total", "Messages on the control socket by what became of them.", "machine", "result")
	d.queued = add("control_queue_length", "Notifications that some hook has not got yet.", "machine")
	d.queuedBytes = add("control_queue_bytes", "Size of these notifications.", "machine")
	d.queueDurable = add("control_queue_durable", "1 if the queue survives a crash, 0 if it is kept in memory only.", "machine")
	d.deliveries = add("control_hook_deliveries_total", "Deliveries to hooks by result.", "machine", "hook", "result")
	d.hookFailures = add("control_hook_consecutive_failures", "Deliveries that failed since the last one that succeeded.", "machine", "hook")
}

func (c *collector) presence(e emitter, m status.Machine, s status.Snapshot) {
	d, p := c.descs.services, m.Presence
	if p == nil {
		return
	}
	for _, state := range status.ServiceStates() {
		e.flag(d.presenceState, p.State == state, m.Name, string(state))
	}
	e.counters(d.pushes, p.Pushes, status.PushResults(), m.Name)
	e.histogram(d.pushDuration, p.Duration, m.Name)
	e.timestamp(d.presenceSuccess, p.LastSuccess, m.Name)
	if !p.LastSuccess.IsZero() {
		e.gauge(d.presenceAge, (s.SinceBoot - p.LastSuccessAt).Seconds(), m.Name)
	}
	e.gauge(d.presenceFailures, float64(p.Failures), m.Name)
	e.gauge(d.presenceRetryAfter, p.RetryAfter.Seconds(), m.Name)
	if p.SkewKnown {
		e.gauge(d.presenceSkew, p.Skew.Seconds(), m.Name)
	}
}

func (c *collector) control(e emitter, m status.Machine) {
	d, s := c.descs.services, m.Control
	if s == nil {
		return
	}
	for _, state := range status.ServiceStates() {
		e.flag(d.controlState, s.State == state, m.Name, string(state))
	}
	e.counters(d.connections, s.Connections, status.ConnectionResults(), m.Name)
	e.counters(d.messages, s.Messages, status.MessageResults(), m.Name)
	e.gauge(d.queued, float64(s.Queued), m.Name)
	e.gauge(d.queuedBytes, float64(s.QueuedBytes), m.Name)
	e.flag(d.queueDurable, s.QueueFault == "", m.Name)
	for _, h := range s.Hooks {
		e.counters(d.deliveries, h.Deliveries, status.DeliveryResults(), m.Name, h.Target)
		e.gauge(d.hookFailures, float64(h.Failures), m.Name, h.Target)
	}
}
