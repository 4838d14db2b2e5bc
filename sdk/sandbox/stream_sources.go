package sandbox

import "encoding/hex"

// streamPolicies describes stream policies, which are stored as they were sent. The responses of
// the calls of a stream's source are not published beyond the envelope: they contain what was sent,
// without the token (contract §3.3).
func (s *Server) streamPolicies() opaqueKind {
	return opaqueKind{&s.st.StreamPolicies, "spol", "policy", "stream-policy", func(in *members) error { return in.err }}
}

func (s *Server) listStreamPolicies(c *call) (any, error) {
	m, err := s.machine(c.id("machine"))
	if err != nil {
		return nil, err
	}
	return pageOf(c, s.st.StreamPolicies.of(m.ID), nil, func(o *opaqueObject) any { return o.shown(m.ID) })
}

// registerSigningKey takes an Ed25519 key. Only the path names its machine.
func (s *Server) registerSigningKey(c *call) (any, error) {
	agentID, token := c.in.required("agentId"), c.in.required("agentToken")
	keyID, key := c.in.required("keyId"), c.in.required("publicKeyHex")
	if b, err := hex.DecodeString(key); err != nil || len(b) != 32 {
		c.in.fault("publicKeyHex", "must be 64 hex digits")
	}
	if c.in.err != nil {
		return nil, c.in.err
	}
	a, err := s.agentWith(c, c.id("machine"), agentID, token)
	if err != nil {
		return nil, err
	}
	if _, err := s.activeMachine(a.MachineID); err != nil {
		return nil, err
	}
	c.audit("stream.signing-key.registered", "machine-agent", a.ID, a.MachineID, map[string]any{"keyId": keyID})
	return c.created(map[string]any{"machineId": a.MachineID, "agentId": a.ID, "keyId": keyID, "publicKeyHex": key})
}

// source returns the authenticated agent of an active machine.
func (s *Server) source(c *call) (*storedAgent, error) {
	a, err := c.authenticate()
	if err == nil {
		_, err = s.activeMachine(a.MachineID)
	}
	return a, err
}

func (s *Server) streamHeartbeat(c *call) (any, error) {
	a, err := s.source(c)
	if err != nil {
		return nil, err
	}
	policyID := c.in.text("policyId")
	if c.in.err != nil {
		return nil, c.in.err
	}
	response := map[string]any{"machineId": a.MachineID, "agentId": a.ID}
	if policyID != "" {
		response["policyId"] = policyID
	}
	a.LastSeenAt = c.stamp()
	s.changed()
	c.saveLater = true
	return item(response), nil
}

func (s *Server) publishChunk(c *call) (any, error) {
	a, err := s.source(c)
	if err != nil {
		return nil, err
	}
	manifest, metadata := c.in.raw("manifest"), c.in.raw("metadata")
	if manifest == nil {
		c.in.fault("manifest", "must be an object")
	}
	if c.in.err != nil {
		return nil, c.in.err
	}
	response := map[string]any{"machineId": a.MachineID, "agentId": a.ID, "manifest": manifest}
	if metadata != nil {
		response["metadata"] = metadata
	}
	c.audit("stream.chunk.published", "machine-agent", a.ID, a.MachineID, nil)
	return c.created(response)
}

// grantAccess stores the sealed key of a chunk, for buyers of the chunk.
func (s *Server) grantAccess(c *call) (any, error) {
	a, err := s.source(c)
	if err != nil {
		return nil, err
	}
	o := c.in.object("access")
	if o == nil {
		c.in.fault("access", "must be an object")
		return nil, c.in.err
	}
	entry := readAccessEntry(o)
	if c.in.join(o); c.in.err != nil {
		return nil, c.in.err
	}
	s.st.ChunkAccess.add(s.next(), newID("grant"), entry.ChunkID, &entry)
	c.audit("stream.access.granted", "machine-agent", a.ID, a.MachineID, map[string]any{"chunkId": entry.ChunkID})
	return c.created(entry)
}

func (s *Server) listAccess(c *call) (any, error) {
	buyer := c.r.URL.Query().Get("buyerId")
	keep := func(e *accessEntry) bool { return buyer == "" || e.Buyer.RecipientID == buyer }
	return pageOf(c, s.st.ChunkAccess.of(c.id("chunk")), keep, func(e *accessEntry) any { return e })
}
