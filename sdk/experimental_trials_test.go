package sdk_test

import (
	"context"
	"encoding/json"

	"github.com/peaqnetwork/peaqos-agent/sdk"
)

// raw is JSON that is sent unchanged.
const raw = `{"my_key":{"b":[1,null]}}`

func machineTrials() map[string]trial {
	return map[string]trial{
		"Machines.OwnershipChallenge": {
			call: func(ctx context.Context, c *sdk.Client) (any, error) {
				return c.Machines.OwnershipChallenge(
					ctx, awkward("machineId"),
					sdk.CreateOwnershipChallenge{OwnerAddress: "0x1", MachineAddress: sdk.Some("0x2")},
				)
			},
			body:     `{"ownerAddress":"0x1","machineAddress":"0x2"}`,
			response: `{"challengeId":"c","machineId":"m","message":" sign\n","expiresAt":"2026-01-01T00:00:00Z"}`,
		},
		"Machines.ProveOwnership": {
			call: func(ctx context.Context, c *sdk.Client) (any, error) {
				return c.Machines.ProveOwnership(
					ctx, awkward("machineId"),
					sdk.OwnershipProofInput{ChallengeID: "c", Signature: "0xaa", SignerAddress: "0x1"},
				)
			},
			body:     `{"challengeId":"c","signature":"0xaa","signerAddress":"0x1"}`,
			response: `{"machineId":"m","verified":true,"verifiedAt":"2026-01-01T00:00:00Z"}`,
		},
		"Machines.Trust": {
			call: func(ctx context.Context, c *sdk.Client) (any, error) {
				return c.Machines.Trust(ctx, awkward("machineId"))
			},
			response: `{"machineId":"m","bondStatus":"something new","mcr":{"score":71.5,"rating":"A","calculatedAt":"t"},
				"trust":{"status":"verified","attestedAt":"t","attestor":"0x1"}}`,
		},
		"MachineAgents.RotateToken": {
			call: func(ctx context.Context, c *sdk.Client) (any, error) {
				return c.MachineAgents.RotateToken(ctx, awkward("agentId"), sdk.Some("lost"))
			},
			body:     `{"reason":"lost"}`,
			response: `{"agentId":"a","provisioningToken":"new","rotatedAt":"t"}`,
		},
		"MachineAgents.Events": {
			call: func(ctx context.Context, c *sdk.Client) (any, error) {
				return c.MachineAgents.Events(ctx, awkward("agentId"))
			},
			response: `{"id":"e","agentId":"a","type":"seen","payload":` + raw + `,"createdAt":"t"}`,
			form:     formList,
		},
		"AgentPairings.ProveSignature": {
			call: func(ctx context.Context, c *sdk.Client) (any, error) {
				return c.AgentPairings.ProveSignature(
					ctx, awkward("machineId"), awkward("pairingId"),
					sdk.SignatureProofInput{Message: "m", Signature: "0xaa", SignerAddress: "0x1"},
				)
			},
			body:     `{"message":"m","signature":"0xaa","signerAddress":"0x1"}`,
			response: `{"pairingId":"p","verified":false,"verifiedAt":"t"}`,
		},
		"AgentPairings.Spend": {
			call: func(ctx context.Context, c *sdk.Client) (any, error) {
				return c.AgentPairings.Spend(ctx, awkward("machineId"), awkward("pairingId"))
			},
			response: `{"items":[{"pairingId":"p","currency":null,"dailySpend":1.10}]}`,
			form:     formRaw,
		},
		"RuntimeEndpoints.Probe": {
			call: func(ctx context.Context, c *sdk.Client) (any, error) {
				return c.RuntimeEndpoints.Probe(ctx, awkward("machineId"), awkward("providerKey"), sdk.Some(500))
			},
			body:     `{"timeoutMs":500}`,
			response: `{"providerKey":"qvac","status":"active","checkedAt":"t","latencyMs":12,"error":""}`,
		},
		"Observability.Events": {
			call: func(ctx context.Context, c *sdk.Client) (any, error) {
				var got []sdk.ServerEvent
				for event, err := range c.Observability.Events(
					ctx, sdk.ServerEventOptions{MachineID: sdk.Some("m 1"), Cursor: sdk.Some("c")},
				) {
					if err != nil {
						return nil, err
					}
					got = append(got, event)
				}
				return got, nil
			},
			query:    "cursor=c&machineId=m+1",
			response: ": hello\n\nevent: machine.created\nid: e1\ndata: {\"a\":1}\n\ndata: two\ndata: lines\n\ndata: cut",
			form:     formStream,
		},
		"Observability.Metrics": {
			call:     func(ctx context.Context, c *sdk.Client) (any, error) { return c.Observability.Metrics(ctx) },
			response: "# HELP up\nup 1\n",
			form:     formText,
		},
		"Policies.Get": {
			call: func(ctx context.Context, c *sdk.Client) (any, error) { return c.Policies.Get(ctx, awkward("policyId")) },
			response: `{"id":"p","name":"n","allowedSkillKeys":[],"deniedSkillKeys":["x"],
				"budgetCap":{"currency":"USDC","amount":1.10},"regionRules":[],
				"nativeOnly":false,"handoffAllowed":true,"requiredCapabilities":[],"createdAt":"t","updatedAt":"t"}`,
		},
	}
}

func marketTrials() map[string]trial {
	return map[string]trial{
		"Skills.Submit": {
			call: func(ctx context.Context, c *sdk.Client) (any, error) {
				return c.Skills.Submit(ctx, sdk.SubmitSkill{
					ProviderName: "p", SkillName: "s", Description: "d", ServiceTypes: []string{"storage.object"},
					Operations:   []string{"put"},
					ReferenceURL: sdk.Some("https://x"), Metadata: json.RawMessage(raw),
				})
			},
			body: `{"providerName":"p","skillName":"s","description":"d","serviceTypes":["storage.object"],"operations":["put"],
				"referenceUrl":"https://x","metadata":` + raw + `}`,
			response: `{"id":"s","status":"in_review","createdAt":"t","updatedAt":"t","notes":""}`,
		},
		"Skills.Submission": {
			call: func(ctx context.Context, c *sdk.Client) (any, error) {
				return c.Skills.Submission(ctx, awkward("submissionId"))
			},
			response: `{"id":"s","status":"approved","createdAt":"t","updatedAt":"t","notes":"good"}`,
		},
		"MarketServices.Quote": {
			call: func(ctx context.Context, c *sdk.Client) (any, error) {
				return c.MarketServices.Quote(ctx, awkward("serviceId"), sdk.QuoteMarketService{
					MachineID: "m", AgentPairingID: sdk.Some("p"), Operation: sdk.Some("put"), Input: json.RawMessage(raw),
					Budget: sdk.Some(sdk.Budget{Amount: sdk.Some(json.Number("1.10")), Currency: sdk.Some("USDC")}),
				})
			},
			body: `{"machineId":"m","agentPairingId":"p","operation":"put","input":` + raw +
				`,"budget":{"amount":1.10,"currency":"USDC"}}`,
			response: `{"item":{"id":"q"}}`,
			form:     formRaw,
		},
		"MarketServices.Availability": {
			call: func(ctx context.Context, c *sdk.Client) (any, error) {
				return c.MarketServices.Availability(ctx, awkward("serviceId"))
			},
			response: `{"serviceId":"s","available":true,"executionMode":"native","integrationStatus":"native",` +
				`"checkedAt":"t","reason":""}`,
		},
		"MarketSearches.Converse": {
			call: func(ctx context.Context, c *sdk.Client) (any, error) {
				return c.MarketSearches.Converse(ctx, sdk.MarketConversation{
					MachineID: "m", Message: "store it", AgentPairingID: sdk.Some("p"), Context: json.RawMessage(raw),
				})
			},
			body:     `{"machineId":"m","message":"store it","agentPairingId":"p","context":` + raw + `}`,
			response: `{"message":"where?","requiresMoreInput":true,"suggestedSearch":{"serviceType":"storage"}}`,
		},
		"MarketOrders.Cancel": {
			call: func(ctx context.Context, c *sdk.Client) (any, error) {
				return c.MarketOrders.Cancel(ctx, awkward("orderId"), sdk.NewSecret(pairingToken), sdk.Some("late"))
			},
			body:     `{"reason":"late"}`,
			response: `{"item":{"id":"o","status":"cancelled"}}`,
			form:     formRaw,
		},
		"MarketOrders.Retry": {
			call: func(ctx context.Context, c *sdk.Client) (any, error) {
				return c.MarketOrders.Retry(ctx, awkward("orderId"), sdk.NewSecret(pairingToken), sdk.Optional[string]{})
			},
			body:     `{}`,
			response: `["anything"]`,
			form:     formRaw,
		},
		"MarketOrders.Events": {
			call: func(ctx context.Context, c *sdk.Client) (any, error) {
				return c.MarketOrders.Events(ctx, awkward("orderId"))
			},
			response: `{"id":"e","orderId":"o","type":"created","payload":` + raw + `,"createdAt":"t"}`,
			form:     formList,
		},
	}
}

func graphTrials() map[string]trial {
	const response = `{"anything":[1]}`
	return map[string]trial{
		"Graph.Get": {
			call:     func(ctx context.Context, c *sdk.Client) (any, error) { return c.Graph.Get(ctx, awkward("machineId")) },
			response: response, form: formRaw,
		},
		"Graph.CreateNode": {
			call: func(ctx context.Context, c *sdk.Client) (any, error) {
				return c.Graph.CreateNode(ctx, awkward("machineId"), json.RawMessage(raw))
			},
			body: raw, response: response, form: formRaw,
		},
		"Graph.UpdateNode": {
			call: func(ctx context.Context, c *sdk.Client) (any, error) {
				return c.Graph.UpdateNode(ctx, awkward("machineId"), awkward("nodeId"), json.RawMessage(raw))
			},
			body: raw, response: response, form: formRaw,
		},
		"Graph.DeleteNode": {
			call: func(ctx context.Context, c *sdk.Client) (any, error) {
				return nil, c.Graph.DeleteNode(ctx, awkward("machineId"), awkward("nodeId"))
			},
			form: formNone,
		},
		"Graph.CreateEdge": {
			call: func(ctx context.Context, c *sdk.Client) (any, error) {
				return c.Graph.CreateEdge(ctx, awkward("machineId"), json.RawMessage(raw))
			},
			body: raw, response: response, form: formRaw,
		},
		"Graph.UpdateEdge": {
			call: func(ctx context.Context, c *sdk.Client) (any, error) {
				return c.Graph.UpdateEdge(ctx, awkward("machineId"), awkward("edgeId"), json.RawMessage(raw))
			},
			body: raw, response: response, form: formRaw,
		},
		"Graph.DeleteEdge": {
			call: func(ctx context.Context, c *sdk.Client) (any, error) {
				return nil, c.Graph.DeleteEdge(ctx, awkward("machineId"), awkward("edgeId"))
			},
			form: formNone,
		},
	}
}
