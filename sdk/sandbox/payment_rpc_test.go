package sandbox_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/peaqnetwork/peaqos-agent/sdk/sandbox"
)

// transferTopic is the topic of ERC-20 transfers; written here again on purpose.
const transferTopic = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"

const usdc = "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913"

func topic(address string) string { return "0x000000000000000000000000" + strings.ToLower(address[2:]) }

// transferLog is an ERC-20 transfer of an amount in base units.
func transferLog(token, from, to string, units int64) object {
	return object{
		"address": strings.ToLower(token), "topics": []string{transferTopic, topic(from), topic(to)},
		"data": fmt.Sprintf("0x%064x", units),
	}
}

func mined(status string, logs ...object) string {
	b, _ := json.Marshal(object{"jsonrpc": "2.0", "id": 1, "result": object{"status": status, "blockNumber": "0x10", "logs": logs}})
	return string(b)
}

// chain is an RPC server with a fixed response, and a pairing of a sandbox that uses it.
func chain(t *testing.T, status int, answer string) paired {
	t.Helper()
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		var asked struct {
			Method string
			Params []string
		}
		if json.Unmarshal(b, &asked) != nil || asked.Method != "eth_getTransactionReceipt" || len(asked.Params) != 1 ||
			asked.Params[0] != "0xcd" {
			t.Errorf("asked was %s", b)
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, answer)
	}))
	t.Cleanup(web.Close)
	r := newHarness(t, sandbox.WithRPC("base", web.URL))
	return r.pair(r.machine(), nil)
}

func TestProofByRPC(t *testing.T) {
	payer, payee := addressOf(agentKey), providerAddress
	good := transferLog(usdc, payer, payee, 250_000)
	for _, c := range []struct {
		name, answer string
		status       int
		change       []any
		want         string
	}{
		{"a transfer", mined("0x1", good), 200, nil, ""},
		{
			"among others",
			mined("0x1", object{"address": usdc, "topics": []string{"0x1"}, "data": "0x"}, transferLog(usdc, payee, payer, 9e6), good),
			200, nil, "",
		},
		{"more than is due", mined("0x1", transferLog(usdc, payer, payee, 9_000_000)), 200, nil, ""},
		{"raw amount", mined("0x1", transferLog(usdc, payer, payee, 300_000)), 200, []any{"rawAmount", "300000"}, ""},
		{"raw amount not reached", mined("0x1", good), 200, []any{"rawAmount", "300000"}, "PAYMENT_TRANSFER_NOT_FOUND"},
		{"not mined", `{"jsonrpc":"2.0","id":1,"result":null}`, 200, nil, "PAYMENT_NOT_MINED"},
		{"failed", mined("0x0", good), 200, nil, "PAYMENT_TX_FAILED"},
		{"no logs", mined("0x1"), 200, nil, "PAYMENT_TRANSFER_NOT_FOUND"},
		{"too little", mined("0x1", transferLog(usdc, payer, payee, 249_999)), 200, nil, "PAYMENT_TRANSFER_NOT_FOUND"},
		{
			"too little, and said so", mined("0x1", transferLog(usdc, payer, payee, 1)), 200,
			[]any{"amount", "0.000001"},
			"PAYMENT_TRANSFER_NOT_FOUND",
		},
		{"other token", mined("0x1", transferLog(payee, payer, payee, 250_000)), 200, nil, "PAYMENT_TRANSFER_NOT_FOUND"},
		{"other payer", mined("0x1", transferLog(usdc, payee, payee, 250_000)), 200, nil, "PAYMENT_TRANSFER_NOT_FOUND"},
		{"other payee", mined("0x1", transferLog(usdc, payer, payer, 250_000)), 200, nil, "PAYMENT_TRANSFER_NOT_FOUND"},
		{"data that is not a number", mined("0x1", with(good, "data", "0xzz")), 200, nil, "PAYMENT_TRANSFER_NOT_FOUND"},
		{"HTTP error", "busy", 503, nil, "PAYMENT_RPC_ERROR"},
		{"redirect", "", 302, nil, "PAYMENT_RPC_ERROR"},
		{"garbage", "<html>", 200, nil, "PAYMENT_RPC_ERROR"},
		{"JSON-RPC error", `{"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"x"}}`, 200, nil, "PAYMENT_RPC_ERROR"},
		{"endless response", `{"result":"` + strings.Repeat("x", 300<<10), 200, nil, "PAYMENT_RPC_ERROR"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := chain(t, c.status, c.answer)
			id := p.made("svc_walrus_blob")
			p.onOrder(id, "payment-intent", object{}).ok(201)
			a := p.onOrder(id, "payment-proof", recorded(append([]any{"verificationMode", "rpc"}, c.change...)...))
			if c.want != "" {
				a.fails(c.want)
				if got := p.status(id); got != "payment_pending" {
					t.Errorf("the order is %s", got)
				}
				return
			}
			if a.ok(200).str("item.status") != "held" || a.str("item.proof.verificationMode") != "rpc" {
				t.Errorf("returned %s", a.text)
			}
		})
	}
}

func TestProofByRPCNeedsAnAddress(t *testing.T) {
	p := chain(t, 200, mined("0x1"))
	id := p.made("svc_walrus_blob")
	p.onOrder(id, "payment-intent", object{"rail": object{"chain": "peaq"}}).ok(201)
	p.onOrder(id, "payment-proof", recorded("verificationMode", "rpc")).fails("VALIDATION_ERROR") // another chain
	p.onOrder(id, "payment-proof", recorded("verificationMode", "rpc", "chain", "peaq")).fails("PAYMENT_RPC_REQUIRED")
	p.onOrder(id, "payment-proof", recorded("verificationMode", "rpc", "chain", "peaq", "transactionHash", nil)).fails("VALIDATION_ERROR")

	gone := httptest.NewServer(nil)
	gone.Close()
	r := newHarness(t, sandbox.WithRPC("", gone.URL))
	q := r.pair(r.machine(), nil)
	id = q.made("svc_walrus_blob")
	q.onOrder(id, "payment-intent", object{}).ok(201)
	q.onOrder(id, "payment-proof", recorded("verificationMode", "rpc")).fails("PAYMENT_RPC_ERROR")
}
