package sandbox

import "strings"

// ownership records who has proven to own a machine (contract §3.1).
type ownership struct {
	MachineID  string `json:"machineId"`
	Address    string `json:"address"`
	VerifiedAt Moment `json:"verifiedAt"`
}

// createOwnershipChallenge creates a challenge for the owner's wallet.
func (s *Server) createOwnershipChallenge(c *call) (any, error) {
	m, err := s.activeMachine(c.id("machine"))
	if err != nil {
		return nil, err
	}
	owner, address := c.in.required("ownerAddress"), c.in.text("machineAddress")
	switch {
	case c.in.err != nil:
		return nil, c.in.err
	case !isAddress(owner), address != "" && !isAddress(address):
		return nil, invalid("ownerAddress and machineAddress are addresses (0x and 40 hex digits)")
	}
	lines := []string{"machine: " + m.IdentityRef, "owner: " + owner}
	if address != "" {
		lines = append(lines, "machine address: "+address)
	}
	ch := s.newChallenge(c, challenge{Kind: forOwnership, MachineID: m.ID, Address: owner}, "peaqOS machine ownership", lines...)
	return c.created(map[string]any{"challengeId": ch.ID, "machineId": m.ID, "message": ch.Message, "expiresAt": ch.ExpiresAt})
}

// proveOwnership checks the signed challenge. An invalid proof fails like one of an identity.
func (s *Server) proveOwnership(c *call) (any, error) {
	m, err := s.activeMachine(c.id("machine"))
	if err != nil {
		return nil, err
	}
	claimed := c.in.required("signerAddress")
	right := func(ch *challenge) bool {
		return ch.Kind == forOwnership && ch.MachineID == m.ID && strings.EqualFold(ch.Address, claimed)
	}
	_, signer, err := s.redeem(c, c.in, "MACHINE_IDENTITY_PROOF", right, signers{claimed})
	if err != nil {
		return nil, err
	}
	s.st.Owners.remove(m.ID)
	s.st.Owners.add(s.next(), m.ID, "", &ownership{MachineID: m.ID, Address: signer, VerifiedAt: c.stamp()})
	c.audit("machine.ownership.verified", "machine", m.ID, m.ID, map[string]any{"owner": signer})
	return item(map[string]any{"machineId": m.ID, "verified": true, "verifiedAt": c.stamp()}), nil
}

// getTrust returns the trust record of a machine. There is no chain here, so the bond is unknown
// and no rating is computed; a proven owner counts as the attestor.
func (s *Server) getTrust(c *call) (any, error) {
	m, err := s.machine(c.id("machine"))
	if err != nil {
		return nil, err
	}
	trust := map[string]any{"status": "unverified"}
	if o := s.st.Owners.get(m.ID); o != nil {
		trust = map[string]any{"status": "verified", "attestedAt": o.VerifiedAt, "attestor": o.Address}
	}
	return item(map[string]any{"machineId": m.ID, "bondStatus": "unknown", "trust": trust}), nil
}
