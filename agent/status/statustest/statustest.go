// Package statustest has an example snapshot for every state that an agent can be
// in. The tests of packages status and telemetry show each of them as text, JSON,
// metrics and HTML, and compare the result with golden files.
//
// [Situations] is the list. [SnapshotOf] makes another one from a change to an
// enrolled machine that is online.
package statustest

import (
	"time"

	"github.com/peaqnetwork/peaqos-agent/agent/status"
)

var Now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

const Boot = 10 * time.Hour

// snapshotOf builds the snapshot of one enrolled, live machine, 90 s lease, last
// beat 12 s ago, and lets each case change it.
func SnapshotOf(change func(*status.Snapshot, *status.Machine)) status.Snapshot {
	m := status.Machine{
		Name: "main", MachineID: "mach_1", AgentID: "agent_1", AgentLabel: "robot@arm-1-0a1b2c3d", IdentityRef: "did:peaq:42", Origin: "https://orchestration.peaq.xyz",
		State: status.Online, Since: Now.Add(-time.Hour),
		Interval: 30 * time.Second, LeaseTTL: 90 * time.Second, LastAttempt: Now.Add(-12 * time.Second),
		LastSuccess: Now.Add(-12 * time.Second), LastSuccessAt: Boot - 12*time.Second, NextAttempt: Now.Add(18 * time.Second),
		Beats: map[string]uint64{"success": 120, "timeout": 2}, BeatDuration: status.NewBeatHistogram(),
		Skew: 2 * time.Second, SkewKnown: true,
		Endpoints: []status.Endpoint{EndpointOf("qvac", "http://127.0.0.1:11434")},
	}
	m.BeatDuration.Observe(300 * time.Millisecond)
	m.BeatDuration.Observe(2 * time.Minute)
	synced := true
	s := status.Snapshot{
		At: Now, SinceBoot: Boot,
		Process: status.Process{
			PID: 4242, StartedAt: Now.Add(-26 * time.Hour), Listener: "127.0.0.1:9757", KeystoreDurable: true, KeystoreProtector: "keyfile",
			ReloadOK: true, ReloadAt: Now.Add(-26 * time.Hour), ClockSynced: &synced,
			Turns: map[string]time.Time{"beat/main": Now.Add(-3 * time.Second), "probe/main": Now.Add(-time.Second)},
		},
	}
	if change != nil {
		change(&s, &m)
	}
	s.Machines = append(s.Machines, m)
	return s
}

// withServices switches presence and the control socket on, both used before.
func withServices(m *status.Machine) {
	m.ControllerKey = true
	p := status.NewPresence("https://heartbeat.peaq.xyz", time.Minute, Now.Add(-time.Hour))
	p.MachineID, p.LastSuccess, p.LastSuccessAt, p.NextAttempt = "42", Now.Add(-20*time.Second), Boot-20*time.Second, Now.Add(40*time.Second)
	p.Pushes["success"], p.Skew, p.SkewKnown = 60, 200*time.Millisecond, true
	p.Duration.Observe(300 * time.Millisecond)
	c := status.NewControl([]string{"http://127.0.0.1:8080/notify", "unix:/run/app.sock"}, Now.Add(-time.Hour))
	c.LastMessage, c.Connections["connected"], c.Messages["queued"] = Now.Add(-time.Minute), 2, 12
	c.Hooks[0].LastSuccess, c.Hooks[0].Deliveries["success"] = Now.Add(-time.Minute), 12
	c.Hooks[1].LastSuccess, c.Hooks[1].Deliveries["success"] = Now.Add(-time.Minute), 12
	m.Presence, m.Control = p, c
}

func EndpointOf(key, url string) status.Endpoint {
	return status.Endpoint{
		ProviderKey: key, BaseURL: url, Scope: "loopback", Up: true, Probed: true, ProbedAt: Now.Add(-4 * time.Second), ProbeResult: "success",
		Probes: map[string]uint64{"success": 7}, ProbeDuration: status.NewProbeHistogram(),
		Published: true, AcceptedAt: Boot - 12*time.Second, Lease: 90 * time.Second,
		LeaseExpiresAt: Now.Add(78 * time.Second), ServerStatus: "active",
	}
}

func Down(e status.Endpoint) status.Endpoint {
	e.Up, e.ProbeResult, e.ProbeFault = false, "network", "connection refused: nothing listens there"
	return e
}

func Lapsed(e status.Endpoint) status.Endpoint {
	e.AcceptedAt = Boot - 5*time.Minute
	e.LeaseExpiresAt = Now.Add(-210 * time.Second)
	return e
}

func fresh(e status.Endpoint) status.Endpoint {
	e.Published, e.AcceptedAt, e.Lease, e.LeaseExpiresAt, e.ServerStatus = false, 0, 0, time.Time{}, ""
	return e
}

// never makes a machine that has had no beat in this process.
func never(m *status.Machine) {
	m.Interval, m.LeaseTTL, m.LastAttempt, m.LastSuccess, m.LastSuccessAt, m.NextAttempt = 0, 0, time.Time{}, time.Time{}, 0, time.Time{}
	m.Beats, m.SkewKnown, m.Skew = map[string]uint64{}, false, 0
	for i := range m.Endpoints {
		m.Endpoints[i] = fresh(m.Endpoints[i])
	}
}

func condition(c status.State, code status.Code, detail string) func(*status.Snapshot, *status.Machine) {
	return func(_ *status.Snapshot, m *status.Machine) { m.State, m.Cause = c, status.NewCause(code, detail) }
}

func Unenrolled(code status.Code, detail string) func(*status.Snapshot, *status.Machine) {
	return func(s *status.Snapshot, m *status.Machine) {
		condition(status.Unenrolled, code, detail)(s, m)
		never(m)
		m.AgentID, m.MachineID, m.IdentityRef, m.Origin = "", "", "", ""
	}
}

// Situations are the situations that the golden files show, every state among them.
func Situations() map[string]status.Snapshot {
	return map[string]status.Snapshot{
		"unenrolled":   SnapshotOf(Unenrolled(status.CodeNotEnrolled, "waiting for peaqos-agent enroll")),
		"interrupted":  SnapshotOf(Unenrolled(status.CodeEnrollmentInterrupted, "started at 2026-03-01T11:00:00Z")),
		"other-origin": SnapshotOf(Unenrolled(status.CodeOtherOrchestrator, "it is enrolled with https://a.example, the configuration names https://b.example")),
		"first-beat": SnapshotOf(func(s *status.Snapshot, m *status.Machine) {
			condition(status.Idle, status.CodeFirstBeatPending, "")(s, m)
			never(m)
			m.Interval, m.LeaseTTL, m.NextAttempt = 30*time.Second, 90*time.Second, Now.Add(7*time.Second)
		}),
		"idle": SnapshotOf(func(s *status.Snapshot, m *status.Machine) {
			condition(status.Idle, status.CodeNothingUp, "qvac: connection refused: nothing listens there")(s, m)
			m.Endpoints[0] = Down(m.Endpoints[0])
		}),
		"idle-refused": SnapshotOf(func(s *status.Snapshot, m *status.Machine) {
			condition(status.Idle, status.CodeNothingUp, "qvac: rejected by the orchestrator: an endpoint's provider key is not among those allowed at enrollment (AGENT_POLICY_DENIED)")(s, m)
			m.Endpoints[0] = fresh(m.Endpoints[0])
			m.Endpoints[0].Refused = status.CodeAPIPolicyDenied
		}),
		"no-endpoint": SnapshotOf(func(s *status.Snapshot, m *status.Machine) {
			condition(status.Idle, status.CodeNothingUp, "no endpoint is configured: add one under machines[].endpoints")(s, m)
			never(m)
			m.Endpoints = nil
		}),
		"online": SnapshotOf(nil),
		"mismatch": SnapshotOf(func(_ *status.Snapshot, m *status.Machine) {
			m.Endpoints[0].Notice = "it answers like Ollama, not like QVAC: set provider_key ollama and probe_path /api/tags, or start QVAC on another port"
		}),
		"degraded": SnapshotOf(func(s *status.Snapshot, m *status.Machine) {
			condition(status.Degraded, status.CodeEndpointMissing, "vision: connection refused: nothing listens there")(s, m)
			m.Endpoints[0].ServerStatus, m.Endpoints[0].ServerFault = "unreachable", "connect ECONNREFUSED"
			m.Endpoints = append(m.Endpoints, Down(Lapsed(EndpointOf("vision", "http://192.168.1.20:8000"))))
		}),
		"port-taken": SnapshotOf(func(s *status.Snapshot, m *status.Machine) {
			s.Process.Listener, s.Process.ListenerFault = "", "the telemetry address 127.0.0.1:9757 is in use by pid 77 (python3)"
			m.State, m.Cause = status.Degraded, &status.Cause{Code: status.CodeTelemetryPort, Text: s.Process.ListenerFault}
		}),
		"offline": SnapshotOf(func(s *status.Snapshot, m *status.Machine) {
			condition(status.Offline, status.CodeConnectionRefused, "192.0.2.10:443")(s, m)
			m.Failures, m.Beats["network"] = 9, 9
			m.LastSuccess, m.LastSuccessAt = Now.Add(-5*time.Minute), Boot-5*time.Minute
			m.Endpoints[0] = Lapsed(m.Endpoints[0])
		}),
		"offline-lease-runs": SnapshotOf(condition(status.Offline, status.CodeDNS, "orchestration.peaq.xyz")),
		"retry-after": SnapshotOf(func(s *status.Snapshot, m *status.Machine) {
			condition(status.Offline, status.CodeRetryAfter, "HTTP 429")(s, m)
			m.RetryAfter, m.Failures, m.NextAttempt = 2*time.Minute, 1, Now.Add(131*time.Second)
		}),
		"rejected": SnapshotOf(func(s *status.Snapshot, m *status.Machine) {
			condition(status.Rejected, status.CodeAPIAgentAuthInvalid, "")(s, m)
			m.Endpoints[0] = Lapsed(m.Endpoints[0])
		}),
		"revoked": SnapshotOf(func(s *status.Snapshot, m *status.Machine) {
			condition(status.Revoked, status.CodeAPIAgentInactive, "")(s, m)
			m.Endpoints[0] = Lapsed(m.Endpoints[0])
		}),
		"locked": SnapshotOf(func(s *status.Snapshot, m *status.Machine) {
			condition(status.Locked, status.CodeStoreSealed, "wrong passphrase")(s, m)
			never(m)
			m.AgentID, m.Origin = "", ""
			s.Process.KeystoreDurable, s.Process.ReloadOK = false, false
		}),
		"quarantined": SnapshotOf(func(s *status.Snapshot, m *status.Machine) {
			condition(status.Quarantined, status.CodeForeignHost, "machine id and network interfaces differ")(s, m)
			never(m)
			m.AgentID = ""
		}),
		"rotation-pending": SnapshotOf(func(s *status.Snapshot, m *status.Machine) {
			condition(status.Idle, status.CodeNothingUp, "qvac: connection refused: nothing listens there")(s, m)
			m.Endpoints[0] = Down(m.Endpoints[0])
			m.Rotation = status.NewCause(status.CodeRotationPending, "agent agent_2")
		}),
		"rotation-unfinished": SnapshotOf(func(_ *status.Snapshot, m *status.Machine) {
			m.Rotation = status.NewCause(status.CodeRotationUnfinished, "agent agent_0; run peaqos-agent rotate again to revoke it")
		}),
		"no-daemon": SnapshotOf(func(s *status.Snapshot, m *status.Machine) {
			condition(status.Idle, status.CodeFirstBeatPending, "")(s, m)
			never(m)
			m.ControllerKey = true
			s.Process.AutoEnroll, s.Process.KeystoreProtector = true, "credential"
			s.Process.PID, s.Process.Listener = 0, ""
		}),
		"services": SnapshotOf(func(_ *status.Snapshot, m *status.Machine) {
			withServices(m)
			m.Presence.SetState(status.ServiceOnline, nil, Now.Add(-time.Hour))
			m.Control.SetState(status.ServiceOnline, nil, Now.Add(-time.Hour))
		}),
		"services-failing": SnapshotOf(func(_ *status.Snapshot, m *status.Machine) {
			withServices(m)
			m.Presence.SetState(status.ServiceRefused, status.NewCause(status.CodePresenceNotAccepted, ""), Now.Add(-time.Minute))
			m.Presence.Failures, m.Presence.Pushes["refused"] = 2, 2
			m.Control.SetState(status.ServiceFailing, status.NewCause(status.CodeControlUnreachable, "connection refused"), Now.Add(-time.Minute))
			m.Control.Queued, m.Control.QueuedBytes, m.Control.Dropping, m.Control.Messages["dropped"] = 1000, 200_000, true, 3
			m.Control.QueueFault = "no space left on device"
			h := &m.Control.Hooks[1]
			h.Cause, h.Failures = status.NewCause(status.CodeHookFailing, h.Target+": connection refused"), 7
			h.Deliveries["network"] = 7
		}),
		"services-waiting": SnapshotOf(func(_ *status.Snapshot, m *status.Machine) {
			m.Presence = status.NewPresence("https://heartbeat.peaq.xyz", time.Minute, Now)
			m.Presence.SetState(status.ServiceWaiting, status.NewCause(status.CodePresenceNoKey, ""), Now)
			m.Control = status.NewControl([]string{"unix:/run/app.sock"}, Now)
		}),
		"gateway": SnapshotOf(func(s *status.Snapshot, m *status.Machine) {
			other := SnapshotOf(condition(status.Revoked, status.CodeAPIAgentInactive, "")).Machines[0]
			other.Name, other.MachineID = "arm-2", "mach_2"
			other.Endpoints[0] = Lapsed(other.Endpoints[0])
			s.Machines = append(s.Machines, other)
			m.Name = "arm-1"
		}),
	}
}
