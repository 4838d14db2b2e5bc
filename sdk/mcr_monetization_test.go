package sdk_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/peaqnetwork/peaqos-agent/sdk"
)

func mainnet(t *testing.T) sdk.Deployment {
	t.Helper()
	d, err := sdk.LookupDeployment(sdk.DefaultDeployment)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestMonetizationVector has the vector of the presence contract, §8.
func TestMonetizationVector(t *testing.T) {
	message := sdk.MonetizationMessage(mainnet(t), "42", true, time.Unix(1783944000, 999))
	want := "peaq-mcr monetization\nregistry: 0x64b93cc29b251fafa83bd110cdb1c24207f85536\nchain_id: 3338\n" +
		"machine_id: 42\nopted_in: true\ntimestamp: 1783944000"
	if message != want {
		t.Errorf("the message is %q", message)
	}
	const signature = "0x859a29921f9495887d241714465a8fb038b98c8592d29225576be5abf6a9f6b4590f105de4c0684df16d246" +
		"cf9f46a4cf1692e331d521d7d043dfa2b1e7ec62d1b"
	if got := signVector(t, []byte(message)); got != signature {
		t.Errorf("signed %s", got)
	}
}

// TestSetMonetization: the body has the signed values, including the same time, and it is
// sent once, whatever the response.
func TestSetMonetization(t *testing.T) {
	for _, c := range []struct {
		response canned
		code     string // of the error; empty for none
	}{
		{canned{status: 200, body: `{"machine_id":"42","status":"OPTED_IN","signer":"` + vectorAddress + `","updated_at":1783944000}`}, ""},
		{canned{status: 200, body: `{"machine_id":"43","status":"OPTED_IN"}`}, sdk.MCRBadResponse},
		{canned{status: 503, body: `{"detail":{"code":"MACHINE_UNAVAILABLE","message":"m"}}`}, sdk.MCRServiceUnavailable},
		{canned{status: 409, body: `{"detail":{"code":"MACHINE_NOT_BONDED","message":"m"}}`}, sdk.MCRConflict},
	} {
		synctest.Test(t, func(t *testing.T) {
			m, turn := mcrOf(t, "https://mcr.example", c.response)
			got, err := m.SetMonetization(t.Context(), mainnet(t), "42", true, vectorSigner(t))
			var fault *sdk.MCRError
			switch {
			case c.code == "" && (err != nil || got.Status != "OPTED_IN" || got.Signer != vectorAddress):
				t.Errorf("got %+v, %v", got, err)
			case c.code != "" && (!errors.As(err, &fault) || fault.Code != c.code || got != nil):
				t.Errorf("got %+v, %v, want %s", got, err, c.code)
			}
			if r := turn.seen[0]; len(turn.seen) != 1 || r.Method != "PUT" ||
				r.URL.EscapedPath() != "/machine/did%3Apeaq%3A42/monetization" {
				t.Errorf("%d requests, first %s %s", len(turn.seen), r.Method, r.URL)
			}
			var body struct {
				OptedIn   bool   `json:"opted_in"`
				Timestamp int64  `json:"timestamp"`
				Signature string `json:"signature"`
			}
			if err := json.Unmarshal([]byte(turn.bodies[0]), &body); err != nil {
				t.Fatal(err)
			}
			signed := sdk.MonetizationMessage(mainnet(t), "42", true, time.Unix(body.Timestamp, 0))
			if !body.OptedIn || body.Timestamp != time.Now().Unix() || body.Signature != signVector(t, []byte(signed)) {
				t.Errorf("sent %s", turn.bodies[0])
			}
		})
	}
}

func TestSetMonetizationRejectsABadSignature(t *testing.T) {
	m, turn := mcrOf(t, "https://mcr.example", canned{status: 200})
	for _, signature := range []string{"", "0x", "0x1234", vectorPublicKey[:131] + "g"} {
		sign := func(context.Context, []byte) (string, error) { return signature, nil }
		_, err := m.SetMonetization(t.Context(), mainnet(t), "42", true, sign)
		var invalid *sdk.ValidationError
		if !errors.As(err, &invalid) || invalid.Field != "signature" {
			t.Errorf("%q gave %v", signature, err)
		}
	}
	failing := errors.New("no key")
	sign := func(context.Context, []byte) (string, error) { return "", failing }
	if _, err := m.SetMonetization(t.Context(), mainnet(t), "42", true, sign); !errors.Is(err, failing) {
		t.Errorf("a signer's error became %v", err)
	}
	if len(turn.seen) != 0 {
		t.Errorf("%d requests were sent", len(turn.seen))
	}
}

func TestMonetizationAndCompat(t *testing.T) {
	m, turn := mcrOf(
		t, "https://mcr.example",
		canned{status: 200, body: `{"machine_id":"42","status":"PENDING","signer":null,"updated_at":null}`},
	)
	got, err := m.Monetization(t.Context(), "42")
	if err != nil || got.Status != "PENDING" || got.Signer != "" ||
		turn.seen[0].URL.EscapedPath() != "/machine/did%3Apeaq%3A42/monetization" {
		t.Errorf("got %+v, %v", got, err)
	}
	for _, c := range []struct {
		body string
		fits bool
	}{
		{`{"version":"tokenomics-2.0-monetization-v1","chain_id":"3338","registry":"0x64b93cc29b251fafa83bd110cdb1c24207f85536"}`, true},
		{`{"version":"tokenomics-2.0-monetization-v2","chain_id":"3338","registry":"0x64b93cc29b251fafa83bd110cdb1c24207f85536"}`, false},
		{`{"version":"tokenomics-2.0-monetization-v1","chain_id":"9990","registry":"0x64b93cc29b251fafa83bd110cdb1c24207f85536"}`, false},
		{`{"version":"tokenomics-2.0-monetization-v1","chain_id":"3338","registry":"0x538da35489b1f0035799a8351e67835ae4abb377"}`, false},
	} {
		m, turn := mcrOf(t, "https://mcr.example", canned{status: 200, body: c.body})
		got, err := m.Compat(t.Context())
		if err != nil || mainnet(t).Fits(got) != c.fits || turn.seen[0].URL.Path != "/.well-known/peaq-monetization" {
			t.Errorf("%s: got %+v, %v", c.body, got, err)
		}
	}
	if agung, err := sdk.LookupDeployment("agung-2026-08-28"); err != nil || agung.Fits(&sdk.MCRCompat{ChainID: "9990"}) {
		t.Errorf("a deployment without an MCR fits one: %v", err)
	}
}
