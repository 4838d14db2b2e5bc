package sandbox_test

// buyer is a paired agent, with its token.
type buyer struct{ machine, pairing, token string }

// pairUp pairs an agent with a machine.
func (r *room) pairUp(machine string) buyer {
	r.t.Helper()
	who := object{"agentAddress": addressOf(otherKey), "agentProvider": "anthropic", "agentRole": "buyer"}
	path := "/machines/" + machine + "/agent-pairings"
	ch := r.post(path+"/challenges", who).ok(201)
	proof := object{"challengeId": ch.str("item.challengeId"), "signature": signText(otherKey, ch.str("item.message"))}
	a := r.post(path, with(who, "agentProof", proof)).ok(201)
	return buyer{machine, a.str("item.id"), a.str("item.pairingToken")}
}

// as makes a call with the buyer's token.
func (r *room) as(b buyer, method, path string, body any) reply {
	r.t.Helper()
	return r.call(method, path, body, "x-agent-pairing-token", b.token)
}
