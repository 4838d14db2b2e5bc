package sandbox_test

import (
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/peaqnetwork/peaqos-agent/sdk/sandbox"
)

// FuzzStreamBodies: no body of a stream call causes a panic or a status that is not in the
// contract.
func FuzzStreamBodies(f *testing.F) {
	r := newHarness(f)
	seller, listing := r.offered()
	b := r.pair(r.machine(), nil)
	paid := r.bought(b, listing)
	open := r.as(b, "POST", "/purchases", order(listing)).ok(201).str("item.id")
	node := r.post("/machines/"+seller.machine+"/graph/nodes", object{"data": object{}}).ok(201).str("item.id")
	type target struct{ method, path string }
	targets := []target{
		{"PUT", "/machines/" + seller.machine + "/delivery-capabilities"},
		{"PATCH", "/machines/" + seller.machine + "/stream/listings/" + listing},
		{"POST", "/machines/" + seller.machine + "/stream/listings"},
		{"POST", "/purchases"},
		{"POST", "/purchases/" + open + "/payment-intent"},
		{"POST", "/purchases/" + open + "/payment-proof"},
		{"POST", "/purchases/" + open + "/events"},
		{"POST", "/stream/orders/" + paid + "/prepare-access"},
		{"POST", "/stream/orders"},
		{"POST", "/stream/orders/" + open + "/payment"},
		{"POST", "/stream/delivery-sessions/poll"},
		{"POST", "/stream/buyer-access"},
		{"POST", "/stream/chunks"},
		{"POST", "/machines/" + seller.machine + "/stream/signing-keys"},
		{"PATCH", "/machines/" + seller.machine + "/graph/nodes/" + node},
		{"POST", "/machines/" + seller.machine + "/ownership-proof"},
		{"POST", "/machine-agents/" + seller.id + "/events"},
	}
	seeds := []object{
		{},
		order(listing), transferTo("0xA"),
		{"rail": "x402", "paymentHeader": "h"},
		{"actor": object{}, "type": "seller.ready"},
		seller.prepare(),
		{"agentId": seller.id, "capabilities": []object{way("x")}},
		{"paymentRails": []object{{"type": "transfer", "destination": object{"payTo": "x"}}}},
		seller.signed("access", accessTo("c1")),
		{"data": object{"a": nil}, "status": "draft"},
		{"price": object{"amount": 1e308, "currency": "x"}, "title": "t", "chunkIds": []string{}},
	}
	for i, seed := range seeds {
		text, _ := json.Marshal(seed)
		f.Add(string(text), uint8(i))
	}
	f.Fuzz(func(t *testing.T, body string, which uint8) {
		to := targets[int(which)%len(targets)]
		w := httptest.NewRecorder()
		r.s.ServeHTTP(w, r.in(t).request(to.method, to.path, body, "x-agent-pairing-token", b.token))
		checkReply(t, to.path+" "+body, w)
	})
}

// FuzzDeviceInput: no input of a device service causes more than a rejection or a failed outcome.
func FuzzDeviceInput(f *testing.F) {
	r := newHarness(f)
	b := r.pair(r.machine(), nil)
	for i, seed := range []string{
		`{"limit":1,"cursor":"AAAA"}`, `{"deviceId":"iotdev_front_door"}`, `{"deviceId":"iotdev_lobby_air","resource":"climate"}`,
		`{"deviceId":"iotdev_lobby_air","resource":"calibration"}`,
		`{"deviceId":"iotdev_front_door","action":"OPEN","commandId":"c"}`,
		`{"deviceId":"iotdev_lobby_air","resource":"humidity","ttlSeconds":60}`, `{"limit":null}`, `[]`,
	} {
		f.Add(seed, uint8(i))
	}
	operations := []string{"list-devices", "get-device-info", "get-latest-data", "execute-action", "subscribe-events"}
	f.Fuzz(func(t *testing.T, input string, which uint8) {
		if !json.Valid([]byte(input)) {
			return
		}
		operation, service, path := operations[int(which)%len(operations)], readings, "/market/services/"+readings+"/execute"
		if operation == "execute-action" || operation == "subscribe-events" {
			path = "/market/orders"
		}
		if operation == "execute-action" {
			service = smartDoors
		}
		body := `{"machineId":"` + b.machine + `","agentPairingId":"` + b.id + `","serviceId":"` + service +
			`","operation":"` + operation + `","input":` + input + `}`
		w := httptest.NewRecorder()
		r.s.ServeHTTP(w, r.in(t).request("POST", path, body, "x-agent-pairing-token", b.token))
		checkReply(t, operation+" "+input, w)
	})
}

// in returns the harness for one run of a fuzz test.
func (r *harness) in(t testing.TB) *harness {
	in := *r
	in.t = t
	return &in
}

// checkReply requires a status of the contract and, for an error, its envelope.
func checkReply(t *testing.T, what string, w *httptest.ResponseRecorder) {
	t.Helper()
	a := reply{t: t, call: what, status: w.Code, text: w.Body.String()}
	_ = json.Unmarshal(w.Body.Bytes(), &a.body)
	if code := a.code(); w.Code >= 400 && (code == "" || sandbox.StatusOf(code) != w.Code) || w.Code >= 300 && w.Code < 400 {
		t.Errorf("%s: %d %s", what, w.Code, a.text)
	}
}

// FuzzEventCursor: no cursor or filter of an event stream causes more than a rejection.
func FuzzEventCursor(f *testing.F) {
	r := newHarness(f)
	b := r.pair(r.machine(), nil)
	f.Add("iotevt_x", "iotsub_x")
	f.Add("\xff\n", "")
	f.Add("", "%00")
	f.Fuzz(func(t *testing.T, cursor, subscription string) {
		req := r.in(t).request("HEAD", "/machines/"+b.machine+"/iot/events", nil, "x-agent-pairing-token", b.token)
		req.Body = httptest.NewRequest("GET", "/", nil).Body
		req.Header["Last-Event-Id"] = []string{cursor}
		q := req.URL.Query()
		if subscription != "" {
			q.Set("subscriptionId", subscription)
		}
		req.URL.RawQuery = q.Encode()
		w := httptest.NewRecorder()
		r.s.ServeHTTP(w, req)
		if w.Code == 200 && (cursor != "" || subscription != "") || strings.Contains(w.Body.String(), b.token) {
			t.Errorf("%q %q: %d %s", cursor, subscription, w.Code, w.Body)
		}
		checkReply(t, cursor, w)
	})
}
