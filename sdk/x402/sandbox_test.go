package x402_test

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/crypto"

	"github.com/peaqnetwork/peaqos-agent/sdk"
	"github.com/peaqnetwork/peaqos-agent/sdk/sandbox"
	"github.com/peaqnetwork/peaqos-agent/sdk/x402"
)

// wallet is a test key: it controls the machine, is the agent, and pays.
const wallet = "0x4242424242424242424242424242424242424242424242424242424242424242"

// address returns the wallet's address.
func address(t *testing.T) string {
	t.Helper()
	key, err := crypto.HexToECDSA(wallet[2:])
	if err != nil {
		t.Fatal(err)
	}
	return crypto.PubkeyToAddress(key.PublicKey).Hex()
}

// signText signs a message with the wallet (EIP-191).
func signText(t *testing.T, text string) string {
	t.Helper()
	key, err := crypto.HexToECDSA(wallet[2:])
	if err != nil {
		t.Fatal(err)
	}
	sig, err := crypto.Sign(crypto.Keccak256(fmt.Appendf(nil, "\x19Ethereum Signed Message:\n%d%s", len(text), text)), key)
	if err != nil {
		t.Fatal(err)
	}
	sig[64] += 27
	return "0x" + hex.EncodeToString(sig)
}

// buyer is a client of a sandbox with an active machine and a pairing for it.
func buyer(t *testing.T) (*sdk.Client, *sdk.PairingSession) {
	t.Helper()
	ctx, who := t.Context(), address(t)
	s := sandbox.New(sandbox.WithController("", who))
	t.Cleanup(func() { _ = s.Close() })
	c, err := sdk.New("http://sandbox", sdk.WithHTTPClient(&http.Client{Transport: s.Transport()}))
	if err != nil {
		t.Fatal(err)
	}
	ch, err := c.MachineIdentity.CreateChallenge(ctx, "did:peaq:7")
	if err != nil {
		t.Fatal(err)
	}
	m, err := c.Machines.Create(ctx, sdk.CreateMachine{
		DisplayName: "Rover", OwnerID: "acct", MachineType: "rover", RuntimeProfile: "linux-native", IdentityRef: sdk.Some("did:peaq:7"),
		IdentityProof: sdk.Some(sdk.IdentityProofInput{ChallengeID: ch.ChallengeID, Signature: signText(t, ch.Message)}),
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Machines.Update(ctx, m.ID, sdk.UpdateMachine{Status: sdk.Some(sdk.MachineStatus("active"))}); err != nil {
		t.Fatal(err)
	}
	asked, err := c.AgentPairings.CreateChallenge(
		ctx, m.ID, sdk.CreatePairingChallenge{AgentAddress: who, AgentProvider: "openclaw", AgentRole: "buyer"},
	)
	if err != nil {
		t.Fatal(err)
	}
	p, err := c.AgentPairings.Create(ctx, m.ID, sdk.CreateAgentPairing{
		AgentAddress: who, AgentProvider: "openclaw", AgentRole: "buyer",
		AgentProof: sdk.AgentProof{ChallengeID: asked.ChallengeID, Signature: signText(t, asked.Message)},
	})
	if err != nil {
		t.Fatal(err)
	}
	return c, p
}

// TestSandboxAcceptsTheSignature: the whole flow of contract §2.16, against a server that
// verifies the signature with its own code.
func TestSandboxAcceptsTheSignature(t *testing.T) {
	c, p := buyer(t)
	ctx := t.Context()
	order, err := c.MarketOrders.Create(ctx, p.PairingToken, sdk.CreateMarketOrder{
		MachineID: p.MachineID, AgentPairingID: p.ID, ServiceID: "svc_market_depth", Input: json.RawMessage(`{"symbol":"ETH/USD"}`),
	})
	if err != nil {
		t.Fatal(err)
	}
	payment, err := c.MarketPayments.CreateIntent(ctx, order.ID, p.PairingToken, sdk.CreatePaymentIntent{})
	if err != nil {
		t.Fatal(err)
	}
	other, err := x402.SignPayment(payment, sdk.NewSecret(wallet))
	if err != nil {
		t.Fatal(err)
	}
	signed, err := x402.SignPayment(payment, sdk.NewSecret(wallet))
	if err != nil {
		t.Fatal(err)
	}
	paid, err := c.MarketPayments.SubmitX402Proof(ctx, order.ID, p.PairingToken, signed.Proof())
	if err != nil || paid.Status != "held" || !strings.EqualFold(paid.Proof.PayerAddress, address(t)) {
		t.Fatalf("paid as %+v: %v", paid, err)
	}
	_, err = c.MarketOrders.Execute(ctx, order.ID, p.PairingToken, sdk.ExecuteMarketOrder{
		Payment: sdk.Some(sdk.OrderPayment{PaymentSignature: sdk.Some(other.Proof().PaymentSignature)}),
	})
	if refused := (*sdk.APIError)(nil); !errors.As(err, &refused) || refused.Code != "ORDER_CLOSED" {
		t.Errorf("another signature than the one that paid: %v", err)
	}
	done, err := c.MarketOrders.Execute(ctx, order.ID, p.PairingToken, sdk.ExecuteMarketOrder{
		Payment: sdk.Some(sdk.OrderPayment{PaymentSignature: sdk.Some(signed.Proof().PaymentSignature)}),
	})
	if err != nil || done.Order.Status != "delivered" {
		t.Fatalf("executed as %+v: %v", done, err)
	}
}
