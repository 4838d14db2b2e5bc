package sdk_test

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/peaqnetwork/peaqos-agent/sdk"
)

// unserved are the experimental operations that the sandbox does not implement, because too
// little is known about them.
func unserved() []string {
	return []string{"get_metrics", "publish_stream_event", "publish_stream_events", "record_stream_chain_receipt"}
}

// idOf returns the id of a raw item.
func (l *apiRun) idOf(response *sdk.RawResponse, err error) string {
	l.t.Helper()
	l.ok(err)
	var body struct {
		Item struct {
			ID string `json:"id"`
		} `json:"item"`
	}
	if err := json.Unmarshal(response.Body, &body); err != nil || body.Item.ID == "" {
		l.t.Fatalf("no id in %s: %v", response.Body, err)
	}
	return body.Item.ID
}

// planned makes the calls of contract §3.1 and §3.2, which none of peaq's SDKs makes.
func (l *apiRun) planned() {
	token, machine := l.pairing.PairingToken, l.machine.ID
	challenge := done[*sdk.OwnershipChallenge](l)(l.c.Machines.OwnershipChallenge(
		l.ctx, machine, sdk.CreateOwnershipChallenge{OwnerAddress: vectorAddress},
	))
	proof := done[*sdk.OwnershipProof](l)(l.c.Machines.ProveOwnership(l.ctx, machine, sdk.OwnershipProofInput{
		ChallengeID: challenge.ChallengeID, Signature: signVector(l.t, []byte(challenge.Message)), SignerAddress: vectorAddress,
	}))
	trust := done[*sdk.MachineTrust](l)(l.c.Machines.Trust(l.ctx, machine))
	if !proof.Verified || trust.Trust == nil || trust.Trust.Status == "" {
		l.t.Errorf("got %+v and %+v", proof, trust)
	}
	events := done[*sdk.Page[sdk.AgentEvent]](l)(l.c.MachineAgents.Events(l.ctx, l.agent.ID))
	if len(events.Items) == 0 {
		l.t.Error("nothing happened to the agent")
	}
	rotated := done[*sdk.RotatedToken](l)(l.c.MachineAgents.RotateToken(l.ctx, l.agent.ID, sdk.Some("a test")))
	if rotated.ProvisioningToken.Equal(l.agent.Token) {
		l.t.Error("the token was not replaced")
	}
	l.agent.Token = rotated.ProvisioningToken
	signed := done[*sdk.SignatureProof](l)(l.c.AgentPairings.ProveSignature(l.ctx, machine, l.pairing.ID, sdk.SignatureProofInput{
		Message: "m", Signature: signVector(l.t, []byte("m")), SignerAddress: vectorAddress,
	}))
	if !signed.Verified {
		l.t.Errorf("got %+v", signed)
	}
	done[*sdk.RawResponse](l)(l.c.AgentPairings.Spend(l.ctx, machine, l.pairing.ID))
	failed := l.ordered("svc_qvac_inference", "list-models", `{}`) // no server at the endpoint
	done[*sdk.ExecutedOrder](l)(l.c.MarketOrders.Execute(l.ctx, failed.ID, token, sdk.ExecuteMarketOrder{}))
	l.idOf(l.c.MarketOrders.Retry(l.ctx, failed.ID, token, sdk.Optional[string]{}))
	probe := done[*sdk.EndpointProbe](l)(l.c.RuntimeEndpoints.Probe(l.ctx, machine, "qvac", sdk.Some(100)))
	if probe.ProviderKey != "qvac" {
		l.t.Errorf("got %+v", probe)
	}
	submitted := done[*sdk.SkillSubmission](l)(l.c.Skills.Submit(l.ctx, sdk.SubmitSkill{
		ProviderName: "p", SkillName: "s", Description: "d", ServiceTypes: []string{"storage.object"},
		Operations: []string{"put"}, Metadata: json.RawMessage(raw),
	}))
	if again := done[*sdk.SkillSubmission](l)(l.c.Skills.Submission(l.ctx, submitted.ID)); again.Status != submitted.Status {
		l.t.Errorf("got %+v", again)
	}
	l.idOf(l.c.MarketServices.Quote(l.ctx, "svc_price_feed", sdk.QuoteMarketService{MachineID: machine}))
	if a := done[*sdk.ServiceAvailability](l)(l.c.MarketServices.Availability(l.ctx, "svc_price_feed")); !a.Available {
		l.t.Errorf("got %+v", a)
	}
	reply := done[*sdk.MarketConversationReply](l)(l.c.MarketSearches.Converse(
		l.ctx, sdk.MarketConversation{MachineID: machine, Message: "store a blob"},
	))
	var search sdk.SearchMarket
	if err := json.Unmarshal(reply.SuggestedSearch, &search); err != nil || !search.ServiceType.IsSet() {
		l.t.Errorf("got %+v, %v", reply, err)
	}
	order := l.ordered("svc_price_feed", "get-price", `{"symbol":"BTC/USD"}`)
	l.idOf(l.c.MarketOrders.Cancel(l.ctx, order.ID, token, sdk.Some("late")))
	if events := done[*sdk.Page[sdk.OrderEvent]](l)(l.c.MarketOrders.Events(l.ctx, order.ID)); len(events.Items) < 2 {
		l.t.Errorf("got %+v", events)
	}
	policy := done[*sdk.Policy](l)(l.c.Policies.Create(l.ctx, sdk.CreatePolicy{Name: "again"}))
	if got := done[*sdk.Policy](l)(l.c.Policies.Get(l.ctx, policy.ID)); got.Name != "again" {
		l.t.Errorf("got %+v", got)
	}
	l.follow()
	l.graph()
}

// follow reads the platform's event stream, starting after an earlier event.
func (l *apiRun) follow() {
	audit := done[*sdk.Page[sdk.AuditEvent]](l)(l.c.Observability.AuditEvents(l.ctx, sdk.AuditOptions{}))
	first := slices.IndexFunc(audit.Items, func(e sdk.AuditEvent) bool { return e.Type == "machine.created" })
	if first < 0 {
		l.t.Fatal("the machine was never created")
	}
	ctx, cancel := context.WithTimeout(l.ctx, 10*time.Second)
	defer cancel()
	for event, err := range l.c.Observability.Events(
		ctx, sdk.ServerEventOptions{MachineID: sdk.Some(l.machine.ID), Cursor: sdk.Some(audit.Items[first].ID)},
	) {
		l.ok(err)
		if !json.Valid([]byte(event.Data)) || event.ID == "" {
			l.t.Errorf("got %+v", event)
		}
		return
	}
	l.t.Error("no event came")
}

func (l *apiRun) graph() {
	machine := l.machine.ID
	node := l.idOf(l.c.Graph.CreateNode(l.ctx, machine, json.RawMessage(`{"kind":"sensor","status":"draft","data":{"a_A":1}}`)))
	edge := l.idOf(l.c.Graph.CreateEdge(l.ctx, machine, json.RawMessage(`{"from":"`+node+`","to":"`+node+`"}`)))
	done[*sdk.RawResponse](l)(l.c.Graph.UpdateNode(l.ctx, machine, node, json.RawMessage(`{"status":"active"}`)))
	done[*sdk.RawResponse](l)(l.c.Graph.UpdateEdge(l.ctx, machine, edge, json.RawMessage(`{"weight":2}`)))
	done[*sdk.RawResponse](l)(l.c.Graph.Get(l.ctx, machine))
	l.ok(l.c.Graph.DeleteEdge(l.ctx, machine, edge))
	l.ok(l.c.Graph.DeleteNode(l.ctx, machine, node))
}

// sources makes the calls of contract §3.3: the stream marketplace for robots.
func (l *apiRun) sources() {
	machine := l.machine.ID
	agent := sdk.StreamAgent{MachineID: machine, AgentID: l.agent.ID, AgentToken: l.agent.Token}
	policy := l.idOf(l.c.Streams.CreatePolicy(l.ctx, machine, json.RawMessage(`{"name":"lidar","version":1,"rules_R":{"x":1}}`)))
	done[*sdk.RawResponse](l)(l.c.Streams.UpdatePolicy(l.ctx, machine, policy, json.RawMessage(`{"status":"active"}`)))
	done[*sdk.Page[json.RawMessage]](l)(l.c.Streams.Policies(l.ctx, machine))
	done[*sdk.RawResponse](l)(l.c.Streams.RegisterSigningKey(l.ctx, machine, sdk.RegisterSigningKey{
		AgentID: l.agent.ID, AgentToken: l.agent.Token, KeyID: "k1",
		PublicKeyHex: "abababababababababababababababababababababababababababababababab",
	}))
	done[*sdk.RawResponse](l)(l.c.Streams.Heartbeat(l.ctx, agent, sdk.Some(policy)))
	done[*sdk.RawResponse](l)(l.c.Streams.PublishChunk(l.ctx, agent, json.RawMessage(`{"chunkId":"c1"}`), nil))
	done[*sdk.RawResponse](l)(l.c.Streams.GrantBuyerAccess(l.ctx, agent, json.RawMessage(`{
		"schemaVersion":"peaq.stream.buyer-access.v1","chunkId":"c1","buyer":
		{"recipientId":"b1","recipientType":"buyer","algorithm":"x25519-sealedbox","publicKeyHex":"aa","wrappedKeyHex":"ee"}}`)))
	if page := done[*sdk.Page[json.RawMessage]](l)(l.c.Streams.BuyerAccess(l.ctx, "c1", sdk.Some("b1"))); len(page.Items) != 1 {
		l.t.Errorf("got %s", page.Items)
	}
	listing := l.idOf(l.c.Streams.CreateListing(
		l.ctx, machine,
		json.RawMessage(`{"title":"Lidar","chunkIds":["c1"],"price":{"amount":2.5,"currency":"USDC"}}`),
	))
	done[*sdk.RawResponse](l)(l.c.Streams.Listing(l.ctx, listing))
	if page := done[*sdk.Page[json.RawMessage]](l)(l.c.Streams.Listings(
		l.ctx, sdk.StreamListingOptions{MachineID: sdk.Some(machine), IncludeInactive: sdk.Some(true)},
	)); len(page.Items) != 2 {
		l.t.Errorf("got %s", page.Items)
	}
	order := l.idOf(l.c.Streams.CreateOrder(l.ctx, sdk.CreateStreamOrder{ListingID: listing, BuyerID: "b1", BuyerPublicKeyHex: "aa"}))
	done[*sdk.RawResponse](l)(l.c.Streams.PayOrder(l.ctx, order, "ref-1", json.RawMessage(raw)))
	waiting := done[*sdk.Page[json.RawMessage]](l)(l.c.Streams.PollDeliverySessions(l.ctx, agent))
	var session struct {
		ID      string `json:"id"`
		OrderID string `json:"orderId"`
	}
	i := slices.IndexFunc(waiting.Items, func(item json.RawMessage) bool {
		return json.Unmarshal(item, &session) == nil && session.OrderID == order
	})
	if i < 0 {
		l.t.Fatalf("the order does not wait: %s", waiting.Items)
	}
	l.prepare(order)
	done[*sdk.RawResponse](l)(l.c.Streams.OrderDelivery(l.ctx, order, "b1"))
	done[*sdk.RawResponse](l)(l.c.Streams.UpdateDeliverySession(l.ctx, session.ID, sdk.UpdateDeliverySession{
		StreamAgent: agent, Status: "active", DeliveryURL: sdk.Some(sdk.NewSecret("https://x.example/d")), Message: sdk.Some("on its way"),
	}))
	done[*sdk.RawResponse](l)(l.c.Streams.Order(l.ctx, order))
	if page := done[*sdk.Page[json.RawMessage]](l)(l.c.Streams.MachineOrders(l.ctx, machine)); len(page.Items) == 0 {
		l.t.Error("the machine has no orders")
	}
}
