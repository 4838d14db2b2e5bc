package sandbox_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestSpendLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // starts at midnight UTC
		r := newHarness(t)
		p := r.pair(r.machine(), object{"perTransactionLimit": 2, "dailySpendLimit": 5, "currency": "USDC"})
		costs := func(amount float64) reply { return p.order("svc_location", "budget", object{"amount": amount}) }
		costs(2.01).fails("AGENT_SPEND_LIMIT_EXCEEDED")
		costs(2).ok(201)
		second := costs(2).ok(201).str("item.id")
		costs(1.5).fails("AGENT_DAILY_LIMIT_EXCEEDED")
		p.order("svc_walrus_blob").ok(201) // its price, 0.25
		p.order("svc_field_inspection").fails("AGENT_SPEND_LIMIT_EXCEEDED")
		p.order("svc_field_inspection", "budget", object{"amount": 0.5}).ok(201) // the budget's amount is counted
		costs(0).ok(201)
		a := p.get(p.path() + "/spend").ok(200)
		for name, want := range map[string]any{
			"pairingId": p.id, "currency": "USDC", "dailySpend": 4.75, "dailyLimit": 5.0, "perTransactionLimit": 2.0,
			"windowStartedAt": "2000-01-01T00:00:00.000Z", "windowEndsAt": "2000-01-02T00:00:00.000Z",
		} {
			if a.at("item."+name) != want {
				t.Errorf("%s is %v, want %v", name, a.at("item."+name), want)
			}
		}
		p.onOrder(second, "cancel", object{}).ok(200)
		costs(2).ok(201) // the amount of a cancelled order is available again
		time.Sleep(24*time.Hour - time.Millisecond)
		p = p.session()
		costs(1).fails("AGENT_DAILY_LIMIT_EXCEEDED")
		time.Sleep(time.Millisecond)
		costs(1).ok(201)
	})
	small := market(t, object{"dailySpendLimit": 0.3})
	for range 3 { // in binary, three times 0.1 is slightly more
		small.order("svc_location", "budget", object{"amount": 0.1}).ok(201)
	}
	small.order("svc_location", "budget", object{"amount": 0.000001}).fails("AGENT_DAILY_LIMIT_EXCEEDED")
	free := market(t, nil)
	free.order("svc_location", "budget", object{"amount": 1e16}).fails("VALIDATION_ERROR")
	free.order("svc_location", "budget", object{"amount": 1e15}).ok(201)
	free = market(t, nil)
	if a := free.get(free.path() + "/spend").ok(200); a.at("item.dailyLimit") != nil || !strings.Contains(a.text, `"currency":null`) {
		t.Errorf("without limits it is %s", a.text)
	}
}
