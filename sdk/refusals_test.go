package sdk

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"
)

// refusal is a call with an invalid argument, and the wire name of that argument.
type refusal struct {
	field string
	call  func(c *Client) error
}

// Invalid arguments are rejected in the contract's order, before anything is sent.
func refusedInOrder(t *testing.T, refusals []refusal) {
	t.Helper()
	c, requests := serve(t, reply{body: `{}`})
	for i, tt := range refusals {
		err := tt.call(c)
		var invalid *ValidationError
		if !errors.As(err, &invalid) || invalid.Field != tt.field {
			t.Errorf("row %d: got %v, want the field %s", i, err, tt.field)
		}
	}
	if len(*requests) > 0 {
		t.Errorf("%d requests were sent", len(*requests))
	}
}

func TestRefusalsOfTheMarket(t *testing.T) {
	ctx, token, none := context.Background(), NewSecret("t"), NewSecret(" ")
	refusedInOrder(t, []refusal{
		{"agentProof.challengeId", func(c *Client) error { return second(c.AgentPairings.CreateSession(ctx, "m", "p", AgentProof{})) }},
		{"pairingId", func(c *Client) error { return second(c.AgentPairings.CreateSession(ctx, "m", "", AgentProof{})) }},
		{"agentRole", func(c *Client) error {
			return second(c.AgentPairings.CreateChallenge(ctx, "m", CreatePairingChallenge{AgentAddress: "x", AgentProvider: "x"}))
		}},
		{"limit", func(c *Client) error {
			return second(c.Skills.List(ctx, SkillOptions{ListOptions: ListOptions{Limit: Some(501)}}))
		}},
		{"skillKey", func(c *Client) error { return second(c.Skills.Manifest(ctx, "")) }},
		{"pairingToken", func(c *Client) error {
			return second(c.MarketServices.List(ctx, MarketServiceOptions{PairingToken: Some(Secret{})}))
		}},
		{"pairingToken", func(c *Client) error { return second(c.MarketServices.Execute(ctx, "s", none, ExecuteMarketService{})) }},
		{"operation", func(c *Client) error {
			return second(c.MarketServices.Execute(ctx, "s", token, ExecuteMarketService{MachineID: "m", AgentPairingID: "p"}))
		}},
		{"pairingToken", func(c *Client) error { return second(c.MarketSearches.Search(ctx, none, SearchMarket{})) }},
		{"machineId", func(c *Client) error { return second(c.MarketOrders.List(ctx, "", ListOptions{Limit: Some(0)})) }},
		{"agentPairingId", func(c *Client) error {
			return second(c.MarketOrders.Create(ctx, none, CreateMarketOrder{MachineID: "m"}))
		}},
		{"orderId", func(c *Client) error { return second(c.MarketOrders.Execute(ctx, "", none, ExecuteMarketOrder{})) }},
		{"reason", func(c *Client) error { return second(c.MarketOrders.Dispute(ctx, "o", none, DisputeMarketOrder{})) }},
		{"pairingToken", func(c *Client) error {
			return second(c.MarketOrders.Dispute(ctx, "o", none, DisputeMarketOrder{Reason: "r"}))
		}},
	})
}

func TestRefusalsOfPaymentsAndStreams(t *testing.T) {
	ctx, token, none := context.Background(), NewSecret("t"), NewSecret(" ")
	key := BuyerPublicKey{"x25519", "aa"}
	refusedInOrder(t, []refusal{
		{"limit", func(c *Client) error { return second(c.Observability.AuditEvents(ctx, AuditOptions{Limit: Some(0)})) }},
		{"chain", func(c *Client) error {
			return second(c.MarketPayments.LockEscrow(ctx, "o", none, LockEscrow{TransactionHash: "x"}))
		}},
		{"paymentSignature", func(c *Client) error {
			return second(c.MarketPayments.SubmitX402Proof(ctx, "o", none, X402PaymentProof{}))
		}},
		{"amount", func(c *Client) error {
			return second(c.MarketPayments.SubmitProof(
				ctx, "o", token,
				PaymentProof{VerificationMode: "rpc", Chain: "c", Token: "t", PayerAddress: "a", PayeeAddress: "b"},
			))
		}},
		{"name", func(c *Client) error { return second(c.Policies.Create(ctx, CreatePolicy{Name: "\t"})) }},
		{"policyId", func(c *Client) error { return second(c.Policies.Update(ctx, "", UpdatePolicy{})) }},
		{"listingId", func(c *Client) error {
			return c.StreamListings.UpdatePurchaseFields(ctx, "m", "", UpdatePurchaseFields{})
		}},
		{"agentId", func(c *Client) error { return second(c.Delivery.PutCapabilities(ctx, "m", PutDeliveryCapabilities{})) }},
		{"buyer.id", func(c *Client) error { return second(c.Purchases.Create(ctx, none, CreatePurchase{})) }},
		{"buyer.publicKey.publicKeyHex", func(c *Client) error {
			return second(c.Purchases.Create(ctx, none, CreatePurchase{Buyer: PurchaseBuyerInput{ID: "b"}}))
		}},
		{"pairingToken", func(c *Client) error {
			return second(c.Purchases.Create(ctx, none, CreatePurchase{Buyer: PurchaseBuyerInput{ID: "b", PublicKey: key}}))
		}},
		{"eventType", func(c *Client) error {
			return second(c.Purchases.CreateEvent(ctx, "p", CreatePurchaseEvent{Type: "x"}))
		}},
		{"paymentHeader", func(c *Client) error { return second(c.Purchases.SubmitPaymentProof(ctx, "p", token, X402Proof{})) }},
		{"purchaseId", func(c *Client) error { return second(c.Purchases.PrepareAccessRaw(ctx, "", json.RawMessage(`{}`))) }},
	})
}

func TestRefusalsOfDevices(t *testing.T) {
	ctx, token, none := context.Background(), NewSecret("t"), NewSecret(" ")
	read := func(in OneM2MReadInput) func(*Client) error {
		return func(c *Client) error { return second(c.OneM2M.Read(ctx, "s", token, OneM2MRead{"m", "p", in})) }
	}
	order := func(in OneM2MOrderInput) func(*Client) error {
		return func(c *Client) error {
			return second(c.OneM2M.CreateOrder(ctx, token, OneM2MOrder{MachineID: "m", AgentPairingID: "p", ServiceID: "s", Input: in}))
		}
	}
	events := func(machine string, token Secret, o IoTEventOptions) func(*Client) error {
		return func(c *Client) (err error) {
			for _, e := range c.IoT.Events(ctx, machine, token, o) {
				err = e
			}
			return err
		}
	}
	refusedInOrder(t, []refusal{
		{"input", read(nil)},
		{"input.limit", read(OneM2MListDevices{Limit: Some(501)})},
		{"input.cursor", read(OneM2MListDevices{Cursor: Some("")})},
		{"input.deviceId", read(OneM2MGetDeviceInfo{})},
		{"input.resource", read(OneM2MGetLatestData{"d", "a/b"})},
		{"input.resource", read(OneM2MGetLatestData{"d", strings.Repeat("r", 129)})},
		{"input", order(nil)},
		{"input.action", order(OneM2MExecuteAction{"", "CLOSE", ""})},
		{"input.commandId", order(OneM2MExecuteAction{"", "OPEN", "-c"})},
		{"input.deviceId", order(OneM2MExecuteAction{"", "OPEN", "c:1"})},
		{"input.resource", order(OneM2MSubscribeEvents{DeviceID: "d"})},
		{"input.ttlSeconds", order(OneM2MSubscribeEvents{"d", "r", Some(59)})},
		{"searchId", func(c *Client) error {
			return second(c.OneM2M.CreateOrder(
				ctx, none,
				OneM2MOrder{"m", "p", "s", OneM2MSubscribeEvents{"d", "a/b", Some(60)}, Some(" "), Some("")},
			))
		}},
		{"cursor", func(c *Client) error {
			return second(c.IoT.Subscriptions(ctx, "m", token, ListOptions{Cursor: Some("")}))
		}},
		{"subscriptionId", func(c *Client) error { return second(c.IoT.DeleteSubscription(ctx, "m", "", token)) }},
		{"machineId", events("..", token, IoTEventOptions{})},
		{"pairingToken", events("m", NewSecret("a\nb"), IoTEventOptions{})},
		{"pairingToken", events("m", NewSecret("\u00a0a"), IoTEventOptions{})},
		{"pairingToken", events("m", NewSecret("€"), IoTEventOptions{})},
		{"lastEventId", events("m", token, IoTEventOptions{LastEventID: Some("")})},
		{"lastEventId", events("m", token, IoTEventOptions{LastEventID: Some("a\tb")})},
		{"subscriptionId", events("m", token, IoTEventOptions{SubscriptionID: Some("")})},
		{"timeoutMs", events("m", token, IoTEventOptions{IdleTimeout: Some(15 * time.Second)})},
		{"timeoutMs", events("m", token, IoTEventOptions{IdleTimeout: Some(301 * time.Second)})},
	})
}

func TestLimitsOfCalls(t *testing.T) {
	c, err := New("http://localhost")
	if err != nil {
		t.Fatal(err)
	}
	for method, want := range map[string]time.Duration{
		"GET": 30 * time.Second, "POST": time.Minute, "PUT": time.Minute, "PATCH": time.Minute, "DELETE": time.Minute,
	} {
		if got := c.call(method, "/policies").limit(); got != want {
			t.Errorf("%s may take %v, want %v", method, got, want)
		}
	}
	if got := (IoTEventOptions{}).idle(); got != 30*time.Second {
		t.Errorf("a stream may be silent for %v", got)
	}
}
