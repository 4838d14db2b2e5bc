package sdk

import (
	"context"
	"encoding/json"
	"net/http"
)

// MarketSearchesService finds services for a task (contract §2.13).
type MarketSearchesService struct{ c *Client }

// Budget limits what a request may cost. Numbers are sent with the digits given.
type Budget struct {
	Max       Optional[json.Number] `json:"max,omitzero"`
	Amount    Optional[json.Number] `json:"amount,omitzero"`
	Preferred Optional[json.Number] `json:"preferred,omitzero"` // searches only
	Currency  Optional[string]      `json:"currency,omitzero"`
}

// ProviderCredentials are the caller's own accounts at providers. All fields are secrets;
// the server redacts them before it stores a request.
type ProviderCredentials struct {
	Walrus  Optional[WalrusCredentials]  `json:"walrus,omitzero"`
	Akash   Optional[AkashCredentials]   `json:"akash,omitzero"`
	WorldID Optional[WorldIDCredentials] `json:"worldId,omitzero"`
	Geodnet Optional[GeodnetCredentials] `json:"geodnet,omitzero"`
	Aethir  Optional[AethirCredentials]  `json:"aethir,omitzero"`
}

// WalrusCredentials is an account at Walrus.
type WalrusCredentials struct {
	PublisherURL   Optional[Secret] `json:"publisherUrl,omitzero"`
	AggregatorURL  Optional[Secret] `json:"aggregatorUrl,omitzero"`
	PublisherToken Optional[Secret] `json:"publisherToken,omitzero"`
}

// AkashCredentials is an account at Akash.
type AkashCredentials struct {
	ConsoleAPIKey  Optional[Secret] `json:"consoleApiKey,omitzero"`
	ConsoleBaseURL Optional[Secret] `json:"consoleBaseUrl,omitzero"`
	RESTEndpoints  Optional[Secret] `json:"restEndpoints,omitzero"`
}

// WorldIDCredentials is an account at World ID.
type WorldIDCredentials struct {
	RPID          Optional[Secret] `json:"rpId,omitzero"`
	AppID         Optional[Secret] `json:"appId,omitzero"`
	VerifyBaseURL Optional[Secret] `json:"verifyBaseUrl,omitzero"`
}

// GeodnetCredentials is an account at Geodnet.
type GeodnetCredentials struct {
	AppID   Optional[Secret] `json:"appId,omitzero"`
	AppKey  Optional[Secret] `json:"appKey,omitzero"`
	BaseURL Optional[Secret] `json:"baseUrl,omitzero"`
}

// AethirCredentials is an account at Aethir.
type AethirCredentials struct {
	AK      Optional[Secret] `json:"ak,omitzero"`
	SK      Optional[Secret] `json:"sk,omitzero"`
	BaseURL Optional[Secret] `json:"baseUrl,omitzero"`
}

// SearchMarket is the request of [MarketSearchesService.Search]. Nothing is
// required. ServiceType is oracle.price-feed, compute.marketplace, storage.object,
// data.location, network.partner-console, identity.proof-of-person, device.control
// or machine.commerce, or one of the aliases storage, compute, identity, location,
// rtk, gnss, defi, commerce.
type SearchMarket struct {
	MachineID              Optional[string]              `json:"machineId,omitzero"`
	AgentPairingID         Optional[string]              `json:"agentPairingId,omitzero"`
	ServiceType            Optional[string]              `json:"serviceType,omitzero"`
	Operation              Optional[string]              `json:"operation,omitzero"`
	RequiredCapabilities   Optional[[]string]            `json:"requiredCapabilities,omitzero"`
	Region                 Optional[string]              `json:"region,omitzero"`
	MaxResults             Optional[int]                 `json:"maxResults,omitzero"`
	AllowExternalHandoff   Optional[bool]                `json:"allowExternalHandoff,omitzero"`
	RequireNativeExecution Optional[bool]                `json:"requireNativeExecution,omitzero"`
	Budget                 Optional[Budget]              `json:"budget,omitzero"`
	ProviderCredentials    Optional[ProviderCredentials] `json:"providerCredentials,omitzero"`
}

// MarketSearch is a search and its results.
type MarketSearch struct {
	Meta           `json:"-"`
	ID             string          `json:"id" wire:"req"`
	MachineID      string          `json:"machineId" wire:"req"`
	AgentPairingID string          `json:"agentPairingId"`
	Request        json.RawMessage `json:"request" wire:"optnull,object"` // as the server stored it; nil when absent
	NormalizedTask NormalizedTask  `json:"normalizedTask" wire:"req"`
	Status         string          `json:"status" wire:"req"` // completed, no_match
	Quotes         []MarketQuote   `json:"quotes" wire:"req"`
	CreatedAt      string          `json:"createdAt" wire:"req"`
}

// marketSearch has the stored request under both of its wire names.
type marketSearch struct {
	MarketSearch
	RequestPayload json.RawMessage `json:"requestPayload" wire:"optnull,object"`
}

// NormalizedTask is the server's interpretation of a search.
type NormalizedTask struct {
	ServiceType            string   `json:"serviceType" wire:"req"`
	RequiredCapabilities   []string `json:"requiredCapabilities"`
	AllowExternalHandoff   bool     `json:"allowExternalHandoff" wire:"req"`
	RequireNativeExecution bool     `json:"requireNativeExecution" wire:"req"`
	Operation              string   `json:"operation"`
	Region                 string   `json:"region"`
}

// MarketQuote is one offer. It can be ordered until ExpiresAt.
type MarketQuote struct {
	ID                string             `json:"id" wire:"req"`
	ServiceID         string             `json:"serviceId" wire:"req"`
	SkillKey          string             `json:"skillKey" wire:"req"`
	ProviderKey       string             `json:"providerKey" wire:"req"`
	ExecutionMode     string             `json:"executionMode" wire:"req"`
	IntegrationStatus string             `json:"integrationStatus" wire:"req"`
	Operation         string             `json:"operation" wire:"req"`
	Score             json.Number        `json:"score" wire:"req"`
	Reasons           []string           `json:"reasons"`
	Pricing           Pricing            `json:"pricing" wire:"req"`
	Payment           RailRecommendation `json:"payment" wire:"req"`
	ExpiresAt         string             `json:"expiresAt" wire:"req"`
	Handoff           *Handoff           `json:"handoff"`
}

// Pricing is the price of a quote.
type Pricing struct {
	Mode     string                `json:"mode" wire:"req"` // provider-defined, fixed, quote-required
	Notes    []string              `json:"notes"`
	Amount   Optional[json.Number] `json:"amount,omitzero"`
	Currency string                `json:"currency"`
	Rate     string                `json:"rate"`
}

// RailRecommendation is how the API recommends to pay.
type RailRecommendation struct {
	DefaultRail    string   `json:"defaultRail" wire:"req" onem2m:"req" enum:"not-required"`
	SupportedRails []string `json:"supportedRails" onem2m:"req,nonempty" enum:"not-required"`
	Required       bool     `json:"required" wire:"req" onem2m:"req,false"`
	Notes          []string `json:"notes"`
	Provider       string   `json:"provider"`
	Chain          string   `json:"chain"`
	Token          string   `json:"token"` // currency symbol, such as USDC
	TokenAddress   string   `json:"tokenAddress"`
	TokenMint      string   `json:"tokenMint"`
	WalletAddress  string   `json:"walletAddress"`
	ExternalURL    string   `json:"externalUrl"`
	PayerAddress   string   `json:"payerAddress"`
	PayeeAddress   string   `json:"payeeAddress"`
}

// Search searches for services and returns quotes.
//
// Errors: AGENT_POLICY_DENIED, AGENT_SPEND_LIMIT_EXCEEDED, VALIDATION_ERROR.
//
// POST /market/search (contract §2.13)
func (s *MarketSearchesService) Search(ctx context.Context, token Secret, in SearchMarket) (*MarketSearch, error) {
	return s.one(ctx, s.c.call(http.MethodPost, "/market/search").pairing(token).json(in))
}

// Get returns an earlier search.
//
// GET /market/searches/{searchId} (contract §2.13)
func (s *MarketSearchesService) Get(ctx context.Context, searchID string) (*MarketSearch, error) {
	return s.one(ctx, s.c.call(http.MethodGet, "/market/searches/{searchId}", searchID))
}

func (s *MarketSearchesService) one(ctx context.Context, r *call) (*MarketSearch, error) {
	out, err := item[marketSearch](ctx, r)
	if err != nil {
		return nil, err
	}
	if out.RequestPayload != nil {
		out.Request = out.RequestPayload
	}
	return &out.MarketSearch, nil
}
