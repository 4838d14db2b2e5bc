package sandbox_test

import (
	"fmt"
	"testing"
)

func TestStreamOrderLifecycle(t *testing.T) {
	r := newHarness(t)
	seller, listing := r.offered()
	a := r.post("/stream/orders", object{"listingId": listing, "buyerId": "b1", "buyerPublicKeyHex": "aa", "chunkIds": []string{"c2"}}).ok(201)
	id := a.str("item.id")
	want := object{
		"id": id, "listingId": listing, "machineId": seller.machine, "buyerId": "b1", "chunkIds": []string{"c2"},
		"amount": 2.5, "currency": "USDC",
		"status": "payment_pending", "payment": object{"status": "pending"}, "accessGrantIds": []any{}, "deliverySessionId": "",
	}
	same(t, "order", a.at("item"), want)
	poll := func(statuses ...string) []any {
		t.Helper()
		body := object{"machineId": seller.machine, "agentId": seller.id, "agentToken": seller.token}
		if len(statuses) > 0 {
			body["statuses"] = statuses
		}
		return r.call("POST", "/stream/delivery-sessions/poll", body, "X-Api-Key", "").ok(200).items()
	}
	if waiting := poll(); len(waiting) != 0 {
		t.Errorf("an order that is not paid waits for delivery: %v", waiting)
	}
	paid := r.post("/stream/orders/"+id+"/payment", object{"paymentReference": "ref-1", "proof": object{"any": 1}}).ok(200)
	session := paid.str("item.deliverySessionId")
	if paid.str("item.status") != "paid" || paid.str("item.payment.reference") != "ref-1" {
		t.Errorf("paid %s", paid.text)
	}
	if again := r.post("/stream/orders/"+id+"/payment", object{"paymentReference": "ref-1"}).ok(200); again.text != paid.text {
		t.Errorf("paid again %s", again.text)
	}
	r.post("/stream/orders/"+id+"/payment", object{"paymentReference": "ref-2"}).fails("ORDER_CLOSED")
	r.post("/stream/orders/"+id+"/payment", object{}).fails("VALIDATION_ERROR")
	waiting := poll()
	if len(waiting) != 1 || waiting[0].(object)["id"] != session || waiting[0].(object)["status"] != "requested" {
		t.Errorf("waiting %v", waiting)
	}
	r.get("/stream/orders/" + id + "/delivery?buyerId=b1").fails("STREAM_DELIVERY_NOT_READY")
	r.post("/stream/orders/"+id+"/prepare-access", seller.prepare()).fails("VALIDATION_ERROR") // another chunk
	r.post("/stream/orders/"+id+"/prepare-access", with(seller.prepare(), "items", []object{accessTo("c2")})).ok(200)
	r.get("/stream/orders/" + id + "/delivery?buyerId=b1").ok(200)
	r.get("/stream/orders/" + id + "/delivery?buyerId=b2").fails("NOT_FOUND")
	r.get("/stream/orders/" + id + "/delivery").fails("NOT_FOUND")
	if got := r.get("/stream/orders/" + id).ok(200).str("item.status"); got != "access_ready" {
		t.Errorf("prepared: %s", got)
	}
	if len(poll()) != 0 || len(poll("requested", "ready")) != 1 {
		t.Errorf("ready: %v", poll("requested", "ready"))
	}
	update := func(body object) reply {
		body = with(body, "machineId", seller.machine, "agentId", seller.id, "agentToken", seller.token)
		return r.call("PATCH", "/stream/delivery-sessions/"+session, body)
	}
	got := update(object{"status": "active", "deliveryUrl": "https://x.example/d", "message": "on its way"}).ok(200)
	if got.str("item.status") != "active" ||
		got.str("item.delivery.url") != "https://x.example/d" || got.str("item.delivery.message") != "on its way" {
		t.Errorf("active: %s", got.text)
	}
	update(object{}).fails("VALIDATION_ERROR")
	update(object{"status": "lost"}).fails("VALIDATION_ERROR")
	update(object{"status": "completed"}).ok(200)
	update(object{"status": "active"}).fails("ORDER_CLOSED")
	if got := r.get("/purchases/" + id).ok(200); got.str("item.status") != "completed" || got.str("item.delivery.status") != "completed" {
		t.Errorf("completed: %s", got.text)
	}
	r.call(
		"PATCH", "/stream/delivery-sessions/dsess_none",
		object{"machineId": seller.machine, "agentId": seller.id, "agentToken": seller.token, "status": "active"},
	).fails("NOT_FOUND")
	r.call(
		"PATCH", "/stream/delivery-sessions/"+session,
		object{"machineId": seller.machine, "agentId": seller.id, "status": "active"},
	).fails("AGENT_AUTH_REQUIRED")
}

func TestStreamOrderLists(t *testing.T) {
	r := newHarness(t)
	seller, listing := r.offered()
	var ids []string
	for i := range 3 {
		ids = append(
			ids,
			r.post("/stream/orders", object{"listingId": listing, "buyerId": fmt.Sprint("b", i), "buyerPublicKeyHex": "aa"}).ok(201).str("item.id"),
		)
	}
	path := "/machines/" + seller.machine + "/stream/orders"
	first := r.get(path + "?limit=2").ok(200)
	rest := r.get(path + "?limit=2&cursor=" + first.str("nextCursor")).ok(200)
	if first.str("items.0.id") != ids[0] || first.str("items.1.id") != ids[1] || rest.str("items.0.id") != ids[2] ||
		rest.at("nextCursor") != nil {
		t.Errorf("orders %s %s", first.text, rest.text)
	}
	r.get("/machines/mach_none/stream/orders").fails("NOT_FOUND")
	r.get("/stream/orders/pur_none").fails("NOT_FOUND")
	for _, body := range []object{{}, {"listingId": listing, "buyerId": "b"}, {"listingId": listing, "buyerPublicKeyHex": "aa"}} {
		r.post("/stream/orders", body).fails("VALIDATION_ERROR")
	}
	r.post("/stream/orders", object{"listingId": "lst_none", "buyerId": "b", "buyerPublicKeyHex": "aa"}).fails("NOT_FOUND")
	r.post(
		"/stream/orders", object{"listingId": listing, "buyerId": "b", "buyerPublicKeyHex": "aa", "chunkIds": []string{"c7"}},
	).fails("VALIDATION_ERROR")
}
