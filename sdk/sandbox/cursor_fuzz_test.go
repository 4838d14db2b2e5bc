package sandbox_test

import (
	"encoding/base64"
	"net/url"
	"testing"
)

// FuzzCursor: no cursor causes more than a rejection or a page.
func FuzzCursor(f *testing.F) {
	r := newHarness(f)
	for range 3 {
		r.machine()
	}
	f.Add(offsetAt(0))
	f.Add(offsetAt(2))
	f.Add(offsetAt("1e1"))
	f.Add(offsetAt(-1))
	f.Add("AAAAAAAAAAAAAAAA")
	f.Fuzz(func(t *testing.T, cursor string) {
		r := r.in(t)
		for _, c := range []string{cursor, base64.RawURLEncoding.EncodeToString([]byte(cursor))} {
			a := r.get("/machines?limit=2&cursor=" + url.QueryEscape(c))
			if a.status != 200 && a.code() != "VALIDATION_ERROR" || a.status == 200 && len(a.items()) > 2 {
				t.Errorf("%q: %d %s", c, a.status, a.text)
			}
		}
	})
}

// FuzzPaymentHeader: no payment header but the signed one pays.
func FuzzPaymentHeader(f *testing.F) {
	p := market(f, nil)
	id := p.made("svc_market_depth", "input", object{"symbol": "ETH/USD"})
	p.onOrder(id, "payment-intent", object{"rail": object{"type": "x402"}}).ok(201)
	f.Add(`{"x402Version":2,"accepted":{"scheme":"exact"},"payload":{"signature":"0x","authorization":{}}}`)
	f.Add(`{}`)
	f.Add("\xff")
	f.Fuzz(func(t *testing.T, text string) {
		p := p.in(t)
		for _, h := range []string{text, base64.StdEncoding.EncodeToString([]byte(text))} {
			a := p.onOrder(id, "payment-proof", object{"payment": object{"paymentSignature": h}})
			if c := a.code(); c != "VALIDATION_ERROR" && c != "PAYMENT_REQUIRED" {
				t.Errorf("%q: %d %s", h, a.status, a.text)
			}
		}
	})
}
