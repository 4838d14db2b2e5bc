package sandbox_test

import (
	"slices"
	"strings"
	"testing"
)

// ids returns the services of a list.
func ids(a reply) []string {
	var out []string
	for _, v := range a.ok(200).items() {
		out = append(out, v.(object)["id"].(string))
	}
	return out
}

// TestCatalogueIsComplete: every service has all members that the contract requires, each operation
// has a contract, and nothing is null.
func TestCatalogueIsComplete(t *testing.T) {
	r := newHarness(t)
	a := r.get("/market/services?limit=500").ok(200)
	if strings.Contains(a.text, "null") || strings.Contains(r.get("/skills?limit=500").text, "null") {
		t.Error("something in the catalogue is null")
	}
	modes := map[string]bool{}
	for _, v := range a.items() {
		s := v.(object)
		for _, name := range []string{
			"id", "skillKey", "providerKey", "providerId", "providerLabel", "serviceType", "name", "description", "authType",
			"accessMode", "executionMode",
			"integrationStatus", "distribution", "maturity", "kind", "region", "updatedAt",
		} {
			if text, ok := s[name].(string); !ok || text == "" {
				t.Errorf("%v: %s is %v", s["id"], name, s[name])
			}
		}
		contracts := s["operationContracts"].([]any)
		for i, o := range s["operations"].([]any) {
			if k := contracts[i].(object); k["operation"] != o || k["exampleInput"] == nil {
				t.Errorf("%v: the operation %v has no contract with an example", s["id"], o)
			}
		}
		payment := s["payment"].(object)
		if !slices.Contains(payment["supportedRails"].([]any), payment["defaultRail"]) {
			t.Errorf("%v: the default rail is not supported", s["id"])
		}
		modes[s["integrationStatus"].(string)+"/"+payment["defaultRail"].(string)] = true
		r.get("/market/services/" + s["id"].(string)).ok(200)
		r.get("/skills/" + s["skillKey"].(string)).ok(200)
	}
	for _, kind := range []string{
		"native/wallet", "native/not-required", "native/x402", "native/onchain-escrow", "local-config-required/not-required",
		"credentials-required/not-required",
		"partner-required/external",
	} {
		if !modes[kind] {
			t.Errorf("no service is %s", kind)
		}
	}
	first := a.items()[0].(object)
	if first["executionMode"] != "native" || first["integrationStatus"] != "native" || first["payment"].(object)["required"] != true {
		t.Error("the first service is not a native one that is paid for")
	}
}

func TestServiceFilters(t *testing.T) {
	p := market(t, nil)
	all := len(ids(p.get("/market/services")))
	for query, want := range map[string]int{
		"serviceType=data.location": 2, "executionMode=external-handoff": 2, "providerKey=walrus": 1, "providerKey=none": 0,
		"serviceType=data.location&providerKey=geodnet": 1,
		"machineId=" + p.machine:                        all,
	} {
		if got := ids(p.get("/market/services?" + query)); len(got) != want {
			t.Errorf("%s keeps %v", query, got)
		}
	}
	p.get("/market/services?machineId=mach_none").fails("NOT_FOUND")
	p.get("/market/services/svc_none").fails("NOT_FOUND")
	p.get("/market/services/svc_location?machineId=mach_none").fails("NOT_FOUND")
	a := p.get("/market/services?limit=2")
	if got := ids(p.get("/market/services?limit=2&cursor=" + a.str("nextCursor"))); len(got) != 2 || slices.Contains(ids(a), got[0]) {
		t.Errorf("the second page is %v", got)
	}
}

// TestMachineCatalogue: with a token the catalogue is the machine's own.
func TestMachineCatalogue(t *testing.T) {
	p := market(t, object{"deniedSkillKeys": []string{"peaq.location"}})
	shown := func() []string { return ids(p.as("GET", "/market/services", nil)) }
	if got := shown(); slices.Contains(got, "svc_location") || !slices.Contains(got, "svc_price_feed") || slices.Contains(
		got, "svc_qvac_inference",
	) {
		t.Errorf("shown are %v", got)
	}
	p.beat(p.enroll(p.machine).beat()).ok(200)
	if got := shown(); !slices.Contains(got, "svc_qvac_inference") {
		t.Errorf("with a qvac endpoint shown are %v", got)
	}
	p.s.SetVerdict(p.machine, "qvac", "unreachable", "")
	if got := shown(); slices.Contains(got, "svc_qvac_inference") {
		t.Errorf("with an unreachable endpoint shown are %v", got)
	}
	policy := p.post("/policies", object{"name": "no handoff", "handoffAllowed": false}).ok(201).str("item.id")
	p.call("PATCH", "/machines/"+p.machine, object{"policyIds": []string{policy}}).ok(200)
	if got := shown(); slices.Contains(got, "svc_world_id") {
		t.Errorf("against the machine's policy shown are %v", got)
	}
	p.as("GET", "/market/services/svc_location", nil).ok(200)
}

func TestAvailability(t *testing.T) {
	p := market(t, nil)
	available := func(service, query string) any {
		a := p.get("/market/services/" + service + "/availability" + query).ok(200)
		if a.at("item.available") == false && a.str("item.reason") == "" {
			t.Errorf("%s: no reason in %s", service, a.text)
		}
		return a.at("item.available")
	}
	if available("svc_location", "") != true || available("svc_akash_deploy", "") != false || available("svc_qvac_inference", "") != false {
		t.Error("wrong before anything was set up")
	}
	p.beat(p.enroll(p.machine).beat()).ok(200)
	p.call("PATCH", "/skills/akash.compute/config", object{"credentials": object{"k": "v"}}).ok(200)
	p.call("PATCH", "/skills/peaq.location/config", object{"enabled": false}).ok(200)
	if available("svc_location", "") != false || available("svc_akash_deploy", "") != true || available(
		"svc_qvac_inference", "?machineId="+p.machine,
	) != true {
		t.Error("wrong after it was")
	}
	p.get("/market/services/svc_none/availability").fails("NOT_FOUND")
}

func TestServiceReads(t *testing.T) {
	p := market(t, object{"deniedServiceIds": []string{"svc_price_feed"}})
	read := func(service, operation string, input object, more ...any) reply {
		body := with(object{"machineId": p.machine, "agentPairingId": p.id, "operation": operation, "input": input}, more...)
		return p.as("POST", "/market/services/"+service+"/execute", body)
	}
	place := object{"latitude": 57.64911, "longitude": 10.40744}
	a := read("svc_location", "resolve-location", place).ok(200)
	if a.at("execution.statusCode") != 200.0 || a.str("execution.outcome.status") != "completed" ||
		a.str("execution.outcome.result.geohash") != "u4pruyd" {
		t.Errorf("returned %s", a.text)
	}
	for _, name := range []string{
		"service.id", "execution.task.id", "execution.route.id", "execution.run.id", "execution.outcome.id",
		"execution.outcome.skillKey",
	} {
		if a.str(name) == "" {
			t.Errorf("%s is empty", name)
		}
	}
	if b := read("svc_location", "resolve-location", object{"latitude": 91}).ok(200); b.str("execution.outcome.status") != "failed" ||
		b.str("execution.outcome.errorMessage") == "" {
		t.Errorf("a bad input returns %s", b.text)
	}
	if got := len(p.s.Orders(p.machine)); got != 0 {
		t.Errorf("%d orders were made", got)
	}
	read("svc_none", "x", nil).fails("NOT_FOUND")
	read("svc_location", "", place).fails("VALIDATION_ERROR")
	read("svc_location", "no-such", place).fails("VALIDATION_ERROR")
	read("svc_location", "resolve-location", place, "machineId", nil).fails("VALIDATION_ERROR")
	read("svc_location", "resolve-location", place, "agentPairingId", " ").fails("VALIDATION_ERROR")
	read("svc_location", "resolve-location", place, "agentPairingId", "apair_other").fails("AGENT_AUTH_INVALID")
	read("svc_location", "resolve-location", place, "input", []any{}).fails("VALIDATION_ERROR")
	read("svc_price_feed", "get-price", object{"symbol": "A/B"}).fails("AGENT_POLICY_DENIED")
	read("svc_walrus_blob", "read-blob", object{"blobId": "b"}).fails("PAYMENT_REQUIRED")
	read("svc_world_id", "verify-person", object{}).fails("EXECUTION_UNSUPPORTED")
	read("svc_akash_deploy", "deploy-workload", object{}).fails("EXECUTION_UNSUPPORTED") // not a direct read
	read("svc_akash_deploy", "get-status", object{"deploymentId": "d"}).fails("EXECUTION_UNSUPPORTED")
	read(
		"svc_akash_deploy", "get-status", object{"deploymentId": "d"}, "providerCredentials",
		object{"akash": object{"consoleApiKey": "k"}},
	).ok(200)
	read("svc_qvac_inference", "list-models", object{}).fails("EXECUTION_UNSUPPORTED") // nothing published
	p.call("POST", "/market/services/svc_location/execute", object{}).fails("AGENT_AUTH_REQUIRED")
	p.call("PATCH", "/machines/"+p.machine, object{"status": "blocked"}).ok(200)
	read("svc_location", "resolve-location", place).fails("MACHINE_NOT_ACTIVE")
}
