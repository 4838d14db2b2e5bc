package status

import (
	"fmt"
	"time"
)

// PresenceView is the presence service of one machine.
type PresenceView struct {
	ServiceView
	URL                   string            `json:"url"`
	MachineID             string            `json:"machine_number"` // as it is pushed
	IntervalSeconds       float64           `json:"interval_seconds"`
	LastSuccess           *time.Time        `json:"last_success"`
	LastSuccessAgeSeconds *float64          `json:"last_success_age_seconds"` // by the boot clock
	ClockSkewSeconds      *float64          `json:"clock_skew_seconds"`       // local minus server
	Counts                map[string]uint64 `json:"counts"`                   // pushes by result, every result present
}

// ServiceView is what the services have in common.
type ServiceView struct {
	State               string     `json:"state"` // waiting, online, failing, refused
	Since               *time.Time `json:"since"`
	Cause               *Cause     `json:"cause"`
	NextAttempt         *time.Time `json:"next_attempt"`
	ConsecutiveFailures int        `json:"consecutive_failures"`
	RetryAfterSeconds   float64    `json:"retry_after_seconds"`
}

// ControlView is the control socket of one machine.
type ControlView struct {
	ServiceView
	LastMessage *time.Time        `json:"last_message"`
	Connections map[string]uint64 `json:"connections"` // by result, every result present
	Messages    map[string]uint64 `json:"messages"`    // likewise
	Queued      int               `json:"queued"`      // notifications that some hook has not got yet
	QueuedBytes int               `json:"queued_bytes"`
	QueueFault  string            `json:"queue_fault"`
	Hooks       []HookView        `json:"hooks"`
}

// HookView is one local program that gets the notifications.
type HookView struct {
	Target              string            `json:"target"`
	Cause               *Cause            `json:"cause"`
	ConsecutiveFailures int               `json:"consecutive_failures"`
	LastSuccess         *time.Time        `json:"last_success"`
	Deliveries          map[string]uint64 `json:"deliveries"` // by result, every result present
}

func serviceView(s Service) ServiceView {
	return ServiceView{
		State: string(s.State), Since: OptionalTime(s.Since), Cause: s.Cause, NextAttempt: OptionalTime(s.NextAttempt),
		ConsecutiveFailures: s.Failures, RetryAfterSeconds: inSeconds(s.RetryAfter),
	}
}

// all returns a count for every result.
func all(counts map[string]uint64, results []string) map[string]uint64 {
	out := map[string]uint64{}
	for _, r := range results {
		out[r] = counts[r]
	}
	return out
}

func presenceView(p *Presence, s Snapshot) *PresenceView {
	if p == nil {
		return nil
	}
	v := &PresenceView{
		ServiceView: serviceView(p.Service), URL: p.URL, MachineID: p.MachineID, IntervalSeconds: inSeconds(p.Interval),
		LastSuccess: OptionalTime(p.LastSuccess), Counts: all(p.Pushes, PushResults()),
	}
	if !p.LastSuccess.IsZero() {
		v.LastSuccessAgeSeconds = some(s.SinceBoot - p.LastSuccessAt)
	}
	if p.SkewKnown {
		v.ClockSkewSeconds = some(p.Skew)
	}
	return v
}

func controlView(c *Control) *ControlView {
	if c == nil {
		return nil
	}
	v := &ControlView{
		ServiceView: serviceView(c.Service), LastMessage: OptionalTime(c.LastMessage),
		Connections: all(c.Connections, ConnectionResults()), Messages: all(c.Messages, MessageResults()),
		Queued: c.Queued, QueuedBytes: c.QueuedBytes, QueueFault: c.QueueFault, Hooks: []HookView{},
	}
	for _, h := range c.Hooks {
		v.Hooks = append(v.Hooks, HookView{h.Target, h.Cause, h.Failures, OptionalTime(h.LastSuccess), all(h.Deliveries, DeliveryResults())})
	}
	return v
}

// line is the state of a service and why, in one line.
func (s ServiceView) line() string {
	if s.Cause == nil {
		return s.State
	}
	return s.State + " (" + string(s.Cause.Code) + ": " + s.Cause.Text + ")"
}

// Line is presence in one line.
func (p PresenceView) Line() string {
	text := p.line()
	if p.LastSuccessAgeSeconds != nil {
		text += fmt.Sprintf(", last push accepted %s ago", FormatSeconds(*p.LastSuccessAgeSeconds))
	}
	return text
}

// Line is the control socket in one line.
func (c ControlView) Line() string {
	text := c.line() + fmt.Sprintf(", %d notifications received", c.Messages["queued"])
	if n := c.Messages["dropped"]; n > 0 {
		text += fmt.Sprintf(", %d dropped", n)
	}
	if c.Queued > 0 {
		text += fmt.Sprintf(", %d waiting for a hook", c.Queued)
	}
	if c.QueueFault != "" {
		text += "; the queue is kept in memory only: " + c.QueueFault
	}
	return text
}

// Line is a hook in one line.
func (h HookView) Line() string {
	text := h.Target + ": " + fmt.Sprintf("%d delivered", h.Deliveries["success"])
	if h.Cause != nil {
		text += fmt.Sprintf(", %d failed in a row (%s)", h.ConsecutiveFailures, h.Cause.Text)
	}
	return text
}

// serviceLabels are the lines of the services that are on.
func (m MachineView) serviceLabels() []label {
	var out []label
	if m.Presence != nil {
		out = append(out, label{"Presence", m.Presence.Line()})
	}
	if m.Control != nil {
		out = append(out, label{"Control socket", m.Control.Line()})
		for _, h := range m.Control.Hooks {
			out = append(out, label{"Hook", h.Line()})
		}
	}
	return out
}

// showsService reports whether the lines of a machine's services name a code already.
func (m MachineView) showsService(code Code) bool {
	if m.Presence != nil && CodeOf(m.Presence.Cause) == code {
		return true
	}
	if m.Control == nil {
		return false
	}
	return CodeOf(m.Control.Cause) == code || code == CodeHookFailing || code == CodeQueueNotDurable
}
