package sandbox

import (
	"slices"
	"strings"
	"time"
)

// Machines returns copies of all machines, including archived ones, oldest first. The methods in
// this file are for tests: they inspect and change the server directly.
func (s *Server) Machines() []Machine {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Machine
	for _, r := range s.st.Machines.rows {
		out = append(out, *r.V)
	}
	return out
}

// Agents returns copies of a machine's agents, including revoked ones; "" means all machines.
func (s *Server) Agents(machineID string) []Agent {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Agent
	for _, r := range ownedOrAll(&s.st.Agents, machineID) {
		a := r.V.Agent
		a.TokenHash = r.V.TokenHash
		a.AllowedProviderKeys = slices.Clone(a.AllowedProviderKeys)
		out = append(out, a)
	}
	return out
}

// Endpoints returns copies of a machine's endpoints with their status now, including those with an
// expired lease; "" means all machines.
func (s *Server) Endpoints(machineID string) []Endpoint {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.Now()
	var out []Endpoint
	for _, r := range ownedOrAll(&s.st.Endpoints, machineID) {
		out = append(out, r.V.at(now))
	}
	return out
}

// Pairings returns copies of a machine's pairings, including revoked ones; "" means all machines.
func (s *Server) Pairings(machineID string) []Pairing {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Pairing
	for _, r := range ownedOrAll(&s.st.Pairings, machineID) {
		p := r.V.Pairing
		d := &p.DelegationPolicy
		for _, list := range []*[]string{&d.AllowedSkillKeys, &d.DeniedSkillKeys, &d.AllowedServiceIDs, &d.DeniedServiceIDs} {
			*list = slices.Clone(*list)
		}
		out = append(out, p)
	}
	return out
}

// Orders returns copies of a machine's orders, oldest first; "" means all machines.
func (s *Server) Orders(machineID string) []Order {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Order
	for _, r := range ownedOrAll(&s.st.Orders, machineID) {
		o := r.V.Order
		o.Input = slices.Clone(o.Input)
		out = append(out, o)
	}
	return out
}

func ownedOrAll[T any](t *table[T], owner string) []*row[T] {
	if owner == "" {
		return t.rows
	}
	return t.of(owner)
}

// Beats returns how many heartbeats were accepted, in all runs of a state file.
func (s *Server) Beats() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.st.Beats
}

// Requests returns how many calls reached the server in this run. Calls that failed by an injected
// fault without reaching it are not included.
func (s *Server) Requests() uint64 { return s.requests.Load() }

// SnakeCase returns how many heartbeat entries used an old client's spelling.
func (s *Server) SnakeCase() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.snakeCase
}

// Events returns the retained audit events of a machine, latest first; "" means all machines.
func (s *Server) Events(machineID string) []AuditEvent {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []AuditEvent
	for e := range s.trail() {
		if machineID == "" || e.Machine == machineID {
			out = append(out, e.AuditEvent)
		}
	}
	return out
}

// RevokeAgent revokes an agent, as an operator would. It returns false if there is no such agent.
func (s *Server) RevokeAgent(id string) bool {
	s.mu.Lock()
	a := s.st.Agents.get(id)
	if a != nil {
		s.revoke(s.internalCall(), a)
	}
	s.mu.Unlock()
	s.persist(a != nil)
	return a != nil
}

// PausePairings pauses every active pairing, as an operator would.
func (s *Server) PausePairings() {
	s.mu.Lock()
	c := s.internalCall()
	for _, r := range s.st.Pairings.rows {
		if r.V.Status == "active" {
			r.V.Status, r.V.UpdatedAt = "paused", c.stamp()
			s.live.closePairing(r.ID)
			c.audit("agent-pairing.updated", "agent-pairing", r.ID, r.V.MachineID, map[string]any{"status": "paused"})
		}
	}
	s.mu.Unlock()
	s.persist(true)
}

// internalCall returns a call for changes that no client requested.
func (s *Server) internalCall() *call { return &call{s: s, now: s.Now(), actor: "sandbox"} }

// SetVerdict overrides the status of an endpoint with active, degraded or unreachable, and a
// reason; "" ends it. The following responses contain it, a heartbeat does not change it, and an
// endpoint with an expired lease is unreachable all the same. It returns false for an unknown
// endpoint or status.
func (s *Server) SetVerdict(machineID, providerKey, status, healthError string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.endpoint(machineID, strings.ToLower(providerKey))
	if e == nil || !slices.Contains([]string{"", "active", "degraded", "unreachable"}, status) {
		return false
	}
	e.Verdict, e.HealthError = status, healthError
	s.changed()
	return true
}

// The address and the agent that a contested endpoint shows by default. The address is reserved for
// documentation (RFC 5737): nothing answers there.
const (
	contestedURL   = "http://192.0.2.1:11434"
	contestedAgent = "magt_another"
)

// SetContested shows an endpoint as another agent published it: heartbeats are still accepted, but
// their responses and all reads contain this base URL and, if it is not "", this agent id. An empty
// base URL ends it. It returns false for an unknown endpoint.
func (s *Server) SetContested(machineID, providerKey, endpointBaseURL, agentID string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.endpoint(machineID, strings.ToLower(providerKey))
	if e == nil {
		return false
	}
	e.contest(endpointBaseURL, agentID)
	s.changed()
	return true
}

// contestAll contests every endpoint of an agent, or ends that.
func (s *Server) contestAll(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.st.Endpoints.rows {
		switch {
		case !on:
			r.V.contest("", "")
		case r.V.AgentID != "":
			r.V.contest(contestedURL, contestedAgent)
		}
	}
	s.changed()
}

// SetLeaseMax limits the leases of the following heartbeats to d, at least a second; 0 restores the
// default of 24 h.
func (s *Server) SetLeaseMax(d time.Duration) {
	if d <= 0 {
		d = maxLease
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leaseMax = min(max(d, time.Second), maxLease)
}

// CloseSockets closes every control socket.
func (s *Server) CloseSockets() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.live.closeSockets()
}

// Restart simulates a restart as clients see it: every socket and stream ends. Without keepState
// all state is lost as well, as on a server that lost its disk.
func (s *Server) Restart(keepState bool) {
	s.mu.Lock()
	s.live.closeAll()
	if !keepState {
		s.st = newState()
		s.reindex()
		s.generation++
	}
	s.mu.Unlock()
	s.persist(!keepState)
}

// Forget is Restart without keeping the state.
func (s *Server) Forget() { s.Restart(false) }
