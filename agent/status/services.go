package status

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// The services that run next to the heartbeats: presence and the control socket. Each
// has a state of its own, which never changes that of the machine.

// ServiceState is the state of a service, as one word.
type ServiceState string

const (
	ServiceWaiting ServiceState = "waiting" // nothing was sent yet; the cause says what is missing
	ServiceOnline  ServiceState = "online"  // the last push was accepted, or the socket is open
	ServiceFailing ServiceState = "failing" // the service cannot be reached, or failed
	ServiceRefused ServiceState = "refused" // the service rejects this machine: it is asked less often
)

// ServiceStates returns every state of a service.
func ServiceStates() []ServiceState {
	return []ServiceState{ServiceWaiting, ServiceOnline, ServiceFailing, ServiceRefused}
}

// Service is what presence and the control socket have in common.
type Service struct {
	State       ServiceState
	Since       time.Time
	Cause       *Cause // nil while online
	NextAttempt time.Time
	Failures    int // in a row
	RetryAfter  time.Duration
}

// SetState moves the service into a state; Since changes only when the state or the
// cause's code does.
func (s *Service) SetState(state ServiceState, cause *Cause, now time.Time) (changed bool) {
	changed = s.State != state || CodeOf(s.Cause) != CodeOf(cause)
	if changed {
		s.Since = now
	}
	s.State, s.Cause = state, cause
	return changed
}

func (s Service) clone() Service {
	if s.Cause != nil {
		cause := *s.Cause
		s.Cause = &cause
	}
	return s
}

// Presence is the part of the state that the presence task of one machine writes.
type Presence struct {
	Service
	URL           string // of the service
	MachineID     string // as it is pushed; empty while unknown
	Interval      time.Duration
	LastSuccess   time.Time     // wall clock, for display
	LastSuccessAt time.Duration // boot clock, for ages; valid when LastSuccess is set
	Pushes        map[string]uint64
	Duration      Histogram
	Skew          time.Duration // local minus server
	SkewKnown     bool
}

// PushResults are the values of the label result of presence pushes.
func PushResults() []string {
	return []string{"success", "refused", "client_error", "server_error", "rate_limited", "timeout", "network", "tls", "dns", "middlebox", "clock"}
}

// NewPresence returns the state of a presence task that has not pushed yet.
func NewPresence(url string, interval time.Duration, now time.Time) *Presence {
	return &Presence{
		Service: Service{State: ServiceWaiting, Since: now, Cause: NewCause(CodePresencePending, "")},
		URL:     url, Interval: interval, Pushes: map[string]uint64{}, Duration: NewBeatHistogram(),
	}
}

func (p *Presence) clone() *Presence {
	if p == nil {
		return nil
	}
	c := *p
	c.Service, c.Pushes, c.Duration = p.Service.clone(), maps.Clone(p.Pushes), p.Duration.clone()
	return &c
}

// Control is the part of the state that the control task of one machine writes.
type Control struct {
	Service
	LastMessage time.Time
	Connections map[string]uint64 // by result
	Messages    map[string]uint64 // by result
	Queued      int               // notifications that some hook has not got yet
	QueuedBytes int
	QueueFault  string // why the queue does not survive a crash; empty when it does
	Dropping    bool   // the last notification was dropped, because the queue is full
	Hooks       []Hook
}

// Hook is one local program that gets the notifications.
type Hook struct {
	Target      string
	Cause       *Cause // why the last delivery failed; nil when it did not
	Failures    int    // in a row
	LastSuccess time.Time
	Deliveries  map[string]uint64 // by result
}

// ConnectionResults are the values of the label result of control connections.
func ConnectionResults() []string { return []string{"connected", "refused", "failed"} }

// MessageResults are the values of the label result of control messages: put into the
// queue, known from an earlier connection, dropped because the queue is full, or not
// passed on because it cannot be read or holds the agent token.
func MessageResults() []string { return []string{"queued", "duplicate", "dropped", "rejected"} }

// DeliveryResults are the values of the label result of deliveries to hooks.
func DeliveryResults() []string { return []string{"success", "http", "timeout", "network"} }

// NewControl returns the state of a control task that has not connected yet.
func NewControl(hooks []string, now time.Time) *Control {
	c := &Control{
		Service:     Service{State: ServiceWaiting, Since: now, Cause: NewCause(CodeControlPending, "")},
		Connections: map[string]uint64{}, Messages: map[string]uint64{},
	}
	for _, target := range hooks {
		c.Hooks = append(c.Hooks, Hook{Target: target, Deliveries: map[string]uint64{}})
	}
	return c
}

func (c *Control) clone() *Control {
	if c == nil {
		return nil
	}
	out := *c
	out.Service, out.Connections, out.Messages = c.Service.clone(), maps.Clone(c.Connections), maps.Clone(c.Messages)
	out.Hooks = slices.Clone(c.Hooks)
	for i := range out.Hooks {
		h := &out.Hooks[i]
		h.Deliveries = maps.Clone(h.Deliveries)
		if h.Cause != nil {
			cause := *h.Cause
			h.Cause = &cause
		}
	}
	return &out
}

// serviceCauses are the problems of a machine's services. None makes it unready.
func serviceCauses(m Machine) []Cause {
	var causes []Cause
	add := func(c *Cause) {
		if c != nil {
			causes = append(causes, *c)
		}
	}
	if p := m.Presence; p != nil && p.State != ServiceOnline && CodeOf(p.Cause) != CodePresencePending {
		add(p.Cause)
	}
	c := m.Control
	if c == nil {
		return causes
	}
	if c.State != ServiceOnline && CodeOf(c.Cause) != CodeControlPending {
		add(c.Cause)
	}
	for _, h := range c.Hooks {
		add(h.Cause)
	}
	if c.Dropping {
		add(NewCause(CodeQueueFull, fmt.Sprintf("%d are waiting", c.Queued)))
	}
	if c.QueueFault != "" {
		add(NewCause(CodeQueueNotDurable, c.QueueFault))
	}
	return causes
}
