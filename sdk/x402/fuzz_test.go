package x402_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/peaqnetwork/peaqos-agent/sdk"
	"github.com/peaqnetwork/peaqos-agent/sdk/x402"
)

// FuzzChallenge: a challenge is rejected as an argument, or the signed message is exactly
// what Parse returned, valid until a time in the future. No result holds the key.
func FuzzChallenge(f *testing.F) {
	good := challenge(300)
	for _, s := range []string{
		good, `{"paymentRequest":` + good + `}`, `{"payment_request":{"payment_required":` + good + `}}`,
		`{"paymentRequired":"` + base64.StdEncoding.EncodeToString([]byte(good)) + `"}`,
		`{"accepts":[]}`, `{"accepts":[null]}`, `{"paymentRequired":"!"}`, `{"paymentRequired":"bnVsbA=="}`, `null`, `[]`, `{`,
		strings.Repeat(`{"paymentRequest":`, 20) + good + strings.Repeat(`}`, 20),
		strings.Replace(good, `"10000"`, `10000`, 1), strings.Replace(good, `"10000"`, `1e4`, 1),
		strings.Replace(good, `"10000"`, `"-1"`, 1), strings.Replace(good, "300", "9223372036854775807", 1),
		strings.Replace(good, "eip155:8453", "solana:x", 1), strings.Replace(good, "eip155:8453", "eip155:+1", 1),
		strings.Replace(good, "eip155:8453", "eip155:007", 1),
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, source string) {
		want, err := x402.Parse(json.RawMessage(source))
		var fault *sdk.ValidationError
		if err != nil {
			if !errors.As(err, &fault) {
				t.Errorf("got %v", err)
			}
			return
		}
		if want.Network == "" || want.Asset == "" || want.PayTo == "" || want.Amount == "" || want.Scheme != "exact" {
			t.Errorf("%+v was accepted", want)
		}
		signed, err := x402.Sign(json.RawMessage(source), sdk.NewSecret(vectorKey))
		if err != nil {
			if !errors.As(err, &fault) || strings.Contains(err.Error(), vectorKey[2:]) {
				t.Errorf("got %v", err)
			}
			return
		}
		a := signed.Authorization
		if a.Value != want.Amount || a.To != want.PayTo || signed.Asset != want.Asset || signed.Network != want.Network {
			t.Errorf("%+v was shown, %+v was signed", want, signed)
		}
		until, ok := new(big.Int).SetString(a.ValidBefore, 10)
		if !ok || until.Cmp(big.NewInt(time.Now().Unix())) <= 0 {
			t.Errorf("valid until %s", a.ValidBefore)
		}
		header, err := base64.StdEncoding.DecodeString(signed.PaymentSignature.Reveal())
		if err != nil || !json.Valid(header) || strings.Contains(string(header), vectorKey[2:]) {
			t.Errorf("the header is %s, %v", header, err)
		}
		if printed := fmt.Sprintf("%v %+v %#v", signed, signed, signed); strings.Contains(printed, signed.PaymentSignature.Reveal()) {
			t.Errorf("the signature is in %s", printed)
		}
	})
}

// FuzzHeader: a challenge with any texts in its members is rejected as an argument, or its
// header has the form of version 2: every member of the standard, by its name and of its type,
// and the requirements as they were sent.
func FuzzHeader(f *testing.F) {
	f.Add("10000", "0x8617E340B3D01FA5F11F306F4090FD50E238070D", "USD Coin", "2", `{"url":"https://x"}`, `{}`, 300)
	f.Add("1000001", "0x8617E340B3D01FA5F11F306F4090FD50E238070D", "\u2028<&>", "\ufffd", `null`, `null`, 0)
	f.Add("-1", "payee", "", "", `{"url":1}`, `[]`, -1)
	f.Add("007", "0x0000000000000000000000000000000000000000", "x", "y", `{"url":"x","tags":[null]}`, `{"a":[[[]]]}`, 31536000)
	f.Fuzz(func(t *testing.T, amount, payTo, name, version, resource, extensions string, seconds int) {
		if !json.Valid([]byte(resource)) || !json.Valid([]byte(extensions)) {
			return
		}
		text := func(s string) string {
			quoted, err := json.Marshal(s)
			if err != nil {
				t.Fatal(err)
			}
			return string(quoted)
		}
		accepted := fmt.Sprintf(`{"scheme":"exact","network":"eip155:8453","asset":"0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913",`+
			`"payTo":%s,"amount":%s,"maxTimeoutSeconds":%d,"extra":{"name":%s,"version":%s}}`,
			text(payTo), text(amount), seconds, text(name), text(version))
		source := json.RawMessage(`{"x402Version":2,"resource":` + resource + `,"extensions":` + extensions + `,"accepts":[` + accepted + `]}`)
		signed, err := x402.Sign(source, sdk.NewSecret(vectorKey))
		if err != nil {
			var fault *sdk.ValidationError
			if !errors.As(err, &fault) {
				t.Errorf("got %v", err)
			}
			return
		}
		raw, err := base64.StdEncoding.DecodeString(signed.PaymentSignature.Reveal())
		if err != nil {
			t.Fatal(err)
		}
		var header struct {
			X402Version int `json:"x402Version"`
			Payload     struct {
				Authorization x402.Authorization `json:"authorization"`
				Signature     string             `json:"signature"`
			} `json:"payload"`
			Accepted   json.RawMessage `json:"accepted"`
			Resource   *struct{ URL string }
			Extensions map[string]json.RawMessage
		}
		if err := json.Unmarshal(raw, &header); err != nil || header.X402Version != 2 || string(header.Accepted) != accepted {
			t.Errorf("the header is %s, %v", raw, err)
		}
		until, err := strconv.ParseInt(header.Payload.Authorization.ValidBefore, 10, 64)
		if err != nil || until > time.Now().Unix()+3600 || header.Payload.Authorization.Value != amount {
			t.Errorf("authorized %+v", header.Payload.Authorization)
		}
		if value, ok := new(big.Int).SetString(amount, 10); !ok || value.Cmp(big.NewInt(1_000_000)) > 0 {
			t.Errorf("signed %s", amount)
		}
	})
}
