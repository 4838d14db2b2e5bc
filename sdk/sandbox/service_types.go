package sandbox

import "encoding/json"

// Service is a market service (contract §2.12). Strings that may be absent are
// left out when empty.
type Service struct {
	ID                      string              `json:"id"`
	SkillKey                string              `json:"skillKey"`
	ProviderKey             string              `json:"providerKey"`
	ProviderID              string              `json:"providerId"`
	ProviderLabel           string              `json:"providerLabel"`
	ServiceType             string              `json:"serviceType"`
	Name                    string              `json:"name"`
	Description             string              `json:"description"`
	Operations              []string            `json:"operations"`
	AuthType                string              `json:"authType"`
	AccessMode              string              `json:"accessMode"`
	ExecutionMode           string              `json:"executionMode"`
	IntegrationStatus       string              `json:"integrationStatus"`
	Distribution            string              `json:"distribution"`
	Maturity                string              `json:"maturity"`
	Kind                    string              `json:"kind"`
	Capabilities            []string            `json:"capabilities"`
	Region                  string              `json:"region"`
	FreshnessSeconds        int                 `json:"freshnessSeconds"`
	RequiresHumanEnablement bool                `json:"requiresHumanEnablement"`
	Metadata                json.RawMessage     `json:"metadata,omitempty"`
	UpdatedAt               string              `json:"updatedAt"`
	ReferenceURL            string              `json:"referenceUrl,omitempty"`
	ArtifactURL             string              `json:"artifactUrl,omitempty"`
	Handoff                 *Handoff            `json:"handoff,omitempty"`
	OperationContracts      []OperationContract `json:"operationContracts"`
	Pricing                 Pricing             `json:"pricing"`
	Payment                 RailAdvice          `json:"payment"`
}

// Handoff leads a person to the place where the service is really used.
type Handoff struct {
	Label string   `json:"label"`
	URL   string   `json:"url"`
	Notes []string `json:"notes"`
}

// OperationContract says what an operation takes and gives (contract §2.12, and
// §2.18 for oneM2M services).
type OperationContract struct {
	Operation       string          `json:"operation"`
	InputFields     []FieldSpec     `json:"inputFields"`
	OutputFields    []FieldSpec     `json:"outputFields"`
	ExampleInput    json.RawMessage `json:"exampleInput,omitempty"`
	ExampleOutput   json.RawMessage `json:"exampleOutput,omitempty"`
	ProviderRequest json.RawMessage `json:"providerRequest,omitempty"`
	Summary         string          `json:"summary,omitempty"`
	Notes           []string        `json:"notes,omitempty"`
}

// FieldSpec describes one member of an input or a result.
type FieldSpec struct {
	Key         string          `json:"key"`
	Type        string          `json:"type"`
	Description string          `json:"description"`
	Required    bool            `json:"required,omitempty"`
	Fields      []FieldSpec     `json:"fields,omitempty"`
	Enum        []string        `json:"enum,omitempty"`
	FixedValue  string          `json:"fixedValue,omitempty"`
	Integer     bool            `json:"integer,omitempty"`
	Minimum     *float64        `json:"minimum,omitempty"`
	Maximum     *float64        `json:"maximum,omitempty"`
	Pattern     string          `json:"pattern,omitempty"`
	Default     json.RawMessage `json:"default,omitempty"`
	Example     json.RawMessage `json:"example,omitempty"`
}

// Pricing is what a service asks for (contract §2.13).
type Pricing struct {
	Mode     string   `json:"mode"`
	Notes    []string `json:"notes"`
	Amount   *float64 `json:"amount,omitempty"`
	Currency string   `json:"currency,omitempty"`
	Rate     string   `json:"rate,omitempty"`
}

// RailAdvice says how an order can be paid (contract §2.13,
// MarketPaymentRailRecommendation).
type RailAdvice struct {
	DefaultRail    string   `json:"defaultRail"`
	SupportedRails []string `json:"supportedRails"`
	Required       bool     `json:"required"`
	Notes          []string `json:"notes"`
	Provider       string   `json:"provider,omitempty"`
	Chain          string   `json:"chain,omitempty"`
	Token          string   `json:"token,omitempty"`
	TokenAddress   string   `json:"tokenAddress,omitempty"`
	TokenMint      string   `json:"tokenMint,omitempty"`
	WalletAddress  string   `json:"walletAddress,omitempty"`
	ExternalURL    string   `json:"externalUrl,omitempty"`
	PayerAddress   string   `json:"payerAddress,omitempty"`
	PayeeAddress   string   `json:"payeeAddress,omitempty"`
}
