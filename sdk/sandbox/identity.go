package sandbox

import (
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/ethereum/go-ethereum/crypto"
)

var (
	decimalForm = regexp.MustCompile(`^(?:did:peaq:|peaqos:machine:)(0|[1-9][0-9]{0,77})$`)
	addressForm = regexp.MustCompile(`^did:peaq:(0x[0-9a-fA-F]{40})$`)
)

// canonical writes an identity as the server does; "" for none of its forms.
func canonical(ref string) string {
	if m := decimalForm.FindStringSubmatch(ref); m != nil {
		if n, ok := new(big.Int).SetString(m[1], 10); ok && n.BitLen() <= 256 {
			return "did:peaq:" + m[1]
		}
		return ""
	}
	if addressForm.MatchString(ref) {
		return ref
	}
	return ""
}

// controllerOf is the address that speaks for an identity, "" when none does.
func (s *Server) controllerOf(ref string) string {
	if m := addressForm.FindStringSubmatch(ref); m != nil {
		return m[1]
	}
	if a := s.controllers[ref]; a != "" {
		return a
	}
	return s.controllers[""]
}

// challengeOf is a challenge that waits for its signature.
type challengeOf struct {
	IdentityRef string
	Message     string
	ExpiresAt   time.Time
	Controller  string
	Used        bool
}

func (s *Server) createChallenge(r *request) (any, error) {
	given, err := r.text("identityRef", true)
	if err != nil {
		return nil, err
	}
	ref := canonical(given)
	if ref == "" {
		return nil, invalid("identityRef is not a machine DID")
	}
	controller := s.controllerOf(ref)
	if controller == "" {
		return nil, fail(http.StatusServiceUnavailable, "PEAQOS_IDENTITY_UNAVAILABLE", "no controller is known for this identity")
	}
	s.forgetOld(r.now)
	id := newID("chal")
	c := &challengeOf{IdentityRef: ref, ExpiresAt: r.now.Add(s.challengeTTL), Controller: controller}
	c.Message = fmt.Sprintf("peaqOS machine identity verification\nIdentity: %s\nChallenge: %s\nNonce: %s\nExpires: %s", ref, id, newID("n"), stamp(c.ExpiresAt))
	s.data.Challenges[id] = c
	s.changed()
	r.status = http.StatusCreated
	return item(map[string]any{
		"challengeId": id, "identityRef": ref, "message": c.Message, "expiresAt": stamp(c.ExpiresAt),
		"verificationMethod": "eip191", "controllerAddresses": []string{controller},
	}), nil
}

// forgetOld keeps the challenges bounded.
func (s *Server) forgetOld(now time.Time) {
	for id, c := range s.data.Challenges {
		if now.Sub(c.ExpiresAt) > time.Hour || len(s.data.Challenges) >= maxChallenges {
			delete(s.data.Challenges, id)
		}
	}
}

// prove checks an identityProof and uses its challenge up.
func (s *Server) prove(r *request, ref string) (*Proof, error) {
	bad := func(why string) (*Proof, error) {
		return nil, fail(http.StatusBadRequest, "MACHINE_IDENTITY_PROOF_INVALID", why)
	}
	proof, err := r.object("identityProof")
	if err != nil {
		return nil, err
	}
	if proof == nil {
		return nil, fail(http.StatusBadRequest, "MACHINE_IDENTITY_PROOF_REQUIRED", "identityProof is required")
	}
	id, err1 := textOf(proof, "challengeId")
	signature, err2 := textOf(proof, "signature")
	if err := errors.Join(err1, err2); err != nil || id == "" || signature == "" {
		return bad("identityProof needs challengeId and signature")
	}
	c := s.data.Challenges[id]
	if c == nil || c.Used || c.IdentityRef != ref {
		return bad("the challenge is not known, was used, or was made for another identity")
	}
	if !r.now.Before(c.ExpiresAt) {
		return nil, fail(http.StatusBadRequest, "MACHINE_IDENTITY_PROOF_EXPIRED", "the challenge has expired")
	}
	signer, err := recoverText(c.Message, signature)
	if err != nil || !strings.EqualFold(signer, c.Controller) {
		return bad("the signature is not the controller's")
	}
	c.Used = true
	return &Proof{
		Method: "eip191", IdentityRef: ref, SignerAddress: signer, ChallengeID: id, VerifiedAt: stamp(r.now),
		ChallengeExpiresAt: stamp(c.ExpiresAt), ControllerAddresses: []string{c.Controller}, ResolutionSource: "peaqos-mcr",
	}, nil
}

// recoverText is EIP-191 recovery.
func recoverText(text, signature string) (string, error) {
	sig, err := hex.DecodeString(strings.TrimPrefix(signature, "0x"))
	if err != nil || len(sig) != 65 {
		return "", errors.New("not a signature")
	}
	if sig[64] >= 27 {
		sig[64] -= 27
	}
	hash := crypto.Keccak256(fmt.Appendf(nil, "\x19Ethereum Signed Message:\n%d", len(text)), []byte(text))
	pub, err := crypto.SigToPub(hash, sig)
	if err != nil {
		return "", err
	}
	return crypto.PubkeyToAddress(*pub).Hex(), nil
}
