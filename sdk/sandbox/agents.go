package sandbox

import (
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"slices"
)

// agentsPerMachine limits the agents of one machine; a full one drops its oldest revoked agent.
const agentsPerMachine = 200

// Agent is an enrolled machine agent (contract §2.3).
type Agent struct {
	ID                  string   `json:"id"`
	MachineID           string   `json:"machineId"`
	Label               string   `json:"label"`
	AllowedProviderKeys []string `json:"allowedProviderKeys"`
	Status              string   `json:"status"`
	CreatedAt           Moment   `json:"createdAt"`
	UpdatedAt           Moment   `json:"updatedAt"`
	LastSeenAt          Moment   `json:"lastSeenAt,omitzero"`

	// TokenHash is SHA-256 of the agent's token, for tests that check that nothing
	// more is stored. It is never sent; only [Server.Agents] sets it.
	TokenHash [32]byte `json:"-"`
}

// storedAgent is an agent with the hash of its token. The token itself is returned once and never
// stored.
type storedAgent struct {
	Agent
	TokenHash [32]byte `json:"tokenHash"`
}

func showAgent(a *storedAgent) any { return &a.Agent }

func (s *Server) listAgents(c *call) (any, error) {
	m, err := s.machine(c.id("machine"))
	if err != nil {
		return nil, err
	}
	return pageOf(c, s.st.Agents.of(m.ID), nil, showAgent)
}

func (s *Server) enrollAgent(c *call) (any, error) {
	m, err := s.activeMachine(c.id("machine"))
	if err != nil {
		return nil, err
	}
	a := &storedAgent{Agent: Agent{
		ID: newID("magt"), MachineID: m.ID, Label: cmp.Or(c.in.text("label"), "machine agent"), Status: "provisioned", CreatedAt: c.stamp(),
		UpdatedAt: c.stamp(),
	}}
	a.AllowedProviderKeys, _ = c.in.texts("allowedProviderKeys")
	if c.in.err != nil {
		return nil, c.in.err
	}
	token := a.renewToken()
	if !s.roomForAgent(m.ID) || !s.st.Agents.add(s.next(), a.ID, m.ID, a) {
		return nil, invalid("the machine has reached the limit of agents: revoke some")
	}
	c.audit("machine-agent.enrolled", "machine-agent", a.ID, m.ID, map[string]any{"label": a.Label})
	return c.created(struct {
		*Agent
		AgentToken        string `json:"agentToken"` // two names of the same secret
		ProvisioningToken string `json:"provisioningToken"`
	}{&a.Agent, token, token})
}

// renewToken creates a token and stores its hash.
func (a *storedAgent) renewToken() string {
	token := "mat_" + rand.Text() + rand.Text()
	a.TokenHash = sha256.Sum256([]byte(token))
	return token
}

// roomForAgent drops the oldest revoked agent of a machine that is full. It returns false if no
// agent is revoked.
func (s *Server) roomForAgent(machineID string) bool {
	rows := s.st.Agents.of(machineID)
	if len(rows) < agentsPerMachine {
		return true
	}
	i := slices.IndexFunc(rows, func(r *row[storedAgent]) bool { return r.V.Status == "revoked" })
	if i < 0 {
		return false
	}
	s.st.Agents.remove(rows[i].ID)
	return true
}

// agentOf returns an agent of a machine.
func (s *Server) agentOf(machineID, agentID string) (*storedAgent, error) {
	if a := s.st.Agents.get(agentID); a != nil && a.MachineID == machineID {
		return a, nil
	}
	return nil, notFound("the agent")
}

func (s *Server) revokeAgentCall(c *call) (any, error) {
	m, err := s.machine(c.id("machine"))
	if err != nil {
		return nil, err
	}
	a, err := s.agentOf(m.ID, c.id("agent"))
	if err != nil {
		return nil, err
	}
	s.revoke(c, a)
	return nil, nil
}

// revoke revokes an agent and closes its sockets. The agent stays in the list.
func (s *Server) revoke(c *call, a *storedAgent) {
	if a.Status == "revoked" {
		return
	}
	a.Status, a.UpdatedAt = "revoked", c.stamp()
	s.live.closeAgent(a.ID)
	c.audit("machine-agent.revoked", "machine-agent", a.ID, a.MachineID, nil)
}

// rotateToken gives an agent a new token. The old one stops working at once and the agent's sockets
// are closed (contract §3.1).
func (s *Server) rotateToken(c *call) (any, error) {
	a := s.st.Agents.get(c.id("agent"))
	reason := c.in.text("reason")
	switch {
	case a == nil:
		return nil, notFound("the agent")
	case c.in.err != nil:
		return nil, c.in.err
	case a.Status == "revoked":
		return nil, fail("AGENT_PAIRING_INACTIVE", "the agent is revoked")
	}
	token := a.renewToken()
	a.UpdatedAt = c.stamp()
	s.live.closeAgent(a.ID)
	payload := map[string]any{}
	if reason != "" {
		payload["reason"] = reason
	}
	c.audit("machine-agent.token-rotated", "machine-agent", a.ID, a.MachineID, payload)
	return item(map[string]any{"agentId": a.ID, "provisioningToken": token, "rotatedAt": c.stamp()}), nil
}

// listAgentEvents lists the audit events of one agent, latest first.
func (s *Server) listAgentEvents(c *call) (any, error) {
	a := s.st.Agents.get(c.id("agent"))
	if a == nil {
		return nil, notFound("the agent")
	}
	mine := func(e *storedEvent) bool { return e.ResourceType == "machine-agent" && e.ResourceID == a.ID }
	return s.pageOfTrail(c, mine, func(e *storedEvent) any {
		return map[string]any{"id": e.ID, "agentId": a.ID, "type": e.Type, "payload": e.Payload, "createdAt": e.CreatedAt}
	})
}
