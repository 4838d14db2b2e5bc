package sandbox_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// known reports whether a status occurs in the contract's table.
func known(status int) bool {
	switch status {
	case 200, 201, 202, 204, 400, 401, 402, 403, 404, 409, 410, 422, 502, 503:
		return true
	}
	return false
}

// FuzzPairingToken: only a real token gives access, and none causes a panic.
func FuzzPairingToken(f *testing.F) {
	r := newHarness(f)
	p := r.pair(r.machine(), nil)
	f.Add(p.token)
	f.Add("a.b.c")
	f.Add("eyJhbGciOiJub25lIn0.e30.")
	f.Add(strings.Replace(p.token, ".", "..", 1))
	f.Fuzz(func(t *testing.T, token string) {
		p := p.in(t)
		req, err := http.NewRequestWithContext(t.Context(), "POST", p.url+"/api/v1/market/search", strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header[http.CanonicalHeaderKey(tokenHeader)] = []string{token}
		a := p.do(req)
		switch {
		case token == p.token:
			if a.status != 201 {
				t.Errorf("the real token: %d %s", a.status, a.text)
			}
		case a.status != 401:
			t.Errorf("%q: %d %s", token, a.status, a.text)
		}
	})
}

// FuzzMarketBody: no body of a market call causes a panic or a status that is not in the contract.
func FuzzMarketBody(f *testing.F) {
	r := newHarness(f)
	p := r.pair(r.machine(), nil)
	order := p.made("svc_walrus_blob")
	p.onOrder(order, "payment-intent", object{}).ok(201)
	for _, body := range []string{
		`{}`, `{"serviceType":"rtk","maxResults":3,"budget":{"max":1}}`,
		`{"machineId":"m","serviceId":"svc_location","input":{"latitude":1e999}}`,
		`{"verificationMode":"rpc","chain":"base","token":"USDC","payerAddress":"0x1","payeeAddress":"0x2","amount":"1","transactionHash":"0x"}`,
		`{"payment":{"paymentSignature":"eyJwYXlsb2FkIjp7InNpZ25hdHVyZSI6IjB4In19"}}`,
		`{"rail":{"type":"x402","metadata":{"a":[]}},"amount":1e308}`,
		`{"delegationPolicy":{"deniedSkillKeys":[null]}}`, `{"settings":{"a":1},"credentials":{"b":"c"}}`,
		`{"providerCredentials":{"akash":{"a":"b"}}}`,
	} {
		f.Add(body, uint8(0))
	}
	paths := []string{
		"/market/search", "/market/orders", "/market/orders/" + order + "/payment-intent", "/market/orders/" + order + "/payment-proof",
		"/market/orders/" + order + "/payment/escrow-lock", "/market/services/svc_location/execute", "/market/services/svc_location/quote",
		"/market/search/conversation", "/machines/" + p.machine + "/agent-pairings",
		"/machines/" + p.machine + "/agent-pairings/challenges", "/policies", "/skills/submissions",
	}
	f.Fuzz(func(t *testing.T, body string, which uint8) {
		p := p.in(t)
		path := paths[int(which)%len(paths)]
		a := p.call("POST", path, body, tokenHeader, p.token)
		if !known(a.status) {
			t.Errorf("%s %q: %d %s", path, body, a.status, a.text)
		}
		if a.status >= 400 && a.code() == "" {
			t.Errorf("%s %q: no error envelope: %s", path, body, a.text)
		}
		for _, patch := range []string{"/skills/walrus.storage/config", "/policies/pol_none"} {
			if b := p.call("PATCH", patch, body); !known(b.status) {
				t.Errorf("%s %q: %d %s", patch, body, b.status, b.text)
			}
		}
	})
}

// FuzzMarketQuery: no query of a list causes a panic, and the response is a page.
func FuzzMarketQuery(f *testing.F) {
	p := paired{harness: newHarness(f)}
	f.Add("limit=2&cursor=AAAA", "serviceType=rtk")
	f.Add("machineId=m", "executionMode=native")
	f.Fuzz(func(t *testing.T, a, b string) {
		p := p.in(t)
		for _, path := range []string{"/market/services", "/skills", "/market/orders", "/policies"} {
			query := url.Values{}
			for _, q := range []string{a, b} {
				if more, err := url.ParseQuery(q); err == nil {
					for k, v := range more {
						query[k] = v
					}
				}
			}
			got := p.get(path + "?" + query.Encode())
			if !known(got.status) || (got.status == 200 && got.body["items"] == nil) {
				t.Errorf("%s?%s: %d %s", path, query.Encode(), got.status, got.text)
			}
		}
	})
}

// FuzzNativeInput: no input of a service that the sandbox runs causes more than a failed outcome.
func FuzzNativeInput(f *testing.F) {
	r := newHarness(f)
	p := r.pair(r.machine(), nil)
	f.Add(`{"latitude":52.5,"longitude":-180}`, `{"symbol":"a/b"}`)
	f.Add(`{"latitude":1e400}`, `{"symbol":"/"}`)
	f.Fuzz(func(t *testing.T, place, pair string) {
		p := p.in(t)
		for _, c := range [][3]string{{"svc_location", "resolve-location", place}, {"svc_price_feed", "get-price", pair}} {
			body := `{"machineId":"` + p.machine + `","agentPairingId":"` + p.id + `","operation":"` + c[1] + `","input":` + c[2] + `}`
			a := p.call("POST", "/market/services/"+c[0]+"/execute", body, tokenHeader, p.token)
			if a.status != 200 && a.code() != "VALIDATION_ERROR" {
				t.Errorf("%s: %d %s", c[2], a.status, a.text)
			}
		}
	})
}
