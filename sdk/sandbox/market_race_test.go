package sandbox_test

import (
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/peaqnetwork/peaqos-agent/sdk/sandbox"
)

// TestMarketUnderLoad: many buyers at once, some of whose orders wait for a device, while pairings
// get new sessions and the page is read. Every order ends correctly, and the day's limit is never
// exceeded.
func TestMarketUnderLoad(t *testing.T) {
	r := newHarness(t, sandbox.WithStateFile(stateFile(t)))
	machine := r.machine()
	web := device(t)
	r.beat(r.enroll(machine).beat(with(entry("qvac", web.URL), "authType", "bearer", "authToken", "sk-device"))).ok(200)
	var all sync.WaitGroup
	for range 6 {
		p := r.pair(machine, object{"dailySpendLimit": 1})
		all.Go(func() {
			bought := 0
			for i := range 8 {
				if i == 4 {
					p = p.session()
				}
				id := p.made("svc_qvac_inference", "input", object{"messages": []any{}})
				if a := p.onOrder(id, "execute", object{}); a.status != 200 || a.at("order.status") != "delivered" {
					t.Errorf("executed as %s", a.text)
				}
				if a := p.order("svc_walrus_blob", blobOrder...); a.status == 201 {
					bought++
					p.pays(a.str("item.id"))
					p.onOrder(a.str("item.id"), "execute", object{}).ok(200)
				} else {
					a.fails("AGENT_DAILY_LIMIT_EXCEEDED")
				}
				p.get("/market/orders?machineId=" + machine + "&limit=3").ok(200)
			}
			if bought != 4 { // 0.25 each
				t.Errorf("%d orders were bought for a limit of 1", bought)
			}
		})
	}
	all.Go(func() {
		for range 20 {
			rec := httptest.NewRecorder()
			r.s.ServeHTTP(rec, httptest.NewRequest("GET", "/live.json", nil))
			r.s.Orders("")
			r.s.Pairings("")
		}
	})
	all.Wait()
	if n := len(r.s.Orders(machine)); n != 6*8+6*4 {
		t.Errorf("there are %d orders", n)
	}
}

// TestOneRunPerOrder: if many execute an order at once, only one runs it.
func TestOneRunPerOrder(t *testing.T) {
	p := market(t, nil).publishes(device(t).URL, "authType", "bearer", "authToken", "sk-device")
	id := p.made("svc_qvac_inference", "input", object{"messages": []any{}})
	var all sync.WaitGroup
	won := make(chan bool, 20)
	for range cap(won) {
		all.Go(func() {
			a := p.onOrder(id, "execute", object{})
			if a.status != 200 {
				a.fails("ORDER_CLOSED")
			}
			won <- a.status == 200
		})
	}
	all.Wait()
	close(won)
	n := 0
	for w := range won {
		if w {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d runs", n)
	}
}
