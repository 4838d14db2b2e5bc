package sdk_test

import (
	"context"
	"encoding/json"

	"github.com/peaqnetwork/peaqos-agent/sdk"
)

const (
	streamResponse = `{"item":{"id":"x","anything":[1]}}`
	streamItem     = `{"id":"x","an_y":[null]}`
	agentBody      = `"machineId":"m","agentId":"a","agentToken":"` + agentToken + `"`
)

func streamAgent() sdk.StreamAgent {
	return sdk.StreamAgent{MachineID: "m", AgentID: "a", AgentToken: sdk.NewSecret(agentToken)}
}

func streamTrials() map[string]trial {
	agent := streamAgent()
	return map[string]trial{
		"Streams.CreatePolicy": {
			call: func(ctx context.Context, c *sdk.Client) (any, error) {
				return c.Streams.CreatePolicy(ctx, awkward("machineId"), json.RawMessage(raw))
			},
			body: raw, response: streamResponse, form: formRaw,
		},
		"Streams.Policies": {
			call: func(ctx context.Context, c *sdk.Client) (any, error) {
				return c.Streams.Policies(ctx, awkward("machineId"))
			},
			response: streamItem, form: formList,
		},
		"Streams.UpdatePolicy": {
			call: func(ctx context.Context, c *sdk.Client) (any, error) {
				return c.Streams.UpdatePolicy(ctx, awkward("machineId"), awkward("policyId"), json.RawMessage(raw))
			},
			body: raw, response: streamResponse, form: formRaw,
		},
		"Streams.RegisterSigningKey": {
			call: func(ctx context.Context, c *sdk.Client) (any, error) {
				return c.Streams.RegisterSigningKey(ctx, awkward("machineId"), sdk.RegisterSigningKey{
					AgentID: "a", AgentToken: sdk.NewSecret(agentToken), KeyID: "k", PublicKeyHex: "aa",
				})
			},
			body:     `{"agentId":"a","agentToken":"` + agentToken + `","keyId":"k","publicKeyHex":"aa"}`,
			response: streamResponse, form: formRaw,
		},
		"Streams.Heartbeat": {
			call: func(ctx context.Context, c *sdk.Client) (any, error) {
				return c.Streams.Heartbeat(ctx, agent, sdk.Some("p"))
			},
			body: `{` + agentBody + `,"policyId":"p"}`, response: streamResponse, form: formRaw,
		},
		"Streams.PublishEvent": {
			call: func(ctx context.Context, c *sdk.Client) (any, error) {
				return c.Streams.PublishEvent(ctx, sdk.NewSecret(agentToken), json.RawMessage(raw))
			},
			body: `{"agentToken":"` + agentToken + `","envelope":` + raw + `}`, response: streamResponse, form: formRaw,
		},
		"Streams.PublishEvents": {
			call: func(ctx context.Context, c *sdk.Client) (any, error) {
				return c.Streams.PublishEvents(
					ctx, sdk.NewSecret(agentToken), []json.RawMessage{json.RawMessage(raw), json.RawMessage(raw)},
				)
			},
			body: `{"agentToken":"` + agentToken + `","items":[` + raw + `,` + raw + `]}`, response: `{"accepted":2}`, form: formRaw,
		},
		"Streams.RecordChainReceipt": {
			call: func(ctx context.Context, c *sdk.Client) (any, error) {
				return c.Streams.RecordChainReceipt(ctx, awkward("receiptId"), agent, "0xaa", "0xbb")
			},
			body: `{` + agentBody + `,"txHash":"0xaa","dataHash":"0xbb"}`, response: streamResponse, form: formRaw,
		},
		"Streams.PublishChunk": {
			call: func(ctx context.Context, c *sdk.Client) (any, error) {
				return c.Streams.PublishChunk(ctx, agent, json.RawMessage(raw), json.RawMessage(raw))
			},
			body: `{` + agentBody + `,"manifest":` + raw + `,"metadata":` + raw + `}`, response: streamResponse, form: formRaw,
		},
		"Streams.GrantBuyerAccess": {
			call: func(ctx context.Context, c *sdk.Client) (any, error) {
				return c.Streams.GrantBuyerAccess(ctx, agent, json.RawMessage(raw))
			},
			body: `{` + agentBody + `,"access":` + raw + `}`, response: streamResponse, form: formRaw,
		},
		"Streams.BuyerAccess": {
			call: func(ctx context.Context, c *sdk.Client) (any, error) {
				return c.Streams.BuyerAccess(ctx, awkward("chunkId"), sdk.Some("b&1"))
			},
			query: "buyerId=b%261", response: streamItem, form: formList,
		},
	}
}

func streamOrderTrials() map[string]trial {
	agent := streamAgent()
	return map[string]trial{
		"Streams.CreateListing": {
			call: func(ctx context.Context, c *sdk.Client) (any, error) {
				return c.Streams.CreateListing(ctx, awkward("machineId"), json.RawMessage(raw))
			},
			body: raw, response: streamResponse, form: formRaw,
		},
		"Streams.Listings": {
			call: func(ctx context.Context, c *sdk.Client) (any, error) {
				return c.Streams.Listings(
					ctx,
					sdk.StreamListingOptions{
						MachineID: sdk.Some("m"), IncludeInactive: sdk.Some(false),
						StorageProvider: sdk.Some("walrus"),
					},
				)
			},
			query: "includeInactive=false&machineId=m&storageProvider=walrus", response: streamItem, form: formList,
		},
		"Streams.Listing": {
			call: func(ctx context.Context, c *sdk.Client) (any, error) {
				return c.Streams.Listing(ctx, awkward("listingId"))
			},
			response: streamResponse, form: formRaw,
		},
		"Streams.CreateOrder": {
			call: func(ctx context.Context, c *sdk.Client) (any, error) {
				return c.Streams.CreateOrder(
					ctx,
					sdk.CreateStreamOrder{ListingID: "l", BuyerID: "b", BuyerPublicKeyHex: "aa", ChunkIDs: sdk.Some([]string{})},
				)
			},
			body: `{"listingId":"l","buyerId":"b","buyerPublicKeyHex":"aa","chunkIds":[]}`, response: streamResponse, form: formRaw,
		},
		"Streams.Order": {
			call:     func(ctx context.Context, c *sdk.Client) (any, error) { return c.Streams.Order(ctx, awkward("orderId")) },
			response: streamResponse, form: formRaw,
		},
		"Streams.MachineOrders": {
			call: func(ctx context.Context, c *sdk.Client) (any, error) {
				return c.Streams.MachineOrders(ctx, awkward("machineId"))
			},
			response: streamItem, form: formList,
		},
		"Streams.PayOrder": {
			call: func(ctx context.Context, c *sdk.Client) (any, error) {
				return c.Streams.PayOrder(ctx, awkward("orderId"), "ref", json.RawMessage(raw))
			},
			body: `{"paymentReference":"ref","proof":` + raw + `}`, response: streamResponse, form: formRaw,
		},
		"Streams.OrderDelivery": {
			call: func(ctx context.Context, c *sdk.Client) (any, error) {
				return c.Streams.OrderDelivery(ctx, awkward("orderId"), "b 1")
			},
			query: "buyerId=b+1", response: `{"delivery":{}}`, form: formRaw,
		},
		"Streams.PollDeliverySessions": {
			call: func(ctx context.Context, c *sdk.Client) (any, error) {
				return c.Streams.PollDeliverySessions(ctx, agent)
			},
			body:     `{` + agentBody + `,"statuses":["requested"]}`,
			response: streamItem, form: formList,
		},
		"Streams.UpdateDeliverySession": {
			call: func(ctx context.Context, c *sdk.Client) (any, error) {
				return c.Streams.UpdateDeliverySession(ctx, awkward("sessionId"), sdk.UpdateDeliverySession{
					StreamAgent: agent, Status: "ready", DeliveryURL: sdk.Some(sdk.NewSecret("https://x/y")), Message: sdk.Some(""),
				})
			},
			body: `{` + agentBody + `,"status":"ready","deliveryUrl":"https://x/y","message":""}`, response: streamResponse, form: formRaw,
		},
	}
}
