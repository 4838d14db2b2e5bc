package sdk

import (
	"context"
	"iter"
	"net/http"
)

// RuntimeEndpointsService manages the endpoints at which machines can be reached
// (contract §2.5). Agents publish endpoints by heartbeat; Upsert and Delete are the
// manual way.
type RuntimeEndpointsService struct{ c *Client }

// RuntimeEndpoint is one published endpoint of a machine.
type RuntimeEndpoint struct {
	Meta            `json:"-"`
	ID              string         `json:"id" wire:"req"`
	MachineID       string         `json:"machineId" wire:"req"`
	ProviderKey     string         `json:"providerKey" wire:"req"`
	Source          string         `json:"source" wire:"req"` // manual, agent
	Label           string         `json:"label" wire:"req"`
	EndpointBaseURL string         `json:"endpointBaseUrl" wire:"req"`
	AuthType        string         `json:"authType" wire:"req"` // none, api-key, bearer
	HasAuthToken    bool           `json:"hasAuthToken" wire:"req"`
	NetworkScope    string         `json:"networkScope" wire:"req"` // loopback, lan, vpn, public
	ProbePath       string         `json:"probePath"`
	Status          EndpointStatus `json:"status" wire:"req"`
	AgentID         string         `json:"agentId"` // the agent that published it
	ModelAlias      string         `json:"modelAlias"`
	LeaseExpiresAt  string         `json:"leaseExpiresAt"`
	LastCheckedAt   string         `json:"lastCheckedAt"`
	LastHealthyAt   string         `json:"lastHealthyAt"`
	CreatedAt       string         `json:"createdAt" wire:"req"`
	UpdatedAt       string         `json:"updatedAt" wire:"req"`
}

// UpsertRuntimeEndpoint is the request of [RuntimeEndpointsService.Upsert]. Unset fields
// keep their stored values, or get the server's defaults for a new endpoint.
type UpsertRuntimeEndpoint struct {
	EndpointBaseURL string                   `json:"endpointBaseUrl"` // http or https; the server keeps the origin only
	Label           Optional[string]         `json:"label,omitzero"`
	AuthType        Optional[string]         `json:"authType,omitzero"`
	AuthToken       Optional[Secret]         `json:"authToken,omitzero"`
	ModelAlias      Optional[string]         `json:"modelAlias,omitzero"`
	NetworkScope    Optional[string]         `json:"networkScope,omitzero"`
	ProbePath       Optional[string]         `json:"probePath,omitzero"`
	Status          Optional[EndpointStatus] `json:"status,omitzero"`
	LeaseExpiresAt  Optional[string]         `json:"leaseExpiresAt,omitzero"`
}

func (u UpsertRuntimeEndpoint) check(identityRefs) error {
	return webURL("endpointBaseUrl", u.EndpointBaseURL)
}

// List returns one page of a machine's endpoints.
//
// GET /machines/{machineId}/runtime-endpoints (contract §2.5)
func (s *RuntimeEndpointsService) List(ctx context.Context, machineID string, o ListOptions) (*Page[RuntimeEndpoint], error) {
	return list[RuntimeEndpoint](ctx, s.c.call(http.MethodGet, "/machines/{machineId}/runtime-endpoints", machineID).page(o))
}

// All iterates over the endpoints of all pages.
//
// GET /machines/{machineId}/runtime-endpoints (contract §2.5)
func (s *RuntimeEndpointsService) All(ctx context.Context, machineID string, o ListOptions) iter.Seq2[RuntimeEndpoint, error] {
	return each(o, func(o ListOptions) (*Page[RuntimeEndpoint], error) { return s.List(ctx, machineID, o) })
}

// Get returns the endpoint of a provider.
//
// Errors: NOT_FOUND.
//
// GET /machines/{machineId}/runtime-endpoints/{providerKey} (contract §2.5)
func (s *RuntimeEndpointsService) Get(ctx context.Context, machineID, providerKey string) (*RuntimeEndpoint, error) {
	return item[RuntimeEndpoint](
		ctx,
		s.c.call(http.MethodGet, "/machines/{machineId}/runtime-endpoints/{providerKey}", machineID, providerKey),
	)
}

// Upsert publishes an endpoint manually: its source becomes manual, and an agent's lease
// on it ends until the agent's next heartbeat.
//
// Errors: VALIDATION_ERROR, MACHINE_NOT_ACTIVE, MACHINE_NOT_ACTIVATED.
//
// PUT /machines/{machineId}/runtime-endpoints/{providerKey} (contract §2.5)
func (s *RuntimeEndpointsService) Upsert(
	ctx context.Context, machineID, providerKey string, in UpsertRuntimeEndpoint,
) (*RuntimeEndpoint, error) {
	r := s.c.call(http.MethodPut, "/machines/{machineId}/runtime-endpoints/{providerKey}", machineID, providerKey)
	return item[RuntimeEndpoint](ctx, r.json(in))
}

// Delete removes an endpoint.
//
// Errors: NOT_FOUND.
//
// DELETE /machines/{machineId}/runtime-endpoints/{providerKey} (contract §2.5)
func (s *RuntimeEndpointsService) Delete(ctx context.Context, machineID, providerKey string) error {
	return s.c.call(http.MethodDelete, "/machines/{machineId}/runtime-endpoints/{providerKey}", machineID, providerKey).nothing(ctx)
}
