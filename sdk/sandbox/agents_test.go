package sandbox_test

import (
	"crypto/sha256"
	"strings"
	"testing"
)

func TestEnrollment(t *testing.T) {
	r := newHarness(t)
	draft := r.register()
	r.post("/machines/"+draft+"/agents/enrollment", object{}).fails("MACHINE_NOT_ACTIVE")
	m := r.machine()
	path := "/machines/" + m + "/agents"
	a := r.post(path+"/enrollment", object{"label": "one", "allowedProviderKeys": []string{"qvac"}}).ok(201)
	token := a.str("item.agentToken")
	if a.str("item.provisioningToken") != token || len(token) < 40 || a.str("item.status") != "provisioned" || a.at("item.lastSeenAt") != nil {
		t.Errorf("enrolled as %s", a.text)
	}
	r.call("POST", path+"/enrollment", nil).ok(201) // no body at all
	list := r.get(path).ok(200)
	if strings.Contains(list.text, token) || strings.Contains(list.text, "Token") || list.str("items.0.label") != "one" ||
		list.str("items.1.label") != "machine agent" {
		t.Errorf("listed as %s", list.text)
	}
	for _, bad := range []object{
		{"label": 1}, {"allowedProviderKeys": "qvac"}, {"allowedProviderKeys": []any{1}}, {"allowedProviderKeys": []any{nil}},
	} {
		r.post(path+"/enrollment", bad).fails("VALIDATION_ERROR")
	}
	agents := r.s.Agents(m)
	if len(agents) != 2 || agents[0].TokenHash != sha256.Sum256([]byte(token)) {
		t.Errorf("the server keeps %+v", agents)
	}
	r.call("PATCH", "/machines/"+m, object{"status": "degraded"}).ok(200)
	r.post(path+"/enrollment", object{}).ok(201)
}

func TestAgentsOfOneMachineAreBounded(t *testing.T) {
	r := newHarness(t)
	m := r.machine()
	first := r.enroll(m)
	for range 199 {
		r.enroll(m)
	}
	r.post("/machines/"+m+"/agents/enrollment", object{}).fails("VALIDATION_ERROR")
	r.call("DELETE", "/machines/"+m+"/agents/"+first.id, nil).ok(204)
	r.enroll(m)
	if n := len(r.pages("/machines/"+m+"/agents", "limit=500")); n != 200 {
		t.Errorf("%d agents, want 200", n)
	}
}

func TestRevokedAgent(t *testing.T) {
	r := newHarness(t)
	a := r.enroll(r.machine())
	r.beat(a.beat()).ok(200)
	path := "/machines/" + a.machine + "/agents"
	r.call("DELETE", path+"/"+a.id, nil).ok(204)
	r.call("DELETE", path+"/"+a.id, nil).ok(204)
	r.beat(a.beat()).fails("AGENT_PAIRING_INACTIVE")
	r.beat(with(a.beat(), "agentToken", "wrong")).fails("AGENT_AUTH_INVALID") // without the token nothing is revealed
	if got := r.get(path); got.str("items.0.status") != "revoked" {
		t.Errorf("listed as %s", got.text)
	}
	if r.s.RevokeAgent("magt_x") {
		t.Error("an unknown agent was revoked")
	}
}

func TestRotateToken(t *testing.T) {
	r := newHarness(t)
	agent := r.enroll(r.machine())
	ws := r.listen(agent)
	nextMessage(t, ws)
	a := r.post("/machine-agents/"+agent.id+"/rotate-token", object{"reason": "routine"}).ok(200)
	fresh := enrolledAgent{agent.machine, agent.id, a.str("item.provisioningToken")}
	if a.str("item.agentId") != agent.id || fresh.token == agent.token || a.str("item.rotatedAt") == "" {
		t.Errorf("rotated %s", a.text)
	}
	closeStatus(t, ws)
	r.beat(agent.beat()).fails("AGENT_AUTH_INVALID")
	r.beat(fresh.beat()).ok(200)
	events := r.get("/machine-agents/" + agent.id + "/events").ok(200)
	var kinds []string
	for _, e := range events.items() {
		e := e.(object)
		kinds = append(kinds, e["type"].(string))
		if e["agentId"] != agent.id || e["id"] == "" || e["createdAt"] == "" || e["payload"] == nil {
			t.Errorf("event %v", e)
		}
	}
	same(t, "events", kinds, []string{"machine-agent.heartbeat", "machine-agent.token-rotated", "machine-agent.enrolled"})
	if strings.Contains(events.text, fresh.token) || strings.Contains(events.text, agent.token) {
		t.Error("the events hold a token")
	}
	path := "/machine-agents/" + agent.id + "/events"
	page := r.get(path + "?limit=1").ok(200)
	if len(r.get(path+"?cursor="+page.str("nextCursor")).ok(200).items()) != 2 {
		t.Error("the second page of the events")
	}
	r.post("/machine-agents/magt_none/rotate-token", object{}).fails("NOT_FOUND")
	r.get("/machine-agents/magt_none/events").fails("NOT_FOUND")
	r.call("DELETE", "/machines/"+agent.machine+"/agents/"+agent.id, nil).ok(204)
	r.post("/machine-agents/"+agent.id+"/rotate-token", nil).fails("AGENT_PAIRING_INACTIVE")
}
