package sdk_test

import (
	"net/http"
	"slices"
	"testing"

	"github.com/peaqnetwork/peaqos-agent/sdk"
)

// Some operations have a second Go method, with other types or over all pages. These tests
// call it with the responses that were recorded for the first.

// recorded returns the successful recordings of one call of the reference.
func recorded(t *testing.T, method string) []wireCase {
	t.Helper()
	all := slices.DeleteFunc(recordings(t), func(c wireCase) bool { return c.Call.Method != method || !c.Outcome.OK })
	if len(all) == 0 {
		t.Fatalf("%s was never recorded", method)
	}
	return all
}

func (c *wireCase) play(t *testing.T) *wireArgs {
	t.Helper()
	server := newWireServer(c.Exchanges)
	t.Cleanup(func() { server.close() })
	client, err := c.newClient(server.url)
	if err != nil {
		t.Fatal(err)
	}
	return &wireArgs{t.Context(), client, c.Call.Args}
}

func TestMachineAgentsListIsThePageWithoutMeta(t *testing.T) {
	for _, c := range recorded(t, "list_machine_agents") {
		a := c.play(t)
		items, err := a.c.MachineAgents.List(a.ctx, a.str("machineId"))
		a = c.play(t)
		page, err2 := a.c.MachineAgents.ListPage(a.ctx, a.str("machineId"))
		if err != nil || err2 != nil || len(items) != len(page.Items) || page.Status != http.StatusOK {
			t.Errorf("%s: %d items and %d, %v, %v", c.Name, len(items), len(page.Items), err, err2)
		}
	}
}

func TestAllSubscriptionsWalksAllPages(t *testing.T) {
	for _, c := range recorded(t, "list_iot_subscriptions") {
		a := c.play(t)
		page, err := a.c.IoT.Subscriptions(a.ctx, a.str("machineId"), a.token(), a.list())
		if err != nil || page.NextCursor == "" || len(page.Items) == 0 {
			continue // it has one page
		}
		last := c.Exchanges[0]
		last.Response.Body = []byte(`{"items":[],"nextCursor":null}`)
		c.Exchanges = append(c.Exchanges, last)
		a = c.play(t)
		walked := 0
		for item, err := range a.c.IoT.AllSubscriptions(a.ctx, a.str("machineId"), a.token(), a.list()) {
			if err != nil || item.ID != page.Items[walked].ID {
				t.Fatalf("%s: item %d is %s, %v", c.Name, walked, item.ID, err)
			}
			walked++
		}
		if walked != len(page.Items) {
			t.Errorf("%s: %d items were walked, not %d", c.Name, walked, len(page.Items))
		}
		return
	}
	t.Error("no recording has a second page")
}

// TestOneM2MGetOrder reads the same as the plain call, with a typed result.
func TestOneM2MGetOrder(t *testing.T) {
	executed, waiting := 0, 0
	for _, c := range recorded(t, "get_market_order") {
		a := c.play(t)
		plain, err := a.c.MarketOrders.Get(a.ctx, a.str("orderId"), a.maybeToken())
		if err != nil || plain.ProviderKey != sdk.OneM2MProviderKey || !a.has("pairingToken") {
			continue
		}
		a = c.play(t)
		typed, err := a.c.OneM2M.GetOrder(a.ctx, a.str("orderId"), a.token())
		if err != nil || typed.Order.ID != plain.ID || typed.Order.Status != plain.Status || typed.Order.Meta.Status != http.StatusOK {
			t.Errorf("%s: got %+v, %v", c.Name, typed, err)
			continue
		}
		if typed.Execution == nil {
			waiting++
			continue
		}
		executed++
		if typed.Execution.Outcome.Status == "" || typed.Execution.Outcome.Result == nil {
			t.Errorf("%s: the execution is %+v", c.Name, typed.Execution)
		}
	}
	if executed == 0 || waiting == 0 {
		t.Errorf("%d executed orders and %d others were recorded", executed, waiting)
	}
}
