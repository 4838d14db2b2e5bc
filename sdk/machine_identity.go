package sdk

import (
	"context"
	"net/http"
)

// MachineIdentityService proves the DID of a machine (contract §2.1).
type MachineIdentityService struct{ c *Client }

// IdentityChallenge is a text to be signed by a controller of the identity, byte
// for byte, with EIP-191 personal_sign. It is short-lived.
type IdentityChallenge struct {
	Meta                Meta     `json:"-"`
	ChallengeID         string   `json:"challengeId"`
	IdentityRef         string   `json:"identityRef"` // did:peaq:<decimal>
	Message             string   `json:"message"`
	ExpiresAt           string   `json:"expiresAt"`
	VerificationMethod  string   `json:"verificationMethod"` // eip191
	ControllerAddresses []string `json:"controllerAddresses"`
}

func (ch *IdentityChallenge) UnmarshalJSON(b []byte) error {
	type plain IdentityChallenge
	return decodeObject(b, (*plain)(ch), "challengeId", "identityRef", "message", "expiresAt", "verificationMethod", "controllerAddresses")
}

// CreateChallenge asks for a challenge. Errors: ValidationError for a reference
// that is not canonical; APIError with PEAQOS_IDENTITY_UNAVAILABLE or NOT_FOUND.
//
// POST /machine-identity/challenges
func (s *MachineIdentityService) CreateChallenge(ctx context.Context, identityRef string) (*IdentityChallenge, error) {
	if err := s.c.checkIdentityRef(identityRef); err != nil {
		return nil, err
	}
	var out item[IdentityChallenge]
	meta, err := s.c.do(ctx, call{method: http.MethodPost, path: "/machine-identity/challenges", auth: authPlatform,
		body: map[string]string{"identityRef": identityRef}}, &out)
	if err != nil {
		return nil, err
	}
	ch := &out.value
	ch.Meta = meta
	if err := s.c.canonicalRef(ch.IdentityRef); err != nil {
		return nil, shapeFault(err, meta)
	}
	for name, v := range map[string]string{"challengeId": ch.ChallengeID, "message": ch.Message, "expiresAt": ch.ExpiresAt} {
		if v == "" {
			return nil, shapeFault(&shapeError{name}, meta)
		}
	}
	if len(ch.ControllerAddresses) == 0 || ch.VerificationMethod != "eip191" {
		return nil, shapeFault(&shapeError{"controllerAddresses or verificationMethod"}, meta)
	}
	return ch, nil
}
