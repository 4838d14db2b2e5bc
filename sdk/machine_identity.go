package sdk

import (
	"context"
	"net/http"
)

// MachineIdentityService proves who controls a machine (contract §2.1).
type MachineIdentityService struct{ c *Client }

// IdentityChallenge is a message for the controller of a machine's DID to sign.
type IdentityChallenge struct {
	Meta        `json:"-"`
	ChallengeID string `json:"challengeId" wire:"req,nonempty"`
	// IdentityRef is did:peaq:<decimal>, also if the request used the alias.
	IdentityRef string `json:"identityRef" wire:"req,nonempty"`
	// Message must be signed byte for byte with EIP-191 personal_sign: never trim or
	// rebuild it.
	Message            string `json:"message" wire:"req"`
	ExpiresAt          string `json:"expiresAt" wire:"req"` // RFC 3339, a few minutes from now
	VerificationMethod string `json:"verificationMethod" wire:"req" enum:"eip191"`
	// ControllerAddresses has at least one address; one of them must sign.
	ControllerAddresses []string    `json:"controllerAddresses" wire:"req,nonempty"`
	Extra               ExtraFields `json:"-" wire:"extra"`
}

type challengeRequest struct {
	IdentityRef string `json:"identityRef"`
}

// CreateChallenge requests a challenge for did:peaq:<decimal> or its alias
// peaqos:machine:<decimal>. Sign its Message, then send its ID and the signature as an
// IdentityProofInput. It can be used once, until it expires.
//
// Errors: PEAQOS_IDENTITY_UNAVAILABLE, NOT_FOUND.
//
// POST /machine-identity/challenges (contract §2.1)
func (s *MachineIdentityService) CreateChallenge(ctx context.Context, identityRef string) (*IdentityChallenge, error) {
	r := s.c.call(http.MethodPost, "/machine-identity/challenges")
	r.err = s.c.refs.check("identityRef", identityRef)
	r.json(challengeRequest{identityRef})
	return itemChecked(ctx, r, func(ch *IdentityChallenge) error { return s.c.refs.canonical("identityRef", ch.IdentityRef) })
}
