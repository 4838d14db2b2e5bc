//go:build realclient

package realclient

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/peaqnetwork/peaqos-agent/check/lab"
	"github.com/peaqnetwork/peaqos-agent/sdk/sandbox"
)

// TestRealClientBuysOnTheMarket: a buyer searches, orders, pays and has work done,
// part of it by a model server that the machine has published.
func TestRealClientBuysOnTheMarket(t *testing.T) {
	device := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var asked struct{ Model string }
		_ = json.Unmarshal(body, &asked)
		_ = json.NewEncoder(w).Encode(map[string]string{"asked": r.Method + " " + r.URL.Path, "model": asked.Model})
	}))
	defer device.Close()
	server := sandbox.New(sandbox.WithAPIKey(lab.APIKey), sandbox.WithController("", lab.ControllerAddress))
	defer server.Close()
	web := httptest.NewServer(server)
	defer web.Close()

	var got map[string]any
	runScript(t, &got, "market_client.py", "BASE_URL="+web.URL, "CONTROLLER_KEY="+lab.ControllerKey, "RUNTIME="+device.URL)
	if diff := cmp.Diff(normal(t, marketWant()), got); diff != "" {
		t.Errorf("what the real client saw (-want +got):\n%s", diff)
	}
	if n := len(server.Orders("")); n != marketWant()["orders"] {
		t.Errorf("the server has %d orders", n)
	}
}

// marketWant is what market_client.py must see.
func marketWant() map[string]any {
	const blob = "LPJNul-wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ" // SHA-256 of hello
	return map[string]any{
		"price":  map[string]any{"symbol": "BTC/USD", "price": 67350.47, "currency": "USD"},
		"unpaid": "PAYMENT_REQUIRED", "payment": []any{nil, "held", "ready"}, "executed": []any{"delivered", blob},
		"confirmed": "release_pending", "released": "released", "closed": "ORDER_CLOSED", "read back": "aGVsbG8=",
		"disputed": "frozen", "refunded": "refunded",
		"x402": []any{"eip155:8453", "10000", "USD Coin"}, "escrow": []any{"held", "delivered"}, "handoff": 202,
		"before":        []any{},
		"on the device": []any{"delivered", map[string]any{"asked": "POST /v1/chat/completions", "model": "small"}},
		"models":        map[string]any{"asked": "GET /v1/models", "model": ""},
		"old policy":    "AGENT_AUTH_INVALID", "denied": "AGENT_POLICY_DENIED",
		"too much": "AGENT_SPEND_LIMIT_EXCEEDED", "too often": "AGENT_DAILY_LIMIT_EXCEEDED",
		"not native": "AGENT_POLICY_DENIED", "configured": "configured",
		"paused": "AGENT_PAIRING_INACTIVE", "old token": "AGENT_PAIRING_INACTIVE",
		"orders": 6,
	}
}
