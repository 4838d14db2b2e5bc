package sandbox_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/peaqnetwork/peaqos-agent/sdk/sandbox"
)

func TestOwnershipAndTrust(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRoom(t, sandbox.WithChallengeTTL(time.Minute))
		id := r.machine()
		path := "/machines/" + id
		same(t, "trust", r.get(path+"/trust").ok(200).at("item"), object{"machineId": id, "bondStatus": "unknown", "trust": object{"status": "unverified"}})
		owner := addressOf(otherKey)
		sign := func() (reply, object) {
			ch := r.post(path+"/ownership-challenge", object{"ownerAddress": owner, "machineAddress": addressOf(controllerKey)}).ok(201)
			return ch, object{"challengeId": ch.str("item.challengeId"), "signature": signText(otherKey, ch.str("item.message")), "signerAddress": owner}
		}
		ch, proof := sign()
		if ch.str("item.machineId") != id || ch.str("item.expiresAt") != wire(time.Now().Add(time.Minute)) {
			t.Errorf("challenge %s", ch.text)
		}
		r.post(path+"/ownership-proof", with(proof, "signature", signText(controllerKey, ch.str("item.message")))).fails("MACHINE_IDENTITY_PROOF_INVALID")
		r.post(path+"/ownership-proof", with(proof, "signerAddress", addressOf(controllerKey))).fails("MACHINE_IDENTITY_PROOF_INVALID")
		r.post("/machines/"+r.machine()+"/ownership-proof", proof).fails("MACHINE_IDENTITY_PROOF_INVALID")
		r.post(path+"/ownership-proof", with(proof, "signerAddress", nil)).fails("VALIDATION_ERROR")
		same(t, "proof", r.post(path+"/ownership-proof", proof).ok(200).at("item"), object{"machineId": id, "verified": true, "verifiedAt": wire(time.Now())})
		r.post(path+"/ownership-proof", proof).fails("MACHINE_IDENTITY_PROOF_INVALID")
		same(t, "trust", r.get(path+"/trust").ok(200).at("item.trust"), object{"status": "verified", "attestedAt": wire(time.Now()), "attestor": owner})
		_, late := sign()
		time.Sleep(time.Minute)
		r.post(path+"/ownership-proof", late).fails("MACHINE_IDENTITY_PROOF_EXPIRED")
		for _, body := range []object{{}, {"ownerAddress": "0x1"}, {"ownerAddress": owner, "machineAddress": "x"}} {
			r.post(path+"/ownership-challenge", body).fails("VALIDATION_ERROR")
		}
		r.get("/machines/mach_none/trust").fails("NOT_FOUND")
	})
}

func TestRotateToken(t *testing.T) {
	r := newRoom(t)
	agent := r.enroll(r.machine())
	ws := r.listen(agent)
	heard(t, ws)
	a := r.post("/machine-agents/"+agent.id+"/rotate-token", object{"reason": "routine"}).ok(200)
	fresh := crew{agent.machine, agent.id, a.str("item.provisioningToken")}
	if a.str("item.agentId") != agent.id || fresh.token == agent.token || a.str("item.rotatedAt") == "" {
		t.Errorf("rotated %s", a.text)
	}
	ended(t, ws)
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
	if page := r.get("/machine-agents/" + agent.id + "/events?limit=1").ok(200); len(r.get("/machine-agents/"+agent.id+"/events?cursor="+page.str("nextCursor")).ok(200).items()) != 2 {
		t.Error("the second page of the events")
	}
	r.post("/machine-agents/magt_none/rotate-token", object{}).fails("NOT_FOUND")
	r.get("/machine-agents/magt_none/events").fails("NOT_FOUND")
	r.call("DELETE", "/machines/"+agent.machine+"/agents/"+agent.id, nil).ok(204)
	r.post("/machine-agents/"+agent.id+"/rotate-token", nil).fails("AGENT_PAIRING_INACTIVE")
}

func TestProbe(t *testing.T) {
	status, auth := http.StatusOK, ""
	machine := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if auth = r.Header.Get("Authorization"); r.URL.Path != "/v1/models" || r.Method != http.MethodGet {
			t.Errorf("probed by %s %s", r.Method, r.URL)
		}
		w.WriteHeader(status)
	}))
	r := newRoom(t)
	id := r.machine()
	path := "/machines/" + id + "/runtime-endpoints/qvac"
	r.call("PUT", path, object{"endpointBaseUrl": machine.URL, "authType": "bearer", "authToken": "rt"}).ok(201)
	a := r.post(path+"/probe", object{"timeoutMs": 2000}).ok(200)
	if a.str("item.providerKey") != "qvac" || a.str("item.status") != "active" || a.at("item.latencyMs") == nil || a.at("item.error") != nil || auth != "Bearer rt" {
		t.Errorf("healthy: %s (%s)", a.text, auth)
	}
	if e := r.get(path).ok(200); e.str("item.lastHealthyAt") != a.str("item.checkedAt") {
		t.Errorf("endpoint %s", e.text)
	}
	status = http.StatusInternalServerError
	if a = r.post(path+"/probe", nil).ok(200); a.str("item.status") != "degraded" || a.at("item.error") == nil || r.get(path).str("item.status") != "degraded" {
		t.Errorf("unhealthy: %s", a.text)
	}
	machine.Close()
	if a = r.post(path+"/probe", object{}).ok(200); a.str("item.status") != "unreachable" || a.at("item.latencyMs") != nil || strings.Contains(a.text, "127.0.0.1") {
		t.Errorf("away: %s", a.text)
	}
	for _, wait := range []any{99, 30001, 1.5, "1000"} {
		r.post(path+"/probe", object{"timeoutMs": wait}).fails("VALIDATION_ERROR")
	}
	r.post("/machines/"+id+"/runtime-endpoints/none/probe", nil).fails("NOT_FOUND")
}

func TestGraph(t *testing.T) {
	r := newRoom(t)
	id := r.machine()
	path := "/machines/" + id + "/graph"
	same(t, "empty graph", r.get(path).ok(200).at("item"), object{"machineId": id, "nodes": []any{}, "edges": []any{}})
	a := r.post(path+"/nodes", object{"kind": "sensor", "status": "draft", "data": object{"a_A": 1, "b": object{"c": 1, "d": 2}}}).ok(201)
	node := a.str("item.id")
	edge := r.post(path+"/edges", object{"from": node, "to": node}).ok(201).str("item.id")
	a = r.call("PATCH", path+"/nodes/"+node, object{"status": "active", "data": object{"b": object{"c": 3}, "e": 4}}).ok(200)
	same(t, "data is merged one level deep", a.at("item.data"), object{"a_A": 1, "b": object{"c": 3}, "e": 4})
	if a.str("item.status") != "active" || a.str("item.kind") != "sensor" || a.str("item.machineId") != id {
		t.Errorf("node %s", a.text)
	}
	r.call("PATCH", path+"/edges/"+edge, object{"weight": 2}).ok(200)
	graph := r.get(path).ok(200)
	if graph.str("item.nodes.0.id") != node || graph.at("item.edges.0.weight") != 2.0 {
		t.Errorf("graph %s", graph.text)
	}
	r.call("PATCH", path+"/nodes/"+node, object{"status": "gone"}).fails("VALIDATION_ERROR")
	r.call("PATCH", path+"/nodes/"+node, object{"data": []int{1}}).fails("VALIDATION_ERROR")
	for i := range 3 { // each patch adds what the next one keeps
		a := r.call("PATCH", path+"/nodes/"+node, object{strings.Repeat("n", i+1): strings.Repeat("x", 30_000)})
		if i == 2 {
			a.fails("VALIDATION_ERROR")
		} else {
			a.ok(200)
		}
	}
	r.call("PATCH", "/machines/"+r.machine()+"/graph/nodes/"+node, object{}).fails("NOT_FOUND")
	r.call("DELETE", path+"/edges/"+edge, nil).ok(204)
	r.call("DELETE", path+"/nodes/"+node, nil).ok(204)
	r.call("DELETE", path+"/nodes/"+node, nil).fails("NOT_FOUND")
}

func TestPlatformEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRoom(t)
		id := r.machine()
		all, mine := r.openStream("/events"), r.openStream("/events?machineId="+id)
		agent := r.enroll(id)
		r.machine()
		if got := mine.all(); len(got) != 1 || got[0].event != "machine-agent.enrolled" || got[0].data["resourceId"] != agent.id || got[0].data["id"] != got[0].id {
			t.Errorf("of one machine: %v", got)
		}
		got := all.all()
		if len(got) != 3 || got[1].event != "machine.created" {
			t.Errorf("of all: %v", got)
		}
		rest := r.openStream("/events?cursor=" + got[0].id).all()
		if len(rest) != 2 || rest[0].id != got[1].id {
			t.Errorf("after a cursor: %v", rest)
		}
		time.Sleep(16 * time.Second)
		synctest.Wait()
		if f := <-all.frames; f.comment == "" {
			t.Errorf("instead of a heartbeat came %v", f)
		}
		r.get("/events?cursor=aud_none").fails("VALIDATION_ERROR")
		r.get("/events?machineId=mach_none").fails("NOT_FOUND")
		r.s.Restart(true)
		for range all.frames {
		}
	})
}
