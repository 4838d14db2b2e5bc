package sandbox_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/peaqnetwork/peaqos-agent/sdk/sandbox"
)

// everyCode lists all codes of contract §1.8 in their order, except the two that only clients use.
const everyCode = `
AUTH_REQUIRED AUTH_INVALID AGENT_AUTH_REQUIRED AGENT_AUTH_INVALID AGENT_AUTH_EXPIRED VALIDATION_ERROR NOT_FOUND
MACHINE_NOT_ACTIVE MACHINE_NOT_ACTIVATED MACHINE_IDENTITY_EXISTS MACHINE_IDENTITY_IMMUTABLE MACHINE_IDENTITY_PROOF_REQUIRED
MACHINE_IDENTITY_PROOF_INVALID MACHINE_IDENTITY_PROOF_EXPIRED PEAQOS_IDENTITY_UNAVAILABLE AGENT_PAIRING_PROOF_REQUIRED
AGENT_PAIRING_PROOF_INVALID AGENT_PAIRING_PROOF_EXPIRED AGENT_PAIRING_UNAVAILABLE AGENT_PAIRING_REQUIRED AGENT_PAIRING_INACTIVE
AGENT_POLICY_DENIED AGENT_SPEND_LIMIT_EXCEEDED AGENT_DAILY_LIMIT_EXCEEDED QUOTE_EXPIRED ORDER_CLOSED ORDER_NOT_DELIVERED
EXECUTION_UNSUPPORTED PAYMENT_REQUIRED PAYMENT_RPC_REQUIRED PAYMENT_RPC_ERROR PAYMENT_NOT_MINED PAYMENT_TX_FAILED
PAYMENT_TRANSFER_NOT_FOUND
ONEM2M_COMMAND_CONFLICT ONEM2M_ACTION_REJECTED ONEM2M_ACTION_TIMEOUT ONEM2M_SUBMISSION_UNKNOWN
ONEM2M_CSE_UNAVAILABLE ONEM2M_PROTOCOL_ERROR ONEM2M_TIMEOUT
IOT_REPLAY_UNAVAILABLE STREAM_DELIVERY_NOT_READY`

const paidService, freeService = "svc_walrus_blob", "svc_price_feed"

// orderBody returns the body of a buyer's order of a service.
func (b paired) orderBody(service string) object {
	input := object{"symbol": "BTC/USD"}
	if service == paidService {
		input = object{"content": "x"}
	}
	return object{"machineId": b.machine, "agentPairingId": b.id, "serviceId": service, "input": input}
}

// places creates an order and returns its path.
func (r *harness) places(b paired, service string) string {
	r.t.Helper()
	return "/market/orders/" + r.as(b, "POST", "/market/orders", b.orderBody(service)).ok(201).str("item.id")
}

// limited returns a buyer whose pairing has a policy.
func (r *harness) limited(policy object) paired {
	r.t.Helper()
	return r.pair(r.machine(), policy)
}

// chainOf is a transport that responds with the same text to every look-up of a transaction.
type chainOf string

func (c chainOf) RoundTrip(r *http.Request) (*http.Response, error) {
	status := http.StatusOK
	if c == "" {
		status = http.StatusBadGateway
	}
	return &http.Response{
		StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}},
		Body: io.NopCloser(bytes.NewReader([]byte(c))), Request: r,
	}, nil
}

// paysOnChain proves a payment by a transaction that the chain then reports as given.
func paysOnChain(t *testing.T, answer string) reply {
	r := newHarness(t, sandbox.WithRPC("", "http://127.0.0.1:8545"), sandbox.WithOutbound(chainOf(answer)))
	return r.paysFor(r.pair(r.machine(), nil))
}

func (r *harness) paysFor(b paired) reply {
	r.t.Helper()
	order := r.places(b, paidService)
	r.as(b, "POST", order+"/payment-intent", object{}).ok(201)
	return r.as(b, "POST", order+"/payment-proof", object{
		"verificationMode": "rpc", "chain": "base", "token": "USDC", "transactionHash": "0x" + strings.Repeat("ab", 32), "amount": "0.25",
		"payerAddress": addressOf(otherKey), "payeeAddress": addressOf(controllerKey),
	})
}

// TestEveryCode has, for each error code of the contract, a request that produces it.
func TestEveryCode(t *testing.T) {
	rows := slices.Concat(machineCodes(), pairingCodes(), marketCodes(), deviceCodes())
	var produced []string
	for _, row := range rows {
		produced = append(produced, row.code)
		t.Run(row.code, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := row.request(t)
				if outcome, _ := a.at("execution.outcome.errorCode").(string); outcome == row.code && a.status == 200 &&
					sandbox.StatusOf(row.code) == 0 {
					return // occurs only inside a failed outcome
				}
				a.fails(row.code)
			})
		})
	}
	if want := strings.Fields(everyCode); !slices.Equal(produced, want) {
		for _, code := range want {
			if !slices.Contains(produced, code) {
				t.Errorf("no request produces %s", code)
			}
		}
		t.Errorf("the table has %d rows, want the contract's %d, in its order", len(produced), len(want))
	}
}

// codeRow is an error code with a request that produces it.
type codeRow struct {
	code    string
	request func(t *testing.T) reply
}

func machineCodes() []codeRow {
	withDraft := func(change ...any) func(t *testing.T) reply {
		return func(t *testing.T) reply {
			r := newHarness(t)
			return r.post("/machines", with(r.draft("did:peaq:5"), change...))
		}
	}
	return []codeRow{
		{"AUTH_REQUIRED", func(t *testing.T) reply {
			r := newHarness(t)
			r.key = ""
			return r.get("/machines")
		}},
		{"AUTH_INVALID", func(t *testing.T) reply {
			r := newHarness(t)
			r.key = "wrong"
			return r.get("/machines")
		}},
		{"AGENT_AUTH_REQUIRED", func(t *testing.T) reply {
			r := newHarness(t)
			return r.beat(with(r.enroll(r.machine()).beat(), "agentToken", nil))
		}},
		{"AGENT_AUTH_INVALID", func(t *testing.T) reply {
			r := newHarness(t)
			return r.beat(with(r.enroll(r.machine()).beat(), "agentToken", "wrong"))
		}},
		{"AGENT_AUTH_EXPIRED", func(t *testing.T) reply {
			r := newHarness(t, sandbox.WithSessionTTL(time.Minute))
			b := r.pair(r.machine(), nil)
			time.Sleep(time.Minute)
			return r.as(b, "POST", "/market/orders", b.orderBody(freeService))
		}},
		{"VALIDATION_ERROR", withDraft("displayName", "")},
		{"NOT_FOUND", func(t *testing.T) reply { return newHarness(t).get("/machines/mach_none") }},
		{"MACHINE_NOT_ACTIVE", func(t *testing.T) reply {
			r := newHarness(t)
			return r.post("/machines/"+r.register()+"/agents/enrollment", object{})
		}},
		{"MACHINE_NOT_ACTIVATED", func(t *testing.T) reply {
			r := newHarness(t)
			m := r.machine()
			_ = r.s.SetController("", addressOf(otherKey))
			return r.get("/machines/" + m)
		}},
		{"MACHINE_IDENTITY_EXISTS", func(t *testing.T) reply {
			r := newHarness(t)
			r.post("/machines", r.draft("did:peaq:5")).ok(201)
			return r.post("/machines", r.draft("did:peaq:5"))
		}},
		{"MACHINE_IDENTITY_IMMUTABLE", func(t *testing.T) reply {
			r := newHarness(t)
			return r.call("PATCH", "/machines/"+r.register(), object{"identityRef": "did:peaq:77"})
		}},
		{"MACHINE_IDENTITY_PROOF_REQUIRED", withDraft("identityProof", nil)},
		{"MACHINE_IDENTITY_PROOF_INVALID", withDraft("identityRef", "did:peaq:6")},
		{"MACHINE_IDENTITY_PROOF_EXPIRED", func(t *testing.T) reply {
			r := newHarness(t, sandbox.WithChallengeTTL(time.Second))
			late := r.draft("did:peaq:5")
			time.Sleep(time.Second)
			return r.post("/machines", late)
		}},
		{"PEAQOS_IDENTITY_UNAVAILABLE", func(t *testing.T) reply {
			r := newHarness(t)
			_ = r.s.SetController("")
			return r.post("/machine-identity/challenges", object{"identityRef": "did:peaq:5"})
		}},
	}
}

func pairingCodes() []codeRow {
	pairing := func(change func(r *harness, m string, body object)) func(t *testing.T) reply {
		return func(t *testing.T) reply {
			r := newHarness(t, sandbox.WithChallengeTTL(time.Second))
			m := r.machine()
			body := with(claim(agentKey), "agentProof", r.agentProof(m, claim(agentKey), agentKey))
			change(r, m, body)
			return r.post("/machines/"+m+"/agent-pairings", body)
		}
	}
	return []codeRow{
		{"AGENT_PAIRING_PROOF_REQUIRED", pairing(func(_ *harness, _ string, body object) { delete(body, "agentProof") })},
		{"AGENT_PAIRING_PROOF_INVALID", pairing(func(_ *harness, _ string, body object) { body["agentRole"] = "another" })},
		{"AGENT_PAIRING_PROOF_EXPIRED", pairing(func(*harness, string, object) { time.Sleep(time.Second) })},
		{"AGENT_PAIRING_UNAVAILABLE", pairing(func(r *harness, _ string, _ object) { _ = r.s.SetController("") })},
		{"AGENT_PAIRING_REQUIRED", func(t *testing.T) reply {
			r := newHarness(t)
			b := r.pair(r.machine(), nil)
			return r.as(b, "POST", "/market/orders", with(b.orderBody(freeService), "agentPairingId", nil))
		}},
		{"AGENT_PAIRING_INACTIVE", func(t *testing.T) reply {
			r := newHarness(t)
			b := r.pair(r.machine(), nil)
			r.s.PausePairings()
			return r.as(b, "POST", "/market/orders", b.orderBody(freeService))
		}},
		{"AGENT_POLICY_DENIED", func(t *testing.T) reply {
			r := newHarness(t)
			b := r.limited(object{"deniedServiceIds": []string{freeService}})
			return r.as(b, "POST", "/market/orders", b.orderBody(freeService))
		}},
		{"AGENT_SPEND_LIMIT_EXCEEDED", func(t *testing.T) reply {
			r := newHarness(t)
			b := r.limited(object{"perTransactionLimit": 0.1, "currency": "USDC"})
			return r.as(b, "POST", "/market/orders", b.orderBody(paidService))
		}},
		{"AGENT_DAILY_LIMIT_EXCEEDED", func(t *testing.T) reply {
			r := newHarness(t)
			b := r.limited(object{"dailySpendLimit": 0.4, "currency": "USDC"})
			r.places(b, paidService)
			return r.as(b, "POST", "/market/orders", b.orderBody(paidService))
		}},
	}
}

func marketCodes() []codeRow {
	// after makes an order of a service, does something, and makes the last call.
	after := func(service string, steps func(r *harness, b paired, order string), last string, body object) func(t *testing.T) reply {
		return func(t *testing.T) reply {
			r := newHarness(t)
			b := r.pair(r.machine(), nil)
			order := r.places(b, service)
			if steps != nil {
				steps(r, b, order)
			}
			return r.as(b, "POST", order+last, body)
		}
	}
	receipt := func(status, block string) string {
		return fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"result":{"status":%q,"blockNumber":%q,"logs":[]}}`, status, block)
	}
	return []codeRow{
		{"QUOTE_EXPIRED", func(t *testing.T) reply {
			r := newHarness(t, sandbox.WithQuoteTTL(time.Minute))
			b := r.pair(r.machine(), nil)
			found := r.as(b, "POST", "/market/search", object{"machineId": b.machine, "serviceType": "oracle.price-feed"}).ok(201)
			time.Sleep(time.Minute)
			return r.as(
				b, "POST", "/market/orders",
				with(b.orderBody(found.str("item.quotes.0.serviceId")), "quoteId", found.str("item.quotes.0.id")),
			)
		}},
		{
			"ORDER_CLOSED",
			after(
				freeService, func(r *harness, b paired, order string) { r.as(b, "POST", order+"/cancel", object{}).ok(200) },
				"/execute", object{},
			),
		},
		{"ORDER_NOT_DELIVERED", after(freeService, nil, "/confirm", object{})},
		{"EXECUTION_UNSUPPORTED", func(t *testing.T) reply { // readings are direct, not ordered
			r := newHarness(t)
			b := r.pair(r.machine(), nil)
			return r.as(b, "POST", "/market/orders", with(b.orderBody(readings), "operation", "list-devices", "input", object{}))
		}},
		{"PAYMENT_REQUIRED", after(paidService, nil, "/execute", object{})},
		{"PAYMENT_RPC_REQUIRED", func(t *testing.T) reply {
			r := newHarness(t)
			return r.paysFor(r.pair(r.machine(), nil))
		}},
		{"PAYMENT_RPC_ERROR", func(t *testing.T) reply { return paysOnChain(t, "") }},
		{"PAYMENT_NOT_MINED", func(t *testing.T) reply { return paysOnChain(t, `{"jsonrpc":"2.0","id":1,"result":null}`) }},
		{"PAYMENT_TX_FAILED", func(t *testing.T) reply { return paysOnChain(t, receipt("0x0", "0x10")) }},
		{"PAYMENT_TRANSFER_NOT_FOUND", func(t *testing.T) reply { return paysOnChain(t, receipt("0x1", "0x10")) }},
	}
}

func deviceCodes() []codeRow {
	door := func(device string) func(t *testing.T) reply {
		return func(t *testing.T) reply {
			r := newHarness(t)
			return r.run(r.pair(r.machine(), nil), smartDoors, "execute-action", open(device, "cmd-1"))
		}
	}
	reading := func(device string) func(t *testing.T) reply {
		return func(t *testing.T) reply {
			r := newHarness(t)
			return r.read(r.pair(r.machine(), nil), "get-latest-data", object{"deviceId": device, "resource": "temperature"})
		}
	}
	return []codeRow{
		{"ONEM2M_COMMAND_CONFLICT", func(t *testing.T) reply {
			r := newHarness(t)
			b := r.pair(r.machine(), nil)
			r.run(b, smartDoors, "execute-action", open("iotdev_vault_door", "cmd-1"))
			return r.ordered(b, smartDoors, "execute-action", open("iotdev_back_door", "cmd-1"))
		}},
		{"ONEM2M_ACTION_REJECTED", door("iotdev_vault_door")},
		{"ONEM2M_ACTION_TIMEOUT", door("iotdev_back_door")},
		{"ONEM2M_SUBMISSION_UNKNOWN", door("iotdev_cellar_door")},
		{"ONEM2M_CSE_UNAVAILABLE", reading("iotdev_roof_air")},
		{"ONEM2M_PROTOCOL_ERROR", reading("iotdev_plant_air")},
		{"ONEM2M_TIMEOUT", reading("iotdev_yard_air")},
		{"IOT_REPLAY_UNAVAILABLE", func(t *testing.T) reply {
			r := newHarness(t)
			b := r.pair(r.machine(), nil)
			return r.call(
				"GET", "/machines/"+b.machine+"/iot/events", nil, "X-Agent-Pairing-Token", b.token, "Accept", "text/event-stream",
				"Last-Event-ID", "iotevt_gone",
			)
		}},
		{"STREAM_DELIVERY_NOT_READY", func(t *testing.T) reply {
			r := newHarness(t)
			_, listing := r.offered()
			b := r.pair(r.machine(), nil)
			return r.as(b, "GET", "/purchases/"+r.bought(b, listing)+"/delivery", nil)
		}},
	}
}

// TestStatusOf: each code has the contract's status, or none if it only occurs inside an outcome.
func TestStatusOf(t *testing.T) {
	inside := []string{
		"ONEM2M_ACTION_REJECTED", "ONEM2M_ACTION_TIMEOUT", "ONEM2M_SUBMISSION_UNKNOWN", "ONEM2M_CSE_UNAVAILABLE",
		"ONEM2M_PROTOCOL_ERROR", "ONEM2M_TIMEOUT",
	}
	known := map[string]int{
		"VALIDATION_ERROR": 400, "ONEM2M_COMMAND_CONFLICT": 409, "STREAM_DELIVERY_NOT_READY": 409, "IOT_REPLAY_UNAVAILABLE": 410,
		"PAYMENT_RPC_ERROR": 502, "PAYMENT_NOT_MINED": 409, "PAYMENT_TX_FAILED": 402, "PAYMENT_TRANSFER_NOT_FOUND": 400,
	}
	for code := range strings.FieldsSeq(everyCode) {
		status := sandbox.StatusOf(code)
		if want, ok := known[code]; ok && status != want {
			t.Errorf("%s has status %d, want %d", code, status, want)
		}
		if none := slices.Contains(inside, code); none != (status == 0) || (!none && status < 400) {
			t.Errorf("%s has status %d", code, status)
		}
	}
	if sandbox.StatusOf("MADE_UP") != 0 {
		t.Error("an unknown code has a status")
	}
}
