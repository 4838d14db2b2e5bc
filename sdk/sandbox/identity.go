package sandbox

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// canonicalRef returns an identity in the server's spelling: the decimal DID for itself and its
// alias, the address form unchanged (contract §2.1). It returns "" for anything else.
func canonicalRef(ref string) string {
	rest, ok := strings.CutPrefix(ref, "did:peaq:")
	if !ok {
		rest, ok = strings.CutPrefix(ref, "peaqos:machine:")
	}
	if ok && (rest == "0" || !strings.HasPrefix(rest, "0")) {
		if _, decimal := wholeNumber(rest); decimal {
			return "did:peaq:" + rest
		}
	}
	if address, ok := strings.CutPrefix(ref, "did:peaq:"); ok && isAddress(address) {
		return ref
	}
	return ""
}

// identityKey maps the spellings of one address to the same key.
func identityKey(canonical string) string { return strings.ToLower(canonical) }

func notAnAddress(given string) error {
	return fmt.Errorf("sandbox: the controller %.100q is not an address (0x and 40 hex digits)", given)
}

// controllerRef returns the identity of a controller setting; "" means every decimal identity.
func controllerRef(ref string) (string, error) {
	canonical := canonicalRef(ref)
	if ref != "" && (canonical == "" || strings.HasPrefix(canonical, "did:peaq:0x")) {
		return "", fmt.Errorf("sandbox: %.100q is not a decimal identity (did:peaq:<number>)", ref)
	}
	return canonical, nil
}

// SetController replaces the controllers of an identity while the server runs; without an address
// it removes them. A machine whose proof was signed by another address is no longer verified: reads
// and heartbeats fail with MACHINE_NOT_ACTIVATED.
func (s *Server) SetController(ref string, addresses ...string) error {
	key, err := controllerRef(ref)
	for _, a := range addresses {
		if !isAddress(a) {
			err = errors.Join(err, notAnAddress(a))
		}
	}
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.controllers[key] = slices.Clone(addresses)
	return nil
}

// controllersOf returns the addresses that control an identity; none if it cannot be resolved.
func (s *Server) controllersOf(canonical string) []string {
	if address, ok := strings.CutPrefix(canonical, "did:peaq:"); ok && isAddress(address) {
		return []string{address}
	}
	if own, ok := s.controllers[canonical]; ok {
		return own
	}
	if all := s.controllers[""]; len(all) > 0 || !s.trustFirst {
		return all
	}
	if m := s.st.Machines.get(s.byIdentity[identityKey(canonical)]); m != nil && m.IdentityProof != nil {
		return []string{m.IdentityProof.SignerAddress} // the first signer
	}
	return nil
}

// SetRegistry sets whether the registry that knows the controllers of identities can be reached.
// While it cannot, everything that must verify an identity fails with PEAQOS_IDENTITY_UNAVAILABLE:
// challenges, proofs, reads of machines and heartbeats.
func (s *Server) SetRegistry(reachable bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unreachable = !reachable
}

// registry returns an error while the registry cannot be reached.
func (s *Server) registry() error {
	if s.unreachable {
		return fail("PEAQOS_IDENTITY_UNAVAILABLE", "the identity registry cannot be reached: try again later")
	}
	return nil
}

// resolve returns the controllers of an identity; none if its first signer will become its
// controller.
func (s *Server) resolve(ref string) (signers, error) {
	if err := s.registry(); err != nil {
		return nil, err
	}
	controllers := s.controllersOf(ref)
	if len(controllers) == 0 && !s.trustFirst {
		return nil, fail("PEAQOS_IDENTITY_UNAVAILABLE", "no controller of "+ref+" is known: "+
			"start the sandbox with --controller 0x<address>, or with --trust-first-signer")
	}
	return controllers, nil
}

// acceptedRef returns an identity in the server's spelling, or an error that says what is wrong.
func (s *Server) acceptedRef(given string) (string, error) {
	ref := canonicalRef(given)
	switch {
	case ref == "":
		return "", invalid("identityRef is not a machine DID (did:peaq:<number>)")
	case s.decimalRefs && strings.HasPrefix(ref, "did:peaq:0x"):
		return "", invalid("identityRef has the form of the first generation, did:peaq:0x<address>, which this server does not accept: " +
			"use did:peaq:<number>")
	}
	return ref, nil
}

func (s *Server) createIdentityChallenge(c *call) (any, error) {
	given := c.in.required("identityRef")
	if c.in.err != nil {
		return nil, c.in.err
	}
	ref, err := s.acceptedRef(given)
	if err != nil {
		return nil, err
	}
	controllers, err := s.resolve(ref)
	if err != nil {
		return nil, err
	}
	if len(controllers) == 0 {
		controllers = signers{NoController}
	}
	ch := s.newChallenge(c, challenge{Kind: forIdentity, Ref: ref}, "peaqOS machine identity", "identity: "+ref)
	return c.created(map[string]any{
		"challengeId": ch.ID, "identityRef": ref, "message": ch.Message, "expiresAt": ch.ExpiresAt,
		"verificationMethod": "eip191", "controllerAddresses": controllers,
	})
}

// Proof is a verified identity, as of the time of its verification.
type Proof struct {
	Method              string   `json:"method"`
	IdentityRef         string   `json:"identityRef"`
	SignerAddress       string   `json:"signerAddress"`
	ChallengeID         string   `json:"challengeId"`
	VerifiedAt          Moment   `json:"verifiedAt"`
	ChallengeExpiresAt  Moment   `json:"challengeExpiresAt"`
	ControllerAddresses []string `json:"controllerAddresses"`
	ResolutionSource    string   `json:"resolutionSource"`
}

// proveIdentity checks the identityProof of a body and uses up its challenge.
func (s *Server) proveIdentity(c *call, ref string) (*Proof, error) {
	proof := c.in.object("identityProof")
	if c.in.err != nil {
		return nil, c.in.err
	}
	if proof == nil {
		return nil, fail("MACHINE_IDENTITY_PROOF_REQUIRED", "identityProof is required")
	}
	controllers, err := s.resolve(ref)
	if err != nil {
		return nil, err
	}
	right := func(ch *challenge) bool { return ch.Kind == forIdentity && identityKey(ch.Ref) == identityKey(ref) }
	ch, signer, err := s.redeem(c, proof, "MACHINE_IDENTITY_PROOF", right, controllers)
	if err != nil {
		return nil, err
	}
	if len(controllers) == 0 {
		controllers = signers{signer}
	}
	return &Proof{
		Method: "eip191", IdentityRef: ref, SignerAddress: signer, ChallengeID: ch.ID, VerifiedAt: c.stamp(),
		ChallengeExpiresAt: ch.ExpiresAt, ControllerAddresses: slices.Clone(controllers), ResolutionSource: "peaqos-mcr",
	}, nil
}

// verified reports whether the stored proof still holds: its signer controls the identity now
// (contract §2.2).
func (s *Server) verified(m *Machine) bool {
	return m.IdentityProof != nil && slices.ContainsFunc(s.controllersOf(m.IdentityRef), func(a string) bool {
		return strings.EqualFold(a, m.IdentityProof.SignerAddress)
	})
}
