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
		p.order("svc_field_inspection", "budget", object{"amount": 0.5}).fails("AGENT_SPEND_LIMIT_EXCEEDED") // the price counts
		p.order("svc_walrus_blob", "budget", object{"amount": 0.5}).ok(201)                                  // the larger amount counts
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

func (p paired) spent() any {
	p.t.Helper()
	return p.get(p.path() + "/spend").ok(200).at("item.dailySpend")
}

// TestBuyerCannotLowerWhatCounts: what a buyer says can only raise what the limits count.
func TestBuyerCannotLowerWhatCounts(t *testing.T) {
	p := market(t, object{"perTransactionLimit": 0.001, "dailySpendLimit": 0.001})
	p.order("svc_market_depth").fails("AGENT_SPEND_LIMIT_EXCEEDED")
	p.order("svc_market_depth", "budget", object{"amount": 0}).fails("AGENT_SPEND_LIMIT_EXCEEDED")
	p.order("svc_market_depth", "budget", object{"amount": 0.0001}).fails("AGENT_SPEND_LIMIT_EXCEEDED")
	if got := p.spent(); got != 0.0 {
		t.Errorf("rejected orders count: %v", got)
	}

	p = market(t, object{"perTransactionLimit": 2, "dailySpendLimit": 3})
	id := p.made("svc_walrus_blob", blobOrder...)
	intent := func(amount float64) reply { return p.onOrder(id, "payment-intent", object{"amount": amount}) }
	intent(1e6).fails("AGENT_SPEND_LIMIT_EXCEEDED")
	intent(2.01).fails("AGENT_SPEND_LIMIT_EXCEEDED")
	p.order("svc_location", "budget", object{"amount": 1.5}).ok(201)
	intent(1.51).fails("AGENT_DAILY_LIMIT_EXCEEDED")
	if got := p.get("/market/orders/" + id + "/payment").ok(200); got.at("item") != nil || p.status(id) != "created" || p.spent() != 1.75 {
		t.Errorf("a rejected intent leaves %s, an order that is %s, and spending of %v", got.text, p.status(id), p.spent())
	}
	intent(1.5).ok(201)
	if got := p.spent(); got != 3.0 {
		t.Errorf("with the intent %v is spent", got)
	}
	p.onOrder(id, "cancel", object{}).ok(200)
	if got := p.spent(); got != 1.5 {
		t.Errorf("after the cancellation %v is spent", got)
	}
	p.order("svc_location", "budget", object{"amount": 1.5}).ok(201)
}

// TestClockStepKeepsSpending: spending is kept for each day, whatever the clock does in between.
func TestClockStepKeepsSpending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := market(t, object{"dailySpendLimit": 0.03})
		for range 3 {
			p.order("svc_market_depth").ok(201)
		}
		p.order("svc_market_depth").fails("AGENT_DAILY_LIMIT_EXCEEDED")
		p.s.SetClock(23*time.Hour + 59*time.Minute)
		if got := p.spent(); got != 0.03 {
			t.Errorf("later on the same day %v is spent", got)
		}
		time.Sleep(time.Minute)
		p = p.session() // the token expired
		p.order("svc_market_depth").ok(201)
		p.s.SetClock(0)
		if got := p.spent(); got != 0.03 {
			t.Errorf("back again %v is spent", got)
		}
		p.order("svc_market_depth").fails("AGENT_DAILY_LIMIT_EXCEEDED")
	})
}

// TestPaidOrderCounts: what is held counts as spent until it is refunded.
func TestPaidOrderCounts(t *testing.T) {
	p := market(t, object{"dailySpendLimit": 0.3})
	id := p.made("svc_walrus_blob") // an input that cannot run
	p.pays(id)
	if a := p.onOrder(id, "execute", object{}).ok(200); a.str("order.status") != "failed" {
		t.Fatalf("executed as %s", a.text)
	}
	p.onOrder(id, "cancel", object{}).ok(200)
	if got := p.get("/market/orders/" + id + "/payment").str("item.status"); got != "held" || p.spent() != 0.25 {
		t.Errorf("the payment is %s and %v is spent", got, p.spent())
	}
	p.order("svc_walrus_blob").fails("AGENT_DAILY_LIMIT_EXCEEDED")
	p.onOrder(id, "payment/refund", object{}).ok(200)
	if got := p.spent(); got != 0.0 {
		t.Errorf("after the refund %v is spent", got)
	}
	p.onOrder(id, "payment/refund", object{}).fails("ORDER_CLOSED")
	p.order("svc_walrus_blob").ok(201)
}
