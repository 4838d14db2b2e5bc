package sdk

import (
	"context"
	"iter"
	"net/http"
)

// MachineAgentsService enrolls the processes that report for a machine, and sends their
// heartbeats (contract §2.3 and §2.4).
type MachineAgentsService struct{ c *Client }

// AgentStatus is the state of a machine agent. The server may send other values.
type AgentStatus string

// The states of a machine agent: enrolled, seen by a heartbeat, revoked permanently.
const (
	AgentProvisioned AgentStatus = "provisioned"
	AgentActive      AgentStatus = "active"
	AgentRevoked     AgentStatus = "revoked"
)

// MachineAgent is an agent as the orchestrator lists it, without its token.
type MachineAgent struct {
	ID                  string      `json:"id" wire:"req"`
	MachineID           string      `json:"machineId" wire:"req"`
	Label               string      `json:"label" wire:"req"`
	AllowedProviderKeys []string    `json:"allowedProviderKeys"`
	Status              AgentStatus `json:"status" wire:"req"`
	CreatedAt           string      `json:"createdAt" wire:"req"`
	UpdatedAt           string      `json:"updatedAt" wire:"req"`
	LastSeenAt          string      `json:"lastSeenAt"` // time of the last heartbeat; empty before the first
}

// EnrolledAgent is a new agent and its one-time token. The server returns the token only
// once: store it before doing anything else.
type EnrolledAgent struct {
	Meta `json:"-"`
	MachineAgent
	Token Secret `json:"-"`
}

// enrolledAgent has the token under both of its wire names.
type enrolledAgent struct {
	Meta `json:"-"`
	MachineAgent
	AgentToken        Secret `json:"agentToken"`
	ProvisioningToken Secret `json:"provisioningToken"`
}

// EnrollMachineAgent is the request of [MachineAgentsService.Enroll]. If
// AllowedProviderKeys is unset, the agent may publish endpoints of every provider.
type EnrollMachineAgent struct {
	Label               Optional[string]   `json:"label,omitzero"`
	AllowedProviderKeys Optional[[]string] `json:"allowedProviderKeys,omitzero"`
}

// List returns all agents of a machine, including revoked ones. It reads every page: the
// server's default is 100 agents per page.
//
// GET /machines/{machineId}/agents (contract §2.3)
func (s *MachineAgentsService) List(ctx context.Context, machineID string) ([]MachineAgent, error) {
	out := []MachineAgent{}
	for a, err := range s.All(ctx, machineID, ListOptions{}) {
		if err != nil {
			return nil, err
		}
		out = append(out, a)
	}
	return out, nil
}

// All walks over the agents of all pages.
//
// GET /machines/{machineId}/agents (contract §2.3)
func (s *MachineAgentsService) All(ctx context.Context, machineID string, o ListOptions) iter.Seq2[MachineAgent, error] {
	return each(o, func(o ListOptions) (*Page[MachineAgent], error) { return s.page(ctx, machineID, o) })
}

// ListPage returns the first page of the agents with the response's Meta. If it has a
// NextCursor, it is not the whole list: use List or All.
//
// GET /machines/{machineId}/agents (contract §2.3)
func (s *MachineAgentsService) ListPage(ctx context.Context, machineID string) (*Page[MachineAgent], error) {
	return s.page(ctx, machineID, ListOptions{})
}

func (s *MachineAgentsService) page(ctx context.Context, machineID string, o ListOptions) (*Page[MachineAgent], error) {
	return list[MachineAgent](ctx, s.c.call(http.MethodGet, "/machines/{machineId}/agents", machineID).page(o))
}

// Enroll creates an agent for an active machine and returns its one-time token. It is
// not safe to repeat: if the response is lost, the agent may exist anyway; find it by its
// label with List.
//
// If the response has no token, Enroll returns the agent and a *MissingTokenError: revoke
// the agent.
//
// Errors: MACHINE_NOT_ACTIVE, MACHINE_NOT_ACTIVATED, NOT_FOUND.
//
// POST /machines/{machineId}/agents/enrollment (contract §2.3)
func (s *MachineAgentsService) Enroll(ctx context.Context, machineID string, in EnrollMachineAgent) (*EnrolledAgent, error) {
	r := s.c.call(http.MethodPost, "/machines/{machineId}/agents/enrollment", machineID).json(in)
	enrolled, err := item[enrolledAgent](ctx, r)
	if err != nil {
		return nil, err
	}
	out := &EnrolledAgent{Meta: enrolled.Meta, MachineAgent: enrolled.MachineAgent, Token: enrolled.AgentToken}
	if out.Token.IsZero() {
		out.Token = enrolled.ProvisioningToken
	}
	if out.Token.IsZero() {
		return out, &MissingTokenError{AgentID: out.ID, Agent: &out.MachineAgent}
	}
	return out, nil
}

// Revoke revokes an agent permanently: its token is rejected from now on. The agent stays
// in the list.
//
// DELETE /machines/{machineId}/agents/{agentId} (contract §2.3)
func (s *MachineAgentsService) Revoke(ctx context.Context, machineID, agentID string) error {
	return s.c.call(http.MethodDelete, "/machines/{machineId}/agents/{agentId}", machineID, agentID).nothing(ctx)
}
