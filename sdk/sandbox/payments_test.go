package sandbox_test

import (
	"strings"
	"testing"

	"github.com/peaqnetwork/peaqos-agent/sdk/sandbox"
)

func TestIntentUsesTheServicesTerms(t *testing.T) {
	p := market(t, nil)
	id := p.made("svc_walrus_blob")
	a := p.onOrder(id, "payment-intent", object{}).ok(201)
	for name, want := range map[string]any{
		"orderId": id, "machineId": p.machine, "status": "intent_created", "amount": 0.25, "currency": "USDC",
		"rail.type": "wallet", "rail.chain": "base",
		"rail.token": "USDC", "rail.tokenAddress": "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913",
	} {
		if a.at("item."+name) != want {
			t.Errorf("%s is %v, want %v", name, a.at("item."+name), want)
		}
	}
	b := p.onOrder(id, "payment-intent", object{"rail": object{"type": "escrow"}, "amount": 9}).ok(200)
	if b.text != a.text || p.get("/market/orders/"+id+"/payment").ok(200).text != a.text {
		t.Errorf("a second intent returns %s", b.text)
	}
	if trail := p.s.Events(p.machine)[1]; trail.Type != "payment.intent-created" || trail.ResourceID != a.str("item.id") ||
		trail.Actor != "pairing:"+p.id {
		t.Errorf("the trail says %+v", trail)
	}
}

func TestIntentRefusalsAndChoices(t *testing.T) {
	for _, c := range []struct {
		name string
		body object
		want string
		rail string
	}{
		{
			"rail of its own",
			object{"rail": object{"type": "offchain-record", "accountId": "acc", "metadata": object{"Odd_Key": 1}}},
			"",
			"offchain-record",
		},
		{"older name", object{"rail": object{"railType": "offchain-record"}}, "", "offchain-record"},
		{"rail that is not listed", object{"rail": object{"type": "escrow"}}, "", "escrow"},
		{"more than the price", object{"amount": 1, "currency": "USDT"}, "", "wallet"},
		{"less than the price", object{"amount": 0.1}, "VALIDATION_ERROR", ""},
		{"no such rail", object{"rail": object{"type": "hope"}}, "VALIDATION_ERROR", ""},
		{"not-required", object{"rail": object{"type": "not-required"}}, "PAYMENT_REQUIRED", ""},
		{"rail is a string", object{"rail": "wallet"}, "VALIDATION_ERROR", ""},
		{"amount is a string", object{"amount": "1"}, "VALIDATION_ERROR", ""},
		{"metadata is a list", object{"rail": object{"metadata": []any{}}}, "VALIDATION_ERROR", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := market(t, nil)
			a := p.onOrder(p.made("svc_walrus_blob"), "payment-intent", c.body)
			if c.want != "" {
				a.fails(c.want)
				return
			}
			if a.ok(201).str("item.rail.type") != c.rail {
				t.Errorf("the rail is %v", a.at("item.rail"))
			}
		})
	}
	p := market(t, nil)
	id := p.made("svc_walrus_blob")
	p.onOrder(id, "cancel", object{}).ok(200)
	p.onOrder(id, "payment-intent", object{}).fails("ORDER_CLOSED")
}

func TestBuyerCannotChooseThePayee(t *testing.T) {
	p := market(t, nil)
	evil := object{"walletAddress": addressOf(agentKey), "payeeAddress": addressOf(agentKey), "payerAddress": addressOf(otherKey)}
	a := p.onOrder(p.made("svc_walrus_blob"), "payment-intent", object{"rail": evil}).ok(201)
	if a.str("item.rail.payeeAddress") == addressOf(agentKey) || a.str("item.rail.walletAddress") == addressOf(agentKey) ||
		a.str("item.rail.payerAddress") != addressOf(otherKey) {
		t.Errorf("the rail is %v", a.at("item.rail"))
	}
}

func TestEnforcedRails(t *testing.T) {
	r := newHarness(t, sandbox.WithEnforcedRails())
	p := r.pair(r.machine(), nil)
	id := p.made("svc_walrus_blob")
	p.onOrder(id, "payment-intent", object{"rail": object{"type": "escrow"}}).fails("VALIDATION_ERROR")
	p.onOrder(id, "payment-intent", object{"rail": object{"type": "offchain-record"}}).ok(201)
}

func TestRecordedProof(t *testing.T) {
	p := market(t, nil)
	id := p.made("svc_walrus_blob")
	p.onOrder(id, "payment-proof", recorded()).fails("NOT_FOUND") // no intent
	p.onOrder(id, "payment-intent", object{}).ok(201)
	for _, c := range []struct {
		name   string
		change []any
	}{
		{"no mode", []any{"verificationMode", nil}},
		{"unknown mode", []any{"verificationMode", "hope"}},
		{"no chain", []any{"chain", nil}},
		{"blank token", []any{"token", " "}},
		{"no payer", []any{"payerAddress", nil}},
		{"no payee", []any{"payeeAddress", nil}},
		{"no amount", []any{"amount", nil}},
		{"amount is a number", []any{"amount", 1}},
		{"amount is a word", []any{"amount", "one"}},
		{"amount below zero", []any{"amount", "-1"}},
		{"raw amount with a point", []any{"rawAmount", "1.5"}},
		{"decimals out of range", []any{"tokenDecimals", 99}},
		{"metadata is a list", []any{"metadata", []any{}}},
	} {
		t.Run(c.name, func(t *testing.T) { p.onOrder(id, "payment-proof", recorded(c.change...)).fails("VALIDATION_ERROR") })
	}
	a := p.onOrder(id, "payment-proof", recorded("metadata", object{"Odd_Key": 1})).ok(200)
	for name, want := range map[string]any{
		"status": "held", "rail.type": "wdk-usdt-transfer", "proof.chain": "base", "proof.token": "USDC", "proof.transactionHash": "0xcd",
		"proof.payerAddress": addressOf(agentKey), "proof.verificationMode": "recorded", "proof.metadata.Odd_Key": 1.0,
	} {
		if a.at("item."+name) != want {
			t.Errorf("%s is %v, want %v", name, a.at("item."+name), want)
		}
	}
	if b := p.onOrder(id, "payment-proof", recorded("metadata", object{"Odd_Key": 1})).ok(200); b.text != a.text {
		t.Errorf("the same proof again returns %s", b.text)
	}
	p.onOrder(id, "payment-proof", recorded("transactionHash", "0xee")).fails("ORDER_CLOSED")

	solana := p.made("svc_walrus_blob")
	p.onOrder(solana, "payment-intent", object{"rail": object{"chain": "solana"}}).ok(201)
	s := p.onOrder(
		solana, "payment-proof",
		recorded("verificationMode", "rpc", "chain", "solana", "transactionHash", nil, "transactionSignature", "5sig", "tokenMint", "Mint"),
	).ok(200)
	if s.str("item.proof.verificationMode") != "recorded" || s.str("item.proof.transactionHash") != "5sig" {
		t.Errorf("a proof on Solana is %s", s.text)
	}
}

// TestRecordedProofMatchesTheIntent: a proof that is not looked up must at least be about the payment.
func TestRecordedProofMatchesTheIntent(t *testing.T) {
	p := market(t, nil)
	id := p.made("svc_walrus_blob")
	p.onOrder(id, "payment-intent", object{}).ok(201)
	for name, change := range map[string][]any{
		"another chain":   {"chain", "solana"},
		"another token":   {"token", "DOGE"},
		"another payee":   {"payeeAddress", addressOf(agentKey)},
		"no address":      {"payeeAddress", "0xdead"},
		"too little":      {"amount", "0.249999"},
		"too little, raw": {"rawAmount", "249999"},
		"zero":            {"amount", "0"},
		"other contract":  {"tokenAddress", addressOf(agentKey)},
	} {
		t.Run(name, func(t *testing.T) {
			p := p.in(t)
			p.onOrder(id, "payment-proof", recorded(change...)).fails("VALIDATION_ERROR")
			if got := p.status(id); got != "payment_pending" {
				t.Errorf("the order is %s", got)
			}
		})
	}
	p.onOrder(id, "payment-proof", recorded(
		"chain", "eip155:8453", "token", "usdc", "payeeAddress", "0x"+strings.ToUpper(providerAddress[2:]),
		"amount", "0.250000", "rawAmount", "250000",
	)).ok(200)
}

// TestSecondPayment: an order is paid once, whatever the rail and the route.
func TestSecondPayment(t *testing.T) {
	p := market(t, nil)
	id, terms := p.challenged()
	sign := func(nonce string) object {
		a := authorize(terms)
		a["nonce"] = "0x" + strings.Repeat(nonce, 32)
		return object{"payment": object{"paymentSignature": header(terms, a, signTransfer(agentKey, terms, a))}}
	}
	first, second := sign("01"), sign("02")
	paid := p.onOrder(id, "payment-proof", first).ok(200)
	again := func(when string) {
		t.Helper()
		if a := p.onOrder(id, "payment-proof", first).ok(200); a.str("item.id") != paid.str("item.id") {
			t.Errorf("%s: the proof that paid returns %s", when, a.text)
		}
		p.onOrder(id, "payment-proof", second).fails("ORDER_CLOSED")
		p.onOrder(id, "payment-proof", recorded("amount", "0.01")).fails("ORDER_CLOSED")
	}
	again("paid")
	p.onOrder(id, "execute", second).fails("ORDER_CLOSED")
	p.onOrder(id, "execute", first).ok(200)
	again("delivered")
	p.onOrder(id, "confirm", object{}).ok(200)
	again("confirmed")
	p.onOrder(id, "payment/release", object{}).ok(200)
	again("released")

	wallet := p.made("svc_walrus_blob", blobOrder...)
	p.pays(wallet)
	p.onOrder(wallet, "payment-proof", second).fails("ORDER_CLOSED")
	p.onOrder(wallet, "execute", second).fails("ORDER_CLOSED")
	lock := object{"transactionHash": "0xab", "chain": "base", "escrowAddress": addressOf(otherKey)}
	p.onOrder(wallet, "payment/escrow-lock", lock).fails("ORDER_CLOSED")
	p.onOrder(wallet, "execute", object{}).ok(200)
}

func TestReleaseAndRefund(t *testing.T) {
	p := market(t, nil)
	id := p.made("svc_walrus_blob", blobOrder...)
	for _, what := range []string{"release", "refund"} {
		p.onOrder(id, "payment/"+what, nil).fails("NOT_FOUND")
	}
	p.onOrder(id, "payment-intent", object{}).ok(201)
	p.onOrder(id, "payment/release", nil).fails("ORDER_NOT_DELIVERED")
	p.onOrder(id, "payment/refund", nil).fails("ORDER_NOT_DELIVERED")
	p.onOrder(id, "payment-proof", recorded()).ok(200)
	p.onOrder(id, "payment/release", nil).fails("ORDER_NOT_DELIVERED")
	p.onOrder(id, "execute", object{}).ok(200)
	p.onOrder(id, "payment/release", nil).fails("ORDER_NOT_DELIVERED")
	p.onOrder(id, "confirm", object{}).ok(200)
	p.onOrder(id, "payment/refund", nil).fails("ORDER_CLOSED")
	p.onOrder(id, "payment/release", object{"notes": 7}).fails("VALIDATION_ERROR")
	a := p.onOrder(id, "payment/release", object{"transactionHash": "0xab", "notes": "thanks"}).ok(200)
	if a.str("item.status") != "released" || !strings.Contains(a.text, "notes: thanks") || !strings.Contains(a.text, "transactionHash: 0xab") {
		t.Errorf("released as %s", a.text)
	}
	p.onOrder(id, "payment/release", nil).fails("ORDER_CLOSED")
	p.onOrder(id, "payment/refund", nil).fails("ORDER_CLOSED")

	frozen := p.delivered()
	p.onOrder(frozen, "dispute", object{"reason": "r"}).ok(200)
	p.onOrder(frozen, "payment/release", nil).fails("ORDER_CLOSED")
	if b := p.onOrder(frozen, "payment/refund", object{"reason": "agreed"}).ok(200); b.str("item.status") != "refunded" {
		t.Errorf("refunded as %s", b.text)
	}
	if got := p.status(frozen); got != "disputed" {
		t.Errorf("the order is %s", got)
	}

	unused := p.made("svc_walrus_blob", blobOrder...)
	p.pays(unused)
	p.onOrder(unused, "payment/refund", nil).ok(200)
	if got := p.status(unused); got != "cancelled" {
		t.Errorf("an order that is paid back is %s", got)
	}
	p.onOrder(unused, "execute", object{}).fails("ORDER_CLOSED")
	p.onOrder(unused, "payment-proof", recorded()).ok(200) // repeating it returns the payment
}

func TestEscrow(t *testing.T) {
	p := market(t, nil)
	lock := object{"transactionHash": "0xab", "chain": "base", "escrowAddress": addressOf(otherKey)}
	id := p.made("svc_field_inspection", "input", object{"site": "pump house"})
	p.onOrder(id, "payment/escrow-lock", lock).fails("NOT_FOUND")
	p.onOrder(id, "payment-intent", object{}).ok(201)
	for _, name := range []string{"transactionHash", "chain", "escrowAddress"} {
		p.onOrder(id, "payment/escrow-lock", with(lock, name, nil)).fails("VALIDATION_ERROR")
	}
	a := p.onOrder(id, "payment/escrow-lock", lock).ok(200)
	if a.str("item.status") != "held" || a.str("item.rail.escrowAddress") != addressOf(otherKey) || p.status(id) != "ready" {
		t.Errorf("locked as %s", a.text)
	}
	if b := p.onOrder(id, "payment/escrow-lock", lock).ok(200); b.text != a.text {
		t.Errorf("the same lock again returns %s", b.text)
	}
	p.onOrder(id, "payment/escrow-lock", with(lock, "transactionHash", "0xff")).fails("ORDER_CLOSED")
	p.onOrder(id, "payment-proof", recorded("amount", "4.5")).fails("ORDER_CLOSED")
	if e := p.onOrder(id, "execute", object{}).ok(200); e.str("execution.outcome.result.reportId") == "" {
		t.Errorf("executed as %s", e.text)
	}
	other := p.made("svc_walrus_blob")
	p.onOrder(other, "payment-intent", object{}).ok(201)
	p.onOrder(other, "payment/escrow-lock", lock).fails("VALIDATION_ERROR")
	p.onOrder(other, "cancel", object{}).ok(200)
	p.onOrder(other, "payment-proof", recorded()).fails("ORDER_CLOSED")
}
