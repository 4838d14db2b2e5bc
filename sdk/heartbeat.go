package sdk

import (
	"context"
	"net/http"
)

// Heartbeat is one beat of a machine agent (contract §2.4): the machine is alive,
// and these endpoints of it can be used until the lease ends.
type Heartbeat struct {
	MachineID  string
	AgentID    string
	AgentToken Secret
	Endpoints  []HeartbeatEndpoint // at least one
	// LeaseTTLSeconds is the lease asked for; 0 leaves it to the server.
	LeaseTTLSeconds int
}

// HeartbeatEndpoint is one endpoint in a beat; empty members are left out.
type HeartbeatEndpoint struct {
	ProviderKey     string
	EndpointBaseURL string
	Label           string
	AuthType        string // none, api-key, bearer
	AuthToken       Secret
	ModelAlias      string
	NetworkScope    string // loopback, lan, vpn, public
	ProbePath       string
}

// heartbeatWire is the body as it travels: the only place where the tokens are text.
type heartbeatWire struct {
	MachineID       string         `json:"machineId"`
	AgentID         string         `json:"agentId"`
	AgentToken      string         `json:"agentToken"`
	Endpoints       []endpointWire `json:"endpoints"`
	LeaseTTLSeconds int            `json:"leaseTtlSeconds,omitempty"`
}

type endpointWire struct {
	ProviderKey     string `json:"providerKey"`
	EndpointBaseURL string `json:"endpointBaseUrl"`
	Label           string `json:"label,omitempty"`
	AuthType        string `json:"authType,omitempty"`
	AuthToken       string `json:"authToken,omitempty"`
	ModelAlias      string `json:"modelAlias,omitempty"`
	NetworkScope    string `json:"networkScope,omitempty"`
	ProbePath       string `json:"probePath,omitempty"`
}

// HeartbeatResult is the lease that was granted and the server's view.
type HeartbeatResult struct {
	Meta            Meta             `json:"-"`
	MachineID       string           `json:"machineId"`
	AgentID         string           `json:"agentId"`
	LeaseTTLSeconds int              `json:"leaseTtlSeconds"`
	ObservedAt      string           `json:"observedAt"`
	Endpoints       []EndpointResult `json:"endpoints"`
}

func (r *HeartbeatResult) UnmarshalJSON(b []byte) error {
	type plain HeartbeatResult
	return decodeObject(b, (*plain)(r), "machineId", "agentId", "leaseTtlSeconds", "observedAt", "endpoints")
}

// EndpointStatus is the server's verdict on an endpoint. Other values may arrive.
type EndpointStatus string

const (
	EndpointActive      EndpointStatus = "active"
	EndpointDegraded    EndpointStatus = "degraded"
	EndpointUnreachable EndpointStatus = "unreachable"
)

// EndpointResult is one endpoint in a beat's answer.
type EndpointResult struct {
	ProviderKey     string         `json:"providerKey"`
	EndpointBaseURL string         `json:"endpointBaseUrl"`
	Status          EndpointStatus `json:"status"`
	LeaseExpiresAt  string         `json:"leaseExpiresAt"`
	HealthError     string         `json:"healthError"` // foreign text
}

func (r *EndpointResult) UnmarshalJSON(b []byte) error {
	type plain EndpointResult
	return decodeObject(b, (*plain)(r), "providerKey", "endpointBaseUrl", "status", "leaseExpiresAt")
}

// Heartbeat sends one beat; the token in its body is all it needs. Errors:
// AGENT_AUTH_REQUIRED, AGENT_AUTH_INVALID, NOT_FOUND, AGENT_PAIRING_INACTIVE
// (revoked), AGENT_POLICY_DENIED, VALIDATION_ERROR, MACHINE_NOT_ACTIVE.
//
// POST /machine-agents/heartbeat
func (s *MachineAgentsService) Heartbeat(ctx context.Context, beat Heartbeat) (*HeartbeatResult, error) {
	if err := need("machineId", beat.MachineID, "agentId", beat.AgentID, "agentToken", beat.AgentToken.Reveal()); err != nil {
		return nil, err
	}
	if len(beat.Endpoints) == 0 {
		return nil, &ValidationError{"endpoints", "non-empty array"}
	}
	wire := heartbeatWire{MachineID: beat.MachineID, AgentID: beat.AgentID, AgentToken: beat.AgentToken.Reveal(), LeaseTTLSeconds: beat.LeaseTTLSeconds}
	for _, e := range beat.Endpoints {
		wire.Endpoints = append(wire.Endpoints, endpointWire{
			e.ProviderKey, e.EndpointBaseURL, e.Label, e.AuthType, e.AuthToken.Reveal(), e.ModelAlias, e.NetworkScope, e.ProbePath,
		})
	}
	var out item[HeartbeatResult]
	meta, err := s.c.do(ctx, call{method: http.MethodPost, path: "/machine-agents/heartbeat", auth: authNone, body: wire}, &out)
	if err != nil {
		return nil, err
	}
	out.value.Meta = meta
	return &out.value, nil
}
