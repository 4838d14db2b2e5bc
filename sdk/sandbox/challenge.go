package sandbox

import (
	"crypto/rand"
	"strings"
	"time"
)

// What a challenge was made for; it proves nothing else.
const (
	forIdentity  = "identity"
	forPairing   = "pairing"
	forOwnership = "ownership"
)

// keepExpired is how long a challenge that ran out still answers "expired" and
// not "unknown".
const keepExpired = time.Hour

// challenge is a text that waits for its signature.
type challenge struct {
	ID, Kind  string
	Ref       string // canonical identity, for forIdentity
	MachineID string
	Address   string // who must sign, where one address is named
	DID       string
	Provider  string
	Role      string
	Message   string // "" once it was used
	ExpiresAt Moment
	Used      bool
}

// newChallenge writes and keeps the text. The real wording is not published; this
// one says what it is for, line by line, with a nonce.
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

// redeem checks a proof {challengeId, signature}: a challenge that right accepts,
// not used, not expired, signed by one whom signed accepts. The codes are those
// of its family: <family>_INVALID and <family>_EXPIRED.
func (s *Server) redeem(c *call, proof *members, family string, right func(*challenge) bool, signed func(string) bool) (*challenge, string, error) {
	id, signature := proof.required("challengeId"), proof.required("signature")
	if proof.err != nil {
		return nil, "", proof.err
	}
	refuse := func(why string) (*challenge, string, error) { return nil, "", fail(family+"_INVALID", why) }
	ch := s.st.Challenges.get(id)
	switch {
	case ch == nil:
		return refuse("the challenge is not known")
	case ch.Used:
		return refuse("the challenge was used before")
	case !right(ch):
		return refuse("the challenge was made for something else")
	case !c.now.Before(ch.ExpiresAt.Time):
		return nil, "", fail(family+"_EXPIRED", "the challenge has expired")
	}
	signer, err := recoverText(ch.Message, signature)
	if err != nil || !signed(signer) {
		return refuse("the signature is not that of the expected address")
	}
	ch.Used, ch.Message = true, ""
	s.changed()
	return ch, signer, nil
}
