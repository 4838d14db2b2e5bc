package sandbox

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"slices"
	"strings"
)

// agentsPerMachine bounds the agents of one machine; a revoked one makes room.
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

	// TokenHash is SHA-256 of the agent's token, for tests that must know that no
	// more is kept. It never travels; only [Server.Agents] fills it in.
	TokenHash [32]byte `json:"-"`
}

// storedAgent is an agent with the hash of its token: the token itself is given
// once and never kept.
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
	m, err := s.working(c.id("machine"))
	if err != nil {
		return nil, err
	}
	a := &storedAgent{Agent: Agent{ID: newID("magt"), MachineID: m.ID, Label: "machine agent", Status: "provisioned", CreatedAt: c.stamp(), UpdatedAt: c.stamp()}}
	if label := c.in.text("label"); label != "" {
		a.Label = label
	}
	a.AllowedProviderKeys, _ = c.in.texts("allowedProviderKeys")
	if c.in.err != nil {
		return nil, c.in.err
	}
	token := a.renewToken()
	if !s.roomForAgent(m.ID) || !s.st.Agents.add(s.next(), a.ID, m.ID, a) {
		return nil, invalid("the machine has as many agents as this sandbox holds: revoke some")
	}
	c.audit("machine-agent.enrolled", "machine-agent", a.ID, m.ID, map[string]any{"label": a.Label})
	return c.created(struct {
		*Agent
		AgentToken        string `json:"agentToken"` // the two names of one secret
		ProvisioningToken string `json:"provisioningToken"`
	}{&a.Agent, token, token})
}

// renewToken makes a token and keeps its hash.
func (a *storedAgent) renewToken() string {
	token := "mat_" + rand.Text() + rand.Text()
	a.TokenHash = sha256.Sum256([]byte(token))
	return token
}

// roomForAgent drops the oldest revoked agent of a machine that is full.
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

// agentOf is an agent of a machine.
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

// revoke ends an agent and its sockets; it stays in the list.
func (s *Server) revoke(c *call, a *storedAgent) {
	if a.Status == "revoked" {
		return
	}
	a.Status, a.UpdatedAt = "revoked", c.stamp()
	s.live.closeAgent(a.ID)
	c.audit("machine-agent.revoked", "machine-agent", a.ID, a.MachineID, nil)
}

// authenticate finds the agent that a body names and checks its token, which may
// also come in one of the two headers of contract §2.4.
func (c *call) authenticate() (*storedAgent, error) {
	machineID, agentID, token := c.in.need("machineId"), c.in.need("agentId"), c.in.text("agentToken")
	if c.in.err != nil {
		return nil, c.in.err
	}
	if strings.TrimSpace(token) == "" {
		token = c.r.Header.Get(pairingHeader)
	}
	if token == "" {
		token, _ = strings.CutPrefix(c.r.Header.Get("Authorization"), "Bearer ")
	}
	return c.s.agentWith(c, machineID, agentID, token)
}

// agentWith is the agent, if the token is its own and it is not revoked.
func (s *Server) agentWith(c *call, machineID, agentID, token string) (*storedAgent, error) {
	if token == "" {
		return nil, fail("AGENT_AUTH_REQUIRED", "the agent's token is required")
	}
	a, err := s.agentOf(machineID, agentID)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256([]byte(token))
	if subtle.ConstantTimeCompare(sum[:], a.TokenHash[:]) != 1 {
		return nil, fail("AGENT_AUTH_INVALID", "the agent's token is not valid")
	}
	if a.Status == "revoked" {
		return nil, fail("AGENT_PAIRING_INACTIVE", "the agent is revoked")
	}
	c.actor = "agent:" + a.ID
	return a, nil
}
