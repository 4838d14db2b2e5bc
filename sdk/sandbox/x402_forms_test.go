package sandbox_test

import (
	"crypto/ecdsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/peaqnetwork/peaqos-agent/internal/golden"
)

// x402Form is a form of a payment header, and who accepts it. The facilitator's verdict is checked by
// check/realclient, with the published library.
type x402Form struct {
	Form      string
	Auth      map[string]string // members of the authorization; +N is N seconds from now, lower is the payee in lower case
	Replace   []string          // old and new text in the JSON
	Append    string            // after the JSON
	Signature string            // 64, 66, v, highS, other
	Header    string            // lf, crlf, space, garbage

	Facilitator, Sandbox, Why string
}

func x402Forms(t *testing.T) (forms []x402Form) {
	t.Helper()
	b, err := os.ReadFile("testdata/x402-forms.json")
	if err == nil {
		err = json.Unmarshal(b, &forms)
	}
	if err != nil || len(forms) < 50 {
		t.Fatalf("%d forms: %v", len(forms), err)
	}
	return forms
}

// value returns the header of this form for the terms.
func (f *x402Form) value(t *testing.T, terms map[string]any) string {
	t.Helper()
	a := authorize(terms)
	for name, v := range f.Auth {
		if seconds, ok := strings.CutPrefix(v, "+"); ok {
			n, _ := strconv.ParseInt(seconds, 10, 64)
			v = strconv.FormatInt(time.Now().Unix()+n, 10)
		} else if v == "lower" {
			v = strings.ToLower(a[name])
		}
		a[name] = v
	}
	text, err := base64.StdEncoding.DecodeString(header(terms, a, f.sign(terms, a)))
	if err != nil {
		t.Fatal(err)
	}
	changed := string(text) + f.Append
	if len(f.Replace) == 2 {
		changed = strings.Replace(changed, f.Replace[0], f.Replace[1], 1)
		if changed == string(text) {
			t.Fatalf("the edit changes nothing in %s", text)
		}
	}
	value := base64.StdEncoding.EncodeToString([]byte(changed))
	switch f.Header {
	case "lf":
		return value[:76] + "\n" + value[76:]
	case "crlf":
		return value + "\r\n"
	case "space":
		return " " + value
	case "garbage":
		return base64.StdEncoding.EncodeToString([]byte("garbage"))
	}
	return value
}

func (f *x402Form) sign(terms map[string]any, a map[string]string) string {
	key := map[bool]*ecdsa.PrivateKey{false: agentKey, true: otherKey}[f.Signature == "other"]
	signature := signTransfer(key, terms, a)
	switch v, _ := strconv.ParseUint(signature[130:], 16, 8); f.Signature {
	case "64":
		return signature[:130]
	case "66":
		return signature + "00"
	case "v":
		return fmt.Sprintf("%s%02x", signature[:130], v-27)
	case "highS":
		return highS(signature)
	}
	return signature
}

// TestX402Forms: what the published facilitator cannot read or would refuse does not pay.
func TestX402Forms(t *testing.T) {
	for _, f := range x402Forms(t) {
		t.Run(f.Form, func(t *testing.T) {
			p := market(t, nil)
			id, terms := p.challenged()
			got := p.onOrder(id, "payment-proof", object{"payment": object{"paymentSignature": f.value(t, terms)}})
			refused := got.code() == "PAYMENT_REQUIRED" || got.code() == "VALIDATION_ERROR"
			if accepted := got.status == 200; accepted != (f.Sandbox == "accepts") || accepted == refused {
				t.Errorf("%d %s", got.status, got.text)
			}
			if got.status != 200 && p.status(id) != "payment_pending" {
				t.Errorf("the order is %s", p.status(id))
			}
			if f.Facilitator == "refuses" && f.Sandbox == "accepts" {
				t.Error("the sandbox is laxer than the facilitator")
			}
			if (f.Facilitator != f.Sandbox) && f.Why == "" {
				t.Error("a difference needs a reason")
			}
		})
	}
}

// TestX402Document: X402.md lists the forms.
func TestX402Document(t *testing.T) {
	text := x402Head
	alike := 0
	for _, f := range x402Forms(t) {
		if f.Facilitator == f.Sandbox {
			alike++
		}
		text += fmt.Sprintf("| %s | %s | %s | %s |\n", f.Form, f.Facilitator, f.Sandbox, f.Why)
	}
	text += fmt.Sprintf("\nOf %d forms %d are alike. No form is accepted by the sandbox alone.\n", len(x402Forms(t)), alike)
	golden.Check(t, "X402.md", text)
}

const x402Head = `# How the sandbox checks an x402 payment

The sandbox is to accept no payment header that a real service would refuse. The table compares it
with the facilitator of the published library (x402 2.25.0 from PyPI: its reader of the header
PAYMENT-SIGNATURE, then its scheme exact for EVM, with a chain on which every transfer succeeds).
testdata/x402-forms.json defines the forms; this page is made from it (go test ./sdk/sandbox -run
TestX402Document -update). The column of the sandbox is checked by TestX402Forms, that of the
facilitator by the tests in check/realclient.

Where the sandbox is stricter, the last column says why. Two things it does not do: it asks no chain
about the payer's balance or about smart wallets (EIP-1271, EIP-6492: their signatures are not 65
bytes long, and it refuses them), and it knows only the method eip3009, not permit2. A nonce counts as
used when the sandbox has accepted it.

| Form | Facilitator | Sandbox | Why they differ, or remark |
|---|---|---|---|
`
