package sandbox

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
)

// binding says who is paired: the four values that a challenge covers.
type binding struct{ Address, DID, Provider, Role string }

// readBinding reads a binding. Without agentDid it is the address on Ethereum's main chain
// (contract §2.6).
func readBinding(in *members) (binding, error) {
	b := binding{
		Address: in.required("agentAddress"), Provider: in.required("agentProvider"), Role: in.required("agentRole"),
		DID: in.text("agentDid"),
	}
	switch {
	case in.err != nil:
		return b, in.err
	case !isAddress(b.Address):
		return b, invalid("agentAddress is not an address (0x and 40 hex digits)")
	case b.DID == "":
		b.DID = "did:pkh:eip155:1:" + b.Address
	case !b.ownsDID():
		return b, invalid("agentDid is not did:pkh:eip155:<chain>:<agentAddress>")
	}
	return b, nil
}

func (b binding) ownsDID() bool {
	rest, ok := strings.CutPrefix(b.DID, "did:pkh:eip155:")
	chain, address, two := strings.Cut(rest, ":")
	n, err := strconv.ParseUint(chain, 10, 64)
	return ok && two && err == nil && n > 0 && strconv.FormatUint(n, 10) == chain && strings.EqualFold(address, b.Address)
}

func (b binding) same(ch *challenge) bool {
	return strings.EqualFold(b.Address, ch.Address) && strings.EqualFold(b.DID, ch.DID) && b.Provider == ch.Provider && b.Role == ch.Role
}

func (s *Server) createPairingChallenge(c *call) (any, error) {
	m, err := s.pairable(c.id("machine"))
	if err != nil {
		return nil, err
	}
	b, err := readBinding(c.in)
	if err != nil {
		return nil, err
	}
	ch := s.newChallenge(c, challenge{Kind: forPairing, MachineID: m.ID, Address: b.Address, DID: b.DID, Provider: b.Provider, Role: b.Role},
		"peaqOS agent pairing", "machine: "+m.IdentityRef, "agent: "+b.DID, "provider: "+oneLine(b.Provider), "role: "+oneLine(b.Role))
	return c.created(map[string]any{
		"challengeId": ch.ID, "machineId": m.ID, "machineIdentityRef": m.IdentityRef, "agentAddress": b.Address, "agentDid": b.DID,
		"agentProvider": b.Provider, "agentRole": b.Role, "message": ch.Message, "expiresAt": ch.ExpiresAt, "verificationMethod": "eip191",
	})
}

// oneLine keeps free text from looking like another line of the challenge, or from hiding something:
// a character that cannot be seen is shown as its code.
func oneLine(s string) string {
	var b strings.Builder
	for _, r := range strings.Join(strings.Fields(s), " ") {
		if unicode.IsPrint(r) {
			b.WriteRune(r)
		} else {
			fmt.Fprintf(&b, "<%U>", r)
		}
	}
	return b.String()
}

// proveAgent checks the agentProof of a body and uses up its challenge.
func (s *Server) proveAgent(c *call, b binding, machineID string) (*Verification, error) {
	proof := c.in.object("agentProof")
	if c.in.err != nil {
		return nil, c.in.err
	}
	if proof == nil {
		return nil, fail("AGENT_PAIRING_PROOF_REQUIRED", "agentProof is required")
	}
	right := func(ch *challenge) bool { return ch.Kind == forPairing && ch.MachineID == machineID && b.same(ch) }
	ch, signer, err := s.redeem(c, proof, "AGENT_PAIRING_PROOF", right, signers{b.Address})
	if err != nil {
		return nil, err
	}
	return &Verification{Method: "eip191", SignerAddress: signer, VerifiedAt: c.stamp(), ChallengeExpiresAt: ch.ExpiresAt}, nil
}

// pairingProof checks a text signed by the agent (contract §3.1). For another signer verified is
// false, and reason, a member of this sandbox's own, says why. The envelope is not published: an item.
func (s *Server) pairingProof(c *call) (any, error) {
	p, err := s.pairingNamed(c)
	if err != nil {
		return nil, err
	}
	message, signature, address := c.in.required("message"), c.in.required("signature"), c.in.required("signerAddress")
	if c.in.err != nil {
		return nil, c.in.err
	}
	signer, err := recoverText(message, signature)
	result := map[string]any{"pairingId": p.ID, "verified": false, "verifiedAt": c.stamp()}
	switch {
	case err != nil:
		result["reason"] = err.Error()
	case !strings.EqualFold(signer, address):
		result["reason"] = "the signature is from " + signer + ", but signerAddress is " + address
	case !strings.EqualFold(signer, p.AgentAddress):
		result["reason"] = "the signature is from " + signer + ", but the agent of the pairing is " + p.AgentAddress
	default:
		result["verified"] = true
	}
	return item(result), nil
}
