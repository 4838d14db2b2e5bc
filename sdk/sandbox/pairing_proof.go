package sandbox

import (
	"strconv"
	"strings"
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

// oneLine keeps free text from looking like another line of the challenge.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

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
	signed := func(signer string) bool { return strings.EqualFold(signer, b.Address) }
	ch, signer, err := s.redeem(c, proof, "AGENT_PAIRING_PROOF", right, signed)
	if err != nil {
		return nil, err
	}
	return &Verification{Method: "eip191", SignerAddress: signer, VerifiedAt: c.stamp(), ChallengeExpiresAt: ch.ExpiresAt}, nil
}

// pairingProof checks a text signed by the agent (contract §3.1). For another signer verified is
// false. The envelope is not published: an item.
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
	good := err == nil && strings.EqualFold(signer, address) && strings.EqualFold(signer, p.AgentAddress)
	return item(map[string]any{"pairingId": p.ID, "verified": good, "verifiedAt": c.stamp()}), nil
}
