package sdk

import (
	"cmp"
	"context"
	"encoding/json"
	"iter"
	"net/http"
)

// AgentPairingsService pairs AI agents with machines: which agent may act for a
// machine, and within which limits (contract §2.6).
//
// Pass the token of a [PairingSession] to the calls that take one. If it is not valid
// they fail with AGENT_AUTH_REQUIRED, AGENT_AUTH_INVALID, AGENT_AUTH_EXPIRED or
// AGENT_PAIRING_INACTIVE: create a new session.
type AgentPairingsService struct{ c *Client }

// PairingStatus is the state of a pairing.
type PairingStatus string

// The states of a pairing. A token is valid only while its pairing is active.
const (
	PairingActive  PairingStatus = "active"
	PairingPaused  PairingStatus = "paused"
	PairingRevoked PairingStatus = "revoked"
)

// AgentPairing is the permission of one agent to act for one machine.
type AgentPairing struct {
	Meta             `json:"-"`
	ID               string               `json:"id" wire:"req,nonempty"`
	MachineID        string               `json:"machineId" wire:"req,nonempty"`
	AgentAddress     string               `json:"agentAddress" wire:"req"`
	AgentProvider    string               `json:"agentProvider" wire:"req"` // free text, such as anthropic, openai
	AgentRole        string               `json:"agentRole" wire:"req"`     // free text
	Status           PairingStatus        `json:"status" wire:"req,open" enum:"active paused revoked"`
	HasAuthToken     bool                 `json:"hasAuthToken" wire:"req"`
	DelegationPolicy DelegationPolicy     `json:"delegationPolicy" wire:"req"`
	Description      string               `json:"description"`
	TokenLastFour    string               `json:"tokenLastFour"`
	AgentDID         string               `json:"agentDid"`
	SessionID        string               `json:"sessionId"`
	SessionTokenID   string               `json:"sessionTokenId"`
	SessionIssuedAt  string               `json:"sessionIssuedAt"`
	SessionExpiresAt string               `json:"sessionExpiresAt"`
	Verification     *PairingVerification `json:"verification"`
	CreatedAt        string               `json:"createdAt" wire:"req"`
	UpdatedAt        string               `json:"updatedAt" wire:"req"`
	Extra            ExtraFields          `json:"-" wire:"extra"`
}

// PairingVerification describes how the agent proved its identity.
type PairingVerification struct {
	Method             string      `json:"method" wire:"req" enum:"eip191"`
	SignerAddress      string      `json:"signerAddress" wire:"req"`
	VerifiedAt         string      `json:"verifiedAt" wire:"req"`
	ChallengeExpiresAt string      `json:"challengeExpiresAt" wire:"req"`
	Extra              ExtraFields `json:"-" wire:"extra"`
}

// DelegationPolicy limits what a paired agent may do. Amounts are in Currency. What an
// empty list means is not documented. The type is sent and received, so a limit that is not
// set and a Currency that is absent are unset Optionals in a response as well.
type DelegationPolicy struct {
	AllowedSkillKeys    []string              `json:"allowedSkillKeys"`
	DeniedSkillKeys     []string              `json:"deniedSkillKeys"`
	AllowedServiceIDs   []string              `json:"allowedServiceIds"`
	DeniedServiceIDs    []string              `json:"deniedServiceIds"`
	PerTransactionLimit Optional[json.Number] `json:"perTransactionLimit,omitzero"`
	DailySpendLimit     Optional[json.Number] `json:"dailySpendLimit,omitzero"`
	Currency            Optional[string]      `json:"currency,omitzero"`
	Extra               ExtraFields           `json:"-" wire:"extra"`
}

// PairingSession is a pairing with a new token for the agent's calls. The token replaces
// the previous one, and a change of the policy invalidates it. Its JSON has "[REDACTED]" as
// the token, and a PairingSession is not read from that. What is stored is the revealed
// token:
//
//	err := os.WriteFile(path, []byte(session.ID+"\n"+session.PairingToken.Reveal()), 0o600)
//
// and what is read later becomes a Secret again with NewSecret.
type PairingSession struct {
	AgentPairing
	PairingToken Secret `json:"pairingToken" wire:"req,nonempty"`
}

// PairingChallenge is a message for the agent to sign with the key of AgentAddress.
type PairingChallenge struct {
	Meta               `json:"-"`
	ChallengeID        string      `json:"challengeId" wire:"req,nonempty"`
	MachineID          string      `json:"machineId" wire:"req,nonempty"`
	MachineIdentityRef string      `json:"machineIdentityRef" wire:"req,nonempty"`
	AgentAddress       string      `json:"agentAddress" wire:"req,nonempty"`
	AgentDID           string      `json:"agentDid" wire:"req,nonempty"`
	AgentProvider      string      `json:"agentProvider" wire:"req,nonempty"`
	AgentRole          string      `json:"agentRole" wire:"req,nonempty"`
	Message            string      `json:"message" wire:"req,nonempty"` // signed byte for byte, EIP-191
	ExpiresAt          string      `json:"expiresAt" wire:"req,nonempty"`
	VerificationMethod string      `json:"verificationMethod" wire:"req,nonempty" enum:"eip191"`
	Extra              ExtraFields `json:"-" wire:"extra"`
}

// CreatePairingChallenge is the request of
// [AgentPairingsService.CreateChallenge]. AgentDID, when set, is
// did:pkh:eip155:<chain>:<address> of AgentAddress.
type CreatePairingChallenge struct {
	AgentAddress  string           `json:"agentAddress"`
	AgentProvider string           `json:"agentProvider"`
	AgentRole     string           `json:"agentRole"`
	AgentDID      Optional[string] `json:"agentDid,omitzero"`
}

func (p CreatePairingChallenge) check(identityRefs) error {
	return nonBlanks("agentAddress", p.AgentAddress, "agentProvider", p.AgentProvider, "agentRole", p.AgentRole)
}

// AgentProof is a signed pairing challenge. [IdentityProofInput] has the same shape, but
// proves the control of a machine's identity.
type AgentProof struct {
	ChallengeID string `json:"challengeId"`
	Signature   string `json:"signature"` // EIP-191: 0x and 130 hex digits, the last byte, v, is 27 or 28
}

func (p AgentProof) check() error {
	return nonBlanks("agentProof.challengeId", p.ChallengeID, "agentProof.signature", p.Signature)
}

// CreateAgentPairing is the request of [AgentPairingsService.Create].
type CreateAgentPairing struct {
	AgentAddress     string                     `json:"agentAddress"`
	AgentProvider    string                     `json:"agentProvider"`
	AgentRole        string                     `json:"agentRole"`
	AgentProof       AgentProof                 `json:"agentProof"`
	AgentDID         Optional[string]           `json:"agentDid,omitzero"`
	Description      Optional[string]           `json:"description,omitzero"`
	DelegationPolicy Optional[DelegationPolicy] `json:"delegationPolicy,omitzero"`
}

func (p CreateAgentPairing) check(identityRefs) error {
	return cmp.Or(
		nonBlanks("agentAddress", p.AgentAddress, "agentProvider", p.AgentProvider, "agentRole", p.AgentRole),
		p.AgentProof.check(),
	)
}

// UpdateAgentPairing is the request of [AgentPairingsService.Update]. A policy, if set,
// replaces the whole stored one.
type UpdateAgentPairing struct {
	AgentProvider    Optional[string]           `json:"agentProvider,omitzero"`
	AgentRole        Optional[string]           `json:"agentRole,omitzero"`
	Description      Optional[string]           `json:"description,omitzero"`
	Status           Optional[PairingStatus]    `json:"status,omitzero"`
	DelegationPolicy Optional[DelegationPolicy] `json:"delegationPolicy,omitzero"`
}

type createSession struct {
	AgentProof AgentProof `json:"agentProof"`
}

func (s createSession) check(identityRefs) error { return s.AgentProof.check() }

// List returns one page of a machine's pairings, without tokens.
//
// GET /machines/{machineId}/agent-pairings (contract §2.6)
func (s *AgentPairingsService) List(ctx context.Context, machineID string, o ListOptions) (*Page[AgentPairing], error) {
	page, err := list[AgentPairing](ctx, s.c.call(http.MethodGet, "/machines/{machineId}/agent-pairings", machineID).page(o))
	if err == nil {
		for i := range page.Items {
			page.Items[i].dropToken()
		}
	}
	return page, err
}

// All iterates over the pairings of all pages.
//
// GET /machines/{machineId}/agent-pairings (contract §2.6)
func (s *AgentPairingsService) All(ctx context.Context, machineID string, o ListOptions) iter.Seq2[AgentPairing, error] {
	return each(o, func(o ListOptions) (*Page[AgentPairing], error) { return s.List(ctx, machineID, o) })
}

// CreateChallenge requests the message that the agent signs, for Create or for
// CreateSession.
//
// Errors: VALIDATION_ERROR (AgentDID does not belong to AgentAddress).
//
// POST /machines/{machineId}/agent-pairings/challenges (contract §2.6)
func (s *AgentPairingsService) CreateChallenge(
	ctx context.Context, machineID string, in CreatePairingChallenge,
) (*PairingChallenge, error) {
	r := s.c.call(http.MethodPost, "/machines/{machineId}/agent-pairings/challenges", machineID).json(in)
	return itemChecked(ctx, r, func(ch *PairingChallenge) error {
		return s.c.refs.canonical("machineIdentityRef", ch.MachineIdentityRef)
	})
}

// Create pairs an agent and returns its first token.
//
// Errors: AGENT_PAIRING_PROOF_REQUIRED, _INVALID, _EXPIRED,
// AGENT_PAIRING_UNAVAILABLE, MACHINE_NOT_ACTIVE, MACHINE_IDENTITY_PROOF_REQUIRED,
// VALIDATION_ERROR.
//
// POST /machines/{machineId}/agent-pairings (contract §2.6)
func (s *AgentPairingsService) Create(ctx context.Context, machineID string, in CreateAgentPairing) (*PairingSession, error) {
	return session(ctx, s.c.call(http.MethodPost, "/machines/{machineId}/agent-pairings", machineID).json(in).ownConnection())
}

// CreateSession rotates the token: the previous one is rejected from now on. The
// challenge must have been created with the same agent, provider and role.
//
// Errors: AGENT_PAIRING_PROOF_REQUIRED, _INVALID, _EXPIRED.
//
// POST /machines/{machineId}/agent-pairings/{pairingId}/sessions (contract §2.6)
func (s *AgentPairingsService) CreateSession(ctx context.Context, machineID, pairingID string, proof AgentProof) (*PairingSession, error) {
	r := s.c.call(http.MethodPost, "/machines/{machineId}/agent-pairings/{pairingId}/sessions", machineID, pairingID)
	return session(ctx, r.json(createSession{proof}).ownConnection())
}

func session(ctx context.Context, r *call) (*PairingSession, error) {
	out, err := item[PairingSession](ctx, r)
	if err == nil {
		out.dropToken()
	}
	return out, err
}

// Update changes the fields that are set. After a change of the policy the agent needs a
// new session.
//
// PATCH /machines/{machineId}/agent-pairings/{pairingId} (contract §2.6)
func (s *AgentPairingsService) Update(ctx context.Context, machineID, pairingID string, in UpdateAgentPairing) (*AgentPairing, error) {
	r := s.c.call(http.MethodPatch, "/machines/{machineId}/agent-pairings/{pairingId}", machineID, pairingID).json(in)
	pairing, err := item[AgentPairing](ctx, r)
	if err == nil {
		pairing.dropToken()
	}
	return pairing, err
}

// Revoke ends a pairing and its token.
//
// DELETE /machines/{machineId}/agent-pairings/{pairingId} (contract §2.6)
func (s *AgentPairingsService) Revoke(ctx context.Context, machineID, pairingID string) error {
	return s.c.call(http.MethodDelete, "/machines/{machineId}/agent-pairings/{pairingId}", machineID, pairingID).nothing(ctx)
}

// dropToken removes the token from the extra members: it belongs only in PairingSession.
func (p *AgentPairing) dropToken() {
	delete(p.Extra, "pairingToken")
	delete(p.Extra, "pairing_token")
}
