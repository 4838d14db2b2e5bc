package main

import (
	"context"

	"github.com/peaqnetwork/peaqos-agent/sdk"
)

// call makes one call by its arguments, under the names of the recordings.
type call func(ctx context.Context, c *sdk.Client, a map[string]string) error

// method is one method of the Python SDK that takes no request body, so that its response is
// all that matters. strict is true where the Python SDK checks every member; elsewhere it
// reads members as they are, and this client checks their types (contract, "lax").
type method struct {
	strict bool
	call   call
}

// only drops the result.
func only[T any](_ T, err error) error { return err }

func list() sdk.ListOptions { return sdk.ListOptions{} }

func methods() map[string]method {
	token := func(a map[string]string) sdk.Secret { return sdk.NewSecret(a["pairingToken"]) }
	return map[string]method{
		"list_machines": {true, func(ctx context.Context, c *sdk.Client, _ map[string]string) error {
			return only(c.Machines.List(ctx, list()))
		}},
		"get_machine": {true, func(ctx context.Context, c *sdk.Client, a map[string]string) error {
			return only(c.Machines.Get(ctx, a["machineId"]))
		}},
		"list_agent_pairings": {true, func(ctx context.Context, c *sdk.Client, a map[string]string) error {
			return only(c.AgentPairings.List(ctx, a["machineId"], list()))
		}},
		"list_iot_subscriptions": {true, func(ctx context.Context, c *sdk.Client, a map[string]string) error {
			return only(c.IoT.Subscriptions(ctx, a["machineId"], token(a), list()))
		}},
		"delete_iot_subscription": {true, func(ctx context.Context, c *sdk.Client, a map[string]string) error {
			return only(c.IoT.DeleteSubscription(ctx, a["machineId"], a["subscriptionId"], token(a)))
		}},
		"list_machine_agents": {false, func(ctx context.Context, c *sdk.Client, a map[string]string) error {
			return only(c.MachineAgents.ListPage(ctx, a["machineId"]))
		}},
		"list_runtime_endpoints": {false, func(ctx context.Context, c *sdk.Client, a map[string]string) error {
			return only(c.RuntimeEndpoints.List(ctx, a["machineId"], list()))
		}},
		"get_runtime_endpoint": {false, func(ctx context.Context, c *sdk.Client, a map[string]string) error {
			return only(c.RuntimeEndpoints.Get(ctx, a["machineId"], a["providerKey"]))
		}},
		"list_skills": {false, func(ctx context.Context, c *sdk.Client, _ map[string]string) error {
			return only(c.Skills.List(ctx, sdk.SkillOptions{}))
		}},
		"get_skill": {false, func(ctx context.Context, c *sdk.Client, a map[string]string) error {
			return only(c.Skills.Get(ctx, a["skillKey"]))
		}},
		"get_skill_manifest": {false, func(ctx context.Context, c *sdk.Client, a map[string]string) error {
			return only(c.Skills.Manifest(ctx, a["skillKey"]))
		}},
		"get_market_search": {false, func(ctx context.Context, c *sdk.Client, a map[string]string) error {
			return only(c.MarketSearches.Get(ctx, a["searchId"]))
		}},
		"get_market_payment": {false, func(ctx context.Context, c *sdk.Client, a map[string]string) error {
			return only(c.MarketPayments.Get(ctx, a["orderId"]))
		}},
		"confirm_market_order": {false, func(ctx context.Context, c *sdk.Client, a map[string]string) error {
			return only(c.MarketOrders.Confirm(ctx, a["orderId"], token(a)))
		}},
		"list_policies": {false, func(ctx context.Context, c *sdk.Client, _ map[string]string) error { return only(c.Policies.List(ctx)) }},
		"check_health": {false, func(ctx context.Context, c *sdk.Client, _ map[string]string) error {
			return c.Observability.Health(ctx)
		}},
		"get_readiness": {false, func(ctx context.Context, c *sdk.Client, _ map[string]string) error {
			return only(c.Observability.Readiness(ctx))
		}},
		"get_purchase": {false, func(ctx context.Context, c *sdk.Client, a map[string]string) error {
			return only(c.Purchases.Get(ctx, a["purchaseId"]))
		}},
		"get_purchase_delivery": {false, func(ctx context.Context, c *sdk.Client, a map[string]string) error {
			return only(c.Purchases.Delivery(ctx, a["purchaseId"], token(a)))
		}},
		"list_market_orders": {false, func(ctx context.Context, c *sdk.Client, a map[string]string) error {
			return only(c.MarketOrders.List(ctx, a["machineId"], list()))
		}},
	}
}
