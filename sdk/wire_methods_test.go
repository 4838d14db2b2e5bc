package sdk_test

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"strings"
	"time"

	"github.com/peaqnetwork/peaqos-agent/sdk"
	"github.com/peaqnetwork/peaqos-agent/sdk/x402"
)

// wireArgs are the arguments of a recorded call.
type wireArgs struct {
	ctx  context.Context
	c    *sdk.Client
	args map[string]json.RawMessage
}

type wireMethod func(a *wireArgs) wireResult

// misfit is an argument that this client's types cannot hold: the compiler rejects it.
type misfit struct{ err error }

// read decodes an argument into v. An absent one leaves v unchanged.
func (a *wireArgs) read(name string, v any) {
	raw, ok := a.args[name]
	if !ok || string(raw) == "null" {
		return
	}
	field, err := sdk.FromWire(string(raw), v)
	if err == nil {
		return
	}
	if name != "params" && name != "request" && name != "onem2mParams" && name != "options" {
		field = strings.TrimSuffix(name+"."+field, ".")
	}
	panic(misfit{&sdk.ValidationError{Field: field, Constraint: "of another type"}})
}

func arg[T any](a *wireArgs, name string) (out T) {
	a.read(name, &out)
	return out
}

func (a *wireArgs) str(name string) string { return arg[string](a, name) }

func (a *wireArgs) has(name string) bool {
	raw, ok := a.args[name]
	return ok && string(raw) != "null"
}

func optional[T any](a *wireArgs, name string) sdk.Optional[T] {
	return arg[sdk.Optional[T]](a, name)
}

func (a *wireArgs) list() sdk.ListOptions {
	return sdk.ListOptions{Limit: optional[int](a, "limit"), Cursor: optional[string](a, "cursor")}
}

func (a *wireArgs) token() sdk.Secret { return arg[sdk.Secret](a, "pairingToken") }

// maybeToken distinguishes an absent token from an empty one.
func (a *wireArgs) maybeToken() sdk.Optional[sdk.Secret] {
	if !a.has("pairingToken") {
		return sdk.Optional[sdk.Secret]{}
	}
	return sdk.Some(a.token())
}

// plain is a result that is not inside an envelope.
func plain(value any, err error) wireResult {
	if err != nil {
		return wireResult{err: err}
	}
	return wireResult{value: value}
}

// item is a result inside {"item": …}.
func item(value any, err error) wireResult {
	if err != nil {
		return wireResult{err: err}
	}
	return wireResult{value: map[string]any{"item": value}}
}

func page[T any](p *sdk.Page[T], err error) wireResult {
	if err != nil {
		return wireResult{err: err}
	}
	return wireResult{value: map[string]any{"items": p.Items, "nextCursor": p.NextCursor}}
}

func all[T any](items iter.Seq2[T, error]) wireResult {
	got := []T{}
	for value, err := range items {
		if err != nil {
			return wireResult{err: err, delivered: len(got)}
		}
		got = append(got, value)
	}
	return wireResult{value: got}
}

func none(err error) wireResult { return wireResult{err: err} }

// caught turns a misfit into a rejection.
func caught(m wireMethod) wireMethod {
	return func(a *wireArgs) (out wireResult) {
		defer func() {
			switch r := recover().(type) {
			case nil:
			case misfit:
				out = wireResult{err: r.err}
			default:
				panic(r)
			}
		}()
		return m(a)
	}
}

// wireMethods maps the reference's names of the methods in the coverage table.
func wireMethods() map[string]wireMethod {
	methods := map[string]wireMethod{}
	for _, group := range []map[string]wireMethod{machineMethods(), marketMethods(), streamMethods(), otherMethods()} {
		for name, method := range group {
			methods[name] = caught(method)
		}
	}
	return methods
}

func machineMethods() map[string]wireMethod {
	return map[string]wireMethod{
		"list_machines":     func(a *wireArgs) wireResult { return page(a.c.Machines.List(a.ctx, a.list())) },
		"list_machines_all": func(a *wireArgs) wireResult { return all(a.c.Machines.All(a.ctx, a.list())) },
		"create_machine": func(a *wireArgs) wireResult {
			return item(a.c.Machines.Create(a.ctx, arg[sdk.CreateMachine](a, "params")))
		},
		"create_machine_identity_challenge": func(a *wireArgs) wireResult {
			params := arg[struct {
				IdentityRef string `json:"identityRef"`
			}](a, "params")
			return item(a.c.MachineIdentity.CreateChallenge(a.ctx, params.IdentityRef))
		},
		"get_machine": func(a *wireArgs) wireResult { return item(a.c.Machines.Get(a.ctx, a.str("machineId"))) },
		"update_machine": func(a *wireArgs) wireResult {
			return item(a.c.Machines.Update(a.ctx, a.str("machineId"), arg[sdk.UpdateMachine](a, "params")))
		},
		"archive_machine":      func(a *wireArgs) wireResult { return none(a.c.Machines.Archive(a.ctx, a.str("machineId"))) },
		"list_machine_agents":  func(a *wireArgs) wireResult { return page(a.c.MachineAgents.ListPage(a.ctx, a.str("machineId"))) },
		"enroll_machine_agent": enroll,
		"revoke_machine_agent": func(a *wireArgs) wireResult {
			return none(a.c.MachineAgents.Revoke(a.ctx, a.str("machineId"), a.str("agentId")))
		},
		"machine_agent_heartbeat": func(a *wireArgs) wireResult {
			return item(a.c.MachineAgents.Heartbeat(a.ctx, arg[sdk.Heartbeat](a, "params")))
		},
		"list_runtime_endpoints": func(a *wireArgs) wireResult {
			return page(a.c.RuntimeEndpoints.List(a.ctx, a.str("machineId"), a.list()))
		},
		"list_runtime_endpoints_all": func(a *wireArgs) wireResult {
			return all(a.c.RuntimeEndpoints.All(a.ctx, a.str("machineId"), a.list()))
		},
		"get_runtime_endpoint": func(a *wireArgs) wireResult {
			return item(a.c.RuntimeEndpoints.Get(a.ctx, a.str("machineId"), a.str("providerKey")))
		},
		"upsert_runtime_endpoint": func(a *wireArgs) wireResult {
			return item(a.c.RuntimeEndpoints.Upsert(
				a.ctx, a.str("machineId"), a.str("providerKey"), arg[sdk.UpsertRuntimeEndpoint](a, "params"),
			))
		},
		"delete_runtime_endpoint": func(a *wireArgs) wireResult {
			return none(a.c.RuntimeEndpoints.Delete(a.ctx, a.str("machineId"), a.str("providerKey")))
		},
		"list_agent_pairings": func(a *wireArgs) wireResult {
			return page(a.c.AgentPairings.List(a.ctx, a.str("machineId"), a.list()))
		},
		"list_agent_pairings_all": func(a *wireArgs) wireResult {
			return all(a.c.AgentPairings.All(a.ctx, a.str("machineId"), a.list()))
		},
		"create_agent_pairing": func(a *wireArgs) wireResult {
			return item(a.c.AgentPairings.Create(a.ctx, a.str("machineId"), arg[sdk.CreateAgentPairing](a, "params")))
		},
		"create_agent_pairing_challenge": func(a *wireArgs) wireResult {
			return item(a.c.AgentPairings.CreateChallenge(a.ctx, a.str("machineId"), arg[sdk.CreatePairingChallenge](a, "params")))
		},
		"create_agent_pairing_session": func(a *wireArgs) wireResult {
			params := arg[struct {
				AgentProof sdk.AgentProof `json:"agentProof"`
			}](a, "params")
			return item(a.c.AgentPairings.CreateSession(a.ctx, a.str("machineId"), a.str("pairingId"), params.AgentProof))
		},
		"update_agent_pairing": func(a *wireArgs) wireResult {
			return item(a.c.AgentPairings.Update(a.ctx, a.str("machineId"), a.str("pairingId"), arg[sdk.UpdateAgentPairing](a, "params")))
		},
		"revoke_agent_pairing": func(a *wireArgs) wireResult {
			return none(a.c.AgentPairings.Revoke(a.ctx, a.str("machineId"), a.str("pairingId")))
		},
	}
}

// enroll: the reference returns a response without a token as a result. Here it is an error
// that must not be missed, together with the agent.
func enroll(a *wireArgs) wireResult {
	agent, err := a.c.MachineAgents.Enroll(a.ctx, a.str("machineId"), arg[sdk.EnrollMachineAgent](a, "params"))
	var missing *sdk.MissingTokenError
	if err != nil && !errors.As(err, &missing) {
		return wireResult{err: err}
	}
	return item(struct {
		sdk.MachineAgent
		ProvisioningToken sdk.Secret `json:"provisioningToken"`
	}{agent.MachineAgent, agent.Token}, nil)
}

func otherMethods() map[string]wireMethod {
	return map[string]wireMethod{
		"list_policies": func(a *wireArgs) wireResult { return page(a.c.Policies.List(a.ctx)) },
		"create_policy": func(a *wireArgs) wireResult {
			return item(a.c.Policies.Create(a.ctx, arg[sdk.CreatePolicy](a, "params")))
		},
		"update_policy": func(a *wireArgs) wireResult {
			return item(a.c.Policies.Update(a.ctx, a.str("policyId"), arg[sdk.UpdatePolicy](a, "params")))
		},
		"check_health": func(a *wireArgs) wireResult {
			return plain(map[string]any{"ok": true}, a.c.Observability.Health(a.ctx))
		},
		"get_readiness": func(a *wireArgs) wireResult { return plain(a.c.Observability.Readiness(a.ctx)) },
		"list_audit_events": func(a *wireArgs) wireResult {
			return page(a.c.Observability.AuditEvents(a.ctx, sdk.AuditOptions{
				MachineID: optional[string](a, "machineId"), ResourceType: optional[string](a, "resourceType"),
				Limit: optional[int](a, "limit"),
			}))
		},
		"list_iot_subscriptions": func(a *wireArgs) wireResult {
			return page(a.c.IoT.Subscriptions(a.ctx, a.str("machineId"), a.token(), a.list()))
		},
		"delete_iot_subscription": func(a *wireArgs) wireResult {
			return item(a.c.IoT.DeleteSubscription(a.ctx, a.str("machineId"), a.str("subscriptionId"), a.token()))
		},
		"stream_iot_events":               streamEvents,
		"parse_x402_payment_requirements": parseX402,
		"sign_x402_payment":               signX402,
	}
}

func streamEvents(a *wireArgs) wireResult {
	options := arg[struct {
		SubscriptionID sdk.Optional[string] `json:"subscriptionId"`
		LastEventID    sdk.Optional[string] `json:"lastEventId"`
		TimeoutMs      sdk.Optional[int]    `json:"timeoutMs"`
	}](a, "options")
	o := sdk.IoTEventOptions{SubscriptionID: options.SubscriptionID, LastEventID: options.LastEventID}
	if ms, ok := options.TimeoutMs.Get(); ok {
		o.IdleTimeout = sdk.Some(time.Duration(ms) * time.Millisecond)
	}
	frames := []any{}
	for event, err := range a.c.IoT.Events(a.ctx, a.str("machineId"), a.token(), o) {
		if err != nil {
			return wireResult{err: err, delivered: len(frames)}
		}
		frames = append(frames, map[string]any{"event": event.Event(), "id": event.FrameID(), "data": event})
	}
	return wireResult{value: map[string]any{"frames": frames}}
}

func parseX402(a *wireArgs) wireResult {
	if a.has("payment") {
		payment := arg[sdk.MarketPayment](a, "payment")
		return plain(x402.ParsePayment(&payment))
	}
	return plain(x402.Parse(a.args["source"]))
}

func signX402(a *wireArgs) wireResult {
	if a.has("payment") {
		payment := arg[sdk.MarketPayment](a, "payment")
		return plain(x402.SignPayment(&payment, arg[sdk.Secret](a, "signer")))
	}
	return plain(x402.Sign(a.args["source"], arg[sdk.Secret](a, "signer")))
}
