package sandbox_test

import (
	"crypto/ecdsa"
	"testing"
)

const tokenHeader = "X-Agent-Pairing-Token"

// agentKey is the wallet of a harness's pairings.
var agentKey = throwAwayKey(0x61)

// paired is a pairing with its token.
type paired struct {
	*harness
	machine, id, token string
}

// claim is the body that starts a pairing: who is paired.
func claim(key *ecdsa.PrivateKey) object {
	return object{"agentAddress": addressOf(key), "agentProvider": "openclaw", "agentRole": "operator"}
}

// agentProof returns a signed pairing challenge.
func (r *harness) agentProof(machine string, who object, key *ecdsa.PrivateKey) object {
	r.t.Helper()
	ch := r.post("/machines/"+machine+"/agent-pairings/challenges", who).ok(201)
	return object{"challengeId": ch.str("item.challengeId"), "signature": signText(key, ch.str("item.message"))}
}

// pair pairs the machine. policy may be nil.
func (r *harness) pair(machine string, policy object) paired {
	r.t.Helper()
	who := claim(agentKey)
	body := with(who, "agentProof", r.agentProof(machine, who, agentKey))
	if policy != nil {
		body["delegationPolicy"] = policy
	}
	a := r.post("/machines/"+machine+"/agent-pairings", body).ok(201)
	return paired{r, machine, a.str("item.id"), a.str("item.pairingToken")}
}

// market returns a pairing with an active machine of a new harness.
func market(t testing.TB, policy object) paired {
	t.Helper()
	r := newHarness(t)
	return r.pair(r.machine(), policy)
}

func (p paired) as(method, path string, body any) reply {
	p.t.Helper()
	return p.harness.as(p, method, path, body)
}

func (p paired) path() string { return "/machines/" + p.machine + "/agent-pairings/" + p.id }

// session gives the pairing a new token.
func (p paired) session() paired {
	p.t.Helper()
	proof := p.agentProof(p.machine, claim(agentKey), agentKey)
	p.token = p.post(p.path()+"/sessions", object{"agentProof": proof}).ok(201).str("item.pairingToken")
	return p
}

// probe makes a cheap call with the token.
func (p paired) probe() reply { p.t.Helper(); return p.as("POST", "/market/search", object{}) }

// wants returns the body of an order.
func (p paired) wants(service string, more ...any) object {
	return with(object{"machineId": p.machine, "agentPairingId": p.id, "serviceId": service}, more...)
}

func (p paired) order(service string, more ...any) reply {
	p.t.Helper()
	return p.as("POST", "/market/orders", p.wants(service, more...))
}

// made returns an accepted order of a service.
func (p paired) made(service string, more ...any) string {
	p.t.Helper()
	return p.order(service, more...).ok(201).str("item.id")
}

// onOrder makes a call on an order.
func (p paired) onOrder(order, what string, body any) reply {
	p.t.Helper()
	return p.as("POST", "/market/orders/"+order+"/"+what, body)
}

func (p paired) status(order string) string {
	p.t.Helper()
	return p.get("/market/orders/" + order).ok(200).str("item.status")
}

// providerAddress is who the catalogue's services are paid to.
const providerAddress = "0x8617E340B3D01FA5F11F306F4090FD50E238070D"

// recorded returns a proof of payment that is not looked up.
func recorded(more ...any) object {
	return with(object{
		"verificationMode": "recorded", "chain": "base", "token": "USDC", "payerAddress": addressOf(agentKey),
		"payeeAddress": providerAddress,
		"amount":       "0.25", "transactionHash": "0xcd",
	}, more...)
}

// pays pays for an order, so that it is ready.
func (p paired) pays(order string) {
	p.t.Helper()
	p.onOrder(order, "payment-intent", object{}).ok(201)
	p.onOrder(order, "payment-proof", recorded()).ok(200)
}

// blobOrder is the input of the paid service that most tests order.
var blobOrder = []any{"input", object{"content": "hello"}}

// delivered returns a paid order that has run.
func (p paired) delivered() string {
	p.t.Helper()
	id := p.made("svc_walrus_blob", blobOrder...)
	p.pays(id)
	p.onOrder(id, "execute", object{}).ok(200)
	return id
}

// in returns the same pairing for another test, such as a fuzz target.
func (p paired) in(t testing.TB) paired {
	p.harness = p.harness.in(t)
	return p
}

// as makes a call with a pairing's token.
func (r *harness) as(p paired, method, path string, body any) reply {
	r.t.Helper()
	return r.call(method, path, body, tokenHeader, p.token)
}
