package sdk_test

import (
	"encoding/json"

	"github.com/peaqnetwork/peaqos-agent/sdk"
)

func streamMethods() map[string]wireMethod {
	return map[string]wireMethod{
		"list_payment_rails":       paymentRails,
		"list_delivery_transports": deliveryTransports,
		"put_delivery_capabilities": func(a *wireArgs) wireResult {
			return plain(a.c.Delivery.PutCapabilities(a.ctx, a.str("machineId"), sdk.PutDeliveryCapabilities{
				AgentID: a.str("agentId"), Capabilities: arg[[]sdk.DeliveryCapabilityInput](a, "capabilities"),
				ResourceTypes: optional[[]string](a, "resourceTypes"), ExpiresAt: optional[string](a, "expiresAt"),
			}))
		},
		"update_stream_listing_purchase_fields": func(a *wireArgs) wireResult {
			return none(a.c.StreamListings.UpdatePurchaseFields(a.ctx, a.str("machineId"), a.str("listingId"), purchaseFields(a)))
		},
		"create_purchase": func(a *wireArgs) wireResult {
			return plain(a.c.Purchases.Create(a.ctx, a.token(), sdk.CreatePurchase{
				Resource: arg[sdk.PurchaseResourceInput](a, "resource"), Buyer: arg[sdk.PurchaseBuyerInput](a, "buyer"),
				Delivery: optional[sdk.PurchaseDeliveryInput](a, "delivery"),
			}))
		},
		"get_purchase": func(a *wireArgs) wireResult { return plain(a.c.Purchases.Get(a.ctx, a.str("purchaseId"))) },
		"create_purchase_payment_intent": func(a *wireArgs) wireResult {
			return plain(a.c.Purchases.CreatePaymentIntent(a.ctx, a.str("purchaseId"), a.token(), sdk.CreatePurchaseIntent{
				Rail: streamRail(arg[json.RawMessage](a, "rail")), Payer: optional[sdk.Payer](a, "payer"),
			}))
		},
		"submit_purchase_payment_proof": func(a *wireArgs) wireResult {
			return plain(a.c.Purchases.SubmitPaymentProof(a.ctx, a.str("purchaseId"), a.token(), purchaseProof(a)))
		},
		"get_purchase_delivery": func(a *wireArgs) wireResult {
			return plain(a.c.Purchases.Delivery(a.ctx, a.str("purchaseId"), a.token()))
		},
		"create_purchase_event": func(a *wireArgs) wireResult {
			return plain(a.c.Purchases.CreateEvent(a.ctx, a.str("purchaseId"), sdk.CreatePurchaseEvent{
				Actor: arg[sdk.PurchaseActor](a, "actor"), Type: a.str("eventType"), Payload: arg[json.RawMessage](a, "payload"),
			}))
		},
		"prepare_buyer_access": prepareAccess,
	}
}

func paymentRails(a *wireArgs) wireResult {
	rails, err := a.c.Delivery.PaymentRails(a.ctx)
	if err != nil {
		return wireResult{err: err}
	}
	out := []any{}
	for _, rail := range rails {
		switch rail := rail.(type) {
		case *sdk.X402RailInfo:
			out = append(out, map[string]any{"type": "x402", "chains": rail.Chains, "tokens": rail.Tokens, "requiresProof": true})
		case *sdk.TransferRailInfo:
			out = append(
				out,
				map[string]any{
					"type": "transfer", "chains": rail.Chains, "tokens": rail.Tokens,
					"verification": "destination-chain-finality",
				},
			)
		case *sdk.UnknownEntry:
			out = append(out, rail.Raw)
		}
	}
	return wireResult{value: out}
}

func deliveryTransports(a *wireArgs) wireResult {
	transports, err := a.c.Delivery.Transports(a.ctx)
	if err != nil {
		return wireResult{err: err}
	}
	out := []any{}
	for _, transport := range transports {
		switch transport := transport.(type) {
		case *sdk.P2PTransport:
			out = append(out, struct {
				Mode string `json:"mode"`
				sdk.P2PTransport
			}{"p2p", *transport})
		case *sdk.StorageTransport:
			out = append(out, map[string]any{"mode": "storage", "provider": transport.Provider, "features": transport.Features})
		case *sdk.TunnelTransport:
			out = append(out, map[string]any{"mode": "tunnel", "provider": transport.Provider, "features": transport.Features})
		case *sdk.UnknownEntry:
			out = append(out, transport.Raw)
		}
	}
	return wireResult{value: out}
}

// streamRail decodes a member of the union by its type.
func streamRail(raw json.RawMessage) sdk.StreamRail {
	if raw == nil {
		return nil
	}
	var kind struct {
		Type string `json:"type"`
	}
	var x402 sdk.X402Rail
	var transfer sdk.TransferRail
	var field string
	_, err := sdk.FromWire(string(raw), &kind)
	switch {
	case err != nil:
	case kind.Type == "x402":
		if field, err = sdk.FromWire(string(raw), &x402); err == nil {
			return x402
		}
	case kind.Type == "transfer":
		if field, err = sdk.FromWire(string(raw), &transfer); err == nil {
			return transfer
		}
	}
	panic(misfit{&sdk.ValidationError{Field: "rail." + field}})
}

func purchaseFields(a *wireArgs) (out sdk.UpdatePurchaseFields) {
	params := arg[struct {
		Resource        sdk.Optional[sdk.ListingResource]  `json:"resource"`
		PaymentRails    sdk.Optional[[]json.RawMessage]    `json:"paymentRails"`
		DeliveryOptions sdk.Optional[[]sdk.DeliveryOption] `json:"deliveryOptions"`
	}](a, "params")
	out.Resource, out.DeliveryOptions = params.Resource, params.DeliveryOptions
	if raws, ok := params.PaymentRails.Get(); ok {
		rails := []sdk.StreamRail{}
		for _, raw := range raws {
			rails = append(rails, streamRail(raw))
		}
		out.PaymentRails = sdk.Some(rails)
	}
	return out
}

func purchaseProof(a *wireArgs) sdk.PurchaseProof {
	if rail := a.str("rail"); rail != "transfer" {
		return sdk.X402Proof{
			Rail: rail, PaymentHeader: arg[sdk.Secret](a, "paymentHeader"),
			PaymentResponse: optional[string](a, "paymentResponse"), PayerAddress: optional[string](a, "payerAddress"),
		}
	}
	return sdk.TransferProof{
		TransactionHash: optional[string](a, "transactionHash"), Chain: optional[string](a, "chain"), Token: optional[string](a, "token"),
		PayerAddress: optional[string](a, "payerAddress"), PayeeAddress: optional[string](a, "payeeAddress"),
		TokenAddress: optional[string](a, "tokenAddress"), Amount: optional[string](a, "amount"),
		RawAmount: optional[string](a, "rawAmount"),
		RPCURL:    optional[sdk.Secret](a, "rpcUrl"), VerificationMode: optional[string](a, "verificationMode"),
		Bridge: optional[sdk.Bridge](a, "bridge"),
	}
}

func prepareAccess(a *wireArgs) wireResult {
	if a.has("request") {
		var in sdk.PrepareAccess // its entries are also part of responses, which have other rules
		if err := json.Unmarshal(a.args["request"], &in); err != nil {
			panic(misfit{&sdk.ValidationError{Field: "request"}})
		}
		return plain(a.c.Purchases.PrepareAccess(a.ctx, a.str("purchaseId"), in))
	}
	var body json.RawMessage
	if a.has("params") {
		body = a.args["params"]
	}
	return plain(a.c.Purchases.PrepareAccessRaw(a.ctx, a.str("purchaseId"), body))
}
