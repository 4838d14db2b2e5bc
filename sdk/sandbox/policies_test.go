package sandbox_test

import "testing"

func TestPolicies(t *testing.T) {
	r := newRoom(t)
	a := r.post("/policies", object{"name": "night", "budgetCap": object{"currency": "USDC", "amount": 12.5}, "nativeOnly": true}).ok(201)
	id := a.str("item.id")
	for name, want := range map[string]any{"name": "night", "nativeOnly": true, "handoffAllowed": true, "budgetCap.amount": 12.5, "budgetCap.currency": "USDC"} {
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
	if b.str("item.name") != "day" || b.at("item.nativeOnly") != true || b.at("item.handoffAllowed") != false || b.at("item.budgetCap.amount") != 12.5 {
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
