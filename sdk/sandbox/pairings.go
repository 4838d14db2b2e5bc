package sandbox

import "slices"

// pairingsPerMachine limits the pairings of one machine; a full one drops its oldest revoked
// pairing.
const pairingsPerMachine = 200

// Pairing is an agent pairing (contract §2.6).
type Pairing struct {
	ID               string        `json:"id"`
	MachineID        string        `json:"machineId"`
	AgentAddress     string        `json:"agentAddress"`
	AgentProvider    string        `json:"agentProvider"`
	AgentRole        string        `json:"agentRole"`
	AgentDID         string        `json:"agentDid"`
	Status           string        `json:"status"`
	HasAuthToken     bool          `json:"hasAuthToken"`
	DelegationPolicy Delegation    `json:"delegationPolicy"`
	Description      *string       `json:"description,omitempty"`
	TokenLastFour    string        `json:"tokenLastFour,omitempty"`
	SessionID        string        `json:"sessionId,omitempty"`
	SessionTokenID   string        `json:"sessionTokenId,omitempty"`
	SessionIssuedAt  Moment        `json:"sessionIssuedAt,omitzero"`
	SessionExpiresAt Moment        `json:"sessionExpiresAt,omitzero"`
	Verification     *Verification `json:"verification,omitempty"`
	CreatedAt        Moment        `json:"createdAt"`
	UpdatedAt        Moment        `json:"updatedAt"`
}

// Verification records whose signature created a pairing.
type Verification struct {
	Method             string `json:"method"`
	SignerAddress      string `json:"signerAddress"`
	VerifiedAt         Moment `json:"verifiedAt"`
	ChallengeExpiresAt Moment `json:"challengeExpiresAt"`
}

// storedPairing is a pairing with its spending. Its token is not stored: a token is checked by its
// signature and claims.
type storedPairing struct {
	Pairing
	SpentOn map[string]float64 `json:"spentOn,omitempty"` // by UTC day

	// What older state files have instead: the spending of one day.
	OldDay   string  `json:"spentDay,omitempty"`
	OldSpent float64 `json:"spent,omitempty"`
}

func (s *Server) listPairings(c *call) (any, error) {
	m, err := s.machine(c.id("machine"))
	if err != nil {
		return nil, err
	}
	return pageOf(c, s.st.Pairings.of(m.ID), nil, func(p *storedPairing) any { return &p.Pairing })
}

// pairable returns a machine if it can be paired: active, with an identity that resolves and a
// proof that still holds (contract §2.6).
func (s *Server) pairable(id string) (*Machine, error) {
	m, err := s.machine(id)
	switch {
	case err != nil:
		return nil, err
	case m.Status != "active" && m.Status != "degraded":
		return nil, fail("MACHINE_NOT_ACTIVE", "the machine is "+m.Status+", not active")
	case s.unreachable, len(s.controllersOf(m.IdentityRef)) == 0:
		return nil, fail("AGENT_PAIRING_UNAVAILABLE", "the machine's identity cannot be resolved")
	case !s.verified(m):
		return nil, fail("MACHINE_IDENTITY_PROOF_REQUIRED", "the machine's identity is no longer verified: send an identityProof for it")
	}
	return m, nil
}

// pairingNamed returns the pairing named in the path.
func (s *Server) pairingNamed(c *call) (*storedPairing, error) {
	m, err := s.machine(c.id("machine"))
	if err != nil {
		return nil, err
	}
	if p := s.st.Pairings.get(c.id("pairing")); p != nil && p.MachineID == m.ID {
		return p, nil
	}
	return nil, notFound("the pairing")
}

func (s *Server) createPairing(c *call) (any, error) {
	m, err := s.pairable(c.id("machine"))
	if err != nil {
		return nil, err
	}
	who, err := readBinding(c.in)
	if err != nil {
		return nil, err
	}
	p := &storedPairing{Pairing: Pairing{
		ID: newID("apair"), MachineID: m.ID, AgentAddress: who.Address, AgentProvider: who.Provider, AgentRole: who.Role, AgentDID: who.DID,
		Status: "active", CreatedAt: c.stamp(), UpdatedAt: c.stamp(),
	}}
	p.takeDescription(c.in)
	policy := c.in.object("delegationPolicy")
	p.DelegationPolicy = readDelegation(policy)
	c.in.join(policy)
	if c.in.err != nil {
		return nil, c.in.err
	}
	if p.Verification, err = s.proveAgent(c, who, m.ID); err != nil {
		return nil, err
	}
	if !s.roomForPairing(m.ID) || !s.st.Pairings.add(s.next(), p.ID, m.ID, p) {
		return nil, invalid("the machine has reached the limit of pairings: revoke some")
	}
	return s.withSession(c, p, "agent-pairing.created")
}

func (p *storedPairing) takeDescription(in *members) {
	if in.has("description") {
		p.Description = new(in.text("description"))
	}
}

// roomForPairing drops the oldest revoked pairing of a machine that is full. It returns false if
// there is none.
func (s *Server) roomForPairing(machineID string) bool {
	rows := s.st.Pairings.of(machineID)
	if len(rows) < pairingsPerMachine {
		return true
	}
	i := slices.IndexFunc(rows, func(r *row[storedPairing]) bool { return r.V.Status == "revoked" })
	if i < 0 {
		return false
	}
	s.st.Pairings.remove(rows[i].ID)
	return true
}

func (s *Server) updatePairing(c *call) (any, error) {
	p, err := s.pairingNamed(c)
	if err != nil {
		return nil, err
	}
	in, next := c.in, *p
	in.patch("agentProvider", &next.AgentProvider)
	in.patch("agentRole", &next.AgentRole)
	next.takeDescription(in)
	if status := in.oneOf("status", "active", "paused", "revoked"); status != "" {
		next.Status = status
	}
	if policy := in.object("delegationPolicy"); policy != nil {
		next.DelegationPolicy = readDelegation(policy)
		in.join(policy)
	}
	switch {
	case in.err != nil:
		return nil, in.err
	case p.Status == "revoked" && next.Status != "revoked":
		return nil, fail("AGENT_PAIRING_INACTIVE", "a revoked pairing stays revoked: create a new one")
	}
	if next.Status == "revoked" {
		s.revokePairing(c, p)
		next.Status, next.HasAuthToken = p.Status, p.HasAuthToken
	}
	next.UpdatedAt = c.stamp()
	if next.Status != "active" || next.DelegationPolicy.hash() != p.DelegationPolicy.hash() {
		s.live.closePairing(p.ID)
	}
	*p = next
	c.audit("agent-pairing.updated", "agent-pairing", p.ID, p.MachineID, map[string]any{"status": p.Status})
	return item(&p.Pairing), nil
}

func (s *Server) deletePairing(c *call) (any, error) {
	p, err := s.pairingNamed(c)
	if err == nil {
		s.revokePairing(c, p)
	}
	return nil, err
}

// revokePairing revokes a pairing and ends its streams. The pairing stays in the list.
func (s *Server) revokePairing(c *call, p *storedPairing) {
	if p.Status == "revoked" {
		return
	}
	p.Status, p.HasAuthToken, p.UpdatedAt = "revoked", false, c.stamp()
	s.live.closePairing(p.ID)
	c.audit("agent-pairing.revoked", "agent-pairing", p.ID, p.MachineID, nil)
}
