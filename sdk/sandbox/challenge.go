package sandbox

import (
	"crypto/rand"
	"fmt"
	"slices"
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

// signers are the addresses that may sign a challenge; none means anyone.
type signers []string

func (s signers) accepts(address string) bool {
	return len(s) == 0 || slices.ContainsFunc(s, func(a string) bool { return strings.EqualFold(a, address) })
}

func (s signers) String() string { return strings.Join(s[:min(len(s), 8)], " or ") }

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
	ch.Message = challengeText(title, lines)
	s.st.Challenges.add(s.next(), ch.ID, "", &ch)
	s.changed()
	return &ch
}

// challengeText returns the text of a challenge. It never has the length of a hash, an address, an
// uncompressed public key or a signature (32, 20, 64 or 65 bytes): a signer must be able to refuse
// all texts that could be one of those.
func challengeText(title string, lines []string) string {
	text := title + "\n\n" + strings.Join(lines, "\n")
	for slices.Contains([]int{20, 32, 64, 65}, len(text)) {
		text += "."
	}
	return text
}

// redeem checks a proof {challengeId, signature}: the challenge must be accepted by right, unused,
// not expired, and signed by one of the expected signers. The error codes are <family>_INVALID
// and <family>_EXPIRED.
func (s *Server) redeem(
	c *call, proof *members, family string, right func(*challenge) bool, signed signers,
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
	if err != nil {
		return refuse(err.Error())
	}
	if !signed.accepts(signer) {
		why := fmt.Sprintf("the signature of the challenge's message is from %s, but the expected signer is %s", signer, signed)
		if mistake := likelyMistake(ch.Message, signature, signed.accepts); mistake != "" {
			why += ": " + mistake
		}
		return refuse(why)
	}
	ch.Used, ch.Message = true, ""
	s.changed()
	return ch, signer, nil
}
