package sdk

import (
	"context"
	"encoding/json"
	"net/http"
)

// Like those in experimental_machines.go, the calls in this file are published, but none of
// peaq's own clients makes them (contract §3.1).

// SubmitSkill is the request of [SkillsService.Submit].
type SubmitSkill struct {
	ProviderName string           `json:"providerName"`
	SkillName    string           `json:"skillName"`
	Description  string           `json:"description"`
	ServiceTypes []string         `json:"serviceTypes"`
	Operations   []string         `json:"operations"`
	ReferenceURL Optional[string] `json:"referenceUrl,omitzero"`
	Metadata     json.RawMessage  `json:"metadata,omitzero"`
}

func (s SubmitSkill) check(identityRefs) error {
	return nonBlanks("providerName", s.ProviderName, "skillName", s.SkillName, "description", s.Description)
}

// SkillSubmission is a skill that was submitted for review.
type SkillSubmission struct {
	Meta      `json:"-"`
	ID        string `json:"id" wire:"req"`
	Status    string `json:"status" wire:"req"` // submitted, in_review, approved, rejected
	CreatedAt string `json:"createdAt" wire:"req"`
	UpdatedAt string `json:"updatedAt"`
	Notes     string `json:"notes"`
}

// Submit submits a skill for the catalogue.
//
// Experimental: the envelope is not known.
//
// POST /skills/submissions (contract §3.1)
func (s *SkillsService) Submit(ctx context.Context, in SubmitSkill) (*SkillSubmission, error) {
	return itemOrWhole[SkillSubmission](ctx, s.c.call(http.MethodPost, "/skills/submissions").json(in))
}

// Submission returns a submitted skill and the state of its review.
//
// Experimental: the envelope is not known.
//
// GET /skills/submissions/{submissionId} (contract §3.1)
func (s *SkillsService) Submission(ctx context.Context, submissionID string) (*SkillSubmission, error) {
	return itemOrWhole[SkillSubmission](ctx, s.c.call(http.MethodGet, "/skills/submissions/{submissionId}", submissionID))
}

// QuoteMarketService is the request of [MarketServicesService.Quote].
type QuoteMarketService struct {
	MachineID      string           `json:"machineId"`
	AgentPairingID Optional[string] `json:"agentPairingId,omitzero"`
	Operation      Optional[string] `json:"operation,omitzero"`
	Input          json.RawMessage  `json:"input,omitzero"`
	Budget         Optional[Budget] `json:"budget,omitzero"`
}

func (q QuoteMarketService) check(identityRefs) error { return nonBlank("machineId", q.MachineID) }

// Quote requests a quote for one service, as JSON.
//
// Experimental: the response has no published type; it is presumably a MarketQuote.
//
// POST /market/services/{serviceId}/quote (contract §3.1)
func (s *MarketServicesService) Quote(ctx context.Context, serviceID string, in QuoteMarketService) (*RawResponse, error) {
	return s.c.call(http.MethodPost, "/market/services/{serviceId}/quote", serviceID).json(in).raw(ctx)
}

// ServiceAvailability says whether a service can be used now.
type ServiceAvailability struct {
	Meta              `json:"-"`
	ServiceID         string `json:"serviceId" wire:"req"`
	Available         bool   `json:"available" wire:"req"`
	ExecutionMode     string `json:"executionMode" wire:"req"`
	IntegrationStatus string `json:"integrationStatus" wire:"req"`
	CheckedAt         string `json:"checkedAt" wire:"req"`
	Reason            string `json:"reason"`
}

// Availability reports whether a service can be used now.
//
// Experimental: the envelope is not known.
//
// GET /market/services/{serviceId}/availability (contract §3.1)
func (s *MarketServicesService) Availability(ctx context.Context, serviceID string) (*ServiceAvailability, error) {
	return itemOrWhole[ServiceAvailability](ctx, s.c.call(http.MethodGet, "/market/services/{serviceId}/availability", serviceID))
}

// MarketConversation is the request of [MarketSearchesService.Converse].
type MarketConversation struct {
	MachineID      string           `json:"machineId"`
	Message        string           `json:"message"`
	AgentPairingID Optional[string] `json:"agentPairingId,omitzero"`
	Context        json.RawMessage  `json:"context,omitzero"`
}

func (m MarketConversation) check(identityRefs) error {
	return nonBlanks("machineId", m.MachineID, "message", m.Message)
}

// MarketConversationReply is the result of [MarketSearchesService.Converse].
type MarketConversationReply struct {
	Meta              `json:"-"`
	Message           string          `json:"message" wire:"req"`
	RequiresMoreInput bool            `json:"requiresMoreInput" wire:"req"`
	SuggestedSearch   json.RawMessage `json:"suggestedSearch"` // a search request, or nil
}

// Converse refines a search in a conversation.
//
// Experimental: the envelope and the authentication are not known.
//
// POST /market/search/conversation (contract §3.1)
func (s *MarketSearchesService) Converse(ctx context.Context, in MarketConversation) (*MarketConversationReply, error) {
	return itemOrWhole[MarketConversationReply](ctx, s.c.call(http.MethodPost, "/market/search/conversation").json(in))
}

// Cancel cancels an order, and returns JSON.
//
// Experimental: the response (presumably the order) and the authentication are not
// known; the pairing token is sent.
//
// POST /market/orders/{orderId}/cancel (contract §3.1)
func (s *MarketOrdersService) Cancel(ctx context.Context, orderID string, token Secret, reason Optional[string]) (*RawResponse, error) {
	return s.c.call(http.MethodPost, "/market/orders/{orderId}/cancel", orderID).pairing(token).json(reasonBody{reason}).raw(ctx)
}

// Retry executes a failed order again, and returns JSON.
//
// Experimental: the response (presumably the order) and the authentication are not
// known; the pairing token is sent.
//
// POST /market/orders/{orderId}/retry (contract §3.1)
func (s *MarketOrdersService) Retry(ctx context.Context, orderID string, token Secret, reason Optional[string]) (*RawResponse, error) {
	return s.c.call(http.MethodPost, "/market/orders/{orderId}/retry", orderID).pairing(token).json(reasonBody{reason}).raw(ctx)
}

// OrderEvent is one event in the history of an order.
type OrderEvent struct {
	ID        string          `json:"id" wire:"req"`
	OrderID   string          `json:"orderId" wire:"req"`
	Type      string          `json:"type" wire:"req"`
	Payload   json.RawMessage `json:"payload"`
	CreatedAt string          `json:"createdAt" wire:"req"`
}

// Events returns the history of an order.
//
// Experimental: the event types and the paging are not known.
//
// GET /market/orders/{orderId}/events (contract §3.1)
func (s *MarketOrdersService) Events(ctx context.Context, orderID string) (*Page[OrderEvent], error) {
	return list[OrderEvent](ctx, s.c.call(http.MethodGet, "/market/orders/{orderId}/events", orderID))
}
