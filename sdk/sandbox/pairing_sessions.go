package sandbox

import (
	"crypto/subtle"
	"net/http"
	"time"
)

func (s *Server) createSession(c *call) (any, error) {
	if _, err := s.pairable(c.id("machine")); err != nil {
		return nil, err
	}
	p, err := s.pairingNamed(c)
	if err != nil {
		return nil, err
	}
	if p.Status != "active" {
		return nil, fail("AGENT_PAIRING_INACTIVE", "the pairing is "+p.Status)
	}
	who := binding{Address: p.AgentAddress, DID: p.AgentDID, Provider: p.AgentProvider, Role: p.AgentRole}
	if p.Verification, err = s.renewVerification(c, p, who); err != nil {
		return nil, err
	}
	s.live.closePairing(p.ID)
	return s.withSession(c, p, "agent-pairing.session-created")
}

// renewVerification returns the new verification, or the old one if the new proof is invalid.
func (s *Server) renewVerification(c *call, p *storedPairing, who binding) (*Verification, error) {
	v, err := s.proveAgent(c, who, p.MachineID)
	if err != nil {
		return p.Verification, err
	}
	return v, nil
}

// withSession gives the pairing a new token, which replaces the old one, and returns both.
func (s *Server) withSession(c *call, p *storedPairing, kind string) (any, error) {
	p.SessionID, p.SessionTokenID = newID("asess"), newID("atok")
	p.SessionIssuedAt, p.SessionExpiresAt = c.stamp(), Moment{c.now.Add(s.sessionTTL)}
	claims := sessionClaims{
		MachineID: p.MachineID, PairingID: p.ID, SessionID: p.SessionID, AgentAddress: p.AgentAddress, AgentDID: p.AgentDID,
		DelegationPolicyHash: p.DelegationPolicy.hash(),
		ID:                   p.SessionTokenID, IssuedAt: c.now.Unix(), ExpiresAt: wholeSecond(p.SessionExpiresAt.Time).Unix(),
	}
	token, err := signToken(claims, s.st.SessionKey)
	if err != nil {
		return nil, err
	}
	p.HasAuthToken, p.TokenLastFour, p.UpdatedAt = true, token[len(token)-4:], c.stamp()
	c.audit(kind, "agent-pairing", p.ID, p.MachineID, map[string]any{"agentProvider": p.AgentProvider, "agentRole": p.AgentRole})
	c.status = http.StatusCreated
	return item(struct {
		*Pairing
		PairingToken string `json:"pairingToken"`
	}{&p.Pairing, token}), nil
}

// wholeSecond rounds up: claims are in whole seconds, and a token must not end before its session.
func wholeSecond(t time.Time) time.Time {
	if whole := t.Truncate(time.Second); !whole.Equal(t) {
		return whole.Add(time.Second)
	}
	return t
}

// pairingOf returns the pairing of a token (contract §2.6, the codes of a pairing token).
func (s *Server) pairingOf(token string, now time.Time) (*storedPairing, error) {
	if token == "" {
		return nil, fail("AGENT_AUTH_REQUIRED", "a pairing token is required")
	}
	claims, err := readToken(token, s.st.SessionKey)
	if err != nil {
		return nil, fail("AGENT_AUTH_INVALID", "the pairing token is not valid")
	}
	p := s.st.Pairings.get(claims.PairingID)
	switch {
	case p == nil, claims.MachineID != p.MachineID:
		return nil, fail("AGENT_AUTH_INVALID", "unknown pairing")
	case p.Status != "active":
		return nil, fail("AGENT_PAIRING_INACTIVE", "the pairing is "+p.Status)
	case !sameText(claims.SessionID, p.SessionID), !sameText(claims.ID, p.SessionTokenID):
		return nil, fail("AGENT_AUTH_INVALID", "the pairing token was replaced by a newer session")
	case claims.DelegationPolicyHash != p.DelegationPolicy.hash():
		return nil, fail("AGENT_AUTH_INVALID", "the delegation policy changed after the token was issued: open a new session")
	case !now.Before(p.SessionExpiresAt.Time), now.Unix() >= claims.ExpiresAt:
		return nil, fail("AGENT_AUTH_EXPIRED", "the pairing token has expired: open a new session")
	}
	return p, nil
}

func sameText(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }
