package status

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// View is the status as it leaves the process: on /status, on the admin socket
// and as status --json. Its fields are chosen one by one, so that nothing gets
// out because it was added to the state or the configuration. Names are
// snake_case, times RFC 3339 in UTC, durations seconds; what is not known is
// null.
type View struct {
	Version       string        `json:"version"`
	PID           int           `json:"pid"` // 0: no agent is running, the command read the store itself
	At            time.Time     `json:"at"`
	StartedAt     time.Time     `json:"started_at"`
	UptimeSeconds float64       `json:"uptime_seconds"`
	Summary       string        `json:"summary"` // all of it in one sentence
	Ready         bool          `json:"ready"`
	State         string        `json:"state"` // of the machine; of the worst one when there are several
	Reasons       []Reason      `json:"reasons"`
	Listener      ListenerView  `json:"listener"`
	StoreDir      string        `json:"store_dir"`
	Keystore      KeystoreView  `json:"keystore"`
	Warnings      []string      `json:"warnings"`
	Machines      []MachineView `json:"machines"`
	Events        []EventView   `json:"events,omitempty"` // the latest first
}

// ListenerView is where the telemetry listens. Both empty: it is switched off.
type ListenerView struct {
	Address string `json:"address"`
	Fault   string `json:"fault"`
}

// KeystoreView says whether the store's writes last, and what guards its key.
type KeystoreView struct {
	Durable   bool   `json:"durable"`
	Volatile  bool   `json:"volatile"`  // in memory, lost at a restart
	Protector string `json:"protector"` // keyfile, passphrase, credential, none
}

// MachineView is one machine: state, since, cause, effect and next command,
// then what they rest on.
type MachineView struct {
	Name        string     `json:"machine"`
	State       string     `json:"state"`
	Since       *time.Time `json:"since"`
	Cause       *Cause     `json:"cause"`
	Effect      string     `json:"effect"`
	Next        string     `json:"next"` // a command; empty: nothing to do
	Sentence    string     `json:"sentence"`
	MachineID   string     `json:"machine_id"`
	AgentID     string     `json:"agent_id"`
	IdentityRef string     `json:"identity_ref"`
	Rotation    *Cause     `json:"rotation"` // what is left to do of one; null: nothing
	// Orchestrator is the origin that the enrollment belongs to; without one, the
	// configured URL.
	Orchestrator          string         `json:"orchestrator"`
	ControllerKeyOnDevice bool           `json:"controller_key_on_device"`
	Heartbeat             HeartbeatView  `json:"heartbeat"`
	ClockSkewSeconds      *float64       `json:"clock_skew_seconds"` // local minus server
	Endpoints             []EndpointView `json:"endpoints"`
	// Presence and Control are the services next to the heartbeats; absent: switched off.
	Presence *PresenceView `json:"presence,omitempty"`
	Control  *ControlView  `json:"control,omitempty"`
}

// HeartbeatView is the beat of one machine.
type HeartbeatView struct {
	IntervalSeconds       *float64          `json:"interval_seconds"`
	LeaseTTLSeconds       *float64          `json:"lease_ttl_seconds"`
	LastAttempt           *time.Time        `json:"last_attempt"`
	LastSuccess           *time.Time        `json:"last_success"`
	LastSuccessAgeSeconds *float64          `json:"last_success_age_seconds"` // by the boot clock
	NextAttempt           *time.Time        `json:"next_attempt"`
	ConsecutiveFailures   int               `json:"consecutive_failures"`
	RetryAfterSeconds     float64           `json:"retry_after_seconds"` // last asked by the server, 0 if not
	Counts                map[string]uint64 `json:"counts"`              // by result, every result present
	// Recent are the last ones that were sent, the oldest first; for the page.
	Recent []BeatView `json:"-"`
}

// EndpointView is our probe and the server's verdict on one endpoint.
type EndpointView struct {
	ProviderKey    string     `json:"provider_key"`
	BaseURL        string     `json:"base_url"`
	NetworkScope   string     `json:"network_scope"`
	Up             bool       `json:"up"`
	Probe          *ProbeView `json:"probe"`            // null before the first one ended
	Notice         string     `json:"notice,omitempty"` // it is up, but it is not what the configuration calls it
	ServerStatus   string     `json:"server_status"`
	ServerFault    string     `json:"server_fault"`
	VerdictAge     *float64   `json:"server_age_seconds"` // since the accepted beat that brought it
	LeaseSeconds   *float64   `json:"lease_seconds"`      // as granted
	LeaseLeft      *float64   `json:"lease_left_seconds"` // by the boot clock; negative: expired
	LeaseExpiresAt *time.Time `json:"lease_expires_at"`   // the server's word
	Contested      string     `json:"contested"`          // the other address that the orchestrator has
	Refused        Code       `json:"refused"`            // the code, when the server refuses this endpoint alone
}

// ProbeView is the last probe.
type ProbeView struct {
	Result     string    `json:"result"`
	Fault      string    `json:"fault"`
	At         time.Time `json:"at"`
	AgeSeconds float64   `json:"age_seconds"`
}

// NewView makes the view of a snapshot. It is pure: the same snapshot gives
// the same view.
func NewView(s Snapshot, version, storeDir string) View {
	s = stopped(s)
	r := Ready(s)
	v := View{
		Version: version, PID: s.Process.PID, At: utc(s.At), StartedAt: utc(s.Process.StartedAt),
		UptimeSeconds: inSeconds(s.At.Sub(s.Process.StartedAt)), Summary: Summary(s),
		Ready: r.Ready, State: r.State, Reasons: r.Reasons,
		Listener: ListenerView{s.Process.Listener, s.Process.ListenerFault},
		StoreDir: storeDir,
		Keystore: KeystoreView{
			Durable: s.Process.KeystoreDurable && !s.Process.KeystoreVolatile, Volatile: s.Process.KeystoreVolatile, Protector: s.Process.KeystoreProtector,
		},
		Warnings: warnings(s), Machines: []MachineView{}, Events: eventViews(s),
	}
	for _, m := range s.Machines {
		v.Machines = append(v.Machines, machineView(m, s))
	}
	return v
}

// stopped is a snapshot without a running agent: then that is why a machine waits for its
// first heartbeat.
func stopped(s Snapshot) Snapshot {
	if s.Process.PID != 0 {
		return s
	}
	s.Machines = slices.Clone(s.Machines)
	for i := range s.Machines {
		if m := &s.Machines[i]; CodeOf(m.Cause) == CodeFirstBeatPending {
			m.Cause = NewCause(CodeNotRunning, "")
		}
	}
	return s
}

// warnings are standing facts that deserve a second look.
func warnings(s Snapshot) []string {
	w, a := []string{}, s.Process
	said := slices.ContainsFunc(s.Machines, func(m Machine) bool { return CodeOf(m.Cause) == CodeNotRunning })
	if a.PID == 0 && !said {
		w = append(w, "no agent is running on this store: start it with peaqos-agent service start, or peaqos-agent run")
	}
	if a.HostDiffers != "" {
		w = append(w, "the only known fact about the hardware ("+a.HostDiffers+") differs: this may be a copy of another machine's disk; "+
			"run peaqos-agent adopt if it is the same machine, or peaqos-agent reset-identity if it is a copy")
	}
	if a.AutoEnroll {
		w = append(w, "enroll.auto is on: the platform API key stays on this device, where it is mounted")
	}
	return w
}

func machineView(m Machine, s Snapshot) MachineView {
	v := MachineView{
		Name: m.Name, State: string(m.State), Since: OptionalTime(m.Since), Cause: m.Cause, Rotation: m.Rotation, Effect: Effect(m), Next: ForReader(NextCommand(m), Reader{Flags: s.Process.Flags}),
		Sentence: sentence(m), MachineID: m.MachineID, AgentID: m.AgentID, IdentityRef: m.IdentityRef, Orchestrator: cmp.Or(m.Origin, m.BaseURL),
		ControllerKeyOnDevice: m.ControllerKey, Endpoints: []EndpointView{},
		Heartbeat: HeartbeatView{
			IntervalSeconds: positive(m.Interval), LeaseTTLSeconds: positive(m.LeaseTTL),
			LastAttempt: OptionalTime(m.LastAttempt), LastSuccess: OptionalTime(m.LastSuccess), NextAttempt: OptionalTime(m.NextAttempt),
			ConsecutiveFailures: m.Failures, RetryAfterSeconds: inSeconds(m.RetryAfter), Counts: map[string]uint64{},
			Recent: recentViews(m, s.SinceBoot),
		},
	}
	for _, result := range HeartbeatResults() {
		v.Heartbeat.Counts[result] = m.Beats[result]
	}
	if !m.LastSuccess.IsZero() {
		v.Heartbeat.LastSuccessAgeSeconds = some(s.SinceBoot - m.LastSuccessAt)
	}
	if s.Process.PID == 0 && m.AgentID != "" {
		v.Effect, v.Next = "the machine is not live: no agent is running", "peaqos-agent service start"
	}
	v.Presence, v.Control = presenceView(m.Presence, s), controlView(m.Control)
	if m.SkewKnown {
		v.ClockSkewSeconds = some(m.Skew)
	}
	for _, e := range m.Endpoints {
		v.Endpoints = append(v.Endpoints, endpointView(e, s))
	}
	return v
}

func endpointView(e Endpoint, s Snapshot) EndpointView {
	v := EndpointView{
		ProviderKey: e.ProviderKey, BaseURL: e.BaseURL, NetworkScope: e.Scope, Up: e.Up, Notice: e.Notice,
		ServerStatus: e.ServerStatus, ServerFault: e.ServerFault, Contested: e.Contested, Refused: e.Refused,
	}
	if e.Probed {
		v.Probe = &ProbeView{e.ProbeResult, e.ProbeFault, utc(e.ProbedAt), inSeconds(s.At.Sub(e.ProbedAt))}
	}
	if e.Published {
		v.VerdictAge, v.LeaseExpiresAt = some(s.SinceBoot-e.AcceptedAt), OptionalTime(e.LeaseExpiresAt)
		v.LeaseSeconds, v.LeaseLeft = some(e.Lease), some(e.LeaseLeft(s.SinceBoot))
	}
	return v
}

// utc cuts a time to whole seconds: finer ones only make two views differ.
func utc(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }

func OptionalTime(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	u := utc(t)
	return &u
}

// inSeconds keeps tenths, which is as fine as anything here is measured.
func inSeconds(d time.Duration) float64 { return math.Round(d.Seconds()*10) / 10 }

func some(d time.Duration) *float64 {
	s := inSeconds(d)
	return &s
}

func positive(d time.Duration) *float64 {
	if d <= 0 {
		return nil
	}
	return some(d)
}
