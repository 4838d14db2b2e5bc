package sdk

import (
	"cmp"
	"context"
	"net/http"
)

// Heartbeat is the request of [MachineAgentsService.Heartbeat]: the endpoints at which the
// machine can be reached now, and the lease for them.
type Heartbeat struct {
	MachineID       string              `json:"machineId"`
	AgentID         string              `json:"agentId"`
	AgentToken      Secret              `json:"agentToken"`
	Endpoints       []HeartbeatEndpoint `json:"endpoints"`                // at least one
	LeaseTTLSeconds Optional[int]       `json:"leaseTtlSeconds,omitzero"` // unset: the server's default; the range is not documented
}

// HeartbeatEndpoint is one endpoint of a heartbeat.
type HeartbeatEndpoint struct {
	ProviderKey     string           `json:"providerKey"` // a name, such as qvac; not a secret
	EndpointBaseURL string           `json:"endpointBaseUrl"`
	Label           Optional[string] `json:"label,omitzero"`
	AuthType        Optional[string] `json:"authType,omitzero"` // none, api-key, bearer
	AuthToken       Optional[Secret] `json:"authToken,omitzero"`
	ModelAlias      Optional[string] `json:"modelAlias,omitzero"`
	NetworkScope    Optional[string] `json:"networkScope,omitzero"` // loopback, lan, vpn, public
	ProbePath       Optional[string] `json:"probePath,omitzero"`
}

func (h Heartbeat) check(identityRefs) error {
	err := cmp.Or(nonBlanks("machineId", h.MachineID, "agentId", h.AgentID), nonBlankSecret("agentToken", h.AgentToken))
	if err == nil && len(h.Endpoints) == 0 {
		err = &ValidationError{"endpoints", "non-empty array"}
	}
	return err
}

// HeartbeatResult is the server's view of a heartbeat.
type HeartbeatResult struct {
	Meta            `json:"-"`
	MachineID       string           `json:"machineId" wire:"req"`
	AgentID         string           `json:"agentId" wire:"req"`
	LeaseTTLSeconds int              `json:"leaseTtlSeconds" wire:"req"` // as granted, seconds
	ObservedAt      string           `json:"observedAt" wire:"req"`      // the server's clock, RFC 3339
	Endpoints       []EndpointResult `json:"endpoints" wire:"req"`
}

// EndpointStatus is the server's status of an endpoint. The server may send other values.
type EndpointStatus string

// The statuses of an endpoint. An endpoint whose lease has expired is unreachable.
const (
	EndpointActive      EndpointStatus = "active"
	EndpointDegraded    EndpointStatus = "degraded"
	EndpointUnreachable EndpointStatus = "unreachable"
)

// EndpointResult is one endpoint in the response to a heartbeat.
type EndpointResult struct {
	ProviderKey     string         `json:"providerKey" wire:"req"`
	EndpointBaseURL string         `json:"endpointBaseUrl" wire:"req"`
	Status          EndpointStatus `json:"status" wire:"req"`
	LeaseExpiresAt  string         `json:"leaseExpiresAt" wire:"req"` // RFC 3339
	HealthError     string         `json:"healthError"`               // the server's message; empty when healthy
}

// Heartbeat publishes endpoints and renews their leases. It needs no API key: the agent's
// token is sent in the body.
//
// Errors: AGENT_AUTH_REQUIRED, AGENT_AUTH_INVALID, NOT_FOUND,
// AGENT_PAIRING_INACTIVE (the agent is revoked), AGENT_POLICY_DENIED (the agent was not
// enrolled for a provider key), MACHINE_NOT_ACTIVE, VALIDATION_ERROR.
//
// POST /machine-agents/heartbeat (contract §2.4)
func (s *MachineAgentsService) Heartbeat(ctx context.Context, in Heartbeat) (*HeartbeatResult, error) {
	return item[HeartbeatResult](ctx, s.c.call(http.MethodPost, "/machine-agents/heartbeat").open().json(in))
}
