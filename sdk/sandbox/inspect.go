package sandbox

import (
	"slices"
	"strings"
	"time"
)

// What follows is for tests: to look at what the server knows, and to change it
// behind everybody's back. All of it are copies.

// Machines are all machines, archived ones included, oldest first.
func (s *Server) Machines() []Machine {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Machine
	for _, r := range s.st.Machines.rows {
		out = append(out, *r.V)
	}
	return out
}

// Agents are a machine's agents, revoked ones included; "" for those of every
// machine.
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

// Endpoints are a machine's endpoints as they are now, those with a lapsed lease
// included; "" for those of every machine.
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

// Pairings are a machine's pairings, revoked ones included; "" for those of every
// machine. They are copies.
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

// Orders are a machine's orders, oldest first; "" for those of every machine. They
// are copies.
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

// Beats counts the heartbeats that were accepted, over all runs of a state file.
func (s *Server) Beats() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.st.Beats
}

// Requests counts the calls that reached the server in this run; those a fault
// answered did not.
func (s *Server) Requests() uint64 { return s.requests.Load() }

// SnakeCase counts the heartbeat entries that came in an old client's spelling.
func (s *Server) SnakeCase() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.snakeCase
}

// Events are the newest events of the audit trail of a machine, newest first; ""
// for those of every machine.
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

// RevokeAgent revokes an agent as an operator would; false when there is none.
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

// inside is a call that nobody made, for changes that come from a test.
func (s *Server) internalCall() *call { return &call{s: s, now: s.Now(), actor: "sandbox"} }

// SetVerdict makes the server think of an endpoint what it could not know: status
// active, degraded or unreachable, with a reason. "" ends it. The next answers
// carry it, a beat does not change it, a lapsed lease is still unreachable.
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

// SetLeaseMax changes the longest lease for the beats that come; 0 is the default
// of 24 h. Less than a second counts as a second.
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

// Restart is what clients see of a restart: every socket and stream ends. Without
// keepState everything is forgotten too, as by a server that lost its disk.
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

// Forget is Restart without the state.
func (s *Server) Forget() { s.Restart(false) }
