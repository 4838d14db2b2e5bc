package sdk

import (
	"context"
	"encoding/json"
	"net/http"
)

// The calls in this file are published as a path with types, but none of peaq's own
// clients makes them yet (contract §3.1). They are assumed to authenticate with the API
// key; {"item": …} and the bare object are both accepted.

// OwnershipChallenge is a message for a machine's owner to sign.
type OwnershipChallenge struct {
	Meta        `json:"-"`
	ChallengeID string `json:"challengeId" wire:"req"`
	MachineID   string `json:"machineId" wire:"req"`
	Message     string `json:"message" wire:"req"`
	ExpiresAt   string `json:"expiresAt" wire:"req"`
}

// CreateOwnershipChallenge is the request of
// [MachinesService.OwnershipChallenge].
type CreateOwnershipChallenge struct {
	OwnerAddress   string           `json:"ownerAddress"`
	MachineAddress Optional[string] `json:"machineAddress,omitzero"`
}

func (o CreateOwnershipChallenge) check(identityRefs) error {
	return nonBlank("ownerAddress", o.OwnerAddress)
}

// OwnershipProofInput is a signed ownership challenge.
type OwnershipProofInput struct {
	ChallengeID   string `json:"challengeId"`
	Signature     string `json:"signature"`
	SignerAddress string `json:"signerAddress"`
}

func (p OwnershipProofInput) check(identityRefs) error {
	return nonBlanks("challengeId", p.ChallengeID, "signature", p.Signature, "signerAddress", p.SignerAddress)
}

// OwnershipProof says whether the proof was accepted.
type OwnershipProof struct {
	Meta       `json:"-"`
	MachineID  string `json:"machineId" wire:"req"`
	Verified   bool   `json:"verified" wire:"req"`
	VerifiedAt string `json:"verifiedAt"`
}

// MachineTrust is a machine's bond, rating and attestation.
type MachineTrust struct {
	Meta       `json:"-"`
	MachineID  string `json:"machineId" wire:"req"`
	BondStatus string `json:"bondStatus" wire:"req"` // unbonded, bonded, unknown
	MCR        *struct {
		Score        json.Number `json:"score" wire:"req"`
		Rating       string      `json:"rating" wire:"req"`
		CalculatedAt string      `json:"calculatedAt" wire:"req"`
	} `json:"mcr"`
	Trust *struct {
		Status     string `json:"status" wire:"req"` // unverified, verified, revoked
		AttestedAt string `json:"attestedAt"`
		Attestor   string `json:"attestor"`
	} `json:"trust"`
}

// OwnershipChallenge requests a message for the owner of a machine to sign.
//
// Experimental: the envelope and the authentication are not known.
//
// POST /machines/{machineId}/ownership-challenge (contract §3.1)
func (s *MachinesService) OwnershipChallenge(
	ctx context.Context, machineID string, in CreateOwnershipChallenge,
) (*OwnershipChallenge, error) {
	return itemOrWhole[OwnershipChallenge](ctx, s.c.call(http.MethodPost, "/machines/{machineId}/ownership-challenge", machineID).json(in))
}

// ProveOwnership submits a signed challenge.
//
// Experimental: the envelope and the authentication are not known.
//
// POST /machines/{machineId}/ownership-proof (contract §3.1)
func (s *MachinesService) ProveOwnership(ctx context.Context, machineID string, in OwnershipProofInput) (*OwnershipProof, error) {
	return itemOrWhole[OwnershipProof](ctx, s.c.call(http.MethodPost, "/machines/{machineId}/ownership-proof", machineID).json(in))
}

// Trust returns a machine's bond, rating and attestation.
//
// Experimental: the envelope is not known.
//
// GET /machines/{machineId}/trust (contract §3.1)
func (s *MachinesService) Trust(ctx context.Context, machineID string) (*MachineTrust, error) {
	return itemOrWhole[MachineTrust](ctx, s.c.call(http.MethodGet, "/machines/{machineId}/trust", machineID))
}

// RotatedToken is the new token of an agent.
type RotatedToken struct {
	Meta              `json:"-"`
	AgentID           string `json:"agentId" wire:"req"`
	ProvisioningToken Secret `json:"provisioningToken" wire:"req,nonempty"`
	RotatedAt         string `json:"rotatedAt" wire:"req"`
}

type reasonBody struct {
	Reason Optional[string] `json:"reason,omitzero"`
}

// RotateToken replaces an agent's token. The server returns the new one only once.
//
// Experimental: whether the API key or the old token authenticates is not known;
// the key is sent.
//
// POST /machine-agents/{agentId}/rotate-token (contract §3.1)
func (s *MachineAgentsService) RotateToken(ctx context.Context, agentID string, reason Optional[string]) (*RotatedToken, error) {
	return itemOrWhole[RotatedToken](
		ctx, s.c.call(http.MethodPost, "/machine-agents/{agentId}/rotate-token", agentID).ownConnection().json(reasonBody{reason}),
	)
}

// AgentEvent is one event in the history of an agent.
type AgentEvent struct {
	ID        string          `json:"id" wire:"req"`
	AgentID   string          `json:"agentId" wire:"req"`
	Type      string          `json:"type" wire:"req"`
	Payload   json.RawMessage `json:"payload"`
	CreatedAt string          `json:"createdAt" wire:"req"`
}

// Events returns the history of an agent.
//
// Experimental: the event types and the paging are not known.
//
// GET /machine-agents/{agentId}/events (contract §3.1)
func (s *MachineAgentsService) Events(ctx context.Context, agentID string) (*Page[AgentEvent], error) {
	return list[AgentEvent](ctx, s.c.call(http.MethodGet, "/machine-agents/{agentId}/events", agentID))
}

// SignatureProofInput is a message signed by a paired agent.
type SignatureProofInput struct {
	Message       string `json:"message"`
	Signature     string `json:"signature"`
	SignerAddress string `json:"signerAddress"`
}

func (p SignatureProofInput) check(identityRefs) error {
	return nonBlanks("message", p.Message, "signature", p.Signature, "signerAddress", p.SignerAddress)
}

// SignatureProof says whether the signature was accepted.
type SignatureProof struct {
	Meta       `json:"-"`
	PairingID  string `json:"pairingId" wire:"req"`
	Verified   bool   `json:"verified" wire:"req"`
	VerifiedAt string `json:"verifiedAt"`
}

// ProveSignature submits a message that a paired agent has signed.
//
// Experimental: the envelope and the authentication are not known.
//
// POST /machines/{machineId}/agent-pairings/{pairingId}/signature-proof (contract §3.1)
func (s *AgentPairingsService) ProveSignature(
	ctx context.Context, machineID, pairingID string, in SignatureProofInput,
) (*SignatureProof, error) {
	r := s.c.call(http.MethodPost, "/machines/{machineId}/agent-pairings/{pairingId}/signature-proof", machineID, pairingID)
	return itemOrWhole[SignatureProof](ctx, r.json(in))
}

// Spend returns what a pairing has spent, as JSON.
//
// Experimental: the fields are published (pairingId, currency, dailySpend, dailyLimit,
// perTransactionLimit, windowStartedAt, windowEndsAt); whether the response is one item or
// a list is not known.
//
// GET /machines/{machineId}/agent-pairings/{pairingId}/spend (contract §3.1)
func (s *AgentPairingsService) Spend(ctx context.Context, machineID, pairingID string) (*RawResponse, error) {
	return s.c.call(http.MethodGet, "/machines/{machineId}/agent-pairings/{pairingId}/spend", machineID, pairingID).raw(ctx)
}

// EndpointProbe is the result of a probe.
type EndpointProbe struct {
	Meta        `json:"-"`
	ProviderKey string        `json:"providerKey" wire:"req"`
	Status      string        `json:"status" wire:"req"`
	CheckedAt   string        `json:"checkedAt" wire:"req"`
	LatencyMs   Optional[int] `json:"latencyMs,omitzero"`
	Error       string        `json:"error"`
}

type probeBody struct {
	TimeoutMs Optional[int] `json:"timeoutMs,omitzero"`
}

// Probe makes the orchestrator probe an endpoint now.
//
// Experimental: the envelope and the authentication are not known.
//
// POST /machines/{machineId}/runtime-endpoints/{providerKey}/probe (contract §3.1)
func (s *RuntimeEndpointsService) Probe(
	ctx context.Context, machineID, providerKey string, timeoutMs Optional[int],
) (*EndpointProbe, error) {
	r := s.c.call(http.MethodPost, "/machines/{machineId}/runtime-endpoints/{providerKey}/probe", machineID, providerKey)
	return itemOrWhole[EndpointProbe](ctx, r.json(probeBody{timeoutMs}))
}
