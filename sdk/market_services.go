package sdk

import (
	"context"
	"encoding/json"
	"iter"
	"net/http"
)

// MarketServicesService is the catalogue of services. It also executes free services
// that only read (contract §2.12).
type MarketServicesService struct{ c *Client }

// MarketService is one service of the catalogue. A oneM2M device service (see IsOneM2M)
// sets fewer fields; all other members are in Extra.
type MarketService struct {
	Meta                    `json:"-"`
	ID                      string              `json:"id" wire:"req" onem2m:"req,nonempty"`
	SkillKey                string              `json:"skillKey" wire:"req" onem2m:"req,nonempty"`
	ProviderKey             string              `json:"providerKey" wire:"req" onem2m:"req" enum:"onem2m"`
	ProviderID              string              `json:"providerId" wire:"req" onem2m:"opt"`
	ProviderLabel           string              `json:"providerLabel" wire:"req" onem2m:"opt"`
	ServiceType             string              `json:"serviceType" wire:"req" onem2m:"req" enum:"device.control"`
	Name                    string              `json:"name" wire:"req" onem2m:"opt"`
	Description             string              `json:"description" wire:"req" onem2m:"opt"`
	Operations              []string            `json:"operations" onem2m:"req,nonempty,each"`
	AuthType                string              `json:"authType" wire:"req"`
	AccessMode              string              `json:"accessMode" wire:"req"`
	ExecutionMode           string              `json:"executionMode" wire:"req" onem2m:"req" enum:"native"`
	IntegrationStatus       string              `json:"integrationStatus" wire:"req" onem2m:"req" enum:"native"`
	Distribution            string              `json:"distribution" wire:"req"`
	Maturity                string              `json:"maturity" wire:"req"`
	Kind                    string              `json:"kind" wire:"req"`
	Capabilities            []string            `json:"capabilities"`
	Region                  string              `json:"region" wire:"req"`
	FreshnessSeconds        int                 `json:"freshnessSeconds" wire:"req"` // maximum age of its data
	RequiresHumanEnablement bool                `json:"requiresHumanEnablement" wire:"req"`
	Metadata                json.RawMessage     `json:"metadata" wire:"optnull,object"`
	ReferenceURL            string              `json:"referenceUrl"`
	ArtifactURL             string              `json:"artifactUrl"`
	Handoff                 *Handoff            `json:"handoff"`
	OperationContracts      []OperationContract `json:"operationContracts" onem2m:"req,nonempty"`
	Payment                 *RailRecommendation `json:"payment" wire:"-" onem2m:"opt"` // oneM2M services only: free
	UpdatedAt               string              `json:"updatedAt" wire:"req" onem2m:"opt"`
	Extra                   ExtraFields         `json:"-" wire:"extra"`

	oneM2M bool
}

// IsOneM2M reports whether the response was checked against the strict form of oneM2M
// device services (contract §2.18).
func (s *MarketService) IsOneM2M() bool { return s.oneM2M }

// OperationContract describes the input and output of one operation of a service.
type OperationContract struct {
	Operation       string          `json:"operation" wire:"req" onem2m:"req" enum:"list-devices get-device-info get-latest-data execute-action subscribe-events"`
	InputFields     []FieldSpec     `json:"inputFields" onem2m:"req"`
	OutputFields    []FieldSpec     `json:"outputFields" onem2m:"req"`
	ExampleInput    json.RawMessage `json:"exampleInput" wire:"optnull,object" onem2m:"opt,object"`
	ExampleOutput   json.RawMessage `json:"exampleOutput" onem2m:"optnull"`
	ProviderRequest json.RawMessage `json:"providerRequest" wire:"optnull,loose"`
	Summary         string          `json:"summary"`
	Notes           []string        `json:"notes"`
	Extra           ExtraFields     `json:"-" wire:"extra"`
}

// FieldSpec describes one field of an operation. Only oneM2M services set the fields
// after Description.
type FieldSpec struct {
	Key         string                `json:"key" wire:"req" onem2m:"req,nonempty"`
	Type        string                `json:"type" wire:"req" onem2m:"req,nonempty"`
	Description string                `json:"description" onem2m:"req"`
	Required    Optional[bool]        `json:"required,omitzero" wire:"-" onem2m:"opt"`
	Fields      []FieldSpec           `json:"fields" wire:"-" onem2m:"opt"`
	Enum        []string              `json:"enum" wire:"-" onem2m:"opt"`
	FixedValue  Optional[string]      `json:"fixedValue,omitzero" wire:"-" onem2m:"opt"`
	Integer     Optional[bool]        `json:"integer,omitzero" wire:"-" onem2m:"opt"`
	Minimum     Optional[json.Number] `json:"minimum,omitzero" wire:"-" onem2m:"opt"`
	Maximum     Optional[json.Number] `json:"maximum,omitzero" wire:"-" onem2m:"opt"`
	Pattern     Optional[string]      `json:"pattern,omitzero" wire:"-" onem2m:"opt"`
	Default     json.RawMessage       `json:"default" wire:"-" onem2m:"optnull"`
	Example     json.RawMessage       `json:"example" wire:"-" onem2m:"optnull"`
	Extra       ExtraFields           `json:"-" wire:"extra"`
}

// MarketServiceOptions selects services. With a pairing token, the result is the
// machine's own, private catalogue.
type MarketServiceOptions struct {
	MachineID     Optional[string]
	ServiceType   Optional[string] // see SearchMarket
	ExecutionMode Optional[string] // native, external-handoff
	ProviderKey   Optional[string]
	PairingToken  Optional[Secret]
	ListOptions
}

// List returns one page of the catalogue.
//
// GET /market/services (contract §2.12)
func (s *MarketServicesService) List(ctx context.Context, o MarketServiceOptions) (*Page[MarketService], error) {
	r := s.c.call(http.MethodGet, "/market/services").maybePairing(o.PairingToken).page(o.ListOptions)
	r.param("machineId", o.MachineID).param("serviceType", o.ServiceType)
	r.param("executionMode", o.ExecutionMode).param("providerKey", o.ProviderKey)
	if !o.PairingToken.IsSet() {
		return list[MarketService](ctx, r)
	}
	return listWith(ctx, r, s.c.scopedService)
}

// All iterates over the services of all pages.
//
// GET /market/services (contract §2.12)
func (s *MarketServicesService) All(ctx context.Context, o MarketServiceOptions) iter.Seq2[MarketService, error] {
	return each(o.ListOptions, func(page ListOptions) (*Page[MarketService], error) {
		at := o // a copy: several walks may run at the same time
		at.ListOptions = page
		return s.List(ctx, at)
	})
}

// GetMarketServiceOptions limits Get to a machine, or authenticates it as a paired
// agent.
type GetMarketServiceOptions struct {
	MachineID    Optional[string]
	PairingToken Optional[Secret]
}

// Get returns one service.
//
// GET /market/services/{serviceId} (contract §2.12)
func (s *MarketServicesService) Get(ctx context.Context, serviceID string, o GetMarketServiceOptions) (*MarketService, error) {
	r := s.c.call(http.MethodGet, "/market/services/{serviceId}", serviceID).maybePairing(o.PairingToken).param("machineId", o.MachineID)
	if !o.PairingToken.IsSet() {
		return item[MarketService](ctx, r)
	}
	return itemWith(ctx, r, s.c.scopedService)
}

// ExecuteMarketService is the request of [MarketServicesService.Execute]. Input and the
// credentials are passed to the provider unchanged.
type ExecuteMarketService struct {
	MachineID           string                        `json:"machineId"`
	AgentPairingID      string                        `json:"agentPairingId"`
	Operation           string                        `json:"operation"`
	Input               json.RawMessage               `json:"input,omitzero"`
	Budget              Optional[Budget]              `json:"budget,omitzero"`
	ProviderCredentials Optional[ProviderCredentials] `json:"providerCredentials,omitzero"`
}

func (e ExecuteMarketService) check(identityRefs) error {
	return nonBlanks("machineId", e.MachineID, "agentPairingId", e.AgentPairingID, "operation", e.Operation)
}

// DirectRead is the result of [MarketServicesService.Execute].
type DirectRead struct {
	Meta      `json:"-"`
	Service   MarketService   `json:"service"`
	Execution NativeExecution `json:"execution"`
}

// Execute runs a free, native operation that only reads, without an order. A failed
// outcome also has HTTP status 200: check Execution.Outcome.Status.
//
// POST /market/services/{serviceId}/execute (contract §2.12, §2.18)
func (s *MarketServicesService) Execute(ctx context.Context, serviceID string, token Secret, in ExecuteMarketService) (*DirectRead, error) {
	res, err := s.c.call(http.MethodPost, "/market/services/{serviceId}/execute", serviceID).pairing(token).json(in).send(ctx)
	if err != nil {
		return nil, err
	}
	out := &DirectRead{Meta: res.Meta}
	err = res.text(func(body string) error {
		read, err := s.c.directRead(body, in.Operation, false)
		if err == nil {
			out.Service, out.Execution = read.Service, read.Execution
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}
