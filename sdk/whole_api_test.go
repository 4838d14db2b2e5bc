package sdk_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/peaqnetwork/peaqos-agent/sdk"
	"github.com/peaqnetwork/peaqos-agent/sdk/sandbox"
)

// apiRun makes every call of the API, and records which operations succeeded.
type apiRun struct {
	t       *testing.T
	ctx     context.Context
	c       *sdk.Client
	done    map[string]bool
	owner   agentKey
	machine *sdk.Machine
	agent   *sdk.EnrolledAgent
	pairing *sdk.PairingSession
}

// done returns the result of a call that must succeed.
func done[T any](l *apiRun) func(T, error) T {
	return func(value T, err error) T {
		l.t.Helper()
		if err != nil {
			l.t.Fatal(err)
		}
		return value
	}
}

func (l *apiRun) ok(err error) {
	l.t.Helper()
	if err != nil {
		l.t.Fatal(err)
	}
}

// TestWholeAPIAgainstTheSandbox makes every call of the API at least once, against a server
// that shares no code with this package. Every call must succeed.
func TestWholeAPIAgainstTheSandbox(t *testing.T) {
	server := sandbox.New(sandbox.WithAPIKey("platform-key"), sandbox.WithController("", vectorAddress), sandbox.WithPairingKey())
	defer server.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	l := &apiRun{t: t, ctx: ctx, done: map[string]bool{}}
	l.owner = agentKey{vectorAddress, func(message string) (string, error) { return signVector(t, []byte(message)), nil }}
	seen := func(next sdk.RoundTrip) sdk.RoundTrip {
		return func(ctx context.Context, x *sdk.Request) (*sdk.Response, error) {
			response, err := next(ctx, x)
			if response != nil && response.Status >= 200 && response.Status < 300 {
				l.done[x.Operation] = true
			}
			return response, err
		}
	}
	var err error
	l.c, err = sdk.New("http://sandbox.example", sdk.WithAPIKey(sdk.NewSecret("platform-key")), sdk.WithMiddleware(seen),
		sdk.WithHTTPClient(&http.Client{Transport: server.Transport()}))
	l.ok(err)

	l.registry()
	l.agents()
	l.pairings()
	l.catalogue()
	l.orders()
	l.payments()
	l.devices()
	l.streams()
	l.orchestrator()
	l.planned()
	l.sources()
	l.ok(l.c.Machines.Archive(l.ctx, l.machine.ID))

	good, all := 0, 0
	for _, o := range operations(t) {
		if o.Service != "orchestration" || !o.onTheWire() || slices.Contains(unserved(), o.Name) {
			continue
		}
		method := o.Method
		if method == "WS" {
			method = "SOCKET"
		}
		all++
		if !l.done[method+" "+o.Path] {
			t.Errorf("%s %s had no success", o.Method, o.Path)
			continue
		}
		good++
	}
	t.Logf("%d of %d operations had a success", good, all)
}

func (l *apiRun) registry() {
	l.machine = done[*sdk.Machine](l)(onboard(l.ctx, l.c, "did:peaq:42", l.owner.address, l.owner.sign))
	if got := done[*sdk.Machine](l)(l.c.Machines.Get(l.ctx, l.machine.ID)); got.Status != sdk.MachineActive || got.IdentityProof == nil {
		l.t.Errorf("got %+v", got)
	}
	page := done[*sdk.Page[sdk.Machine]](l)(l.c.Machines.List(l.ctx, sdk.ListOptions{Limit: sdk.Some(1)}))
	if len(page.Items) != 1 || page.Items[0].ID != l.machine.ID || page.NextCursor != "" || page.Date.IsZero() {
		l.t.Errorf("got %+v", page)
	}
}

func (l *apiRun) agents() {
	l.agent = done[*sdk.EnrolledAgent](l)(l.c.MachineAgents.Enroll(l.ctx, l.machine.ID, sdk.EnrollMachineAgent{Label: sdk.Some("main")}))
	other := done[*sdk.EnrolledAgent](l)(l.c.MachineAgents.Enroll(l.ctx, l.machine.ID, sdk.EnrollMachineAgent{}))
	l.ok(l.c.MachineAgents.Revoke(l.ctx, l.machine.ID, other.ID))
	agents := done[[]sdk.MachineAgent](l)(l.c.MachineAgents.List(l.ctx, l.machine.ID))
	revoked := func(a sdk.MachineAgent) bool { return a.ID == other.ID && a.Status == sdk.AgentRevoked }
	if len(agents) != 2 || !slices.ContainsFunc(agents, revoked) {
		l.t.Errorf("got %+v", agents)
	}
	beat := done[*sdk.HeartbeatResult](l)(l.c.MachineAgents.Heartbeat(l.ctx, sdk.Heartbeat{
		MachineID: l.machine.ID, AgentID: l.agent.ID, AgentToken: l.agent.Token, LeaseTTLSeconds: sdk.Some(60),
		Endpoints: []sdk.HeartbeatEndpoint{{ProviderKey: "qvac", EndpointBaseURL: "http://127.0.0.1:1", ModelAlias: sdk.Some("m_1")}},
	}))
	if beat.LeaseTTLSeconds != 60 || len(beat.Endpoints) != 1 {
		l.t.Errorf("got %+v", beat)
	}
	done[*sdk.RuntimeEndpoint](l)(l.c.RuntimeEndpoints.Upsert(
		l.ctx, l.machine.ID, "ollama", sdk.UpsertRuntimeEndpoint{EndpointBaseURL: "http://127.0.0.1:11435"},
	))
	if e := done[*sdk.RuntimeEndpoint](l)(l.c.RuntimeEndpoints.Get(l.ctx, l.machine.ID, "ollama")); e.Source != "manual" {
		l.t.Errorf("got %+v", e)
	}
	walked := 0
	for _, err := range l.c.RuntimeEndpoints.All(l.ctx, l.machine.ID, sdk.ListOptions{Limit: sdk.Some(1)}) {
		l.ok(err)
		walked++
	}
	if walked != 2 {
		l.t.Errorf("%d endpoints", walked)
	}
	l.ok(l.c.RuntimeEndpoints.Delete(l.ctx, l.machine.ID, "ollama"))
}

func (l *apiRun) pairings() {
	first := done[*sdk.PairingSession](l)(l.owner.pair(l.ctx, l.c, l.machine.ID))
	proof := done[sdk.AgentProof](l)(l.owner.prove(l.ctx, l.c, l.machine.ID))
	l.pairing = done[*sdk.PairingSession](l)(l.c.AgentPairings.CreateSession(l.ctx, l.machine.ID, first.ID, proof))
	updated := done[*sdk.AgentPairing](l)(l.c.AgentPairings.Update(
		l.ctx, l.machine.ID, first.ID, sdk.UpdateAgentPairing{Description: sdk.Some("")},
	))
	if updated.ID != l.pairing.ID || l.pairing.PairingToken.IsZero() || l.pairing.PairingToken.Equal(first.PairingToken) {
		l.t.Errorf("got %+v", updated)
	}
	other := done[*sdk.PairingSession](l)(l.owner.pair(l.ctx, l.c, l.machine.ID))
	l.ok(l.c.AgentPairings.Revoke(l.ctx, l.machine.ID, other.ID))
	page := done[*sdk.Page[sdk.AgentPairing]](l)(l.c.AgentPairings.List(l.ctx, l.machine.ID, sdk.ListOptions{}))
	if len(page.Items) != 2 {
		l.t.Errorf("got %+v", page)
	}
}

func (l *apiRun) catalogue() {
	skills := done[*sdk.Page[sdk.SkillSummary]](l)(l.c.Skills.List(l.ctx, sdk.SkillOptions{}))
	key := skills.Items[0].Key
	done[*sdk.SkillSummary](l)(l.c.Skills.Get(l.ctx, key))
	done[*sdk.SkillManifest](l)(l.c.Skills.Manifest(l.ctx, key))
	config := done[*sdk.SkillConfig](l)(l.c.Skills.UpdateConfig(l.ctx, key, sdk.UpdateSkillConfig{
		Enabled: sdk.Some(true), Credentials: sdk.Some(map[string]sdk.Secret{"API_KEY": sdk.NewSecret("s")}),
		Settings: sdk.Some(map[string]any{"max_items": 3}),
	}))
	var settings map[string]int
	if err := json.Unmarshal(config.Settings, &settings); err != nil || !config.HasCredentials || settings["max_items"] != 3 {
		l.t.Errorf("got %+v, %v", config, err)
	}
	services := done[*sdk.Page[sdk.MarketService]](l)(l.c.MarketServices.List(
		l.ctx, sdk.MarketServiceOptions{PairingToken: sdk.Some(l.pairing.PairingToken)},
	))
	if !slices.ContainsFunc(services.Items, func(s sdk.MarketService) bool { return s.IsOneM2M() }) {
		l.t.Error("the private catalogue has no device service")
	}
	done[*sdk.MarketService](l)(l.c.MarketServices.Get(l.ctx, "svc_price_feed", sdk.GetMarketServiceOptions{}))
	read := done[*sdk.DirectRead](l)(l.c.MarketServices.Execute(l.ctx, "svc_price_feed", l.pairing.PairingToken, sdk.ExecuteMarketService{
		MachineID: l.machine.ID, AgentPairingID: l.pairing.ID, Operation: "get-price", Input: json.RawMessage(`{"symbol":"BTC/USD"}`),
	}))
	if read.Execution.Outcome.Status != "completed" || len(read.Execution.Outcome.Result) == 0 {
		l.t.Errorf("got %+v", read.Execution)
	}
	found := done[*sdk.MarketSearch](l)(l.c.MarketSearches.Search(l.ctx, l.pairing.PairingToken, sdk.SearchMarket{
		MachineID: sdk.Some(l.machine.ID), AgentPairingID: sdk.Some(l.pairing.ID), ServiceType: sdk.Some("storage"),
	}))
	if again := done[*sdk.MarketSearch](l)(l.c.MarketSearches.Get(l.ctx, found.ID)); again.ID != found.ID ||
		len(again.Quotes) != len(found.Quotes) {
		l.t.Errorf("got %+v", again)
	}
}

// ordered creates an order.
func (l *apiRun) ordered(serviceID, operation, input string) *sdk.MarketOrder {
	l.t.Helper()
	return done[*sdk.MarketOrder](l)(l.c.MarketOrders.Create(l.ctx, l.pairing.PairingToken, sdk.CreateMarketOrder{
		MachineID: l.machine.ID, AgentPairingID: l.pairing.ID, ServiceID: serviceID, Operation: sdk.Some(operation),
		Input: json.RawMessage(input),
	}))
}

func (l *apiRun) orders() {
	order := l.ordered("svc_price_feed", "get-price", `{"symbol":"BTC/USD","x_y":[1,null]}`)
	executed := done[*sdk.ExecutedOrder](l)(l.c.MarketOrders.Execute(l.ctx, order.ID, l.pairing.PairingToken, sdk.ExecuteMarketOrder{}))
	if run, ok := executed.Execution.(*sdk.NativeExecution); !ok || run.Outcome.Status != "completed" {
		l.t.Errorf("got %+v", executed)
	}
	stored := done[*sdk.StoredOrder](l)(l.c.MarketOrders.Get(l.ctx, order.ID, sdk.Optional[sdk.Secret]{}))
	if string(stored.Input) != `{"symbol":"BTC/USD","x_y":[1,null]}` || stored.Status != sdk.OrderDelivered {
		l.t.Errorf("got %+v, input %s", stored, stored.Input)
	}
	confirmed := done[*sdk.ConfirmedOrder](l)(l.c.MarketOrders.Confirm(l.ctx, order.ID, l.pairing.PairingToken))
	if confirmed.Order.Status != sdk.OrderConfirmed {
		l.t.Errorf("got %+v", confirmed)
	}
	page := done[*sdk.Page[sdk.MarketOrder]](l)(l.c.MarketOrders.List(l.ctx, l.machine.ID, sdk.ListOptions{}))
	if len(page.Items) != 1 {
		l.t.Errorf("got %+v", page)
	}
	handed := l.ordered("svc_world_id", "verify-person", `{}`)
	away := done[*sdk.ExecutedOrder](l)(l.c.MarketOrders.Execute(l.ctx, handed.ID, l.pairing.PairingToken, sdk.ExecuteMarketOrder{}))
	if handoff, ok := away.Execution.(*sdk.HandoffExecution); !ok || handoff.Handoff.URL == "" {
		l.t.Errorf("got %+v", away)
	}
}

// delivered returns a paid order that has been executed.
func (l *apiRun) delivered() *sdk.MarketOrder {
	l.t.Helper()
	order := l.ordered("svc_walrus_blob", "store-blob", `{"content":"battery 87 %"}`)
	if none := done[*sdk.MarketPayment](l)(l.c.MarketPayments.Get(l.ctx, order.ID)); none != nil {
		l.t.Errorf("a payment before its intent: %+v", none)
	}
	l.ok(pay(l.ctx, l.c, order, sdk.Pricing{Amount: sdk.Some(json.Number("0.25"))}, l.pairing.PairingToken))
	return &done[*sdk.ExecutedOrder](l)(l.c.MarketOrders.Execute(l.ctx, order.ID, l.pairing.PairingToken, sdk.ExecuteMarketOrder{})).Order
}

func (l *apiRun) payments() {
	token := l.pairing.PairingToken
	order := l.delivered()
	done[*sdk.ConfirmedOrder](l)(l.c.MarketOrders.Confirm(l.ctx, order.ID, token))
	released := done[*sdk.MarketPayment](l)(l.c.MarketPayments.Release(l.ctx, order.ID, token, nil))
	if released.Status != sdk.PaymentReleased {
		l.t.Errorf("got %+v", released)
	}
	order = l.delivered()
	disputed := done[*sdk.DisputedOrder](l)(l.c.MarketOrders.Dispute(
		l.ctx, order.ID, token, sdk.DisputeMarketOrder{Reason: "empty", Evidence: json.RawMessage(`{"a_b":1}`)},
	))
	if disputed.Payment == nil || disputed.Payment.Status != sdk.PaymentFrozen || string(disputed.Dispute.Evidence) != `{"a_b":1}` {
		l.t.Errorf("got %+v", disputed)
	}
	if refunded := done[*sdk.MarketPayment](l)(l.c.MarketPayments.Refund(
		l.ctx, order.ID, token, &sdk.RefundPayment{Reason: sdk.Some("empty")},
	)); refunded.Status != sdk.PaymentRefunded {
		l.t.Errorf("got %+v", refunded)
	}
	order = l.ordered("svc_field_inspection", "inspect-site", `{}`)
	done[*sdk.MarketPayment](l)(l.c.MarketPayments.CreateIntent(l.ctx, order.ID, token, sdk.CreatePaymentIntent{}))
	locked := done[*sdk.MarketPayment](l)(l.c.MarketPayments.LockEscrow(l.ctx, order.ID, token, sdk.LockEscrow{
		TransactionHash: "0x8f5d0b1c4a2e6f7890abcdef1234567890abcdef1234567890abcdef12345678", Chain: "base",
		EscrowAddress: "0x8617E340B3D01FA5F11F306F4090FD50E238070D",
	}))
	if locked.Status != sdk.PaymentHeld {
		l.t.Errorf("got %+v", locked)
	}
	_, err := l.c.MarketOrders.Execute(
		l.ctx, l.ordered("svc_walrus_blob", "store-blob", `{"content":"x"}`).ID, token, sdk.ExecuteMarketOrder{},
	)
	var api *sdk.APIError
	if !errors.As(err, &api) || api.Code != sdk.CodePaymentRequired {
		l.t.Errorf("an unpaid order gave %v", err)
	}
}

func (l *apiRun) devices() {
	if open := done[bool](l)(openDevice(l.ctx, l.c, l.pairing, "svc_onem2m_doors", "iotdev_front_door", "cmd-1")); !open {
		l.t.Error("the action was not applied")
	}
	list := done[*sdk.OneM2MReadResult](l)(l.c.OneM2M.Read(l.ctx, "svc_onem2m_resources", l.pairing.PairingToken, sdk.OneM2MRead{
		MachineID: l.machine.ID, AgentPairingID: l.pairing.ID, Input: sdk.OneM2MListDevices{},
	}))
	if devices, ok := list.Execution.Outcome.Result.(*sdk.OneM2MDeviceList); !ok || len(devices.Items) < 3 {
		l.t.Errorf("got %+v", list.Execution)
	}
	percent := func(data *sdk.IoTData) bool { return data.Sample.Units.ByMember["humidity"] == "percent" }
	l.ok(watch(l.ctx, l.c, l.pairing, "svc_onem2m_resources", "iotdev_lobby_air", "climate", percent))
	page := done[*sdk.Page[sdk.IoTSubscription]](l)(l.c.IoT.Subscriptions(l.ctx, l.machine.ID, l.pairing.PairingToken, sdk.ListOptions{}))
	if len(page.Items) != 1 {
		l.t.Fatalf("got %+v", page)
	}
	if ended := done[*sdk.IoTSubscription](l)(l.c.IoT.DeleteSubscription(
		l.ctx, l.machine.ID, page.Items[0].ID, l.pairing.PairingToken,
	)); ended.Status != sdk.IoTDeleted {
		l.t.Errorf("got %+v", ended)
	}
}

func (l *apiRun) orchestrator() {
	policy := done[*sdk.Policy](l)(l.c.Policies.Create(
		l.ctx, sdk.CreatePolicy{Name: "p", BudgetCap: sdk.Some(sdk.BudgetCap{Currency: "USDC", Amount: "1.10"})},
	))
	done[*sdk.Policy](l)(l.c.Policies.Update(l.ctx, policy.ID, sdk.UpdatePolicy{NativeOnly: sdk.Some(true)}))
	if page := done[*sdk.Page[sdk.Policy]](l)(l.c.Policies.List(l.ctx)); len(page.Items) != 1 || !page.Items[0].NativeOnly ||
		page.Items[0].BudgetCap.Amount != "1.1" {
		l.t.Errorf("got %+v", page)
	}
	l.ok(l.c.Observability.Health(l.ctx))
	if ready := done[*sdk.Readiness](l)(l.c.Observability.Readiness(l.ctx)); ready.Status != "ready" {
		l.t.Errorf("got %+v", ready)
	}
	if events := done[*sdk.Page[sdk.AuditEvent]](l)(l.c.Observability.AuditEvents(
		l.ctx, sdk.AuditOptions{MachineID: sdk.Some(l.machine.ID)},
	)); len(events.Items) < 10 {
		l.t.Errorf("%d events", len(events.Items))
	}
}

// streams sells a chunk and buys it, while reading the seller's control socket.
func (l *apiRun) streams() {
	way := sdk.DeliveryCapabilityInput{TransportID: "peaqos-p2p", Version: "1", Features: []string{}}
	done[*sdk.DeliveryCapabilities](l)(l.c.Delivery.PutCapabilities(
		l.ctx, l.machine.ID,
		sdk.PutDeliveryCapabilities{AgentID: l.agent.ID, Capabilities: []sdk.DeliveryCapabilityInput{way}},
	))
	rails := done[[]sdk.PaymentRail](l)(l.c.Delivery.PaymentRails(l.ctx))
	transports := done[[]sdk.DeliveryTransport](l)(l.c.Delivery.Transports(l.ctx))
	if len(rails) == 0 || len(transports) == 0 {
		l.t.Errorf("got %v and %v", rails, transports)
	}
	listing := l.idOf(l.c.Streams.CreateListing(
		l.ctx, l.machine.ID,
		json.RawMessage(`{"title":"Lidar","chunkIds":["c1"],"price":{"amount":2.5,"currency":"USDC"}}`),
	))
	rail := sdk.TransferRail{Destination: sdk.TransferDestination{PayTo: vectorAddress, Chain: sdk.Some("base"), Token: sdk.Some("USDC")}}
	l.ok(l.c.StreamListings.UpdatePurchaseFields(
		l.ctx, l.machine.ID, listing, sdk.UpdatePurchaseFields{PaymentRails: sdk.Some([]sdk.StreamRail{rail})},
	))
	socket := done[*sdk.ControlSocket](l)(sdk.ConnectControlSocket(
		l.ctx, l.c, l.machine.ID,
		sdk.ControlSocketOptions{AgentID: sdk.Some(l.agent.ID), AgentToken: sdk.Some(l.agent.Token)},
	))
	defer socket.Close()
	l.buy(listing, rail)
	for message, err := range socket.Messages(l.ctx) {
		l.ok(err)
		if n, ok := message.(*sdk.ControlNotification); ok && n.Type == sdk.NotifyPaymentProofRecorded {
			var paid sdk.PaymentRecorded
			l.ok(json.Unmarshal(n.Payload, &paid))
			l.done["SOCKET /machines/{machineId}/control-socket"] = paid.PaymentStatus == "verified"
			return
		}
	}
}

func (l *apiRun) buy(listingID string, rail sdk.StreamRail) {
	token, key := l.pairing.PairingToken, sdk.BuyerPublicKey{Type: "x25519", PublicKeyHex: "aa"}
	bought := done[*sdk.Purchase](l)(l.c.Purchases.Create(l.ctx, token, sdk.CreatePurchase{
		Resource: sdk.PurchaseResourceInput{Type: "stream.listing", ListingID: listingID},
		Buyer:    sdk.PurchaseBuyerInput{ID: "b1", PublicKey: key},
	}))
	intent := done[*sdk.PurchaseIntent](l)(l.c.Purchases.CreatePaymentIntent(l.ctx, bought.ID, token, sdk.CreatePurchaseIntent{Rail: rail}))
	if intent.Amount.Value != "2.5" {
		l.t.Errorf("got %+v", intent)
	}
	_, err := l.c.Purchases.Delivery(l.ctx, bought.ID, token)
	var early *sdk.DeliveryNotReadyError
	if !errors.As(err, &early) || early.PurchaseID != bought.ID {
		l.t.Errorf("an early delivery gave %v", err)
	}
	done[*sdk.PurchaseReceipt](l)(l.c.Purchases.SubmitPaymentProof(
		l.ctx, bought.ID, token,
		sdk.TransferProof{TransactionHash: sdk.Some("0x1"), Chain: sdk.Some("base"), Amount: sdk.Some("2.5")},
	))
	access := l.prepare(bought.ID)
	delivery := done[*sdk.StreamDelivery](l)(l.c.Purchases.Delivery(l.ctx, bought.ID, token))
	if delivery.Delivery.Connect == nil ||
		delivery.Delivery.Connect.URL.Reveal() != "peaqos-p2p://198.51.100.7:9000?ticket=1" || len(delivery.Access) != 1 ||
		delivery.Access[0].Buyer != access.Buyer {
		l.t.Errorf("got %+v", delivery)
	}
	done[*sdk.PurchaseEvent](l)(l.c.Purchases.CreateEvent(l.ctx, bought.ID, sdk.CreatePurchaseEvent{Type: "delivery.started"}))
	if got := done[*sdk.Purchase](l)(l.c.Purchases.Get(l.ctx, bought.ID)); got.Payment.Status != "verified" || got.Status != "active" {
		l.t.Errorf("got %+v", got)
	}
}

// prepare gives the buyer of chunk c1 access.
func (l *apiRun) prepare(purchaseID string) sdk.BuyerAccess {
	l.t.Helper()
	access := sdk.BuyerAccess{ChunkID: "c1", Buyer: sdk.BuyerAccessKey{
		RecipientID: "b1", RecipientType: "buyer", Algorithm: "x25519-sealedbox", PublicKeyHex: "aa", WrappedKeyHex: "ee",
	}}
	done[*sdk.PreparedAccess](l)(l.c.Purchases.PrepareAccess(l.ctx, purchaseID, sdk.PrepareAccess{
		MachineID: l.machine.ID, AgentID: l.agent.ID, AgentToken: l.agent.Token, Items: []sdk.BuyerAccess{access},
		Delivery: sdk.PrepareDelivery{Connect: sdk.Connect{
			Type: "peaqos-p2p-url", URL: sdk.NewSecret("peaqos-p2p://198.51.100.7:9000?ticket=1"),
			ExpiresAt: time.Now().Add(time.Hour).UTC().Format(time.RFC3339),
		}},
	}))
	return access
}
