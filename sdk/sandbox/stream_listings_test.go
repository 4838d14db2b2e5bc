package sandbox_test

import (
	"fmt"
	"reflect"
	"testing"
)

func TestStreamListings(t *testing.T) {
	r := newHarness(t)
	agent, id := r.offered("storageProvider", "walrus")
	second := r.list(r.machine())
	if got := r.get("/stream/listings/" + id).ok(200); got.str("item.machineId") != agent.machine ||
		got.str("item.status") != "active" || got.at("item.price.amount") != 2.5 {
		t.Errorf("listing %s", got.text)
	}
	ids := func(query string) (out []string) {
		for i, items := 0, r.get("/stream/listings"+query).ok(200); i < len(items.items()); i++ {
			out = append(out, items.str(fmt.Sprintf("items.%d.id", i)))
		}
		return out
	}
	for query, want := range map[string][]string{
		"": {id, second}, "?machineId=" + agent.machine: {id}, "?storageProvider=walrus": {id}, "?storageProvider=none": nil, "?limit=1": {id},
	} {
		if got := ids(query); !reflect.DeepEqual(got, want) {
			t.Errorf("%q lists %v, want %v", query, got, want)
		}
	}
	r.call("PATCH", "/machines/"+agent.machine, object{"status": "blocked"}).ok(200)
	if got := ids(""); len(got) != 1 || got[0] != second {
		t.Errorf("a blocked machine still sells: %v", got)
	}
	if got := ids("?includeInactive=true"); len(got) != 2 {
		t.Errorf("all listings: %v", got)
	}
	r.get("/stream/listings/lst_none").fails("NOT_FOUND")
}

func TestListingPurchaseFields(t *testing.T) {
	r := newHarness(t)
	agent, id := r.offered()
	path := "/machines/" + agent.machine + "/stream/listings/" + id
	r.call("PATCH", path, object{}).ok(200)
	rails := []any{
		object{"type": "x402", "chain": "base", "token": "USDC", "facilitatorUrl": "https://f.example"},
		object{"type": "transfer", "destination": object{"chain": "peaq", "token": "PEAQ", "payTo": "0xA", "tokenAddress": "0xB"}},
	}
	r.call(
		"PATCH", path,
		object{"resource": object{"type": "stream.bundle", "mode": "bundle", "supportsLive": true}, "paymentRails": rails},
	).ok(200)
	a := r.call("PATCH", path, object{"deliveryOptions": []object{with(way("peaqos-p2p"), "params", object{"window_Size": 8})}}).ok(200)
	want := object{"type": "stream.bundle", "mode": "bundle", "supportsLive": true}
	if got := a.at("item.resource"); !reflect.DeepEqual(got, want) {
		t.Errorf("resource %v: a patch adds", got)
	}
	if got := a.at("item.paymentRails"); !reflect.DeepEqual(got, rails) {
		t.Errorf("rails %v, want %v", got, rails)
	}
	if a.at("item.deliveryOptions.0.mode") != "p2p" || a.at("item.deliveryOptions.0.signaling") != "peaqos-socket" ||
		a.at("item.deliveryOptions.0.params.window_Size") != 8.0 {
		t.Errorf("options %s", a.text)
	}
	for what, body := range map[string]any{
		"resource without mode": object{"resource": object{"type": "stream.bundle"}},
		"resource without type": object{"resource": object{"mode": "bundle"}},
		"unknown rail":          object{"paymentRails": []object{{"type": "cash"}}},
		"rail without type":     object{"paymentRails": []object{{}}},
		"x402 without token":    object{"paymentRails": []object{{"type": "x402", "chain": "base"}}},
		"transfer to nowhere":   object{"paymentRails": []object{{"type": "transfer"}}},
		"transfer without chain": object{"paymentRails": []object{{
			"type": "transfer", "destination": object{"token": "PEAQ", "payTo": "0xA"},
		}}},
		"option without features":       object{"deliveryOptions": []object{with(way("x"), "features", nil)}},
		"params that are not an object": object{"deliveryOptions": []object{with(way("x"), "params", 1)}},
		"options that are not an array": object{"deliveryOptions": object{}},
		"a rail that is not an object":  `{"paymentRails":[null]}`,
		"not an object of an object":    `[]`,
	} {
		r.call("PATCH", path, body).fails("VALIDATION_ERROR")
		if t.Failed() {
			t.Fatal(what)
		}
	}
	r.call("PATCH", "/machines/"+r.machine()+"/stream/listings/"+id, object{}).fails("NOT_FOUND")
	r.call("PATCH", "/machines/mach_none/stream/listings/"+id, object{}).fails("NOT_FOUND")
	for _, body := range []object{
		{},
		{"title": "x", "price": object{"amount": 1, "currency": "USDC"}},
		{"title": "x", "chunkIds": []string{}},
		{"title": "x", "chunkIds": []string{}, "price": object{"currency": "USDC"}},
		{"title": "x", "chunkIds": []string{}, "price": object{"amount": -1, "currency": "USDC"}},
		{"title": "x", "chunkIds": []string{}, "price": object{"amount": 1}},
	} {
		r.post("/machines/"+agent.machine+"/stream/listings", body).fails("VALIDATION_ERROR")
	}
}
