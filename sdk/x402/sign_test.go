package x402_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/peaqnetwork/peaqos-agent/sdk"
	"github.com/peaqnetwork/peaqos-agent/sdk/x402"
)

const vectorKey = "0x1111111111111111111111111111111111111111111111111111111111111111"

// challenge is a provider's challenge in its simplest form.
func challenge(timeout int) string {
	return fmt.Sprintf(`{"x402Version":2,"resource":{"url":"https://x"},"extensions":{"a_b":1},"accepts":[{
		"scheme":"exact","network":"eip155:8453",
		"asset":"0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913","payTo":"0x8617E340B3D01FA5F11F306F4090FD50E238070D","amount":"10000",
		"maxTimeoutSeconds":%d,"extra":{"name":"USD Coin","version":"2"},"un_known":[1]}]}`, timeout)
}

// TestSignPacksWhatItSigned: the header holds the challenge's own requirements and the
// authorization, valid from now on for the requested time.
func TestSignPacksWhatItSigned(t *testing.T) {
	for timeout, lasts := range map[int]int64{300: 300, 0: 3600} {
		synctest.Test(t, func(t *testing.T) {
			signed, err := x402.Sign(json.RawMessage(challenge(timeout)), sdk.NewSecret(vectorKey))
			if err != nil {
				t.Fatal(err)
			}
			text, err := base64.StdEncoding.DecodeString(signed.PaymentSignature.Reveal())
			if err != nil {
				t.Fatal(err)
			}
			var header struct {
				Version int `json:"x402Version"`
				Payload struct {
					Authorization x402.Authorization `json:"authorization"`
					Signature     string             `json:"signature"`
				} `json:"payload"`
				Accepted   json.RawMessage `json:"accepted"`
				Resource   json.RawMessage `json:"resource"`
				Extensions json.RawMessage `json:"extensions"`
			}
			if err := json.Unmarshal(text, &header); err != nil {
				t.Fatal(err)
			}
			a := header.Payload.Authorization
			if a != signed.Authorization || a.Value != "10000" || a.ValidAfter != "0" ||
				a.ValidBefore != strconv.FormatInt(time.Now().Unix()+lasts, 10) || len(a.Nonce) != 66 {
				t.Errorf("authorized %+v", a)
			}
			if header.Version != 2 || !strings.Contains(string(header.Accepted), `"un_known":[1]`) ||
				string(header.Extensions) != `{"a_b":1}` || len(header.Resource) == 0 {
				t.Errorf("packed %s", text)
			}
			if v := header.Payload.Signature; len(v) != 132 || (v[130:] != "1b" && v[130:] != "1c") {
				t.Errorf("the signature is %s", v)
			}
			again, err := x402.Sign(json.RawMessage(challenge(timeout)), sdk.NewSecret(vectorKey))
			if err != nil || again.Authorization.Nonce == a.Nonce {
				t.Errorf("a nonce was used twice: %v", err)
			}
		})
	}
}

func TestSignRefusals(t *testing.T) {
	good := challenge(300)
	order := "0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141"
	for name, c := range map[string]struct{ source, key, field string }{
		"no challenge":   {`{}`, vectorKey, "paymentRequirements"},
		"not JSON":       {`no`, vectorKey, "paymentRequirements"},
		"invalid base64": {`{"paymentRequired":"%%%"}`, vectorKey, "paymentRequirements"},
		"bare requirements": {`{"network":"eip155:1","asset":"0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913",` +
			`"payTo":"0x8617E340B3D01FA5F11F306F4090FD50E238070D","amount":"1","extra":{"name":"n",` +
			`"version":"1"}}`, vectorKey, "payment.rail.metadata.paymentRequest"},
		"not in base64":            {`{"paymentRequired":` + good + `}`, vectorKey, "paymentRequest.paymentRequired"},
		"nested, not in base64":    {`{"paymentRequest":` + good + `}`, vectorKey, "paymentRequest.paymentRequired"},
		"a scheme of another kind": {strings.Replace(good, `"exact"`, `7`, 1), vectorKey, "scheme"},
		"no amount":                {strings.Replace(good, `"amount":"10000",`, ``, 1), vectorKey, "paymentRequirements"},
		"no version":               {strings.Replace(good, `,"version":"2"`, ``, 1), vectorKey, "paymentRequirements.extra"},
		"another scheme":           {strings.Replace(good, `"exact"`, `"upto"`, 1), vectorKey, "scheme"},
		"another method": {strings.Replace(
			good, `"version":"2"`, `"version":"2","assetTransferMethod":"permit2"`, 1,
		), vectorKey, "assetTransferMethod"},
		"another kind of chain":  {strings.Replace(good, `eip155:8453`, `solana:x`, 1), vectorKey, "network"},
		"an amount with a point": {strings.Replace(good, `"10000"`, `"0.01"`, 1), vectorKey, "amount"},
		"a key without 0x":       {good, vectorKey[2:], "signer"},
		"the key zero":           {good, "0x" + strings.Repeat("0", 64), "signer"},
		"a key of the order":     {good, order, "signer"},
		"no key":                 {good, "", "signer"},
		"a key cut short":        {good, vectorKey[:65], "signer"},
		"a key and a line end":   {good, vectorKey + "\n", "signer"},
		"a key with a letter g":  {good, vectorKey[:65] + "g", "signer"},
	} {
		signed, err := x402.Sign(json.RawMessage(c.source), sdk.NewSecret(c.key))
		var invalid *sdk.ValidationError
		if signed != nil || !errors.As(err, &invalid) || invalid.Field != c.field {
			t.Errorf("%s: got %v, want the field %s", name, err, c.field)
		}
		if c.key != "" && err != nil && strings.Contains(err.Error(), c.key) {
			t.Errorf("%s: the error repeats the key", name)
		}
	}
	if _, err := x402.SignPayment(&sdk.MarketPayment{}, sdk.NewSecret(vectorKey)); err == nil ||
		!strings.Contains(err.Error(), "payment.rail.metadata") {
		t.Errorf("a payment without a challenge: %v", err)
	}
	if _, err := x402.ParsePayment(nil); err == nil {
		t.Error("no payment was read")
	}
}
