package sandbox

import (
	"crypto/rand"
	"strings"
	"time"
)

// A challenge has one purpose and cannot be used for another.
const (
	forIdentity  = "identity"
	forPairing   = "pairing"
	forOwnership = "ownership"
)

// keepExpired is how long an expired challenge is reported as expired instead of unknown.
const keepExpired = time.Hour

// challenge is a text to be signed.
type challenge struct {
	ID, Kind  string
	Ref       string // canonical identity, for forIdentity
	MachineID string
	Address   string // the required signer, if it is a single address
	DID       string
	Provider  string
	Role      string
	Message   string // "" after use
	ExpiresAt Moment
	Used      bool
}

// newChallenge creates and stores a challenge. The real wording is not published; this one states
// its purpose line by line and contains a nonce.
func (s *Server) newChallenge(c *call, ch challenge, title string, lines ...string) *challenge {
	for t := &s.st.Challenges; t.len() > 0 && c.now.Sub(t.rows[0].V.ExpiresAt.Time) > keepExpired; {
		t.remove(t.rows[0].ID)
	}
	ch.ID = newID(map[string]string{forIdentity: "mchal", forPairing: "achal", forOwnership: "ochal"}[ch.Kind])
	ch.ExpiresAt = Moment{c.now.Add(s.challengeTTL)}
	lines = append(lines, "challenge: "+ch.ID, "nonce: "+rand.Text(), "issued at: "+c.stamp().String(), "expires at: "+ch.ExpiresAt.String())
	ch.Message = title + "\n\n" + strings.Join(lines, "\n")
	s.st.Challenges.add(s.next(), ch.ID, "", &ch)
	s.changed()
	return &ch
}

// redeem checks a proof {challengeId, signature}: the challenge must be accepted by right, unused,
// not expired, and signed by an address that signed accepts. The error codes are <family>_INVALID
// and <family>_EXPIRED.
func (s *Server) redeem(
	c *call, proof *members, family string, right func(*challenge) bool, signed func(string) bool,
) (*challenge, string, error) {
	id, signature := proof.required("challengeId"), proof.required("signature")
	if proof.err != nil {
		return nil, "", proof.err
	}
	refuse := func(why string) (*challenge, string, error) { return nil, "", fail(family+"_INVALID", why) }
	ch := s.st.Challenges.get(id)
	switch {
	case ch == nil:
		return refuse("unknown challenge")
	case ch.Used:
		return refuse("the challenge has already been used")
	case !right(ch):
		return refuse("the challenge was issued for another purpose")
	case !c.now.Before(ch.ExpiresAt.Time):
		return nil, "", fail(family+"_EXPIRED", "the challenge has expired")
	}
	signer, err := recoverText(ch.Message, signature)
	if err != nil || !signed(signer) {
		return refuse("the signature is not from the expected address")
	}
	ch.Used, ch.Message = true, ""
	s.changed()
	return ch, signer, nil
}
