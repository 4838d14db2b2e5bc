package sdk_test

import (
	"bytes"
	"encoding/json"

	"github.com/peaqnetwork/peaqos-agent/sdk"
)

func marketMethods() map[string]wireMethod {
	return map[string]wireMethod{
		"list_skills":        func(a *wireArgs) wireResult { return page(a.c.Skills.List(a.ctx, skillOptions(a))) },
		"list_skills_all":    func(a *wireArgs) wireResult { return all(a.c.Skills.All(a.ctx, skillOptions(a))) },
		"get_skill":          func(a *wireArgs) wireResult { return item(a.c.Skills.Get(a.ctx, a.str("skillKey"))) },
		"get_skill_manifest": func(a *wireArgs) wireResult { return item(a.c.Skills.Manifest(a.ctx, a.str("skillKey"))) },
		"update_skill_config": func(a *wireArgs) wireResult {
			return item(a.c.Skills.UpdateConfig(a.ctx, a.str("skillKey"), skillConfig(a)))
		},
		"list_market_services":     func(a *wireArgs) wireResult { return page(a.c.MarketServices.List(a.ctx, serviceOptions(a))) },
		"list_market_services_all": func(a *wireArgs) wireResult { return all(a.c.MarketServices.All(a.ctx, serviceOptions(a))) },
		"get_market_service": func(a *wireArgs) wireResult {
			return item(a.c.MarketServices.Get(a.ctx, a.str("serviceId"), sdk.GetMarketServiceOptions{
				MachineID: serviceOptions(a).MachineID, PairingToken: a.maybeToken(),
			}))
		},
		"execute_market_service": func(a *wireArgs) wireResult {
			if a.has("onem2mParams") {
				return plain(a.c.OneM2M.Read(a.ctx, a.str("serviceId"), a.token(), oneM2MRead(a)))
			}
			return plain(a.c.MarketServices.Execute(a.ctx, a.str("serviceId"), a.token(), arg[sdk.ExecuteMarketService](a, "params")))
		},
		"search_market": func(a *wireArgs) wireResult {
			return item(a.c.MarketSearches.Search(a.ctx, a.token(), arg[sdk.SearchMarket](a, "params")))
		},
		"get_market_search": func(a *wireArgs) wireResult { return item(a.c.MarketSearches.Get(a.ctx, a.str("searchId"))) },
		"list_market_orders": func(a *wireArgs) wireResult {
			return page(a.c.MarketOrders.List(a.ctx, a.str("machineId"), a.list()))
		},
		"list_market_orders_all": func(a *wireArgs) wireResult {
			return all(a.c.MarketOrders.All(a.ctx, a.str("machineId"), a.list()))
		},
		"create_market_order": func(a *wireArgs) wireResult {
			if a.has("onem2mParams") {
				return item(a.c.OneM2M.CreateOrder(a.ctx, a.token(), oneM2MOrder(a)))
			}
			return item(a.c.MarketOrders.Create(a.ctx, a.token(), arg[sdk.CreateMarketOrder](a, "params")))
		},
		"get_market_order":     getOrder,
		"execute_market_order": executeOrder,
		"confirm_market_order": func(a *wireArgs) wireResult {
			return plain(a.c.MarketOrders.Confirm(a.ctx, a.str("orderId"), a.token()))
		},
		"dispute_market_order": func(a *wireArgs) wireResult {
			return plain(a.c.MarketOrders.Dispute(a.ctx, a.str("orderId"), a.token(), arg[sdk.DisputeMarketOrder](a, "params")))
		},
		"create_payment_intent": func(a *wireArgs) wireResult {
			return item(a.c.MarketPayments.CreateIntent(a.ctx, a.str("orderId"), a.token(), arg[sdk.CreatePaymentIntent](a, "params")))
		},
		"get_market_payment": func(a *wireArgs) wireResult { return item(a.c.MarketPayments.Get(a.ctx, a.str("orderId"))) },
		"submit_payment_proof": func(a *wireArgs) wireResult {
			return item(a.c.MarketPayments.SubmitProof(a.ctx, a.str("orderId"), a.token(), arg[sdk.PaymentProof](a, "params")))
		},
		"submit_x402_payment_proof": func(a *wireArgs) wireResult {
			params := arg[struct {
				PaymentSignature sdk.Secret           `json:"paymentSignature"`
				PaymentReference sdk.Optional[string] `json:"paymentReference"`
				Metadata         json.RawMessage      `json:"metadata"`
			}](a, "params")
			return item(a.c.MarketPayments.SubmitX402Proof(a.ctx, a.str("orderId"), a.token(), sdk.X402PaymentProof(params)))
		},
		"lock_escrow_payment": func(a *wireArgs) wireResult {
			return item(a.c.MarketPayments.LockEscrow(a.ctx, a.str("orderId"), a.token(), arg[sdk.LockEscrow](a, "params")))
		},
		"release_payment": func(a *wireArgs) wireResult {
			return item(a.c.MarketPayments.Release(a.ctx, a.str("orderId"), a.token(), arg[*sdk.ReleasePayment](a, "params")))
		},
		"refund_payment": func(a *wireArgs) wireResult {
			return item(a.c.MarketPayments.Refund(a.ctx, a.str("orderId"), a.token(), arg[*sdk.RefundPayment](a, "params")))
		},
	}
}

func skillOptions(a *wireArgs) sdk.SkillOptions {
	o := arg[struct {
		Scope     sdk.Optional[string] `json:"scope"`
		Direction sdk.Optional[string] `json:"direction"`
		Source    sdk.Optional[string] `json:"source"`
	}](a, "options")
	return sdk.SkillOptions{Scope: o.Scope, Direction: o.Direction, Source: o.Source, ListOptions: a.list()}
}

// skillConfig is decoded with encoding/json: its settings are values of any kind.
func skillConfig(a *wireArgs) (out sdk.UpdateSkillConfig) {
	if !a.has("params") {
		return out
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(a.args["params"], &members); err != nil {
		panic(misfit{&sdk.ValidationError{Field: "params"}})
	}
	for name, v := range map[string]any{"enabled": &out.Enabled, "credentials": &out.Credentials} {
		if raw, ok := members[name]; ok {
			if err := json.Unmarshal(raw, v); err != nil {
				panic(misfit{&sdk.ValidationError{Field: name}})
			}
		}
	}
	if raw, ok := members["settings"]; ok {
		decoder := json.NewDecoder(bytes.NewReader(raw))
		decoder.UseNumber()
		settings := map[string]any{}
		if err := decoder.Decode(&settings); err != nil {
			panic(misfit{&sdk.ValidationError{Field: "settings"}})
		}
		out.Settings = sdk.Some(settings)
	}
	return out
}

func serviceOptions(a *wireArgs) sdk.MarketServiceOptions {
	o := arg[struct {
		MachineID     sdk.Optional[string] `json:"machineId"`
		ServiceType   sdk.Optional[string] `json:"serviceType"`
		ExecutionMode sdk.Optional[string] `json:"executionMode"`
		ProviderKey   sdk.Optional[string] `json:"providerKey"`
	}](a, "options")
	if a.has("machineId") {
		o.MachineID = optional[string](a, "machineId")
	}
	return sdk.MarketServiceOptions{
		MachineID: o.MachineID, ServiceType: o.ServiceType, ExecutionMode: o.ExecutionMode, ProviderKey: o.ProviderKey,
		PairingToken: a.maybeToken(), ListOptions: a.list(),
	}
}

// oneM2MParams are the common members of typed oneM2M requests.
type oneM2MParams struct {
	MachineID      string               `json:"machineId"`
	AgentPairingID string               `json:"agentPairingId"`
	ServiceID      string               `json:"serviceId"`
	Operation      string               `json:"operation"`
	Input          json.RawMessage      `json:"input"`
	SearchID       sdk.Optional[string] `json:"searchId"`
	QuoteID        sdk.Optional[string] `json:"quoteId"`
}

// oneM2MInput decodes the input into the type for the operation, over its default values.
func oneM2MInput[T any](params oneM2MParams, in T) *T {
	if params.Input == nil {
		return nil
	}
	if field, err := sdk.FromWire(string(params.Input), &in); err != nil {
		panic(misfit{&sdk.ValidationError{Field: "input." + field}})
	}
	return &in
}

// set returns the input, or a nil interface: a nil pointer in an interface is not nil.
func set[I any, T any](to *I, in *T) {
	if in != nil {
		*to = any(*in).(I)
	}
}

// unknownOperation is an operation for which this client has no input type.
func unknownOperation() { panic(misfit{&sdk.ValidationError{Field: "operation"}}) }

func oneM2MRead(a *wireArgs) sdk.OneM2MRead {
	params := arg[oneM2MParams](a, "onem2mParams")
	out := sdk.OneM2MRead{MachineID: params.MachineID, AgentPairingID: params.AgentPairingID}
	switch params.Operation {
	case "list-devices":
		set(&out.Input, oneM2MInput(params, sdk.OneM2MListDevices{}))
	case "get-device-info":
		set(&out.Input, oneM2MInput(params, sdk.OneM2MGetDeviceInfo{}))
	case "get-latest-data":
		set(&out.Input, oneM2MInput(params, sdk.OneM2MGetLatestData{}))
	default:
		unknownOperation()
	}
	return out
}

func oneM2MOrder(a *wireArgs) sdk.OneM2MOrder {
	params := arg[oneM2MParams](a, "onem2mParams")
	out := sdk.OneM2MOrder{
		MachineID: params.MachineID, AgentPairingID: params.AgentPairingID, ServiceID: params.ServiceID,
		SearchID: params.SearchID, QuoteID: params.QuoteID,
	}
	switch params.Operation {
	case "execute-action":
		set(&out.Input, oneM2MInput(params, sdk.OneM2MExecuteAction{Action: sdk.OneM2MOpen}))
	case "subscribe-events":
		set(&out.Input, oneM2MInput(params, sdk.OneM2MSubscribeEvents{}))
	default:
		unknownOperation()
	}
	return out
}

func getOrder(a *wireArgs) wireResult {
	order, err := a.c.MarketOrders.Get(a.ctx, a.str("orderId"), a.maybeToken())
	if err != nil {
		return wireResult{err: err}
	}
	return plain(map[string]any{"item": order.MarketOrder, "execution": order.Execution}, nil)
}

func executeOrder(a *wireArgs) wireResult {
	if a.has("onem2mParams") {
		return plain(a.c.OneM2M.ExecuteOrder(a.ctx, a.str("orderId"), a.token()))
	}
	return plain(a.c.MarketOrders.Execute(a.ctx, a.str("orderId"), a.token(), arg[sdk.ExecuteMarketOrder](a, "params")))
}
