package sandbox_test

import (
	"fmt"
	"testing"
)

func TestPolicies(t *testing.T) {
	r := newHarness(t)
	a := r.post("/policies", object{"name": "night", "budgetCap": object{"currency": "USDC", "amount": 12.5}, "nativeOnly": true}).ok(201)
	id := a.str("item.id")
	for name, want := range map[string]any{
		"name": "night", "nativeOnly": true, "handoffAllowed": true, "budgetCap.amount": 12.5, "budgetCap.currency": "USDC",
	} {
		if a.at("item."+name) != want {
			t.Errorf("%s is %v, want %v", name, a.at("item."+name), want)
		}
	}
	for _, name := range []string{"allowedSkillKeys", "deniedSkillKeys", "regionRules", "requiredCapabilities"} {
		if list, ok := a.at("item." + name).([]any); !ok || len(list) != 0 {
			t.Errorf("%s is %v", name, a.at("item."+name))
		}
	}
	b := r.call("PATCH", "/policies/"+id, object{"name": "day", "allowedSkillKeys": []string{"a"}, "handoffAllowed": false}).ok(200)
	if b.str("item.name") != "day" || b.at("item.nativeOnly") != true || b.at("item.handoffAllowed") != false ||
		b.at("item.budgetCap.amount") != 12.5 {
		t.Errorf("changed to %s", b.text)
	}
	if got := r.get("/policies").ok(200).items(); len(got) != 1 || got[0].(object)["id"] != id {
		t.Errorf("listed are %v", got)
	}
	for _, bad := range []object{
		{"name": " "},
		{"name": "x", "nativeOnly": "yes"},
		{"name": "x", "budgetCap": object{"amount": 1}},
		{"name": "x", "budgetCap": object{"currency": "USDC"}},
		{"name": "x", "budgetCap": object{"currency": "USDC", "amount": -1}},
		{"name": "x", "regionRules": "eu"},
		{},
	} {
		r.post("/policies", bad).fails("VALIDATION_ERROR")
	}
	r.call("PATCH", "/policies/"+id, object{"name": ""}).fails("VALIDATION_ERROR")
	r.call("PATCH", "/policies/pol_none", object{}).fails("NOT_FOUND")
	r.get("/policies/pol_none").fails("NOT_FOUND")
}

func TestMachinePolicies(t *testing.T) {
	for _, c := range []struct {
		name    string
		policy  object
		service string
		refused bool
	}{
		{"allowed", object{"allowedSkillKeys": []string{"walrus.storage"}}, "svc_walrus_blob", false},
		{"not allowed", object{"allowedSkillKeys": []string{"walrus.storage"}}, "svc_location", true},
		{"denied", object{"deniedSkillKeys": []string{"walrus.storage"}}, "svc_walrus_blob", true},
		{"native only", object{"nativeOnly": true}, "svc_world_id", true},
		{"native only, native", object{"nativeOnly": true}, "svc_location", false},
		{"no handoff", object{"handoffAllowed": false}, "svc_world_id", true},
		{"handoff by default", object{}, "svc_world_id", false},
		{"region", object{"regionRules": []string{"us"}}, "svc_field_inspection", true},
		{"own region", object{"regionRules": []string{"us", "EU"}}, "svc_field_inspection", false},
		{"global is everywhere", object{"regionRules": []string{"us"}}, "svc_location", false},
		{"capability", object{"requiredCapabilities": []string{"robotics"}}, "svc_field_inspection", false},
		{"missing capability", object{"requiredCapabilities": []string{"flying"}}, "svc_field_inspection", true},
		{"cap", object{"budgetCap": object{"currency": "USDC", "amount": 0.2}}, "svc_walrus_blob", true},
		{"price at the cap", object{"budgetCap": object{"currency": "USDC", "amount": 0.25}}, "svc_walrus_blob", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := market(t, nil)
			id := p.post("/policies", with(c.policy, "name", "rule")).ok(201).str("item.id")
			p.call("PATCH", "/machines/"+p.machine, object{"policyIds": []string{"pol_unknown", id}}).ok(200)
			if a := p.order(c.service); c.refused {
				a.fails("AGENT_POLICY_DENIED")
			} else {
				a.ok(201)
			}
		})
	}
}

func TestPolicyChangeStopsAnOrder(t *testing.T) {
	p := market(t, nil)
	id := p.made("svc_location")
	policy := p.post("/policies", object{"name": "later", "deniedSkillKeys": []string{"peaq.location"}}).ok(201).str("item.id")
	p.call("PATCH", "/machines/"+p.machine, object{"policyIds": []string{policy}}).ok(200)
	p.onOrder(id, "execute", object{}).fails("AGENT_POLICY_DENIED")
	p.call("PATCH", "/policies/"+policy, object{"deniedSkillKeys": []string{}}).ok(200)
	p.onOrder(id, "execute", object{}).ok(200)
	if got := fmt.Sprint(p.get("/policies/" + policy).ok(200).at("item.name")); got != "later" {
		t.Errorf("the policy is called %s", got)
	}
}
