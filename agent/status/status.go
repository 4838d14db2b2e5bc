package status

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/peaqnetwork/peaqos-agent/agent/config"
)

// State is the state of a machine, as one word.
type State string

const (
	Unenrolled  State = "unenrolled"  // no token: waiting for enroll
	Idle        State = "idle"        // enrolled, but nothing is up to publish
	Online      State = "online"      // the last heartbeat was accepted with every endpoint
	Degraded    State = "degraded"    // heartbeats are accepted, but something on this device is missing
	Offline     State = "offline"     // the orchestrator cannot be reached, or does not accept the heartbeat
	Rejected    State = "rejected"    // the orchestrator does not know our token
	Revoked     State = "revoked"     // the agent was revoked on the server
	Quarantined State = "quarantined" // the store was made on other hardware: nothing is sent
	Locked      State = "locked"      // the store cannot be opened
)

// States returns every state, in the order in which they are documented.
func States() []State {
	return []State{Unenrolled, Idle, Online, Degraded, Offline, Rejected, Revoked, Quarantined, Locked}
}

// Cause is why a machine is in its state: a stable code for programs and a
// sentence for people. It never holds a secret or a remote's unescaped text.
type Cause struct {
	Code Code   `json:"code"`
	Text string `json:"text"`
}

// NewCause returns the cause that a code stands for, with what is known in this
// case; detail may be empty.
func NewCause(code Code, detail string) *Cause {
	text := Lookup(code).What
	if detail != "" {
		text += ": " + detail
	}
	return &Cause{Code: code, Text: text}
}

// Tracker holds what the daemon knows about itself: each task writes its own part,
// and metrics, /readyz, status and the page only read copies.
type Tracker struct {
	mu       sync.Mutex
	machines map[string]*Machine
	order    []string
	signals  map[string]chan struct{}
	changes  chan struct{}
	process  Process
	events   []Event // the latest ones, the oldest first
}

// Process is the part of the state that belongs to the process.
type Process struct {
	PID       int // of the daemon; 0 in a command that reads the store itself
	StartedAt time.Time
	// Flags are the global flags that a command needs to use the same configuration.
	Flags string
	// Listener is the bound telemetry address; ListenerFault is why there is none.
	Listener      string
	ListenerFault string
	AdminFault    string // why there is no admin socket
	// Turns is the time of the last iteration of each loop.
	Turns         map[string]time.Time
	WatchdogPings uint64
	// The wall clock.
	ClockJumps  uint64 // times the wall clock was set by a second or more
	ClockSynced *bool  // as reported by the system; nil when unknown
	// Requests to the orchestrator.
	Requests        map[RequestKind]uint64
	RequestDuration map[string]*Histogram // by operation
	// The result of the last configuration load.
	ReloadOK   bool
	ReloadAt   time.Time
	AutoEnroll bool // enroll.auto is on, so the API key stays on the device
	// KeystoreProtector is what protects the store's key: keyfile, passphrase,
	// credential, or none as long as nothing is stored.
	KeystoreProtector string
	// Keystore figures, counted from its events.
	KeystoreDurable  bool
	KeystoreVolatile bool // the store is in memory and is lost at a restart
	// HostDiffers is the only known fact of the hardware, if it is not the one that the
	// store knows: the store may be a copy.
	HostDiffers        string
	KeystoreWrites     map[string]uint64 // success, error
	KeystoreBytes      uint64
	KeystoreFallbacks  map[string]uint64 // checksum, missing, unseal
	KeystoreGeneration uint64            // sequence of the last change
	LogMessages        map[string]uint64 // by level
	Panics             uint64
	Enrollments        map[string]uint64 // success, rejected, network, durability, lost
	Challenges         map[string]uint64 // signed, refused, expired, failed
}

// Machine is the part of the state that belongs to one machine.
type Machine struct {
	Name        string
	MachineID   string
	AgentID     string
	AgentLabel  string // the agent's name on the orchestrator
	IdentityRef string
	Origin      string // of the record, scheme://host:port
	BaseURL     string // of the configured orchestrator, with its path
	CAFile      string // the configured file of roots, for the commands that are shown

	State State
	Since time.Time
	Cause *Cause

	// Heartbeat, written by the beat task.
	Interval      time.Duration // between two heartbeats, with the granted lease
	LeaseTTL      time.Duration // granted
	LastAttempt   time.Time
	LastSuccess   time.Time     // wall clock, for display
	LastSuccessAt time.Duration // boot clock, for ages; valid when LastSuccess is set
	NextAttempt   time.Time
	Failures      int // in a row
	RetryAfter    time.Duration
	Beats         map[string]uint64 // by result
	BeatDuration  Histogram
	recent        []beat        // the last ones that were sent, the oldest first
	Skew          time.Duration // local minus server, in whole seconds: see skewOf in package agent
	SkewKnown     bool

	// Mismatch is set when the store's machine differs from the configuration's.
	Mismatch string
	// Rotation is what is left to do of a rotation; nil when nothing is.
	Rotation *Cause

	// Presence and Control are the services next to the heartbeats, each written by its
	// own task; nil when it is off.
	Presence *Presence
	Control  *Control

	// ControllerKey reports whether a controller key is stored on this device.
	ControllerKey bool
	Endpoints     []Endpoint
}

// Endpoint has the results of our probe and the server's status of one endpoint.
type Endpoint struct {
	ProviderKey string
	BaseURL     string
	Scope       string

	// The local probe.
	Up            bool
	Probed        bool // false until the first probe ended
	ProbedAt      time.Time
	ProbeResult   string // success, http, timeout, network, tls, blocked
	ProbeFault    string // a sentence, empty when up
	Notice        string // a sentence: it is up, but it is not what the configuration calls it
	Probes        map[string]uint64
	ProbeDuration Histogram
	// ChangedAt is when the endpoint last came up or went down; coming up triggers an
	// early heartbeat.
	ChangedAt time.Time

	// The last accepted heartbeat that named it.
	Published      bool          // an accepted heartbeat of this process named it
	AcceptedAt     time.Duration // boot clock, when the heartbeat was sent
	Lease          time.Duration // granted with it
	LeaseExpiresAt time.Time     // as reported by the server, for display only
	ServerStatus   string        // active, degraded, unreachable, unknown
	ServerFault    string
	// Contested is what the orchestrator has instead of our address; empty: it has ours.
	Contested string
	// Refused holds the code with which the server refused this endpoint alone.
	Refused Code
}

// LeaseLeft is how long the endpoint's lease still lasts by our own boot clock. Zero or
// less: it expired, or there was none.
func (e Endpoint) LeaseLeft(sinceBoot time.Duration) time.Duration {
	if !e.Published {
		return 0
	}
	return e.AcceptedAt + e.Lease - sinceBoot
}

// Snapshot is a copy of the whole state at one instant.
type Snapshot struct {
	At        time.Time
	SinceBoot time.Duration
	Process   Process
	Machines  []Machine
	Events    []Event // the latest ones, the oldest first
}

// NewTracker returns the state of a process that has just started, with every
// configured machine unenrolled.
func NewTracker(cfg *config.Config, now time.Time) *Tracker {
	s := &Tracker{machines: map[string]*Machine{}, signals: map[string]chan struct{}{}, changes: make(chan struct{}, 1)}
	s.process = Process{
		AutoEnroll: cfg.Enroll.Auto,
		StartedAt:  now, ReloadOK: true, ReloadAt: now, KeystoreDurable: true,
		Turns: map[string]time.Time{}, KeystoreWrites: map[string]uint64{}, KeystoreFallbacks: map[string]uint64{},
		LogMessages: map[string]uint64{}, Enrollments: map[string]uint64{}, Challenges: map[string]uint64{},
		Requests: map[RequestKind]uint64{}, RequestDuration: map[string]*Histogram{},
	}
	for _, m := range cfg.Machines {
		ms := &Machine{
			Name: m.Name, MachineID: m.ID, IdentityRef: m.IdentityRef, State: Unenrolled, Since: now,
			BaseURL: cfg.Orchestrator.URL, CAFile: cfg.Orchestrator.CAFile,
			Beats: map[string]uint64{}, BeatDuration: NewBeatHistogram(),
		}
		if cfg.Presence.Enabled {
			ms.Presence = NewPresence(cfg.Presence.URL, cfg.Presence.Interval, now)
		}
		if cfg.Control.Enabled {
			ms.Control = NewControl(cfg.Control.Hooks, now)
		}
		for _, e := range m.Endpoints {
			ms.Endpoints = append(ms.Endpoints, newEndpointStatus(e))
		}
		s.machines[m.Name] = ms
		s.signals[m.Name] = make(chan struct{}, 1)
		s.order = append(s.order, m.Name)
	}
	return s
}

func newEndpointStatus(e config.Endpoint) Endpoint {
	return Endpoint{
		ProviderKey: e.ProviderKey, BaseURL: e.BaseURL, Scope: e.NetworkScope,
		Probes: map[string]uint64{}, ProbeDuration: NewProbeHistogram(),
	}
}

// Reshape gives a machine the endpoints of another configuration. One with the same
// key, address and scope keeps what is known about it, except that it was refused.
func (s *Tracker) Reshape(machine config.Machine) {
	s.Update(machine.Name, func(m *Machine) {
		endpoints := []Endpoint{}
		for _, e := range machine.Endpoints {
			status := newEndpointStatus(e)
			if old := m.Endpoint(e.ProviderKey); old != nil && old.BaseURL == e.BaseURL && old.Scope == e.NetworkScope {
				status = *old
				status.Refused = ""
			}
			endpoints = append(endpoints, status)
		}
		m.Endpoints = endpoints
	})
}

// Update changes the part of one machine under the lock. f must not block.
func (s *Tracker) Update(machine string, f func(*Machine)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.machines[machine]
	if m == nil {
		return
	}
	state, since, cause := m.State, m.Since, m.Cause
	f(m)
	if m.State != state || !m.Since.Equal(since) || m.Cause != cause {
		wake(s.changes)
	}
}

// Changes receives a value after the state or the cause of any machine was set, one
// for several changes. It has one reader.
func (s *Tracker) Changes() <-chan struct{} { return s.changes }

// UpdateProcess changes the part of the process under the lock. f must not block.
func (s *Tracker) UpdateProcess(f func(*Process)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(&s.process)
}

// Machine returns a copy of one machine's part; false for an unknown name.
func (s *Tracker) Machine(name string) (Machine, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.machines[name]
	if m == nil {
		return Machine{}, false
	}
	return m.clone(), true
}

// Read calls f with one machine's part under the lock, without a copy. f must neither
// change nor keep it, and must not block.
func (s *Tracker) Read(machine string, f func(*Machine)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m := s.machines[machine]; m != nil {
		f(m)
	}
}

// Identity returns the ids of a machine as far as they are known. Without a name it means
// the only machine.
func (s *Tracker) Identity(machine string) (machineID, agentID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if machine == "" && len(s.order) == 1 {
		machine = s.order[0]
	}
	if m := s.machines[machine]; m != nil {
		return m.MachineID, m.AgentID
	}
	return "", ""
}

// Snapshot copies everything; sinceBoot is the reading of the boot clock from which
// the age of leases is computed.
func (s *Tracker) Snapshot(now time.Time, sinceBoot time.Duration) Snapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := Snapshot{At: now, SinceBoot: sinceBoot, Process: s.process, Events: slices.Clone(s.events)}
	a := &out.Process
	a.Turns, a.KeystoreWrites = maps.Clone(a.Turns), maps.Clone(a.KeystoreWrites)
	a.KeystoreFallbacks, a.LogMessages = maps.Clone(a.KeystoreFallbacks), maps.Clone(a.LogMessages)
	a.Enrollments, a.Challenges = maps.Clone(a.Enrollments), maps.Clone(a.Challenges)
	a.Requests, a.RequestDuration = maps.Clone(a.Requests), maps.Clone(a.RequestDuration)
	for operation, h := range a.RequestDuration {
		copied := h.clone()
		a.RequestDuration[operation] = &copied
	}
	for _, name := range s.order {
		out.Machines = append(out.Machines, s.machines[name].clone())
	}
	return out
}

// Signal wakes the task that waits on Signals of this machine, once, however often it
// is called: the task then looks at the state.
func (s *Tracker) Signal(machine string) { wake(s.signals[machine]) }

// wake sends to a channel with room for one value, unless one is there already.
func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Signals receives a value when the beat task of a machine should look at the state.
func (s *Tracker) Signals(machine string) <-chan struct{} { return s.signals[machine] }

// Endpoint returns the status of one provider key, nil for an unknown one.
func (m *Machine) Endpoint(providerKey string) *Endpoint {
	for i := range m.Endpoints {
		if m.Endpoints[i].ProviderKey == providerKey {
			return &m.Endpoints[i]
		}
	}
	return nil
}

func (m *Machine) clone() Machine {
	c := *m
	c.Beats = maps.Clone(m.Beats)
	c.BeatDuration, c.recent = m.BeatDuration.clone(), slices.Clone(m.recent)
	c.Endpoints = slices.Clone(m.Endpoints)
	for i := range c.Endpoints {
		c.Endpoints[i].Probes = maps.Clone(m.Endpoints[i].Probes)
		c.Endpoints[i].ProbeDuration = m.Endpoints[i].ProbeDuration.clone()
	}
	if m.Cause != nil {
		cause := *m.Cause
		c.Cause = &cause
	}
	c.Presence, c.Control = m.Presence.clone(), m.Control.clone()
	if m.Rotation != nil {
		rotation := *m.Rotation
		c.Rotation = &rotation
	}
	return c
}

// ForgetBeats deletes the results of heartbeats that were sent as another agent or
// machine: what that one was granted is not valid for this one. Counters continue.
func (m *Machine) ForgetBeats() {
	m.Interval, m.LeaseTTL, m.Failures, m.RetryAfter = 0, 0, 0, 0
	m.LastAttempt, m.LastSuccess, m.NextAttempt = time.Time{}, time.Time{}, time.Time{}
	for i := range m.Endpoints {
		e := &m.Endpoints[i]
		e.Published, e.AcceptedAt, e.Lease, e.LeaseExpiresAt = false, 0, 0, time.Time{}
		e.ServerStatus, e.ServerFault, e.Contested, e.Refused = "", "", "", ""
	}
}

// SetState sets the state of the machine; Since changes only when the state or the
// cause's code does.
func (m *Machine) SetState(c State, cause *Cause, now time.Time) (changed bool) {
	changed = m.State != c || CodeOf(m.Cause) != CodeOf(cause)
	if changed {
		m.Since = now
	}
	m.State, m.Cause = c, cause
	return changed
}

// CodeOf returns the code of a cause, empty when there is none.
func CodeOf(c *Cause) Code {
	if c == nil {
		return ""
	}
	return c.Code
}
