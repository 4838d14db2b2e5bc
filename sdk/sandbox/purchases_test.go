package sandbox_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/peaqnetwork/peaqos-agent/sdk/sandbox"
)

// prepare returns the body by which a seller prepares access.
func (c enrolledAgent) prepare() object {
	return object{
		"machineId": c.machine, "agentId": c.id, "agentToken": c.token, "items": []object{accessTo("c1")},
		"delivery": object{"mode": "p2p", "transportId": "peaqos-p2p", "channelId": "ch", "connect": connectUntil("2999-01-01T00:00:00.000Z")},
	}
}

func connectUntil(expiresAt string) object {
	return object{"type": "peaqos-p2p-url", "url": "peaqos-p2p://198.51.100.7:9000?ticket=SECRET", "expiresAt": expiresAt}
}

func accessTo(chunk string) object {
	return object{"schemaVersion": "peaq.stream.buyer-access.v1", "chunkId": chunk, "buyer": object{
		"recipientId": "b1", "recipientType": "buyer", "algorithm": "x25519-sealedbox", "publicKeyHex": "aa", "wrappedKeyHex": "ee",
	}}
}

// order returns the body of a purchase.
func order(listing string, fields ...any) object {
	return with(object{
		"resource": object{"type": "stream.listing", "listingId": listing},
		"buyer":    object{"id": "b1", "publicKey": object{"type": "x25519", "publicKeyHex": "aa"}},
	}, fields...)
}

func transferTo(address string) object {
	return object{"rail": object{"type": "transfer", "destination": object{"payTo": address}}}
}

// bought creates a purchase and pays for it.
func (r *harness) bought(b paired, listing string) string {
	r.t.Helper()
	id := r.as(b, "POST", "/purchases", order(listing)).ok(201).str("item.id")
	r.as(b, "POST", "/purchases/"+id+"/payment-intent", transferTo("0xA")).ok(201)
	r.as(b, "POST", "/purchases/"+id+"/payment-proof", object{"rail": "transfer", "transactionHash": "0x1"}).ok(200)
	return id
}

func TestPurchaseLifecycle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHarness(t)
		seller, listing := r.offered()
		r.call("PATCH", "/machines/"+seller.machine+"/stream/listings/"+listing, object{
			"resource": object{"type": "stream.bundle", "mode": "bundle"},
			"paymentRails": []object{{
				"type": "transfer", "destination": object{"chain": "base", "token": "USDC", "payTo": "0xA", "tokenAddress": "0xT"},
			}},
			"deliveryOptions": []object{way("other"), way("peaqos-p2p")},
		}).ok(200)
		r.call(
			"PUT", "/machines/"+seller.machine+"/delivery-capabilities",
			object{"agentId": seller.id, "capabilities": []object{way("peaqos-p2p")}},
		).ok(200)
		b := r.pair(r.machine(), nil)
		notified, others := r.messages(seller), r.messages(r.enroll(b.machine))
		begun := wire(time.Now())
		who := object{"id": "b1", "publicKey": object{"type": "x25519", "publicKeyHex": "aa"}, "machineId": b.machine}
		a := r.as(b, "POST", "/purchases", order(listing,
			"buyer", with(who, "deliveryCapabilities", []object{way("peaqos-p2p")}),
			"delivery", object{"acceptableModes": []string{"tunnel", "p2p"}, "preferredTransports": []string{"peaqos-p2p", "other"}},
			"resource", object{
				"type": "stream.listing", "listingId": listing,
				"selection": object{"chunkIds": []string{"c1"}, "topic": "lidar", "startTime": begun, "endTime": begun},
			},
		)).ok(201)
		id := a.str("item.id")
		want := object{
			"id": id, "status": "delivery_reserved", "createdAt": begun, "updatedAt": begun,
			"resource": object{
				"type": "stream.listing", "listingId": listing, "mode": "bundle",
				"selection": object{"chunkIds": []string{"c1"}, "topic": "lidar", "startTime": begun, "endTime": begun},
			},
			"buyer":   with(who, "deliveryCapabilities", []object{with(way("peaqos-p2p"), "mode", "p2p", "signaling", "peaqos-socket")}),
			"payment": object{"status": "pending"},
			"delivery": object{
				"status": "requested", "mode": "p2p", "transportId": "peaqos-p2p", "protocols": []string{"tcp"},
				"encoding": "frames",
			},
		}
		same(t, "purchase", a.at("item"), want)
		told := func(kind string, payload object) {
			t.Helper()
			same(t, "seller hears", <-notified, object{"type": kind, "payload": payload})
			same(t, "buyer hears", <-others, object{"type": kind, "payload": payload})
		}
		told("purchase.created", object{"purchaseId": id})

		time.Sleep(time.Minute)
		r.as(b, "GET", "/purchases/"+id+"/delivery", nil).fails("STREAM_DELIVERY_NOT_READY")
		a = r.as(
			b, "POST", "/purchases/"+id+"/payment-intent",
			with(transferTo("0xA"), "payer", object{"address": "0xP", "chain": "base"}),
		).ok(201)
		same(t, "intent", a.at("item"), object{
			"purchaseId": id, "status": "payment_pending", "amount": object{"value": "2.5", "token": "USDC", "chain": "base"},
			"rail": object{
				"type": "transfer", "destination": object{"chain": "base", "token": "USDC", "payTo": "0xA", "tokenAddress": "0xT"},
			},
			"instructions": object{"reference": id, "amount": "2.5", "token": "USDC", "chain": "base", "payTo": "0xA", "tokenAddress": "0xT"},
		})
		r.post("/stream/orders/"+id+"/prepare-access", seller.prepare()).fails("PAYMENT_REQUIRED")
		proof := object{
			"rail": "transfer", "transactionHash": "0x1", "chain": "base", "amount": "2.5",
			"bridge": object{"provider": "lz", "sourceChain": "peaq", "sourceTransactionHash": "0x2"},
		}
		a = r.as(b, "POST", "/purchases/"+id+"/payment-proof", proof).ok(200)
		paid := wire(time.Now())
		receipt := object{"verifiedAt": paid, "chain": "base", "transactionHash": "0x1", "verificationMode": "recorded", "status": "recorded"}
		same(t, "proof", a.at("item"), object{"purchaseId": id, "paymentStatus": "verified", "deliveryStatus": "releasable", "receipt": receipt})
		told(
			"purchase.payment_proof.recorded",
			object{"purchaseId": id, "rail": "transfer", "reference": "0x1", "paymentStatus": "verified", "deliveryStatus": "releasable"},
		)
		r.as(b, "GET", "/purchases/"+id+"/delivery", nil).fails("STREAM_DELIVERY_NOT_READY")

		a = r.post("/stream/orders/"+id+"/prepare-access", with(seller.prepare(), "delivery", object{
			"mode": "p2p", "transportId": "peaqos-p2p", "channelId": "ch", "connect": connectUntil(wire(time.Now().Add(time.Hour))),
		})).ok(200)
		session := a.str("item.deliverySessionId")
		grant := a.at("item.accessGrantIds.0")
		connect := connectUntil(wire(time.Now().Add(time.Hour)))
		same(t, "prepared order", a.at("item"), object{
			"id": id, "listingId": listing, "machineId": seller.machine, "buyerId": "b1", "chunkIds": []string{"c1"},
			"amount": 2.5, "currency": "USDC",
			"status": "access_ready", "payment": object{"status": "verified", "reference": "0x1", "recordedAt": paid},
			"accessGrantIds": []any{grant}, "deliverySessionId": session,
		})
		same(t, "prepared access", a.at("access"), []any{accessTo("c1")})
		same(t, "prepared session", a.at("deliverySession"), object{
			"id": session, "machineId": seller.machine, "orderId": id, "buyerId": "b1", "chunkIds": []string{"c1"},
			"status": "ready", "createdAt": paid, "updatedAt": paid,
			"delivery": object{
				"mode": "p2p", "transportId": "peaqos-p2p", "signaling": object{"type": "peaqos-socket", "channelId": "ch"},
				"protocols": []string{"tcp"}, "encoding": "frames", "connect": connect,
			},
		})
		a = r.as(b, "GET", "/purchases/"+id+"/delivery", nil).ok(200)
		same(t, "delivery", a.body, object{"purchaseId": id, "access": []any{accessTo("c1")}, "delivery": object{
			"status": "ready", "mode": "p2p", "transportId": "peaqos-p2p", "sessionId": session, "signaling": object{
				"type": "peaqos-socket", "channelId": "ch",
			},
			"protocols": []string{"tcp"}, "encoding": "frames", "connect": connect,
		}})
		told("purchase.delivery.accessed", object{"purchaseId": id})
		time.Sleep(2 * time.Hour)
		if a = r.as(b, "GET", "/purchases/"+id+"/delivery", nil).ok(200); a.at("delivery.connect") != nil {
			t.Errorf("a connect that has expired is still handed out: %s", a.text)
		}
		told("purchase.delivery.accessed", object{"purchaseId": id})
		for _, step := range []struct{ event, status, delivery string }{
			{"buyer.connected", "delivery_released", "ready"},
			{"delivery.started", "active", "active"},
			{"delivery.completed", "completed", "completed"},
		} {
			e := r.post(
				"/purchases/"+id+"/events",
				object{"actor": object{"type": "machine", "machineId": b.machine}, "type": step.event, "payload": object{"n_N": 1}},
			).ok(201)
			same(t, "event", e.at("item"), object{"id": e.at("item.id"), "purchaseId": id, "type": step.event, "createdAt": wire(time.Now())})
			told("purchase."+step.event, object{"purchaseId": id})
			if a = r.get("/purchases/" + id).ok(200); a.str("item.status") != step.status ||
				a.str("item.delivery.status") != step.delivery || a.str("item.delivery.sessionId") != session {
				t.Errorf("after %s: %s", step.event, a.text)
			}
		}
		r.post("/purchases/"+id+"/events", object{"actor": object{}, "type": "seller.ready"}).fails("ORDER_CLOSED")
		r.as(b, "POST", "/purchases/"+id+"/payment-intent", transferTo("0xA")).fails("ORDER_CLOSED")
		r.post("/stream/orders/"+id+"/prepare-access", seller.prepare()).fails("ORDER_CLOSED")
	})
}

func TestPurchaseReservation(t *testing.T) {
	r := newHarness(t)
	_, listing := r.offered()
	b := r.pair(r.machine(), nil)
	a := r.as(b, "POST", "/purchases", order(listing)).ok(201)
	id := a.str("item.id")
	same(t, "minimal purchase", a.at("item"), object{
		"id": id, "status": "delivery_reserving", "resource": object{"type": "stream.listing", "listingId": listing},
		"buyer": object{"id": "b1", "publicKey": object{"type": "x25519", "publicKeyHex": "aa"}}, "payment": object{"status": "pending"},
		"delivery": object{"status": "requested"}, "createdAt": a.at("item.createdAt"), "updatedAt": a.at("item.updatedAt"),
	})
	r.post("/purchases/"+id+"/events", object{"actor": object{}, "type": "seller.offline"}).ok(201)
	for _, early := range []string{"delivery.started", "delivery.completed", "buyer.connected"} {
		r.post("/purchases/"+id+"/events", object{"actor": object{}, "type": early}).fails("STREAM_DELIVERY_NOT_READY")
	}
	r.post("/purchases/"+id+"/events", object{"actor": object{}, "type": "seller.ready"}).ok(201)
	if got := r.get("/purchases/" + id).str("item.status"); got != "delivery_reserved" {
		t.Errorf("after seller.ready: %s", got)
	}
	r.post("/purchases/"+id+"/events", object{"actor": object{}, "type": "delivery.failed"}).ok(201)
	if got := r.get("/purchases/" + id).str("item.status"); got != "failed" {
		t.Errorf("after delivery.failed: %s", got)
	}
}

func TestPurchaseRefused(t *testing.T) {
	r := newHarness(t)
	seller, listing := r.offered("deliveryOptions", []object{way("peaqos-p2p")})
	blocked, ofBlocked := r.offered()
	r.call("PATCH", "/machines/"+blocked.machine, object{"status": "blocked"}).ok(200)
	b := r.pair(r.machine(), nil)
	who := order(listing)["buyer"].(object)
	chunks := func(ids ...string) object {
		return object{"type": "stream.listing", "listingId": listing, "selection": object{"chunkIds": ids}}
	}
	for _, c := range []struct {
		what string
		body any
		code string
	}{
		{"nothing", object{}, "VALIDATION_ERROR"},
		{"no resource", order(listing, "resource", nil), "VALIDATION_ERROR"},
		{"another type", order(listing, "resource", object{"type": "file", "listingId": listing}), "VALIDATION_ERROR"},
		{"no listing", order(listing, "resource", object{"type": "stream.listing"}), "VALIDATION_ERROR"},
		{"unknown listing", order("lst_none"), "NOT_FOUND"},
		{"seller not active", order(ofBlocked), "MACHINE_NOT_ACTIVE"},
		{"no buyer", order(listing, "buyer", nil), "VALIDATION_ERROR"},
		{"blank buyer", order(listing, "buyer", with(who, "id", " ")), "VALIDATION_ERROR"},
		{"no key", order(listing, "buyer", with(who, "publicKey", nil)), "VALIDATION_ERROR"},
		{
			"a key of another kind",
			order(listing, "buyer", with(who, "publicKey", object{"type": "rsa", "publicKeyHex": "aa"})), "VALIDATION_ERROR",
		},
		{"an empty key", order(listing, "buyer", with(who, "publicKey", object{"type": "x25519", "publicKeyHex": ""})), "VALIDATION_ERROR"},
		{"a faulty capability", order(listing, "buyer", with(who, "deliveryCapabilities", []object{{"transportId": "x"}})), "VALIDATION_ERROR"},
		{"another's machine", order(listing, "buyer", with(who, "machineId", seller.machine)), "AGENT_AUTH_INVALID"},
		{"a chunk that is not offered", order(listing, "resource", chunks("c1", "c9")), "VALIDATION_ERROR"},
		{"a mode that is not offered", order(listing, "delivery", object{"acceptableModes": []string{"storage"}}), "VALIDATION_ERROR"},
		{"a transport that is not offered", order(listing, "delivery", object{"preferredTransports": []string{"libp2p"}}), "VALIDATION_ERROR"},
	} {
		t.Run(c.what, func(t *testing.T) { r.as(b, "POST", "/purchases", c.body).fails(c.code) })
	}
	r.post("/purchases", order(listing)).fails("AGENT_AUTH_REQUIRED")
	r.as(paired{token: "no token"}, "POST", "/purchases", order(listing)).fails("AGENT_AUTH_INVALID")
	id := r.as(b, "POST", "/purchases", order(listing)).ok(201).str("item.id")
	stranger := r.pair(r.machine(), nil)
	r.as(stranger, "POST", "/purchases/"+id+"/payment-intent", transferTo("0xA")).fails("AGENT_AUTH_INVALID")
	r.as(stranger, "POST", "/purchases/"+id+"/payment-proof", object{"rail": "transfer"}).fails("AGENT_AUTH_INVALID")
	r.as(stranger, "GET", "/purchases/"+id+"/delivery", nil).fails("AGENT_AUTH_INVALID")
	for _, path := range []string{"/payment-intent", "/payment-proof"} {
		r.as(b, "POST", "/purchases/pur_none"+path, object{}).fails("NOT_FOUND")
	}
	r.get("/purchases/pur_none").fails("NOT_FOUND")
	for _, body := range []object{
		{"type": "seller.ready"},
		{"actor": object{}},
		{"actor": object{}, "type": "seller.gone"},
		{"actor": object{"id": 1}, "type": "seller.ready"},
		{"actor": object{}, "type": "seller.ready", "payload": []int{1}},
	} {
		r.post("/purchases/"+id+"/events", body).fails("VALIDATION_ERROR")
	}
}

func TestPurchasePayment(t *testing.T) {
	r := newHarness(t)
	seller, listing := r.offered()
	b := r.pair(r.machine(), nil)
	id := r.as(b, "POST", "/purchases", order(listing)).ok(201).str("item.id")
	intent, proof := "/purchases/"+id+"/payment-intent", "/purchases/"+id+"/payment-proof"
	r.as(b, "POST", proof, object{"rail": "transfer"}).fails("NOT_FOUND")
	for _, body := range []object{
		{},
		{"rail": object{}},
		{"rail": object{"type": "cash"}},
		{"rail": object{"type": "transfer"}},
		{"rail": object{"type": "transfer", "destination": object{}}},
		{"rail": object{"type": "x402", "chain": "base"}},
		with(transferTo("0xA"), "payer", object{}),
	} {
		r.as(b, "POST", intent, body).fails("VALIDATION_ERROR")
	}
	a := r.as(b, "POST", intent, transferTo("0xA")).ok(201)
	same(t, "amount without a chain", a.at("item.amount"), object{"value": "2.5", "token": "USDC", "chain": "peaq"})
	r.as(b, "POST", proof, object{"rail": "x402", "paymentHeader": "h"}).fails("VALIDATION_ERROR")
	a = r.as(
		b, "POST", intent,
		object{"rail": object{"type": "x402", "chain": "base", "token": "USDC", "facilitatorUrl": "https://f.example"}},
	).ok(201)
	same(
		t, "instructions", a.at("item.instructions"),
		object{"reference": id, "amount": "2.5", "token": "USDC", "chain": "base", "facilitatorUrl": "https://f.example"},
	)
	for _, body := range []object{
		{},
		{"rail": "cash"},
		{"rail": "x402"},
		{"rail": "x402", "paymentHeader": " "},
		{"rail": "x402", "paymentHeader": "h", "payerAddress": 7},
		{"rail": "transfer", "verificationMode": "guess"},
		{"rail": "transfer", "bridge": object{"provider": "lz"}},
		{"rail": "transfer", "amount": 2.5},
	} {
		r.as(b, "POST", proof, body).fails("VALIDATION_ERROR")
	}
	header := object{"rail": "x402", "paymentHeader": "hdr", "paymentResponse": "resp", "payerAddress": "0xP"}
	first := r.as(b, "POST", proof, header).ok(200)
	if again := r.as(b, "POST", proof, header).ok(200); again.text != first.text {
		t.Errorf("the same proof again: %s, then %s", first.text, again.text)
	}
	sum := sha256.Sum256([]byte("hdr"))
	if got := r.get("/purchases/" + id).str("item.payment.reference"); got != "x402:base:"+hex.EncodeToString(sum[:])[:24] {
		t.Errorf("reference %s", got)
	}
	r.as(b, "POST", proof, with(header, "paymentHeader", "another")).fails("ORDER_CLOSED")
	r.as(b, "POST", intent, transferTo("0xA")).fails("ORDER_CLOSED")

	r.call("PATCH", "/machines/"+seller.machine+"/stream/listings/"+listing, object{"paymentRails": []object{
		{"type": "x402", "chain": "base", "token": "USDC"}, {"type": "transfer", "destination": object{
			"chain": "peaq", "token": "PEAQ", "payTo": "0xA",
		}},
	}}).ok(200)
	id = r.as(b, "POST", "/purchases", order(listing)).ok(201).str("item.id")
	intent = "/purchases/" + id + "/payment-intent"
	r.as(b, "POST", intent, transferTo("0xB")).fails("VALIDATION_ERROR")
	r.as(b, "POST", intent, object{"rail": object{"type": "x402", "chain": "peaq", "token": "USDC"}}).fails("VALIDATION_ERROR")
	r.as(b, "POST", intent, object{"rail": object{"type": "x402", "chain": "base", "token": "USDC"}}).ok(201)
}

func TestPrepareAccessRefused(t *testing.T) {
	r := newHarness(t)
	seller, listing := r.offered()
	id := r.bought(r.pair(r.machine(), nil), listing)
	other := r.enroll(r.machine())
	good := seller.prepare()
	entry := accessTo("c1")
	way := good["delivery"].(object)
	for _, c := range []struct {
		what string
		body any
		code string
	}{
		{"nothing at all", nil, "VALIDATION_ERROR"},
		{"no token", with(good, "agentToken", nil), "AGENT_AUTH_REQUIRED"},
		{"a wrong token", with(good, "agentToken", "mat_x"), "AGENT_AUTH_INVALID"},
		{"an agent of another machine", other.prepare(), "AGENT_AUTH_INVALID"},
		{"no items", with(good, "items", nil), "VALIDATION_ERROR"},
		{"an unknown schema", with(good, "items", []object{with(entry, "schemaVersion", "v2")}), "VALIDATION_ERROR"},
		{"no chunk", with(good, "items", []object{with(entry, "chunkId", nil)}), "VALIDATION_ERROR"},
		{"no recipient", with(good, "items", []object{with(entry, "buyer", nil)}), "VALIDATION_ERROR"},
		{
			"an unknown recipient",
			with(good, "items", []object{with(entry, "buyer", with(entry["buyer"].(object), "recipientType", "dog"))}),
			"VALIDATION_ERROR",
		},
		{
			"another algorithm",
			with(good, "items", []object{with(entry, "buyer", with(entry["buyer"].(object), "algorithm", "rsa"))}),
			"VALIDATION_ERROR",
		},
		{"no connect", with(good, "delivery", with(way, "connect", nil)), "VALIDATION_ERROR"},
		{"no transport", with(good, "delivery", with(way, "transportId", nil)), "VALIDATION_ERROR"},
		{
			"a connect of another type",
			with(good, "delivery", with(way, "connect", with(connectUntil("2999-01-01T00:00:00Z"), "type", "url"))),
			"VALIDATION_ERROR",
		},
		{
			"a connect elsewhere",
			with(good, "delivery", with(way, "connect", with(connectUntil("2999-01-01T00:00:00Z"), "url", "https://x"))),
			"VALIDATION_ERROR",
		},
		{"a connect without end", with(good, "delivery", with(way, "connect", connectUntil("soon"))), "VALIDATION_ERROR"},
	} {
		t.Run(c.what, func(t *testing.T) {
			a := r.call("POST", "/stream/orders/"+id+"/prepare-access", c.body)
			a.fails(c.code)
			if strings.Contains(a.text, "SECRET") || strings.Contains(a.text, seller.token) {
				t.Errorf("the response holds a secret: %s", a.text)
			}
		})
	}
	r.post("/stream/orders/pur_none/prepare-access", good).fails("NOT_FOUND")
	r.post("/stream/orders/"+id+"/prepare-access", with(good, "delivery", nil)).ok(200)
	a := r.post("/stream/orders/"+id+"/prepare-access", with(good, "delivery", object{"mode": "walrus"})).ok(200)
	if a.str("deliverySession.delivery.mode") != "walrus" {
		t.Errorf("another mode: %s", a.text)
	}
	for _, e := range r.s.Events("") {
		if text := fmt.Sprint(e); strings.Contains(text, "SECRET") || strings.Contains(text, seller.token) {
			t.Errorf("the audit trail holds a secret: %s", text)
		}
	}
}

func TestPurchaseProofByRPC(t *testing.T) {
	payer, payee := addressOf(controllerKey), addressOf(otherKey)
	for _, c := range []struct {
		what, answer, code string
	}{
		{"the price", mined("0x1", transferLog(usdc, payer, payee, 2_500_000)), ""},
		{"too little", mined("0x1", transferLog(usdc, payer, payee, 2_499_999)), "PAYMENT_TRANSFER_NOT_FOUND"},
		{"another token", mined("0x1", transferLog(payer, payer, payee, 2_500_000)), "PAYMENT_TRANSFER_NOT_FOUND"},
		{"a failed one", mined("0x0", transferLog(usdc, payer, payee, 2_500_000)), "PAYMENT_TX_FAILED"},
		{"not mined", `{"jsonrpc":"2.0","id":1,"result":null}`, "PAYMENT_NOT_MINED"},
		{"nonsense", "<html>", "PAYMENT_RPC_ERROR"},
	} {
		t.Run(c.what, func(t *testing.T) {
			b := chain(t, 200, c.answer)
			r := b.harness
			_, listing := r.offered()
			who := b
			id := r.as(who, "POST", "/purchases", order(listing)).ok(201).str("item.id")
			destination := object{"payTo": payee, "chain": "base", "token": "USDC", "tokenAddress": usdc}
			r.as(
				who, "POST", "/purchases/"+id+"/payment-intent",
				object{"rail": object{"type": "transfer", "destination": destination}, "payer": object{"address": payer}},
			).ok(201)
			a := r.as(
				who, "POST", "/purchases/"+id+"/payment-proof",
				object{"rail": "transfer", "verificationMode": "rpc", "transactionHash": "0xcd", "rpcUrl": "http://127.0.0.1:9"},
			)
			if c.code != "" {
				a.fails(c.code)
				if got := r.get("/purchases/" + id).str("item.payment.status"); got != "pending" {
					t.Errorf("the payment is %s", got)
				}
				return
			}
			a.ok(200)
			same(t, "receipt", a.at("item.receipt"), object{
				"verifiedAt": a.at("item.receipt.verifiedAt"), "chain": "base", "transactionHash": "0xcd",
				"verificationMode": "rpc", "status": "verified", "blockNumber": 16,
			})
		})
	}
	r := newHarness(t)
	_, listing := r.offered()
	b := r.pair(r.machine(), nil)
	id := r.as(b, "POST", "/purchases", order(listing)).ok(201).str("item.id")
	r.as(b, "POST", "/purchases/"+id+"/payment-intent", transferTo(payee)).ok(201)
	r.as(
		b, "POST", "/purchases/"+id+"/payment-proof",
		object{"rail": "transfer", "verificationMode": "rpc", "transactionHash": "0xcd"},
	).fails("PAYMENT_RPC_REQUIRED")
	r.as(b, "POST", "/purchases/"+id+"/payment-proof", object{"rail": "transfer", "verificationMode": "rpc"}).fails("VALIDATION_ERROR")
}

func TestPurchasesSurviveARestart(t *testing.T) {
	file := t.TempDir() + "/state.json"
	r := newHarness(t, sandbox.WithStateFile(file))
	seller, listing := r.offered("deliveryOptions", []object{with(way("peaqos-p2p"), "params", object{"window_Size": 8})})
	b := r.pair(r.machine(), nil)
	full, empty, open := r.bought(b, listing), r.bought(b, listing), r.as(b, "POST", "/purchases", order(listing)).ok(201).str("item.id")
	r.post("/stream/orders/"+full+"/prepare-access", seller.prepare()).ok(200)
	r.post("/stream/orders/"+empty+"/prepare-access", with(seller.prepare(), "items", []object{})).ok(200)
	look := func(r *harness) (out []string) {
		for _, id := range []string{full, empty, open} {
			out = append(out, r.get("/purchases/"+id).text, r.as(b, "GET", "/purchases/"+id+"/delivery", nil).text, r.get("/stream/orders/"+id).text)
		}
		return append(
			out, r.get("/stream/listings").text, r.as(b, "GET", "/purchases/"+full+"/delivery", nil).ok(200).text,
			r.as(b, "GET", "/purchases/"+empty+"/delivery", nil).ok(200).text,
		)
	}
	before := look(r)
	if err := r.s.Close(); err != nil {
		t.Fatal(err)
	}
	same(t, "after a restart", look(newHarness(t, sandbox.WithStateFile(file))), before)
}

// TestPurchaseProofMatchesTheIntent: a proof that is not looked up must at least be about the payment.
func TestPurchaseProofMatchesTheIntent(t *testing.T) {
	r := newHarness(t)
	destination := object{"chain": "base", "token": "USDC", "payTo": providerAddress}
	_, listing := r.offered("paymentRails", []object{{"type": "transfer", "destination": destination}})
	b := r.pair(r.machine(), nil)
	id := r.as(b, "POST", "/purchases", order(listing)).ok(201).str("item.id")
	// The buyer may write the payee in another case.
	r.as(b, "POST", "/purchases/"+id+"/payment-intent", transferTo(strings.ToLower(providerAddress))).ok(201)
	pay := func(more ...any) reply {
		return r.as(b, "POST", "/purchases/"+id+"/payment-proof", with(object{"rail": "transfer"}, more...))
	}
	for name, change := range map[string][]any{
		"DOGE on Solana":          {"chain", "solana", "token", "DOGE", "payeeAddress", "0xdead", "amount", "0"},
		"another chain":           {"chain", "solana"},
		"another token":           {"token", "DOGE"},
		"another payee":           {"payeeAddress", addressOf(agentKey)},
		"nothing paid":            {"amount", "0"},
		"too little":              {"amount", "2.49"},
		"an amount in words":      {"amount", "a lot"},
		"an amount below zero":    {"amount", "-3"},
		"a raw amount below zero": {"rawAmount", "-3"},
		"a raw amount in words":   {"rawAmount", "much"},
		"too little, raw":         {"rawAmount", "2499999"},
	} {
		t.Run(name, func(t *testing.T) { pay(change...).fails("VALIDATION_ERROR") })
	}
	if got := r.get("/purchases/" + id).str("item.payment.status"); got != "pending" {
		t.Errorf("the payment is %s", got)
	}
	right := []any{
		"chain", "BASE", "token", "usdc", "payeeAddress", "0x" + strings.ToUpper(providerAddress[2:]), "amount", "2.50", "rawAmount", "2500000",
		"transactionHash", "0x1",
	}
	paid := pay(right...).ok(200)
	if again := pay(right...).ok(200); again.text != paid.text {
		t.Errorf("the same proof again returns %s", again.text)
	}
	pay(append(right, "transactionHash", "0x2")...).fails("ORDER_CLOSED")
	pay(append(right, "amount", "3")...).fails("ORDER_CLOSED")
	r.post("/stream/orders/"+id+"/payment", object{"paymentReference": "0x1"}).fails("ORDER_CLOSED")
}

// TestAccessMatchesThePurchase: the sealed keys are those of this purchase and this buyer.
func TestAccessMatchesThePurchase(t *testing.T) {
	r := newHarness(t)
	seller, listing := r.offered()
	id := r.bought(r.pair(r.machine(), nil), listing)
	entry := accessTo("c1")
	buyer := entry["buyer"].(object)
	for name, item := range map[string]object{
		"another chunk":     accessTo("c9"),
		"another buyer":     with(entry, "buyer", with(buyer, "recipientId", "b2")),
		"another key":       with(entry, "buyer", with(buyer, "publicKeyHex", "ab")),
		"a key in words":    with(entry, "buyer", with(buyer, "wrappedKeyHex", "secret")),
		"half a byte":       with(entry, "buyer", with(buyer, "wrappedKeyHex", "e")),
		"a key without hex": with(entry, "buyer", with(buyer, "publicKeyHex", "zz")),
	} {
		t.Run(name, func(t *testing.T) {
			r.post("/stream/orders/"+id+"/prepare-access", with(seller.prepare(), "items", []object{item})).fails("VALIDATION_ERROR")
		})
	}
	operator := with(entry, "buyer", with(buyer, "recipientType", "operator", "recipientId", "op", "publicKeyHex", "ab"))
	capital := with(entry, "buyer", with(buyer, "publicKeyHex", "AA"))
	r.post("/stream/orders/"+id+"/prepare-access", with(seller.prepare(), "items", []object{capital, operator})).ok(200)
}
