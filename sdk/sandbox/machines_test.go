package sandbox_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/peaqnetwork/peaqos-agent/sdk/sandbox"
)

var moment = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$`)

func TestCreateMachineRefusals(t *testing.T) {
	for _, c := range []struct {
		name   string
		change []any
		want   string // "" = accepted
	}{
		{"no name", []any{"displayName", nil}, "VALIDATION_ERROR"},
		{"blank name", []any{"displayName", " \t"}, "VALIDATION_ERROR"},
		{"name too long", []any{"displayName", strings.Repeat("x", 5000)}, "VALIDATION_ERROR"},
		{"name of a wrong type", []any{"displayName", 7}, "VALIDATION_ERROR"},
		{"blank owner", []any{"ownerId", ""}, "VALIDATION_ERROR"},
		{"no type", []any{"machineType", nil}, "VALIDATION_ERROR"},
		{"empty type", []any{"machineType", ""}, ""},
		{"no profile", []any{"runtimeProfile", nil}, "VALIDATION_ERROR"},
		{"empty profile", []any{"runtimeProfile", ""}, ""},
		{"no identity", []any{"identityRef", nil}, "VALIDATION_ERROR"},
		{"bad identity", []any{"identityRef", "did:peaq:01"}, "VALIDATION_ERROR"},
		{"capabilities of a wrong type", []any{"capabilities", "camera"}, "VALIDATION_ERROR"},
		{"a null capability", []any{"capabilities", []any{nil}}, "VALIDATION_ERROR"},
		{"too many keys", []any{"skillKeys", make([]string, 1001)}, "VALIDATION_ERROR"},
		{"a label that is not a string", []any{"labels", object{"a": 1}}, "VALIDATION_ERROR"},
		{"a label of 4097 bytes", []any{"labels", object{"a": strings.Repeat("x", 4097)}}, "VALIDATION_ERROR"},
		{"a label's name of 4097 bytes", []any{"labels", object{strings.Repeat("x", 4097): "a"}}, "VALIDATION_ERROR"},
		{"1001 labels", []any{"labels", manyLabels(1001)}, "VALIDATION_ERROR"},
		{"a null label", []any{"labels", object{"a": nil}}, "VALIDATION_ERROR"},
		{"labels of a wrong type", []any{"labels", []any{}}, "VALIDATION_ERROR"},
		{"other fault and no proof", []any{"identityProof", nil, "ownerId", nil}, "VALIDATION_ERROR"},
		{"unknown members", []any{"colour", "red"}, ""},
		{"policies and skills that do not exist", []any{"policyIds", []string{"p"}, "skillKeys", []string{"s"}}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newHarness(t)
			a := r.post("/machines", with(r.draft("did:peaq:1"), c.change...))
			if c.want == "" {
				a.ok(201)
				return
			}
			a.fails(c.want)
		})
	}
}

func TestMachineLifecycle(t *testing.T) {
	r := newHarness(t)
	made := r.post(
		"/machines", with(r.draft("peaqos:machine:77"), "labels", object{"API_KEY": "x"}, "capabilities", []string{"camera"}),
	).ok(201)
	id := made.str("item.id")
	if made.str("item.status") != "draft" || made.str("item.identityRef") != "did:peaq:77" || !strings.HasPrefix(id, "mach_") {
		t.Errorf("created as %s", made.text)
	}
	for _, member := range []string{"createdAt", "updatedAt", "identityProof.verifiedAt", "identityProof.challengeExpiresAt"} {
		if !moment.MatchString(made.str("item." + member)) {
			t.Errorf("%s is %s", member, made.str("item."+member))
		}
	}
	if diff := cmp.Diff(made.at("item"), r.get("/machines/"+id).ok(200).at("item")); diff != "" {
		t.Errorf("it reads back as (-created +read):\n%s", diff)
	}
	if diff := cmp.Diff([]any{made.at("item")}, r.get("/machines").ok(200).items()); diff != "" {
		t.Errorf("a proved draft is listed as (-created +listed):\n%s", diff)
	}

	path := "/machines/" + id
	patched := r.call(
		"PATCH", path,
		object{"status": "active", "displayName": "Rover 2", "labels": object{}, "capabilities": []string{}, "machineType": ""},
	).ok(200)
	if patched.str("item.status") != "active" || patched.str("item.displayName") != "Rover 2" || patched.str("item.ownerId") != "acct_1" ||
		len(patched.at("item.labels").(object)) != 0 || len(patched.at("item.capabilities").([]any)) != 0 ||
		patched.str("item.machineType") != "" {
		t.Errorf("patched to %s", patched.text)
	}
	if got := r.call("PATCH", path, object{}).ok(200); got.str("item.displayName") != "Rover 2" {
		t.Errorf("an empty patch made it %s", got.text)
	}
	r.call("PATCH", path, object{"identityRef": "peaqos:machine:77"}).ok(200)
	r.call("PATCH", path, object{"identityRef": "did:peaq:78"}).fails("MACHINE_IDENTITY_IMMUTABLE")
	for _, bad := range []object{
		{"identityRef": "x"},
		{"status": "asleep"},
		{"displayName": ""},
		{"ownerId": " "},
		{"labels": 1},
		{"identityProof": 3},
		{"identityProof": object{}},
	} {
		r.call("PATCH", path, bad).fails("VALIDATION_ERROR")
	}
	r.call("PATCH", path, object{"displayName": "no", "identityRef": "did:peaq:78"}).fails("MACHINE_IDENTITY_IMMUTABLE")
	if got := r.get(path).str("item.displayName"); got != "Rover 2" {
		t.Errorf("a rejected patch changed the name to %s", got)
	}
	for _, status := range []string{"blocked", "degraded", "draft", "active"} {
		r.call("PATCH", path, object{"status": status}).ok(200)
	}
}

func TestArchivedMachine(t *testing.T) {
	for _, way := range []func(r *harness, id string){
		func(r *harness, id string) {
			if a := r.call("DELETE", "/machines/"+id, nil).ok(204); a.text != "" {
				r.t.Errorf("204 with a body: %s", a.text)
			}
		},
		func(r *harness, id string) { r.call("PATCH", "/machines/"+id, object{"status": "archived"}).ok(200) },
	} {
		r := newHarness(t)
		id := r.machine()
		a := r.enroll(id)
		ref := r.s.Machines()[0].IdentityRef
		way(r, id)
		if n := len(r.get("/machines").items()); n != 0 {
			t.Errorf("%d machines are listed, want none", n)
		}
		if got := r.get("/machines/" + id).ok(200).str("item.status"); got != "archived" {
			t.Errorf("it reads %s", got)
		}
		r.call("DELETE", "/machines/"+id, nil).ok(204)
		r.call("PATCH", "/machines/"+id, object{"status": "active"}).fails("MACHINE_NOT_ACTIVE")
		r.beat(a.beat()).fails("MACHINE_NOT_ACTIVE")
		r.post("/machines/"+id+"/agents/enrollment", object{}).fails("MACHINE_NOT_ACTIVE")
		r.get("/machines/" + id + "/agents").ok(200)
		r.get("/machines/" + id + "/runtime-endpoints").ok(200)
		if again := r.post("/machines", r.draft(ref)).ok(201).str("item.id"); again == id {
			t.Error("the identity is free again, but the machine has the old id")
		}
	}
}

func TestUnknownResources(t *testing.T) {
	r := newHarness(t)
	id := r.machine()
	for _, c := range []struct {
		method, path string
		body         any
	}{
		{"GET", "/machines/mach_x", nil},
		{"PATCH", "/machines/mach_x", object{}},
		{"DELETE", "/machines/mach_x", nil},
		{"GET", "/machines/mach_x/agents", nil},
		{"POST", "/machines/mach_x/agents/enrollment", object{}},
		{"DELETE", "/machines/mach_x/agents/a", nil},
		{"DELETE", "/machines/" + id + "/agents/a", nil},
		{"GET", "/machines/mach_x/runtime-endpoints", nil},
		{"GET", "/machines/" + id + "/runtime-endpoints/qvac", nil},
		{"DELETE", "/machines/" + id + "/runtime-endpoints/qvac", nil},
		{"PUT", "/machines/mach_x/runtime-endpoints/qvac", object{"endpointBaseUrl": "http://h"}},
		{"GET", "/machines/" + id + "/", nil},
		{"GET", "/machines//agents", nil},
		{"GET", "/machines/a%2Fb", nil},
		{"GET", "/nothing", nil},
		{"POST", "/machines/" + id, object{}},
		{"PURGE", "/machines", nil},
		{"PUT", "/health", nil},
	} {
		r.call(c.method, c.path, c.body).fails("NOT_FOUND")
	}
}

func TestAPIKey(t *testing.T) {
	r := newHarness(t)
	r.key = ""
	for _, c := range []struct {
		header []string
		want   string
	}{
		{nil, "AUTH_REQUIRED"},
		{[]string{"X-Api-Key", ""}, "AUTH_REQUIRED"},
		{[]string{"Authorization", "Basic " + testAPIKey}, "AUTH_REQUIRED"},
		{[]string{"X-Api-Key", "not-" + testAPIKey}, "AUTH_INVALID"},
		{[]string{"Authorization", "Bearer not-" + testAPIKey}, "AUTH_INVALID"},
		{[]string{"X-Api-Key", testAPIKey}, ""},
		{[]string{"Authorization", "Bearer " + testAPIKey}, ""},
	} {
		a := r.call("GET", "/machines", nil, c.header...)
		if c.want == "" {
			a.ok(200)
			continue
		}
		a.fails(c.want)
	}
	for _, open := range []string{"/health", "/readiness"} {
		r.get(open).ok(200)
	}
}

// TestOlderClients: what 0.2.0 sends in addition to the body (contract part 6).
func TestOlderClients(t *testing.T) {
	r := newHarness(t)
	id := r.machine()
	json := []string{"Content-Type", "application/json"}
	r.call("GET", "/machines", nil, json...).ok(200)
	r.call("DELETE", "/machines/"+id, nil, json...).ok(204)
}

func TestHealth(t *testing.T) {
	r := newHarness(t)
	r.key = ""
	if got := r.get("/health").ok(200).text; got != `{"ok":true}` {
		t.Errorf("health returns %s", got)
	}
	root := r.request("GET", "", nil)
	root.URL.Path = "/health"
	if got := r.do(root).ok(200).text; got != `{"ok":true}` {
		t.Errorf("health at the root returns %s", got)
	}
	ready := r.get("/readiness").ok(200)
	if ready.str("status") != "ready" || ready.str("checks.0.status") != "pass" {
		t.Errorf("readiness returns %s", ready.text)
	}
}

func TestAudit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHarness(t)
		first, second := r.machine(), r.machine()
		a := r.enroll(first)
		r.beat(a.beat()).ok(200)
		r.call("PUT", "/machines/"+second+"/runtime-endpoints/cam", object{"endpointBaseUrl": "http://h"}).ok(201)
		r.call("DELETE", "/machines/"+first+"/agents/"+a.id, nil).ok(204)

		types := func(query string) (out []string) {
			for _, e := range r.get("/audit-events" + query).ok(200).items() {
				e := e.(object)
				if e["createdAt"] == "" || e["id"] == "" || e["resourceId"] == "" || e["payload"] == nil {
					t.Errorf("event %v", e)
				}
				out = append(out, fmt.Sprint(e["actor"], " ", e["type"]))
			}
			return out
		}
		agent := "agent:" + a.id
		if diff := cmp.Diff([]string{
			"platform machine-agent.revoked", agent + " machine-agent.heartbeat", agent + " runtime-endpoint.published",
			"platform machine-agent.enrolled", "platform machine.updated", "platform machine.created",
		}, types("?machineId="+first)); diff != "" {
			t.Errorf("the events of a machine (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(
			[]string{"platform runtime-endpoint.upserted"}, types("?machineId="+second+"&resourceType=runtime-endpoint"),
		); diff != "" {
			t.Errorf("the events of a kind (-want +got):\n%s", diff)
		}
		if got := types("?machineId=mach_x"); len(got) != 0 {
			t.Errorf("an unknown machine has events %v", got)
		}
		if text := r.get("/audit-events").text; strings.Contains(text, a.token) {
			t.Error("the trail contains an agent's token")
		}
		if n := len(r.s.Events("")); n != 9 {
			t.Errorf("Events returns %d events, want 9", n)
		}
		// A fleet's heartbeats do not displace the other events.
		b := r.enroll(second)
		for range 2_500 {
			r.beat(b.beat()).ok(200)
			time.Sleep(time.Second)
		}
		if got := types("?machineId=" + first + "&resourceType=machine"); len(got) != 2 {
			t.Errorf("after many heartbeats: %v", got)
		}
	})
}

func manyLabels(n int) object {
	o := object{}
	for i := range n {
		o[fmt.Sprint("k", i)] = "v"
	}
	return o
}

func TestAThousandLabels(t *testing.T) {
	r := newHarness(t)
	a := r.call("PATCH", "/machines/"+r.register(), object{"labels": manyLabels(1000)}).ok(200)
	if got := a.at("item.labels").(object); len(got) != 1000 {
		t.Errorf("%d labels", len(got))
	}
}

// markedUp is the body of an order whose input contains a text that is not escaped.
func (p paired) markedUp(text string) string {
	return fmt.Sprintf(`{"machineId":%q,"agentPairingId":%q,"serviceId":"svc_price_feed","input":{"h":"%s"}}`, p.machine, p.id, text)
}

// TestBodiesAreJSON: a body is read only if its type is JSON, as on a usual server.
func TestBodiesAreJSON(t *testing.T) {
	p := market(t, nil)
	send := func(kind string, body any) reply {
		return p.call("POST", "/market/orders", body, tokenHeader, p.token, "Content-Type", kind)
	}
	order := p.markedUp("<&>")
	for _, kind := range []string{
		"text/plain", "application/x-www-form-urlencoded", "", "application/jsonp", "application/vnd.api+json", "json",
	} {
		send(kind, order).fails("VALIDATION_ERROR")
	}
	for _, kind := range []string{
		"application/json", "Application/JSON", "application/json; charset=utf-8", "application/json;charset=utf-8", "application/json ; x",
	} {
		a := send(kind, order).ok(201)
		if !strings.Contains(a.text, `"input":{"h":"<&>"}`) {
			t.Errorf("the input comes back as %s", a.text)
		}
	}
	p.call("POST", "/machines/"+p.machine+"/agents/enrollment", nil, "Content-Type", "text/plain").ok(201) // no body, no matter
}

// TestInputSurvivesARestart: text is not escaped for HTML, not even in the state file.
func TestInputSurvivesARestart(t *testing.T) {
	file := t.TempDir() + "/state.json"
	r := newHarness(t, sandbox.WithStateFile(file))
	p := r.pair(r.machine(), nil)
	id := p.as("POST", "/market/orders", p.markedUp("<&>\u2028")).ok(201).str("item.id")
	before := r.get("/market/orders/" + id).text
	if err := r.s.Close(); err != nil {
		t.Fatal(err)
	}
	after := newHarness(t, sandbox.WithStateFile(file)).get("/market/orders/" + id).text
	if after != before || !strings.Contains(after, "<&>") {
		t.Errorf("%s after %s", after, before)
	}
}
