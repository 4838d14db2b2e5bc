package sandbox

import (
	"crypto/sha256"
	"crypto/subtle"
	"strings"
)

// auth says which credentials a route needs (contract §1.3).
type auth int

const (
	authNone            auth = iota // none; agents send their token in the body
	authPlatform                    // the API key
	authPairing                     // a pairing token
	authOptionalPairing             // a pairing token if one is sent, else the API key
)

const pairingHeader = "X-Agent-Pairing-Token"

// checkKey checks the API key, which may be in either of two headers (contract §1.2).
func (c *call) checkKey() error {
	keys := c.s.apiKeys
	switch {
	case len(keys) == 0, c.route.auth == authNone:
		return nil
	case c.route.auth == authPairing && !c.s.pairingNeedsKey:
		return nil
	case c.route.auth == authOptionalPairing && !c.s.pairingNeedsKey && c.r.Header.Get(pairingHeader) != "":
		return nil
	}
	switch key := c.sentKey(); {
	case key == "":
		return fail("AUTH_REQUIRED", "an API key is required (x-api-key)")
	case !c.s.isKey(key):
		return fail("AUTH_INVALID", "the API key is not valid")
	}
	return nil
}

// sentKey returns the API key of the request, or "".
func (c *call) sentKey() string {
	key := c.r.Header.Get("X-Api-Key")
	if bearer, ok := strings.CutPrefix(c.r.Header.Get("Authorization"), "Bearer "); key == "" && ok {
		key = bearer
	}
	return key
}

// checkToken finds the pairing of the token, on routes that need one.
func (c *call) checkToken() error {
	token := c.r.Header.Get(pairingHeader)
	switch c.route.auth {
	case authPairing:
	case authOptionalPairing:
		if token == "" {
			return nil
		}
	default:
		return nil
	}
	p, err := c.s.pairingOf(token, c.now)
	switch {
	case err != nil:
		return err
	case !c.knows(p.SessionIssuedAt):
		return fail("AGENT_AUTH_INVALID", "the pairing token is not known (yet)")
	}
	if machine := c.id("machine"); machine != "" && machine != p.MachineID {
		return fail("AGENT_AUTH_INVALID", "the pairing token was issued for another machine")
	}
	c.pair, c.actor = p, "pairing:"+p.ID
	return nil
}

// owns rejects a machine or pairing that does not belong to the token (contract §2.6). An empty id
// is not checked.
func (c *call) owns(machineID, pairingID string) error {
	switch {
	case machineID != "" && machineID != c.pair.MachineID:
		return fail("AGENT_AUTH_INVALID", "the pairing token was issued for another machine")
	case pairingID != "" && pairingID != c.pair.ID:
		return fail("AGENT_AUTH_INVALID", "the pairing token was issued for another pairing")
	}
	return nil
}

// authenticate finds the agent named in the body and checks its token, which may also be in one of
// the two headers of contract §2.4.
func (c *call) authenticate() (*storedAgent, error) {
	machineID, agentID, token := c.in.required("machineId"), c.in.required("agentId"), c.in.text("agentToken")
	if c.in.err != nil {
		return nil, c.in.err
	}
	if strings.TrimSpace(token) == "" {
		token = c.r.Header.Get(pairingHeader)
	}
	if token == "" {
		token, _ = strings.CutPrefix(c.r.Header.Get("Authorization"), "Bearer ")
	}
	return c.s.agentWith(c, machineID, agentID, token)
}

// agentWith returns the agent if the token is right and the agent is not revoked.
func (s *Server) agentWith(c *call, machineID, agentID, token string) (*storedAgent, error) {
	if token == "" {
		return nil, fail("AGENT_AUTH_REQUIRED", "the agent's token is required")
	}
	a, err := s.agentOf(machineID, agentID)
	if err != nil {
		return nil, err
	}
	if !c.sees(a) {
		return nil, notFound("the agent")
	}
	sum := sha256.Sum256([]byte(token))
	if subtle.ConstantTimeCompare(sum[:], a.TokenHash[:]) != 1 {
		return nil, fail("AGENT_AUTH_INVALID", "the agent's token is not valid")
	}
	if a.Status == "revoked" {
		return nil, fail("AGENT_PAIRING_INACTIVE", "the agent is revoked")
	}
	c.actor = "agent:" + a.ID
	return a, nil
}
