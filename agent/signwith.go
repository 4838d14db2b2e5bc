package agent

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/keystore"
	"github.com/peaqnetwork/peaqos-agent/sdk"
)

// ProveElsewhere has a challenge signed with a key that is not on this machine: sign
// shows the text to the person who has the key and returns the signature. The text is
// vetted before it is shown, and the signature is verified before anything is sent.
//
// Errors: status.CodeSignature, status.CodeSigner, those of sign, of the API and of
// [SignProof].
func ProveElsewhere(
	ctx context.Context, api *sdk.Client, origin, identityRef string, sign func(text string) (string, error),
) (*Proof, error) {
	c, now, err := FetchChallenge(ctx, api, origin, identityRef)
	if err != nil {
		return nil, err
	}
	signer := ""
	if len(c.ControllerAddresses) > 0 {
		signer = c.ControllerAddresses[0] // the real signer is known after signing
	}
	if err := c.vet(identityRef, signer, now); err != nil {
		return nil, err
	}
	signature, err := sign(c.Message)
	if err != nil {
		return nil, err
	}
	signature = strings.TrimSpace(signature)
	address, err := keystore.RecoverText(c.Message, signature)
	if err != nil {
		return nil, status.NewProblem(status.CodeSignature, "expected 0x and 130 hex digits; nothing was sent")
	}
	c = c.forFirstSigner(origin, address)
	if !slices.ContainsFunc(c.ControllerAddresses, func(a string) bool { return keystore.SameAddress(a, address) }) {
		return nil, status.NewProblem(status.CodeSigner, fmt.Sprintf("it recovers to %s; the controllers of %s are %s; nothing was sent",
			address, identityRef, status.Sanitize(strings.Join(c.ControllerAddresses, ", "))))
	}
	return &Proof{ChallengeID: c.ChallengeID, IdentityRef: c.IdentityRef, Signature: signature, SignerAddress: address}, nil
}
