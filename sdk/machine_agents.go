package sdk

import (
	"context"
	"net/http"
)

// MachineAgentsService enrolls the processes that run on machines, and lets them
// beat (contract §2.3, §2.4).
type MachineAgentsService struct{ c *Client }

// AgentStatus is a machine agent's state. Other values may arrive.
type AgentStatus string

const (
	AgentProvisioned AgentStatus = "provisioned"
	AgentActive      AgentStatus = "active"
	AgentRevoked     AgentStatus = "revoked"
)

// MachineAgent is one enrolled agent, without its token.
type MachineAgent struct {
	ID                  string      `json:"id"`
	MachineID           string      `json:"machineId"`
	Label               string      `json:"label"`
	AllowedProviderKeys []string    `json:"allowedProviderKeys"`
	Status              AgentStatus `json:"status"`
	CreatedAt           string      `json:"createdAt"`
	UpdatedAt           string      `json:"updatedAt"`
	LastSeenAt          string      `json:"lastSeenAt"` // empty before the first beat
}

func (a *MachineAgent) UnmarshalJSON(b []byte) error {
	type plain MachineAgent
	return decodeObject(b, (*plain)(a), "id", "machineId", "label", "status", "createdAt", "updatedAt")
}

// EnrollMachineAgent is the request of Enroll; both members may be left out.
type EnrollMachineAgent struct {
	Label               Optional[string]   `json:"label,omitzero"`
	AllowedProviderKeys Optional[[]string] `json:"allowedProviderKeys,omitzero"`
}

// EnrolledAgent is a new agent and its token, which the server gives this once.
type EnrolledAgent struct {
	MachineAgent
	Token Secret
}

// UnmarshalJSON reads the token under both names it is known by.
func (e *EnrolledAgent) UnmarshalJSON(b []byte) error {
	if err := e.MachineAgent.UnmarshalJSON(b); err != nil {
		return err
	}
	var token struct {
		Agent        *string `json:"agentToken"`
		Provisioning *string `json:"provisioningToken"`
	}
	if err := decodeObject(b, &token); err != nil {
		return err
	}
	for _, t := range []*string{token.Agent, token.Provisioning} {
		if t != nil && *t != "" {
			e.Token = NewSecret(*t)
			return nil
		}
	}
	return nil
}

// List returns the machine's agents, revoked ones included.
//
// GET /machines/:machineId/agents
func (s *MachineAgentsService) List(ctx context.Context, machineID string) ([]MachineAgent, error) {
	if err := need("machineId", machineID); err != nil {
		return nil, err
	}
	p, err := listPage[MachineAgent](ctx, s.c, "/machines/"+segment(machineID)+"/agents", ListOptions{})
	if err != nil {
		return nil, err
	}
	return p.Items, nil
}

// Enroll makes an agent and returns its one-time token. Errors: MACHINE_NOT_ACTIVE,
// MACHINE_NOT_ACTIVATED, NOT_FOUND; MissingTokenError when the agent was made and
// no token came with it.
//
// POST /machines/:machineId/agents/enrollment
func (s *MachineAgentsService) Enroll(ctx context.Context, machineID string, in EnrollMachineAgent) (*EnrolledAgent, error) {
	if err := need("machineId", machineID); err != nil {
		return nil, err
	}
	var out item[EnrolledAgent]
	path := "/machines/" + segment(machineID) + "/agents/enrollment"
	if _, err := s.c.do(ctx, call{method: http.MethodPost, path: path, auth: authPlatform, body: in}, &out); err != nil {
		return nil, err
	}
	if out.value.Token.IsZero() {
		return nil, &MissingTokenError{out.value.ID}
	}
	return &out.value, nil
}

// Revoke ends an agent; its token is refused from then on.
//
// DELETE /machines/:machineId/agents/:agentId
func (s *MachineAgentsService) Revoke(ctx context.Context, machineID, agentID string) error {
	if err := need("machineId", machineID, "agentId", agentID); err != nil {
		return err
	}
	_, err := s.c.do(ctx, call{method: http.MethodDelete, path: "/machines/" + segment(machineID) + "/agents/" + segment(agentID), auth: authPlatform}, nil)
	return err
}
