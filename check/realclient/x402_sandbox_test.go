//go:build realclient

package realclient

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/ethereum/go-ethereum/crypto"

	"github.com/peaqnetwork/peaqos-agent/check/lab"
	"github.com/peaqnetwork/peaqos-agent/sdk"
	"github.com/peaqnetwork/peaqos-agent/sdk/sandbox"
)

// x402Form is a row of sdk/sandbox/testdata/x402-forms.json, with the terms and the nonce of its own
// payment.
type x402Form struct {
	Form        string            `json:"form"`
	Auth        map[string]string `json:"auth,omitempty"`
	Replace     []string          `json:"replace,omitempty"`
	Append      string            `json:"append,omitempty"`
	Signature   string            `json:"signature,omitempty"`
	Header      string            `json:"header,omitempty"`
	Facilitator string            `json:"facilitator"`
	Sandbox     string            `json:"sandbox"`

	Nonce string          `json:"nonce"`
	Terms json.RawMessage `json:"terms"`
}

// TestSandboxAndFacilitator: the published x402 facilitator and the sandbox have the verdicts that
// sdk/sandbox/X402.md lists, on the same headers, signed by eth-account.
func TestSandboxAndFacilitator(t *testing.T) {
	b, err := os.ReadFile("../../sdk/sandbox/testdata/x402-forms.json")
	var forms []x402Form
	if err == nil {
		err = json.Unmarshal(b, &forms)
	}
	if err != nil {
		t.Fatal(err)
	}
	s := newX402Shop(t)
	orders := make([]string, len(forms))
	for i := range forms {
		orders[i], forms[i].Terms = s.order()
		forms[i].Nonce = "ab" + hex.EncodeToString(crypto.Keccak256([]byte(orders[i])))[2:]
	}
	file := filepath.Join(t.TempDir(), "forms.json")
	text, err := json.Marshal(forms)
	if err == nil {
		err = os.WriteFile(file, text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	var judged map[string]struct{ Header, Facilitator, Reason string }
	runScript(t, &judged, "x402_facilitator.py", "FORMS="+file)
	for i, f := range forms {
		got := judged[f.Form]
		if got.Facilitator != f.Facilitator {
			t.Errorf("%s: the facilitator %s it (%s), X402.md says it %s it", f.Form, got.Facilitator, got.Reason, f.Facilitator)
		}
		verdict := "accepts"
		proof := sdk.X402PaymentProof{PaymentSignature: sdk.NewSecret(got.Header)}
		_, err := s.client.MarketPayments.SubmitX402Proof(s.ctx, orders[i], s.token, proof)
		if err != nil {
			verdict = "refuses"
		}
		if verdict != f.Sandbox {
			t.Errorf("%s: the sandbox %s it (%v), X402.md says it %s it", f.Form, verdict, err, f.Sandbox)
		}
	}
}

// x402Shop is a sandbox with a pairing that can order.
type x402Shop struct {
	t       *testing.T
	ctx     context.Context
	client  *sdk.Client
	machine string
	pairing string
	token   sdk.Secret
}

func newX402Shop(t *testing.T) *x402Shop {
	t.Helper()
	key, err := crypto.ToECDSA(bytes.Repeat([]byte{0x61}, 32))
	if err != nil {
		t.Fatal(err)
	}
	address := crypto.PubkeyToAddress(key.PublicKey).Hex()
	sign := func(text string) string {
		digest := crypto.Keccak256(fmt.Appendf(nil, "\x19Ethereum Signed Message:\n%d%s", len(text), text))
		sig, err := crypto.Sign(digest, key)
		if err != nil {
			t.Fatal(err)
		}
		sig[64] += 27
		return "0x" + hex.EncodeToString(sig)
	}
	server := sandbox.New(sandbox.WithAPIKey(lab.APIKey), sandbox.WithController("", address))
	t.Cleanup(func() { _ = server.Close() })
	web := httptest.NewServer(server)
	t.Cleanup(web.Close)
	s := &x402Shop{t: t, ctx: t.Context()}
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	s.client, err = sdk.New(web.URL, sdk.WithAPIKey(sdk.NewSecret(lab.APIKey)))
	check(err)
	ch, err := s.client.MachineIdentity.CreateChallenge(s.ctx, "did:peaq:42")
	check(err)
	m, err := s.client.Machines.Create(s.ctx, sdk.CreateMachine{
		DisplayName: "r", OwnerID: "o", MachineType: "robot", RuntimeProfile: "linux", IdentityRef: sdk.Some("did:peaq:42"),
		IdentityProof: sdk.Some(sdk.IdentityProofInput{ChallengeID: ch.ChallengeID, Signature: sign(ch.Message)}),
	})
	check(err)
	_, err = s.client.Machines.Update(s.ctx, m.ID, sdk.UpdateMachine{Status: sdk.Some(sdk.MachineActive)})
	check(err)
	who := sdk.CreatePairingChallenge{AgentAddress: address, AgentProvider: "x", AgentRole: "r"}
	pc, err := s.client.AgentPairings.CreateChallenge(s.ctx, m.ID, who)
	check(err)
	p, err := s.client.AgentPairings.Create(s.ctx, m.ID, sdk.CreateAgentPairing{
		AgentAddress: address, AgentProvider: "x", AgentRole: "r",
		AgentProof: sdk.AgentProof{ChallengeID: pc.ChallengeID, Signature: sign(pc.Message)},
	})
	check(err)
	s.machine, s.pairing, s.token = m.ID, p.ID, p.PairingToken
	return s
}

// order returns an order that waits for an x402 payment, and its terms.
func (s *x402Shop) order() (id string, terms json.RawMessage) {
	s.t.Helper()
	o, err := s.client.MarketOrders.Create(s.ctx, s.token, sdk.CreateMarketOrder{
		MachineID: s.machine, AgentPairingID: s.pairing, ServiceID: "svc_market_depth",
	})
	if err != nil {
		s.t.Fatal(err)
	}
	pay, err := s.client.MarketPayments.CreateIntent(s.ctx, o.ID, s.token, sdk.CreatePaymentIntent{
		Rail: sdk.Some(sdk.RailInput{Type: sdk.Some("x402")}),
	})
	if err != nil {
		s.t.Fatal(err)
	}
	var rail struct {
		PaymentRequest struct{ PaymentRequired string }
	}
	var challenge struct{ Accepts []json.RawMessage }
	err = json.Unmarshal(pay.Rail.Metadata, &rail)
	if err == nil {
		var b []byte
		if b, err = base64.StdEncoding.DecodeString(rail.PaymentRequest.PaymentRequired); err == nil {
			err = json.Unmarshal(b, &challenge)
		}
	}
	if err != nil || len(challenge.Accepts) != 1 {
		s.t.Fatalf("%v: %s", err, pay.Rail.Metadata)
	}
	return o.ID, challenge.Accepts[0]
}
