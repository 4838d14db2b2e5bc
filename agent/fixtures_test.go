package agent

import "time"

var fixtureNow = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

const fixtureBoot = 10 * time.Hour

// snapshotOf builds the snapshot of one enrolled, live machine, 90 s lease, last
// beat 12 s ago, and lets each case change it.
func snapshotOf(change func(*Snapshot, *MachineStatus)) Snapshot {
	m := MachineStatus{
		Name: "main", MachineID: "mach_1", AgentID: "agent_1", IdentityRef: "did:peaq:42", Origin: "https://orchestration.peaq.xyz",
		Condition: Online, Since: fixtureNow.Add(-time.Hour),
		Interval: 30 * time.Second, LeaseTTL: 90 * time.Second, LastAttempt: fixtureNow.Add(-12 * time.Second),
		LastSuccess: fixtureNow.Add(-12 * time.Second), LastSuccessAt: fixtureBoot - 12*time.Second, NextAttempt: fixtureNow.Add(18 * time.Second),
		Beats: map[string]uint64{"success": 120, "timeout": 2}, BeatDuration: NewBeatHistogram(),
		Skew: 1500 * time.Millisecond, SkewKnown: true,
		Endpoints: []EndpointStatus{endpointOf("qvac", "http://127.0.0.1:11434")},
	}
	m.BeatDuration.Observe(300 * time.Millisecond)
	m.BeatDuration.Observe(2 * time.Minute)
	synced := true
	s := Snapshot{
		At: fixtureNow, SinceBoot: fixtureBoot,
		Agent: AgentStatus{
			PID: 4242, StartedAt: fixtureNow.Add(-26 * time.Hour), Listener: "127.0.0.1:9757", KeystoreDurable: true, KeystoreProtector: "keyfile",
			ReloadOK: true, ReloadAt: fixtureNow.Add(-26 * time.Hour), ClockSynced: &synced,
			Turns: map[string]time.Time{"beat/main": fixtureNow.Add(-3 * time.Second), "probe/main": fixtureNow.Add(-time.Second)},
		},
	}
	if change != nil {
		change(&s, &m)
	}
	s.Machines = append(s.Machines, m)
	return s
}

func endpointOf(key, url string) EndpointStatus {
	return EndpointStatus{
		ProviderKey: key, BaseURL: url, Scope: "loopback", Up: true, Probed: true, ProbedAt: fixtureNow.Add(-4 * time.Second), ProbeResult: "success",
		Probes: map[string]uint64{"success": 7}, ProbeDuration: NewProbeHistogram(),
		Published: true, AcceptedAt: fixtureBoot - 12*time.Second, Lease: 90 * time.Second,
		LeaseExpiresAt: fixtureNow.Add(78 * time.Second), ServerStatus: "active",
	}
}

func down(e EndpointStatus) EndpointStatus {
	e.Up, e.ProbeResult, e.ProbeFault = false, "network", "connection refused: nothing listens there"
	return e
}

func lapsed(e EndpointStatus) EndpointStatus {
	e.AcceptedAt = fixtureBoot - 5*time.Minute
	e.LeaseExpiresAt = fixtureNow.Add(-210 * time.Second)
	return e
}

func fresh(e EndpointStatus) EndpointStatus {
	e.Published, e.AcceptedAt, e.Lease, e.LeaseExpiresAt, e.ServerStatus = false, 0, 0, time.Time{}, ""
	return e
}

// never makes a machine that has had no beat in this process.
func never(m *MachineStatus) {
	m.Interval, m.LeaseTTL, m.LastAttempt, m.LastSuccess, m.LastSuccessAt, m.NextAttempt = 0, 0, time.Time{}, time.Time{}, 0, time.Time{}
	m.Beats, m.SkewKnown, m.Skew = map[string]uint64{}, false, 0
	for i := range m.Endpoints {
		m.Endpoints[i] = fresh(m.Endpoints[i])
	}
}

func condition(c Condition, code, text string) func(*Snapshot, *MachineStatus) {
	return func(_ *Snapshot, m *MachineStatus) { m.Condition, m.Cause = c, &Cause{code, text} }
}

func unenrolled(code, text string) func(*Snapshot, *MachineStatus) {
	return func(s *Snapshot, m *MachineStatus) {
		condition(Unenrolled, code, text)(s, m)
		never(m)
		m.AgentID, m.MachineID, m.IdentityRef, m.Origin = "", "", "", ""
	}
}

// fixtures are the situations that the golden files show, every state among them.
func fixtures() map[string]Snapshot {
	return map[string]Snapshot{
		"unenrolled":   snapshotOf(unenrolled("not_enrolled", "no enrollment yet: waiting for peaqos-agent enroll")),
		"interrupted":  snapshotOf(unenrolled("enrollment_interrupted", "an enrollment was interrupted on 2026-03-01T11:00:00Z; the next enroll revokes what it left and begins again")),
		"other-origin": snapshotOf(unenrolled("record_of_another_origin", "the store is enrolled with https://a.example, but the configuration names https://b.example; its token is not sent there")),
		"first-beat": snapshotOf(func(s *Snapshot, m *MachineStatus) {
			condition(Idle, "first_beat_pending", "enrolled; the first beat of this process is still to come")(s, m)
			never(m)
			m.Interval, m.LeaseTTL, m.NextAttempt = 30*time.Second, 90*time.Second, fixtureNow.Add(7*time.Second)
		}),
		"idle": snapshotOf(func(s *Snapshot, m *MachineStatus) {
			condition(Idle, "nothing_up", "not published: qvac: connection refused: nothing listens there")(s, m)
			m.Endpoints[0] = down(m.Endpoints[0])
		}),
		"idle-refused": snapshotOf(func(s *Snapshot, m *MachineStatus) {
			condition(Idle, "nothing_up", "not published: qvac: refused by the orchestrator (AGENT_POLICY_DENIED)")(s, m)
			m.Endpoints[0] = fresh(m.Endpoints[0])
			m.Endpoints[0].Refused = "AGENT_POLICY_DENIED"
		}),
		"no-endpoint": snapshotOf(func(s *Snapshot, m *MachineStatus) {
			condition(Idle, "nothing_up", "no endpoint is configured: add one under machines[].endpoints")(s, m)
			never(m)
			m.Endpoints = nil
		}),
		"online": snapshotOf(nil),
		"degraded": snapshotOf(func(s *Snapshot, m *MachineStatus) {
			condition(Degraded, "endpoint_missing", "not published: vision: connection refused: nothing listens there")(s, m)
			m.Endpoints[0].ServerStatus, m.Endpoints[0].ServerFault = "unreachable", "connect ECONNREFUSED"
			m.Endpoints = append(m.Endpoints, down(lapsed(endpointOf("vision", "http://192.168.1.20:8000"))))
		}),
		"port-taken": snapshotOf(func(s *Snapshot, m *MachineStatus) {
			s.Agent.Listener, s.Agent.ListenerFault = "", "the telemetry address 127.0.0.1:9757 is taken by pid 77 (python3)"
			condition(Degraded, "telemetry_port", s.Agent.ListenerFault)(s, m)
		}),
		"offline": snapshotOf(func(s *Snapshot, m *MachineStatus) {
			condition(Offline, "connection_refused", "nothing listens at the orchestrator's address")(s, m)
			m.Failures, m.Beats["network"] = 9, 9
			m.LastSuccess, m.LastSuccessAt = fixtureNow.Add(-5*time.Minute), fixtureBoot-5*time.Minute
			m.Endpoints[0] = lapsed(m.Endpoints[0])
		}),
		"offline-lease-runs": snapshotOf(condition(Offline, "dns", "the orchestrator's name cannot be resolved")),
		"retry-after": snapshotOf(func(s *Snapshot, m *MachineStatus) {
			condition(Offline, "retry_after", "the orchestrator asks us to wait (HTTP 429)")(s, m)
			m.RetryAfter, m.Failures, m.NextAttempt = 2*time.Minute, 1, fixtureNow.Add(131*time.Second)
		}),
		"rejected": snapshotOf(func(s *Snapshot, m *MachineStatus) {
			condition(Rejected, "AGENT_AUTH_INVALID", "the orchestrator does not accept our token")(s, m)
			m.Endpoints[0] = lapsed(m.Endpoints[0])
		}),
		"revoked": snapshotOf(func(s *Snapshot, m *MachineStatus) {
			condition(Revoked, "AGENT_PAIRING_INACTIVE", "the agent was revoked on the orchestrator")(s, m)
			m.Endpoints[0] = lapsed(m.Endpoints[0])
		}),
		"locked": snapshotOf(func(s *Snapshot, m *MachineStatus) {
			condition(Locked, "store_sealed", "the store cannot be unsealed")(s, m)
			never(m)
			m.AgentID, m.Origin = "", ""
			s.Agent.KeystoreDurable, s.Agent.ReloadOK = false, false
		}),
		"quarantined": snapshotOf(func(s *Snapshot, m *MachineStatus) {
			condition(Quarantined, "foreign_host", "the store was made on other hardware: machine id and network interfaces differ; run peaqos-agent adopt if this is the same machine with new hardware, or reset-identity if this is a copy")(s, m)
			never(m)
			m.AgentID = ""
		}),
		"rotation-pending": snapshotOf(func(s *Snapshot, m *MachineStatus) {
			condition(Idle, "nothing_up", "not published: qvac: connection refused: nothing listens there")(s, m)
			m.Endpoints[0] = down(m.Endpoints[0])
			m.Rotation = &Cause{"rotation_pending", "pending: not yet proven; agent agent_2 takes over with its first accepted beat"}
		}),
		"rotation-unfinished": snapshotOf(func(_ *Snapshot, m *MachineStatus) {
			m.Rotation = &Cause{"rotation_unfinished", "the former agent agent_0 may still live on the orchestrator; run peaqos-agent rotate again to revoke it"}
		}),
		"no-daemon": snapshotOf(func(s *Snapshot, m *MachineStatus) {
			condition(Idle, "first_beat_pending", "enrolled; the first beat of this process is still to come")(s, m)
			never(m)
			m.ControllerKey = true
			s.Agent.AutoEnroll, s.Agent.KeystoreProtector = true, "credential"
			s.Agent.PID, s.Agent.Listener = 0, ""
		}),
		"gateway": snapshotOf(func(s *Snapshot, m *MachineStatus) {
			other := snapshotOf(condition(Revoked, "AGENT_PAIRING_INACTIVE", "the agent was revoked on the orchestrator")).Machines[0]
			other.Name, other.MachineID = "arm-2", "mach_2"
			other.Endpoints[0] = lapsed(other.Endpoints[0])
			s.Machines = append(s.Machines, other)
			m.Name = "arm-1"
		}),
	}
}
