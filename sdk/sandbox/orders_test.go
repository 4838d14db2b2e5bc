package sandbox_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/peaqnetwork/peaqos-agent/sdk/sandbox"
)

func TestOrderIsComplete(t *testing.T) {
	p := market(t, nil)
	input := map[string]any{"content": "x", "Odd_Key": map[string]any{"inner_key": []any{1.0, nil}}}
	a := p.order("svc_walrus_blob", "input", input, "budget", object{"amount": 1.25, "max": 2, "currency": "USDC"}).ok(201)
	for name, want := range map[string]any{
		"machineId": p.machine, "agentPairingId": p.id, "serviceId": "svc_walrus_blob", "skillKey": "walrus.storage", "providerKey": "walrus",
		"serviceType": "storage.object", "operation": "store-blob", "executionMode": "native", "integrationStatus": "native", "status": "created",
		"payment.defaultRail": "wallet", "payment.required": true, "budget.amount": 1.25, "budget.currency": "USDC",
	} {
		if a.at("item."+name) != want {
			t.Errorf("%s is %v, want %v", name, a.at("item."+name), want)
		}
	}
	if diff := cmp.Diff(any(input), a.at("item.input")); diff != "" {
		t.Errorf("the input (-sent +kept):\n%s", diff)
	}
	if back := p.get("/market/orders/" + a.str("item.id")).ok(200); back.text != a.text {
		t.Errorf("it reads back as %s", back.text)
	}
	if b := p.order("svc_location", "input", nil).ok(201); len(b.at("item.input").(object)) != 0 {
		t.Errorf("without an input it is %v", b.at("item.input"))
	}
}

func TestOrderRefusals(t *testing.T) {
	p := market(t, nil)
	draft := p.register()
	for _, c := range []struct {
		name   string
		change []any
		want   string
	}{
		{"no machine", []any{"machineId", nil}, "VALIDATION_ERROR"},
		{"other machine", []any{"machineId", draft}, "AGENT_AUTH_INVALID"},
		{"no pairing", []any{"agentPairingId", nil}, "AGENT_PAIRING_REQUIRED"},
		{"blank pairing", []any{"agentPairingId", " "}, "AGENT_PAIRING_REQUIRED"},
		{"other pairing", []any{"agentPairingId", "apair_x"}, "AGENT_AUTH_INVALID"},
		{"no service", []any{"serviceId", ""}, "VALIDATION_ERROR"},
		{"unknown service", []any{"serviceId", "svc_none"}, "NOT_FOUND"},
		{"unknown operation", []any{"operation", "no-such"}, "VALIDATION_ERROR"},
		{"input is a list", []any{"input", []any{}}, "VALIDATION_ERROR"},
		{"budget is a number", []any{"budget", 3}, "VALIDATION_ERROR"},
		{"budget below zero", []any{"budget", object{"amount": -1}}, "VALIDATION_ERROR"},
		{"price above the budget's max", []any{"budget", object{"max": 0.2}}, "VALIDATION_ERROR"},
		{"credentials are a string", []any{"providerCredentials", "x"}, "VALIDATION_ERROR"},
	} {
		t.Run(c.name, func(t *testing.T) { p.order("svc_walrus_blob", c.change...).fails(c.want) })
	}
	if n := len(p.s.Orders("")); n != 0 {
		t.Errorf("%d orders were made", n)
	}
	p.call("PATCH", "/machines/"+p.machine, object{"status": "blocked"}).ok(200)
	p.order("svc_walrus_blob").fails("MACHINE_NOT_ACTIVE")
	p.call("PATCH", "/machines/"+p.machine, object{"status": "active"}).ok(200)
	if err := p.s.SetController("did:peaq:1001", addressOf(otherKey)); err != nil {
		t.Fatal(err)
	}
	p.order("svc_walrus_blob").fails("MACHINE_NOT_ACTIVATED")
}

func TestOrderLifecycle(t *testing.T) {
	p := market(t, nil)
	id := p.made("svc_walrus_blob", blobOrder...)
	p.onOrder(id, "execute", object{}).fails("PAYMENT_REQUIRED")
	p.onOrder(id, "confirm", object{}).fails("ORDER_NOT_DELIVERED")
	p.onOrder(id, "dispute", object{"reason": "r"}).fails("ORDER_NOT_DELIVERED")
	p.onOrder(id, "payment-intent", object{}).ok(201)
	if got := p.status(id); got != "payment_pending" {
		t.Errorf("with an intent it is %s", got)
	}
	p.onOrder(id, "execute", object{}).fails("PAYMENT_REQUIRED")
	p.onOrder(id, "payment-proof", recorded()).ok(200)
	if got := p.status(id); got != "ready" {
		t.Errorf("when paid it is %s", got)
	}
	a := p.onOrder(id, "execute", object{}).ok(200)
	if a.str("order.status") != "delivered" || a.at("execution.statusCode") != 200.0 ||
		a.str("execution.outcome.result.blobId") != "LPJNul-wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ" {
		t.Errorf("executed as %s", a.text)
	}
	for name, member := range map[string]string{"taskId": "task.id", "routeId": "route.id", "runId": "run.id", "outcomeId": "outcome.id"} {
		if a.str("order."+name) != a.str("execution."+member) {
			t.Errorf("%s is not that of the execution", name)
		}
	}
	p.onOrder(id, "execute", object{}).fails("ORDER_CLOSED")
	p.onOrder(id, "cancel", object{}).fails("ORDER_CLOSED")
	p.onOrder(id, "retry", object{}).fails("ORDER_CLOSED")
	if b := p.onOrder(id, "confirm", object{}).ok(200); b.str("order.status") != "confirmed" || b.str("payment.status") != "release_pending" {
		t.Errorf("confirmed as %s", b.text)
	}
	for _, what := range []string{"confirm", "execute", "cancel"} {
		p.onOrder(id, what, object{}).fails("ORDER_CLOSED")
	}
	p.onOrder(id, "dispute", object{"reason": "r"}).fails("ORDER_CLOSED")

	var kinds []string
	for _, e := range p.get("/market/orders/" + id + "/events").ok(200).items() {
		kinds = append(kinds, e.(object)["type"].(string))
	}
	want := []string{"order.created", "order.payment-pending", "order.ready", "order.executing", "order.delivered", "order.confirmed"}
	if !slices.Equal(kinds, want) {
		t.Errorf("the history is %v", kinds)
	}
}

func TestDispute(t *testing.T) {
	p := market(t, nil)
	id := p.delivered()
	p.onOrder(id, "dispute", object{"reason": " "}).fails("VALIDATION_ERROR")
	p.onOrder(id, "dispute", object{"reason": "r", "evidence": "e"}).fails("VALIDATION_ERROR")
	a := p.onOrder(id, "dispute", object{"reason": "wrong", "evidence": object{"Odd_Key": 1}}).ok(200)
	for name, want := range map[string]any{
		"order.status": "disputed", "payment.status": "frozen", "dispute.orderId": id, "dispute.machineId": p.machine, "dispute.status": "open",
		"dispute.reason": "wrong", "dispute.evidence.Odd_Key": 1.0,
	} {
		if a.at(name) != want {
			t.Errorf("%s is %v, want %v", name, a.at(name), want)
		}
	}
	p.onOrder(id, "dispute", object{"reason": "again"}).fails("ORDER_CLOSED")
	p.onOrder(id, "confirm", object{}).fails("ORDER_CLOSED")
}

func TestFreeOrderNeedsNoIntent(t *testing.T) {
	p := market(t, nil)
	id := p.made("svc_price_feed", "input", object{"symbol": "BTC/USD"})
	if a := p.get("/market/orders/" + id + "/payment").ok(200); a.text != `{"item":null}` {
		t.Errorf("the payment is %s", a.text)
	}
	a := p.onOrder(id, "execute", object{"input": object{"symbol": "ETH/EUR"}}).ok(200)
	if a.str("execution.outcome.result.symbol") != "ETH/EUR" || a.str("order.input.symbol") != "BTC/USD" {
		t.Errorf("another input ran as %s", a.text)
	}
	if b := p.onOrder(id, "confirm", nil).ok(200); b.at("payment") != nil { // 0.2.0 sends no body
		t.Errorf("confirmed as %s", b.text)
	}
	second := p.made("svc_price_feed")
	i := p.onOrder(second, "payment-intent", object{"rail": object{"type": "wallet"}}).ok(201)
	if i.str("item.status") != "not_required" || i.str("item.rail.type") != "not-required" || p.status(second) != "ready" {
		t.Errorf("a free order's intent is %s", i.text)
	}
}

func TestFailedRun(t *testing.T) {
	p := market(t, nil)
	id := p.made("svc_walrus_blob", "operation", "read-blob", "input", object{"blobId": "none"})
	p.pays(id)
	a := p.onOrder(id, "execute", object{}).ok(200)
	if a.str("order.status") != "failed" || a.str("execution.run.status") != "failed" || a.str("execution.outcome.status") != "failed" ||
		!strings.Contains(a.str("execution.outcome.errorMessage"), "blobId") ||
		a.str("order.errorMessage") != a.str("execution.outcome.errorMessage") {
		t.Errorf("a failed run returns %s", a.text)
	}
	if a.at("execution.outcome.errorCode") != nil {
		t.Error("an errorCode is known for oneM2M alone")
	}
	p.onOrder(id, "execute", object{}).fails("ORDER_CLOSED")
	p.onOrder(id, "confirm", object{}).fails("ORDER_NOT_DELIVERED")
	if b := p.onOrder(id, "retry", object{"reason": "once more"}).ok(200); b.str("item.status") != "ready" ||
		b.at("item.errorMessage") != nil {
		t.Errorf("retried to %s", b.text)
	}
	p.delivered() // stores a blob
	p.onOrder(id, "execute", object{"input": object{"blobId": "LPJNul-wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ"}}).ok(200)
	if got := p.status(id); got != "delivered" {
		t.Errorf("after the retry it is %s", got)
	}
	lost := p.made("svc_location")
	p.onOrder(lost, "execute", object{}).ok(200)
	if c := p.onOrder(lost, "cancel", object{"reason": "given up"}).ok(200); c.str("item.status") != "cancelled" {
		t.Errorf("cancelled to %s", c.text)
	}
	p.onOrder(lost, "execute", object{}).fails("ORDER_CLOSED")
	p.onOrder(lost, "dispute", object{"reason": "r"}).fails("ORDER_CLOSED")
}

func TestHandoff(t *testing.T) {
	p := market(t, nil)
	id := p.made("svc_world_id")
	a := p.onOrder(id, "execute", object{}).ok(202)
	if a.at("execution.statusCode") != 202.0 || a.str("execution.handoff.label") == "" ||
		a.str("execution.handoff.url") == "" || a.str("order.status") != "handoff" ||
		a.str("order.handoff.url") != a.str("execution.handoff.url") || a.at("execution.outcome") != nil {
		t.Errorf("handed off as %s", a.text)
	}
	p.onOrder(id, "execute", object{}).fails("ORDER_CLOSED")
	p.onOrder(id, "confirm", object{}).fails("ORDER_NOT_DELIVERED")
	p.onOrder(id, "dispute", object{"reason": "r"}).ok(200)
}

func TestCredentialsAreNeeded(t *testing.T) {
	p := market(t, nil)
	input := object{"image": "example/vision:1"}
	id := p.made("svc_akash_deploy", "input", input)
	p.onOrder(id, "execute", object{}).fails("EXECUTION_UNSUPPORTED")
	p.call("PATCH", "/skills/akash.compute/config", object{"credentials": object{"k": "v"}}).ok(200)
	p.onOrder(id, "execute", object{}).ok(200)
	p.call("PATCH", "/skills/akash.compute/config", object{"credentials": object{}}).ok(200)

	own := p.order("svc_akash_deploy", "input", input, "providerCredentials", object{"akash": object{"consoleApiKey": "cred-zzz"}}).ok(201)
	a := p.onOrder(own.str("item.id"), "execute", object{}).ok(200)
	if a.str("execution.outcome.result.status") != "active" || strings.Contains(own.text+a.text, "cred-zzz") {
		t.Errorf("deployed as %s", a.text)
	}
	p.call("PATCH", "/skills/akash.compute/config", object{"credentials": object{"k": "v"}, "enabled": false}).ok(200)
	p.onOrder(p.made("svc_akash_deploy", "input", input), "execute", object{}).fails("EXECUTION_UNSUPPORTED")
}

func TestOrdersBelongToTheirPairing(t *testing.T) {
	p := market(t, nil)
	id := p.made("svc_walrus_blob", blobOrder...)
	p.pays(id)
	other := p.harness.pair(p.machine, nil)
	for _, what := range []string{
		"execute", "confirm", "dispute", "cancel", "retry", "payment-intent", "payment-proof", "payment/escrow-lock",
		"payment/release", "payment/refund",
	} {
		other.onOrder(id, what, object{}).fails("AGENT_AUTH_INVALID")
	}
	other.as("GET", "/market/orders/"+id, nil).fails("AGENT_AUTH_INVALID")
	other.as("GET", "/market/orders/"+id+"/events", nil).fails("AGENT_AUTH_INVALID")
	if got := p.status(id); got != "ready" {
		t.Errorf("it is %s", got)
	}
	p.as("GET", "/market/orders/"+id, nil).ok(200)
	for _, what := range []string{
		"execute", "confirm", "dispute", "cancel", "retry", "payment-intent", "payment-proof", "payment/escrow-lock",
		"payment/release", "payment/refund",
	} {
		p.onOrder("ord_none", what, object{}).fails("NOT_FOUND")
	}
	p.get("/market/orders/ord_none").fails("NOT_FOUND")
	p.get("/market/orders/ord_none/payment").fails("NOT_FOUND")
}

func TestOrdersAreListedByMachine(t *testing.T) {
	p := market(t, nil)
	var made []string
	for i := range 5 {
		made = append(made, p.made("svc_location", "input", object{"i": i}))
	}
	other := p.harness.pair(p.harness.machine(), nil)
	other.made("svc_location")
	var got []string
	for query := "&limit=2"; query != ""; {
		a := p.get("/market/orders?machineId=" + p.machine + query).ok(200)
		got = append(got, ids(a)...)
		query = ""
		if next, ok := a.at("nextCursor").(string); ok {
			query = "&limit=2&cursor=" + next
		}
	}
	if !slices.Equal(got, made) {
		t.Errorf("listed are %v, want %v", got, made)
	}
	p.get("/market/orders").fails("VALIDATION_ERROR")
	p.get("/market/orders?machineId=%20").fails("VALIDATION_ERROR")
	p.get("/market/orders?machineId=mach_none").fails("NOT_FOUND")
	if view := p.s.Orders(p.machine); len(view) != 5 || view[4].ID != made[4] {
		t.Errorf("the server knows %d orders", len(view))
	}
	var page struct{ Orders []struct{ ID string } }
	res, err := p.client.Get(p.url + "/live.json")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(&page); err != nil || len(page.Orders) != 6 {
		t.Errorf("the page shows %d orders: %v", len(page.Orders), err)
	}
}

// TestMarketSurvivesARestart: what was started before continues after it.
func TestMarketSurvivesARestart(t *testing.T) {
	file := stateFile(t)
	r := newHarness(t, sandbox.WithStateFile(file))
	p := r.pair(r.machine(), object{"dailySpendLimit": 0.3})
	search := p.as("POST", "/market/search", object{"serviceType": "storage"}).ok(201)
	id := p.made("svc_walrus_blob", blobOrder...)
	p.pays(id)
	if err := r.s.Close(); err != nil {
		t.Fatal(err)
	}
	again := newHarness(t, sandbox.WithStateFile(file))
	q := paired{again, p.machine, p.id, p.token}
	q.onOrder(id, "execute", object{}).ok(200)
	q.order("svc_walrus_blob", "quoteId", search.str("item.quotes.0.id")).fails("AGENT_DAILY_LIMIT_EXCEEDED")
	if got := again.get("/market/searches/" + search.str("item.id")).ok(200).text; got != search.text {
		t.Errorf("the search reads back as %s", got)
	}
	q.onOrder(id, "confirm", object{}).ok(200)
}
