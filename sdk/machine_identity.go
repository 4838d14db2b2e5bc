package sdk

import (
	"context"
	"net/http"
)

// MachineIdentityService proves who controls a machine (contract §2.1).
type MachineIdentityService struct{ c *Client }

// IdentityChallenge is a text that the controller of a machine's DID signs.
type IdentityChallenge struct {
	Meta        `json:"-"`
	ChallengeID string `json:"challengeId" wire:"req,nonempty"`
	// IdentityRef is did:peaq:<decimal>: the server turns the alias into it.
	IdentityRef string `json:"identityRef" wire:"req,nonempty"`
	// Message is signed byte for byte, by EIP-191 personal_sign; never trim or
	// rebuild it.
	Message            string `json:"message" wire:"req"`
	ExpiresAt          string `json:"expiresAt" wire:"req"` // RFC 3339; a few minutes ahead
	VerificationMethod string `json:"verificationMethod" wire:"req" enum:"eip191"`
	// ControllerAddresses are the addresses one of which must sign; at least one.
	ControllerAddresses []string    `json:"controllerAddresses" wire:"req,nonempty"`
	Extra               ExtraFields `json:"-" wire:"extra"`
}

type challengeRequest struct {
	IdentityRef string `json:"identityRef"`
}

// CreateChallenge asks for a challenge for did:peaq:<decimal> or its alias
// peaqos:machine:<decimal>. Sign its Message, then send id and signature as an
// IdentityProofInput; it can be used once, until it expires.
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
