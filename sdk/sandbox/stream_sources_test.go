package sandbox_test

import (
	"strings"
	"testing"
)

// signed returns a body with the agent's credentials.
func (c enrolledAgent) signed(fields ...any) object {
	return with(object{"machineId": c.machine, "agentId": c.id, "agentToken": c.token}, fields...)
}

func TestStreamSources(t *testing.T) {
	r := newHarness(t)
	agent := r.enroll(r.machine(), "stream")
	r.key = "" // credentials are in the body
	same(
		t, "heartbeat", r.post("/stream/heartbeat", agent.signed("policyId", "p1")).ok(200).at("item"),
		object{"machineId": agent.machine, "agentId": agent.id, "policyId": "p1"},
	)
	chunk := r.post("/stream/chunks", agent.signed("manifest", object{"chunk_Id": "c1"}, "metadata", object{"n": 1})).ok(201)
	same(
		t, "chunk", chunk.at("item"),
		object{"machineId": agent.machine, "agentId": agent.id, "manifest": object{"chunk_Id": "c1"}, "metadata": object{"n": 1}},
	)
	key := strings.Repeat("ab", 32)
	path := "/machines/" + agent.machine + "/stream/signing-keys"
	same(
		t, "key", r.post(path, agent.signed("keyId", "k1", "publicKeyHex", key)).ok(201).at("item"),
		object{"machineId": agent.machine, "agentId": agent.id, "keyId": "k1", "publicKeyHex": key},
	)
	r.post(path, agent.signed("keyId", "k1", "publicKeyHex", "ab")).fails("VALIDATION_ERROR")
	r.post(path, agent.signed("keyId", "k1", "publicKeyHex", key, "agentToken", "x")).fails("AGENT_AUTH_INVALID")
	for _, who := range []string{"b1", "b2"} {
		entry := accessTo("c1")
		entry["buyer"] = with(entry["buyer"].(object), "recipientId", who)
		same(t, "access", r.post("/stream/buyer-access", agent.signed("access", entry)).ok(201).at("item"), entry)
	}
	r.post("/stream/buyer-access", agent.signed("access", with(accessTo("c1"), "schemaVersion", "v2"))).fails("VALIDATION_ERROR")
	for _, path := range []string{"/stream/chunks", "/stream/buyer-access"} {
		r.post(path, agent.signed()).fails("VALIDATION_ERROR")
	}
	for _, path := range []string{"/stream/heartbeat", "/stream/chunks", "/stream/buyer-access"} {
		r.post(path, agent.signed("agentToken", nil)).fails("AGENT_AUTH_REQUIRED")
		r.post(path, agent.signed("agentToken", "mat_x")).fails("AGENT_AUTH_INVALID")
		r.post(path, object{}).fails("VALIDATION_ERROR")
	}
	r.key = testAPIKey
	if all := r.get("/stream/chunks/c1/buyer-access").ok(200).items(); len(all) != 2 {
		t.Errorf("access of all buyers: %v", all)
	}
	if one := r.get("/stream/chunks/c1/buyer-access?buyerId=b2").ok(200); len(one.items()) != 1 ||
		one.str("items.0.buyer.recipientId") != "b2" {
		t.Errorf("access of one buyer: %s", one.text)
	}
	for _, e := range r.s.Events("") {
		if strings.Contains(string(e.Payload), agent.token) {
			t.Errorf("the audit trail holds the token: %v", e)
		}
	}
	r.call("PATCH", "/machines/"+agent.machine, object{"status": "blocked"}).ok(200)
	r.post("/stream/heartbeat", agent.signed()).fails("MACHINE_NOT_ACTIVE")
}

func TestStreamPolicies(t *testing.T) {
	r := newHarness(t)
	id := r.machine()
	path := "/machines/" + id + "/stream/policies"
	a := r.post(path, object{"name": "lidar", "version": 1, "status": "draft", "rules_R": object{"x": 1}}).ok(201)
	policy := a.str("item.id")
	r.call("PATCH", path+"/"+policy, object{"status": "active"}).ok(200)
	list := r.get(path).ok(200)
	if list.str("items.0.name") != "lidar" || list.str("items.0.status") != "active" ||
		list.at("items.0.rules_R.x") != 1.0 || list.str("items.0.id") != policy {
		t.Errorf("policies %s", list.text)
	}
	r.call("PATCH", path+"/spol_none", object{}).fails("NOT_FOUND")
	r.call("PATCH", "/machines/"+r.machine()+"/stream/policies/"+policy, object{}).fails("NOT_FOUND")
	r.get("/machines/mach_none/stream/policies").fails("NOT_FOUND")
}
