package sandbox

// rotateToken gives an agent a fresh token; the old one ends at once, and with it
// what it opened (contract §3.1).
func (s *Server) rotateToken(c *call) (any, error) {
	a := s.st.Agents.get(c.id("agent"))
	reason := c.in.text("reason")
	switch {
	case a == nil:
		return nil, notFound("the agent")
	case c.in.err != nil:
		return nil, c.in.err
	case a.Status == "revoked":
		return nil, fail("AGENT_PAIRING_INACTIVE", "the agent is revoked")
	}
	token := a.renewToken()
	a.UpdatedAt = c.stamp()
	s.live.closeAgent(a.ID)
	payload := map[string]any{}
	if reason != "" {
		payload["reason"] = reason
	}
	c.audit("machine-agent.token-rotated", "machine-agent", a.ID, a.MachineID, payload)
	return item(map[string]any{"agentId": a.ID, "provisioningToken": token, "rotatedAt": c.stamp()}), nil
}

// listAgentEvents is the audit trail of one agent, newest first.
func (s *Server) listAgentEvents(c *call) (any, error) {
	a := s.st.Agents.get(c.id("agent"))
	if a == nil {
		return nil, notFound("the agent")
	}
	mine := func(e *storedEvent) bool { return e.ResourceType == "machine-agent" && e.ResourceID == a.ID }
	return s.pageOfTrail(c, mine, func(e *storedEvent) any {
		return map[string]any{"id": e.ID, "agentId": a.ID, "type": e.Type, "payload": e.Payload, "createdAt": e.CreatedAt}
	})
}
