package sdk

import (
	"context"
	"net/http"
)

// MachineAgentsService enrolls the processes that speak for a machine, and beats
// for them (contract §2.3 and §2.4).
type MachineAgentsService struct{ c *Client }

// AgentStatus is the state of a machine agent. Other values may arrive.
type AgentStatus string

// The states of a machine agent: enrolled, seen by a heartbeat, revoked for good.
const (
	AgentProvisioned AgentStatus = "provisioned"
	AgentActive      AgentStatus = "active"
	AgentRevoked     AgentStatus = "revoked"
)

// MachineAgent is an agent as the orchestrator shows it: without its token.
type MachineAgent struct {
	ID                  string      `json:"id" wire:"req"`
	MachineID           string      `json:"machineId" wire:"req"`
	Label               string      `json:"label" wire:"req"`
	AllowedProviderKeys []string    `json:"allowedProviderKeys"`
	Status              AgentStatus `json:"status" wire:"req"`
	CreatedAt           string      `json:"createdAt" wire:"req"`
	UpdatedAt           string      `json:"updatedAt" wire:"req"`
	LastSeenAt          string      `json:"lastSeenAt"` // of its last heartbeat; empty before the first
}

// EnrolledAgent is a new agent and its one-time token. The token is never shown
// again: store it before anything else is done.
type EnrolledAgent struct {
	Meta `json:"-"`
	MachineAgent
	Token Secret `json:"-"`
}

// enrolledAgent has the token under both names that it is known by.
type enrolledAgent struct {
	Meta `json:"-"`
	MachineAgent
	AgentToken        Secret `json:"agentToken"`
	ProvisioningToken Secret `json:"provisioningToken"`
}

// EnrollMachineAgent is the request of [MachineAgentsService.Enroll]. Without
// AllowedProviderKeys the agent may publish endpoints of every provider.
type EnrollMachineAgent struct {
	Label               Optional[string]   `json:"label,omitzero"`
	AllowedProviderKeys Optional[[]string] `json:"allowedProviderKeys,omitzero"`
}

// List returns the agents of a machine, revoked ones included. The API binds no
// pages here: this is all of them.
//
// GET /machines/{machineId}/agents (contract §2.3)
func (s *MachineAgentsService) List(ctx context.Context, machineID string) ([]MachineAgent, error) {
	return items(s.ListPage(ctx, machineID))
}

// ListPage returns the agents of a machine with what came beside them: the
// answer's Meta, and a cursor should the server ever send one.
//
// GET /machines/{machineId}/agents (contract §2.3)
func (s *MachineAgentsService) ListPage(ctx context.Context, machineID string) (*Page[MachineAgent], error) {
	return list[MachineAgent](ctx, s.c.call(http.MethodGet, "/machines/{machineId}/agents", machineID))
}

// Enroll makes an agent for an active machine and returns its one-time token. It
// cannot be repeated safely: when the answer does not arrive, an agent may exist
// all the same, and List shows it by its label.
//
// When the answer holds no token, the error is a *MissingTokenError that names
// the agent to revoke; the agent is returned beside it.
//
// Errors: MACHINE_NOT_ACTIVE, MACHINE_NOT_ACTIVATED, NOT_FOUND.
//
// POST /machines/{machineId}/agents/enrollment (contract §2.3)
func (s *MachineAgentsService) Enroll(ctx context.Context, machineID string, in EnrollMachineAgent) (*EnrolledAgent, error) {
	r := s.c.call(http.MethodPost, "/machines/{machineId}/agents/enrollment", machineID).json(in)
	answer, err := item[enrolledAgent](ctx, r)
	if err != nil {
		return nil, err
	}
	out := &EnrolledAgent{Meta: answer.Meta, MachineAgent: answer.MachineAgent, Token: answer.AgentToken}
	if out.Token.IsZero() {
		out.Token = answer.ProvisioningToken
	}
	if out.Token.IsZero() {
		return out, &MissingTokenError{AgentID: out.ID, Agent: &out.MachineAgent}
	}
	return out, nil
}

// Revoke ends an agent: its token is refused from now on. It stays in the list.
//
// DELETE /machines/{machineId}/agents/{agentId} (contract §2.3)
func (s *MachineAgentsService) Revoke(ctx context.Context, machineID, agentID string) error {
	return s.c.call(http.MethodDelete, "/machines/{machineId}/agents/{agentId}", machineID, agentID).nothing(ctx)
}
