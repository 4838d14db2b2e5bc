package sandbox_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/peaqnetwork/peaqos-agent/sdk/sandbox"
)

// quoted returns the services of a search result, best first.
func quoted(a reply) []string {
	a.t.Helper()
	out := []string{}
	for _, v := range a.ok(201).at("item.quotes").([]any) {
		out = append(out, v.(object)["serviceId"].(string))
	}
	return out
}

func TestSearchMatchesTheRequest(t *testing.T) {
	p := market(t, nil)
	for _, c := range []struct {
		name string
		wish object
		want []string // all of them
	}{
		{"type", object{"serviceType": "storage.object"}, []string{"svc_walrus_blob"}},
		{"alias storage", object{"serviceType": "storage"}, []string{"svc_walrus_blob"}},
		{"alias rtk", object{"serviceType": "rtk", "requiredCapabilities": []string{"rtk"}}, []string{"svc_geodnet_rtk"}},
		{"alias defi", object{"serviceType": "defi"}, []string{"svc_price_feed", "svc_market_depth"}},
		{"alias commerce", object{"serviceType": "commerce"}, []string{"svc_field_inspection"}},
		{"handoff is not asked for", object{"serviceType": "identity"}, []string{}},
		{"handoff", object{"serviceType": "identity", "allowExternalHandoff": true}, []string{"svc_world_id"}},
		{"handoff and native only", object{"serviceType": "identity", "allowExternalHandoff": true, "requireNativeExecution": true}, []string{}},
		{"operation", object{"operation": "get-depth"}, []string{"svc_market_depth"}},
		{"region", object{"serviceType": "commerce", "region": "US"}, []string{}},
		{"own region", object{"serviceType": "commerce", "region": "EU"}, []string{"svc_field_inspection"}},
		{"budget max", object{"serviceType": "defi", "budget": object{"max": 0.001}}, []string{"svc_price_feed"}},
		{"budget amount", object{"serviceType": "defi", "budget": object{"amount": 0.001}}, []string{"svc_price_feed"}},
		{"most", object{"serviceType": "defi", "maxResults": 1}, []string{"svc_price_feed"}},
		{"computing without an endpoint", object{"serviceType": "compute"}, []string{"svc_akash_deploy"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := p.as("POST", "/market/search", c.wish)
			if got := quoted(a); !slices.Equal(got, c.want) {
				t.Errorf("quoted are %v, want %v", got, c.want)
			}
			if want := map[bool]string{true: "completed", false: "no_match"}[len(c.want) > 0]; a.str("item.status") != want {
				t.Errorf("the status is %s", a.str("item.status"))
			}
		})
	}
	for _, bad := range []object{
		{"serviceType": "nonsense"},
		{"maxResults": 0},
		{"maxResults": 1.5},
		{"maxResults": 501},
		{"allowExternalHandoff": "yes"},
		{"budget": object{"max": -1}},
		{"budget": 3},
		{"requiredCapabilities": "x"},
		{"providerCredentials": object{"akash": "key"}},
		{"machineId": 7},
	} {
		p.as("POST", "/market/search", bad).fails("VALIDATION_ERROR")
	}
}

func TestSearchIsCompleteAndStored(t *testing.T) {
	p := market(t, nil)
	wish := object{
		"machineId": p.machine, "agentPairingId": p.id, "serviceType": "rtk", "region": "eu",
		"requiredCapabilities": []string{}, "Odd_Key": 1,
	}
	secret := with(wish, "providerCredentials", object{"geodnet": object{"appKey": "cred-zzz"}})
	a := p.as("POST", "/market/search", secret).ok(201)
	if strings.Contains(a.text, "cred-zzz") ||
		a.str("item.requestPayload.providerCredentials.geodnet.appKey") != "[REDACTED]" ||
		a.at("item.requestPayload.Odd_Key") != 1.0 {
		t.Errorf("the request is kept as %v", a.at("item.requestPayload"))
	}
	for name, want := range map[string]any{
		"machineId": p.machine, "agentPairingId": p.id, "normalizedTask.serviceType": "data.location", "normalizedTask.region": "eu",
		"normalizedTask.allowExternalHandoff": false, "normalizedTask.requireNativeExecution": false,
		"quotes.0.pricing.mode": "fixed", "quotes.0.payment.required": false,
	} {
		if a.at("item."+name) != want {
			t.Errorf("%s is %v, want %v", name, a.at("item."+name), want)
		}
	}
	if score, ok := a.at("item.quotes.0.score").(float64); !ok || score <= 0 || score > 1 {
		t.Errorf("the score is %v", a.at("item.quotes.0.score"))
	}
	back := p.get("/market/searches/" + a.str("item.id")).ok(200)
	if back.text != a.text {
		t.Errorf("it reads back as %s", back.text)
	}
	p.get("/market/searches/srch_none").fails("NOT_FOUND")

	plain := p.as("POST", "/market/search", object{}).ok(201)
	if plain.str("item.normalizedTask.serviceType") != "oracle.price-feed" { // that of the first quote
		t.Errorf("a plain search is of %s", plain.str("item.normalizedTask.serviceType"))
	}
	none := p.as("POST", "/market/search", object{"operation": "no-such"}).ok(201)
	if none.at("item.normalizedTask.serviceType") != "" {
		t.Errorf("a search without quotes is of %v", none.at("item.normalizedTask.serviceType"))
	}
}

func TestSearchKeepsToPoliciesAndEndpoints(t *testing.T) {
	p := market(
		t,
		object{
			"allowedSkillKeys": []string{"akash.compute", "qvac.inference", "peaq.price-feed"},
			"deniedServiceIds": []string{"svc_price_feed"},
		},
	)
	compute := object{"serviceType": "compute"}
	if got := quoted(p.as("POST", "/market/search", object{})); !slices.Equal(got, []string{"svc_akash_deploy"}) {
		t.Errorf("quoted are %v", got)
	}
	p.beat(p.enroll(p.machine).beat()).ok(200)
	if got := quoted(p.as("POST", "/market/search", compute)); !slices.Equal(got, []string{"svc_qvac_inference", "svc_akash_deploy"}) {
		t.Errorf("with an endpoint quoted are %v", got)
	}
	p.call("PATCH", "/skills/akash.compute/config", object{"enabled": false}).ok(200)
	if got := quoted(p.as("POST", "/market/search", compute)); !slices.Equal(got, []string{"svc_qvac_inference"}) {
		t.Errorf("with a skill switched off quoted are %v", got)
	}
	policy := p.post("/policies", object{"name": "no models", "deniedSkillKeys": []string{"qvac.inference"}}).ok(201).str("item.id")
	p.call("PATCH", "/machines/"+p.machine, object{"policyIds": []string{"pol_none", policy}}).ok(200)
	if got := quoted(p.as("POST", "/market/search", compute)); len(got) != 0 {
		t.Errorf("against the machine's policy quoted are %v", got)
	}
}

func TestQuotesExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHarness(t, sandbox.WithQuoteTTL(time.Minute))
		p := r.pair(r.machine(), nil)
		a := p.as("POST", "/market/search", object{"serviceType": "storage", "operation": "read-blob"}).ok(201)
		search, quote := a.str("item.id"), a.str("item.quotes.0.id")
		o := p.order("svc_walrus_blob", "searchId", search, "quoteId", quote).ok(201)
		if o.str("item.operation") != "read-blob" || o.str("item.quoteId") != quote || o.str("item.searchId") != search {
			t.Errorf("ordered as %s", o.text)
		}
		p.order("svc_walrus_blob", "quoteId", quote).ok(201) // a quote belongs to a search
		p.order("svc_walrus_blob", "quoteId", quote, "operation", "store-blob").fails("VALIDATION_ERROR")
		p.order("svc_location", "quoteId", quote).fails("VALIDATION_ERROR")
		p.order("svc_walrus_blob", "quoteId", "quo_none_1").fails("NOT_FOUND")
		p.order("svc_walrus_blob", "quoteId", strings.TrimSuffix(quote, "1")+"01").fails("NOT_FOUND")
		p.order("svc_walrus_blob", "searchId", "srch_none").fails("NOT_FOUND")
		second := p.as("POST", "/market/search", object{}).ok(201).str("item.id")
		p.order("svc_walrus_blob", "searchId", second, "quoteId", quote).fails("VALIDATION_ERROR")
		other := r.pair(p.machine, nil)
		other.order("svc_walrus_blob", "quoteId", quote).fails("NOT_FOUND")

		time.Sleep(time.Minute)
		p.order("svc_walrus_blob", "quoteId", quote).fails("QUOTE_EXPIRED")
	})
}

func TestQuoteOfOneService(t *testing.T) {
	p := market(t, object{"deniedServiceIds": []string{"svc_location"}})
	quote := func(service string, more ...any) reply {
		return p.as("POST", "/market/services/"+service+"/quote", with(object{"machineId": p.machine}, more...))
	}
	a := quote("svc_world_id").ok(201)
	if a.str("item.executionMode") != "external-handoff" || a.str("item.handoff.url") == "" {
		t.Errorf("quoted as %s", a.text)
	}
	p.order("svc_world_id", "quoteId", a.str("item.id")).ok(201)
	quote("svc_location").fails("AGENT_POLICY_DENIED")
	quote("svc_qvac_inference").fails("EXECUTION_UNSUPPORTED")
	quote("svc_walrus_blob", "budget", object{"amount": 0.1}).fails("EXECUTION_UNSUPPORTED")
	quote("svc_walrus_blob", "operation", "no-such").fails("VALIDATION_ERROR")
	quote("svc_walrus_blob", "machineId", nil).fails("VALIDATION_ERROR")
	quote("svc_none").fails("NOT_FOUND")

	platform := func(more ...any) reply {
		return p.post("/market/services/svc_location/quote", with(object{"machineId": p.machine}, more...))
	}
	platform().ok(201)
	platform("agentPairingId", p.id).fails("AGENT_POLICY_DENIED") // its policy applies
	platform("agentPairingId", "apair_none").fails("NOT_FOUND")
	platform("machineId", "mach_none").fails("NOT_FOUND")
}

func TestConversation(t *testing.T) {
	p := market(t, nil)
	say := func(message string) reply {
		return p.post("/market/search/conversation", object{"machineId": p.machine, "message": message}).ok(200)
	}
	if a := say("Where is the price of BTC?"); a.at("item.requiresMoreInput") != true {
		t.Errorf("two needs at once response %s", a.text)
	}
	a := say("I must store a file")
	if a.at("item.requiresMoreInput") != false || a.str("item.suggestedSearch.serviceType") != "storage.object" {
		t.Fatalf("returned %s", a.text)
	}
	if got := quoted(p.as("POST", "/market/search", a.at("item.suggestedSearch"))); len(got) != 1 {
		t.Errorf("the suggested search quotes %v", got)
	}
	if a := say("hm"); a.at("item.requiresMoreInput") != true || a.str("item.message") == "" {
		t.Errorf("nothing said returns %s", a.text)
	}
	p.post("/market/search/conversation", object{"machineId": p.machine}).fails("VALIDATION_ERROR")
}
