package x402_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
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
