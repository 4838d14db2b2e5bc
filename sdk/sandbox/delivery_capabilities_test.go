package sandbox_test

import (
	"reflect"
	"testing"
	"testing/synctest"
	"time"
)

func TestPaymentRailsAndTransports(t *testing.T) {
	r := newHarness(t)
	rails := r.get("/payment-rails").ok(200)
	if rails.at("items.0.type") != "x402" || rails.at("items.0.requiresProof") != true ||
		rails.at("items.1.verification") != "destination-chain-finality" {
		t.Errorf("rails %s", rails.text)
	}
	transports := r.get("/delivery-transports").ok(200)
	want := object{
		"mode": "p2p", "transportId": "peaqos-p2p", "signaling": "peaqos-socket", "encoding": "peaqos-json-frame-v1",
		"handoff": "prepare-access",
	}
	for name, value := range want {
		if transports.at("items.0."+name) != value {
			t.Errorf("transport %s is %v, want %v", name, transports.at("items.0."+name), value)
		}
	}
	if transports.at("items.0.connectSchema.properties.url.pattern") != "^peaqos-p2p://" {
		t.Errorf("schema %s", transports.text)
	}
}

// capability is a delivery capability as clients send it.
func way(transport string) object {
	return object{"transportId": transport, "version": "1", "features": []string{"resume"}, "protocols": []string{"tcp"}, "encoding": "frames"}
}

func TestDeliveryCapabilities(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHarness(t)
		agent := r.enroll(r.machine())
		path := "/machines/" + agent.machine + "/delivery-capabilities"
		a := r.call(
			"PUT", path,
			object{"agentId": agent.id, "capabilities": []object{way("peaqos-p2p"), {"transportId": "x", "version": "2", "features": []string{}}}},
		).ok(200)
		now := time.Now().UTC()
		want := object{
			"machineId": agent.machine, "agentId": agent.id, "status": "active", "resourceTypes": []any{"stream.bundle"},
			"updatedAt": wire(now), "expiresAt": wire(now.Add(15 * time.Minute)),
			"capabilities": []any{
				object{
					"mode": "p2p", "transportId": "peaqos-p2p", "version": "1", "features": []any{"resume"},
					"signaling": "peaqos-socket", "protocols": []any{"tcp"}, "encoding": "frames",
				},
				object{
					"mode": "p2p", "transportId": "x", "version": "2", "features": []any{}, "signaling": "peaqos-socket",
					"protocols": []any{}, "encoding": "",
				},
			},
		}
		if got := a.at("item"); !reflect.DeepEqual(got, want) {
			t.Errorf("registered\n%v, want\n%v", got, want)
		}
		a = r.call(
			"PUT", path,
			object{"agentId": agent.id, "capabilities": []object{}, "resourceTypes": []string{"stream.live"}, "expiresAt": wire(now)},
		).ok(200)
		if a.str("item.status") != "expired" || a.at("item.resourceTypes.0") != "stream.live" {
			t.Errorf("registered again: %s", a.text)
		}
		kinds := map[string]int{}
		for _, e := range r.s.Events(agent.machine) {
			kinds[e.Type]++
		}
		if kinds["delivery-capabilities.registered"] != 2 {
			t.Errorf("audit %v", kinds)
		}
	})
}

// wire returns a time in the server's format.
func wire(at time.Time) string { return at.UTC().Format("2006-01-02T15:04:05.000Z") }

func TestDeliveryCapabilitiesRefused(t *testing.T) {
	r := newHarness(t)
	agent := r.enroll(r.machine())
	gone := r.enroll(agent.machine)
	r.call("DELETE", "/machines/"+agent.machine+"/agents/"+gone.id, nil).ok(204)
	other := r.enroll(r.machine())
	good := object{"agentId": agent.id, "capabilities": []object{way("peaqos-p2p")}}
	for _, c := range []struct {
		what string
		body object
		code string
	}{
		{"no agent", with(good, "agentId", nil), "VALIDATION_ERROR"},
		{"blank agent", with(good, "agentId", " "), "VALIDATION_ERROR"},
		{"no capabilities", with(good, "capabilities", nil), "VALIDATION_ERROR"},
		{"capabilities are an object", with(good, "capabilities", object{}), "VALIDATION_ERROR"},
		{"no transport", with(good, "capabilities", []object{with(way("x"), "transportId", nil)}), "VALIDATION_ERROR"},
		{"no version", with(good, "capabilities", []object{with(way("x"), "version", nil)}), "VALIDATION_ERROR"},
		{"no features", with(good, "capabilities", []object{with(way("x"), "features", nil)}), "VALIDATION_ERROR"},
		{"features of numbers", with(good, "capabilities", []object{with(way("x"), "features", []int{1})}), "VALIDATION_ERROR"},
		{"no time", with(good, "expiresAt", "soon"), "VALIDATION_ERROR"},
		{"unknown agent", with(good, "agentId", "magt_nobody"), "NOT_FOUND"},
		{"agent of another machine", with(good, "agentId", other.id), "NOT_FOUND"},
		{"revoked agent", with(good, "agentId", gone.id), "AGENT_PAIRING_INACTIVE"},
	} {
		t.Run(c.what, func(t *testing.T) {
			r.call("PUT", "/machines/"+agent.machine+"/delivery-capabilities", c.body).fails(c.code)
		})
	}
	r.call("PUT", "/machines/"+r.register()+"/delivery-capabilities", good).fails("MACHINE_NOT_ACTIVE")
}

// offered creates a machine with an agent and a listing of two chunks; fields extends the listing.
func (r *harness) offered(fields ...any) (enrolledAgent, string) {
	r.t.Helper()
	agent := r.enroll(r.machine(), "stream")
	return agent, r.list(agent.machine, fields...)
}

func (r *harness) list(machine string, fields ...any) string {
	r.t.Helper()
	body := object{"title": "Lidar", "chunkIds": []string{"c1", "c2"}, "price": object{"amount": 2.5, "currency": "USDC"}}
	return r.post("/machines/"+machine+"/stream/listings", with(body, fields...)).ok(201).str("item.id")
}
