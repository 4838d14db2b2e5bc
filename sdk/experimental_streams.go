package sdk

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
)

// StreamsService is the stream marketplace for robots (contract §3.3): a machine signs
// events and chunks, lists them for sale, and delivers them to buyers who have paid.
//
// Experimental: these calls are known from a robotics client, and from a page that says
// they may not be live. Responses are returned raw, and bodies whose fields are not all
// known are the caller's own JSON.
type StreamsService struct{ c *Client }

// StreamAgent are the credentials of a machine agent, sent in the body.
type StreamAgent struct {
	MachineID  string `json:"machineId"`
	AgentID    string `json:"agentId"`
	AgentToken Secret `json:"agentToken"`
}

func (a StreamAgent) check() error {
	return cmp.Or(nonBlanks("machineId", a.MachineID, "agentId", a.AgentID), nonBlankSecret("agentToken", a.AgentToken))
}

// CreatePolicy creates a stream policy for a machine.
//
// Experimental: the fields of body and response are not known.
//
// POST /machines/{machineId}/stream/policies (contract §3.3)
func (s *StreamsService) CreatePolicy(ctx context.Context, machineID string, policy json.RawMessage) (*RawResponse, error) {
	return s.c.call(http.MethodPost, "/machines/{machineId}/stream/policies", machineID).json(policy).raw(ctx)
}

// Policies lists the stream policies of a machine.
//
// Experimental: the fields of the items are not known.
//
// GET /machines/{machineId}/stream/policies (contract §3.3)
func (s *StreamsService) Policies(ctx context.Context, machineID string) (*Page[json.RawMessage], error) {
	return list[json.RawMessage](ctx, s.c.call(http.MethodGet, "/machines/{machineId}/stream/policies", machineID))
}

// UpdatePolicy changes a stream policy.
//
// Experimental: the fields of body and response are not known.
//
// PATCH /machines/{machineId}/stream/policies/{policyId} (contract §3.3)
func (s *StreamsService) UpdatePolicy(ctx context.Context, machineID, policyID string, patch json.RawMessage) (*RawResponse, error) {
	return s.c.call(http.MethodPatch, "/machines/{machineId}/stream/policies/{policyId}", machineID, policyID).json(patch).raw(ctx)
}

// RegisterSigningKey is the request of [StreamsService.RegisterSigningKey]: an
// Ed25519 key.
type RegisterSigningKey struct {
	AgentID      string `json:"agentId"`
	AgentToken   Secret `json:"agentToken"`
	KeyID        string `json:"keyId"`
	PublicKeyHex string `json:"publicKeyHex"`
}

func (k RegisterSigningKey) check(identityRefs) error {
	return cmp.Or(nonBlank("agentId", k.AgentID), nonBlankSecret("agentToken", k.AgentToken),
		nonBlanks("keyId", k.KeyID, "publicKeyHex", k.PublicKeyHex))
}

// RegisterSigningKey registers the key with which a machine signs its events.
//
// Experimental: the fields of the response are not known.
//
// POST /machines/{machineId}/stream/signing-keys (contract §3.3)
func (s *StreamsService) RegisterSigningKey(ctx context.Context, machineID string, in RegisterSigningKey) (*RawResponse, error) {
	return s.c.call(http.MethodPost, "/machines/{machineId}/stream/signing-keys", machineID).open().json(in).raw(ctx)
}

type streamHeartbeat struct {
	StreamAgent
	PolicyID Optional[string] `json:"policyId,omitzero"`
}

func (b streamHeartbeat) check(identityRefs) error { return b.StreamAgent.check() }

// Heartbeat reports that a machine's stream is alive.
//
// Experimental: the fields of the response are not known.
//
// POST /stream/heartbeat (contract §3.3)
func (s *StreamsService) Heartbeat(ctx context.Context, agent StreamAgent, policyID Optional[string]) (*RawResponse, error) {
	return s.c.call(http.MethodPost, "/stream/heartbeat").open().json(streamHeartbeat{agent, policyID}).raw(ctx)
}

type streamEvent struct {
	AgentToken Secret          `json:"agentToken"`
	Envelope   json.RawMessage `json:"envelope"`
}

func (e streamEvent) check(identityRefs) error { return nonBlankSecret("agentToken", e.AgentToken) }

// PublishEvent sends one signed event.
//
// Experimental: the fields of envelope and response are not known.
//
// POST /stream/events (contract §3.3)
func (s *StreamsService) PublishEvent(ctx context.Context, agentToken Secret, envelope json.RawMessage) (*RawResponse, error) {
	return s.c.call(http.MethodPost, "/stream/events").open().json(streamEvent{agentToken, envelope}).raw(ctx)
}

type streamEvents struct {
	AgentToken Secret            `json:"agentToken"`
	Items      []json.RawMessage `json:"items"`
}

func (e streamEvents) check(identityRefs) error { return nonBlankSecret("agentToken", e.AgentToken) }

// PublishEvents sends several signed events in one request.
//
// Experimental: the fields of envelopes and response are not known.
//
// POST /stream/events/batch (contract §3.3)
func (s *StreamsService) PublishEvents(ctx context.Context, agentToken Secret, envelopes []json.RawMessage) (*RawResponse, error) {
	return s.c.call(http.MethodPost, "/stream/events/batch").open().json(streamEvents{agentToken, envelopes}).raw(ctx)
}

type chainReceipt struct {
	StreamAgent
	TxHash   string `json:"txHash"`
	DataHash string `json:"dataHash"`
}

func (r chainReceipt) check(identityRefs) error {
	return cmp.Or(r.StreamAgent.check(), nonBlanks("txHash", r.TxHash, "dataHash", r.DataHash))
}

// RecordChainReceipt reports the transaction that recorded an event's hash on a chain.
//
// Experimental: the fields of the response are not known.
//
// PATCH /stream/events/{receiptId}/chain-receipt (contract §3.3)
func (s *StreamsService) RecordChainReceipt(
	ctx context.Context, receiptID string, agent StreamAgent, txHash, dataHash string,
) (*RawResponse, error) {
	r := s.c.call(http.MethodPatch, "/stream/events/{receiptId}/chain-receipt", receiptID).open()
	return r.json(chainReceipt{agent, txHash, dataHash}).raw(ctx)
}

type streamChunk struct {
	StreamAgent
	Manifest json.RawMessage `json:"manifest"`
	Metadata json.RawMessage `json:"metadata,omitzero"`
}

func (c streamChunk) check(identityRefs) error { return c.StreamAgent.check() }

// PublishChunk announces a chunk; metadata may be nil.
//
// Experimental: the fields of manifest, metadata and response are not known.
//
// POST /stream/chunks (contract §3.3)
func (s *StreamsService) PublishChunk(ctx context.Context, agent StreamAgent, manifest, metadata json.RawMessage) (*RawResponse, error) {
	return s.c.call(http.MethodPost, "/stream/chunks").open().json(streamChunk{agent, manifest, metadata}).raw(ctx)
}

type grantAccess struct {
	StreamAgent
	Access json.RawMessage `json:"access"`
}

func (g grantAccess) check(identityRefs) error { return g.StreamAgent.check() }

// GrantBuyerAccess gives a buyer the sealed key of a chunk.
//
// Experimental: the fields of the response are not known.
//
// POST /stream/buyer-access (contract §3.3)
func (s *StreamsService) GrantBuyerAccess(ctx context.Context, agent StreamAgent, access json.RawMessage) (*RawResponse, error) {
	return s.c.call(http.MethodPost, "/stream/buyer-access").ownConnection().open().json(grantAccess{agent, access}).raw(ctx)
}

// BuyerAccess lists the sealed keys of a chunk.
//
// Experimental: the fields of the items are not known.
//
// GET /stream/chunks/{chunkId}/buyer-access (contract §3.3)
func (s *StreamsService) BuyerAccess(ctx context.Context, chunkID string, buyerID Optional[string]) (*Page[json.RawMessage], error) {
	r := s.c.call(http.MethodGet, "/stream/chunks/{chunkId}/buyer-access", chunkID).ownConnection()
	return list[json.RawMessage](ctx, r.param("buyerId", buyerID))
}

// CreateListing offers chunks for sale.
//
// Experimental: some fields of the body, and those of the response, are not known.
//
// POST /machines/{machineId}/stream/listings (contract §3.3)
func (s *StreamsService) CreateListing(ctx context.Context, machineID string, listing json.RawMessage) (*RawResponse, error) {
	return s.c.call(http.MethodPost, "/machines/{machineId}/stream/listings", machineID).json(listing).raw(ctx)
}

// StreamListingOptions selects listings.
type StreamListingOptions struct {
	MachineID       Optional[string]
	IncludeInactive Optional[bool]
	StorageProvider Optional[string]
}

// Listings lists the listings for sale.
//
// Experimental: the fields of the items are not known.
//
// GET /stream/listings (contract §3.3)
func (s *StreamsService) Listings(ctx context.Context, o StreamListingOptions) (*Page[json.RawMessage], error) {
	r := s.c.call(http.MethodGet, "/stream/listings").param("machineId", o.MachineID).param("storageProvider", o.StorageProvider)
	if inactive, ok := o.IncludeInactive.Get(); ok {
		r.param("includeInactive", Some(map[bool]string{true: "true", false: "false"}[inactive]))
	}
	return list[json.RawMessage](ctx, r)
}

// Listing returns one listing.
//
// Experimental: the response and its envelope are not known.
//
// GET /stream/listings/{listingId} (contract §3.3)
func (s *StreamsService) Listing(ctx context.Context, listingID string) (*RawResponse, error) {
	return s.c.call(http.MethodGet, "/stream/listings/{listingId}", listingID).raw(ctx)
}
