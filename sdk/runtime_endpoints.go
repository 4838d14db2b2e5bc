package sdk

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"strings"
)

// RuntimeEndpointsService is where a machine's runtimes are published (contract §2.5).
type RuntimeEndpointsService struct{ c *Client }

// RuntimeEndpoint is one published runtime; the token it may need is never returned.
type RuntimeEndpoint struct {
	ID              string         `json:"id"`
	MachineID       string         `json:"machineId"`
	ProviderKey     string         `json:"providerKey"`
	Label           string         `json:"label"`
	EndpointBaseURL string         `json:"endpointBaseUrl"`
	Source          string         `json:"source"`   // manual, agent
	AuthType        string         `json:"authType"` // none, api-key, bearer
	HasAuthToken    bool           `json:"hasAuthToken"`
	NetworkScope    string         `json:"networkScope"` // loopback, lan, vpn, public
	ProbePath       string         `json:"probePath"`
	Status          EndpointStatus `json:"status"`
	CreatedAt       string         `json:"createdAt"`
	UpdatedAt       string         `json:"updatedAt"`
	AgentID         string         `json:"agentId"`
	ModelAlias      string         `json:"modelAlias"`
	LeaseExpiresAt  string         `json:"leaseExpiresAt"`
	LastCheckedAt   string         `json:"lastCheckedAt"`
	LastHealthyAt   string         `json:"lastHealthyAt"`
}

func (e *RuntimeEndpoint) UnmarshalJSON(b []byte) error {
	type plain RuntimeEndpoint
	return decodeObject(b, (*plain)(e), "id", "machineId", "providerKey", "label", "endpointBaseUrl", "source", "authType", "hasAuthToken", "networkScope", "status", "createdAt", "updatedAt")
}

// UpsertRuntimeEndpoint publishes a runtime by hand.
type UpsertRuntimeEndpoint struct {
	EndpointBaseURL string
	Label           Optional[string]
	AuthType        Optional[string]
	AuthToken       Secret
	ModelAlias      Optional[string]
	NetworkScope    Optional[string]
	ProbePath       Optional[string]
	Status          Optional[EndpointStatus]
	LeaseExpiresAt  Optional[string]
}

type upsertWire struct {
	EndpointBaseURL string                   `json:"endpointBaseUrl"`
	Label           Optional[string]         `json:"label,omitzero"`
	AuthType        Optional[string]         `json:"authType,omitzero"`
	AuthToken       string                   `json:"authToken,omitempty"`
	ModelAlias      Optional[string]         `json:"modelAlias,omitzero"`
	NetworkScope    Optional[string]         `json:"networkScope,omitzero"`
	ProbePath       Optional[string]         `json:"probePath,omitzero"`
	Status          Optional[EndpointStatus] `json:"status,omitzero"`
	LeaseExpiresAt  Optional[string]         `json:"leaseExpiresAt,omitzero"`
}

// List returns one page of a machine's endpoints.
//
// GET /machines/:machineId/runtime-endpoints
func (s *RuntimeEndpointsService) List(ctx context.Context, machineID string, o ListOptions) (*Page[RuntimeEndpoint], error) {
	if err := need("machineId", machineID); err != nil {
		return nil, err
	}
	return listPage[RuntimeEndpoint](ctx, s.c, "/machines/"+segment(machineID)+"/runtime-endpoints", o)
}

// All walks every endpoint of a machine.
//
// GET /machines/:machineId/runtime-endpoints
func (s *RuntimeEndpointsService) All(ctx context.Context, machineID string, o ListOptions) iter.Seq2[RuntimeEndpoint, error] {
	return all(o, func(o ListOptions) (*Page[RuntimeEndpoint], error) { return s.List(ctx, machineID, o) })
}

// Get returns one endpoint. Errors: NOT_FOUND.
//
// GET /machines/:machineId/runtime-endpoints/:providerKey
func (s *RuntimeEndpointsService) Get(ctx context.Context, machineID, providerKey string) (*RuntimeEndpoint, error) {
	path, err := endpointPath(machineID, providerKey)
	if err != nil {
		return nil, err
	}
	return s.item(ctx, call{method: http.MethodGet, path: path, auth: authPlatform})
}

// Upsert publishes or changes an endpoint by hand; its source becomes manual.
// Errors: VALIDATION_ERROR, MACHINE_NOT_ACTIVE, MACHINE_NOT_ACTIVATED.
//
// PUT /machines/:machineId/runtime-endpoints/:providerKey
func (s *RuntimeEndpointsService) Upsert(ctx context.Context, machineID, providerKey string, in UpsertRuntimeEndpoint) (*RuntimeEndpoint, error) {
	path, err := endpointPath(machineID, providerKey)
	if err != nil {
		return nil, err
	}
	if err := need("endpointBaseUrl", in.EndpointBaseURL); err != nil {
		return nil, err
	}
	if u, err := url.Parse(strings.TrimSpace(in.EndpointBaseURL)); err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return nil, &ValidationError{"endpointBaseUrl", "valid URL"}
	}
	body := upsertWire{in.EndpointBaseURL, in.Label, in.AuthType, in.AuthToken.Reveal(), in.ModelAlias, in.NetworkScope, in.ProbePath, in.Status, in.LeaseExpiresAt}
	return s.item(ctx, call{method: http.MethodPut, path: path, auth: authPlatform, body: body})
}

// Delete withdraws an endpoint. Errors: NOT_FOUND.
//
// DELETE /machines/:machineId/runtime-endpoints/:providerKey
func (s *RuntimeEndpointsService) Delete(ctx context.Context, machineID, providerKey string) error {
	path, err := endpointPath(machineID, providerKey)
	if err != nil {
		return err
	}
	_, err = s.c.do(ctx, call{method: http.MethodDelete, path: path, auth: authPlatform}, nil)
	return err
}

func endpointPath(machineID, providerKey string) (string, error) {
	if err := need("machineId", machineID, "providerKey", providerKey); err != nil {
		return "", err
	}
	return "/machines/" + segment(machineID) + "/runtime-endpoints/" + segment(providerKey), nil
}

func (s *RuntimeEndpointsService) item(ctx context.Context, r call) (*RuntimeEndpoint, error) {
	var out item[RuntimeEndpoint]
	if _, err := s.c.do(ctx, r, &out); err != nil {
		return nil, err
	}
	return &out.value, nil
}
