package sdk

import (
	"context"
	"strings"
	"testing"
)

const freeFields = `
	X o R
	X.required f R
	X.defaultRail s=not-required R
	X.supportedRails free R`

const deviceServiceFields = `
	X o R
	X.id X.skillKey s+ R
	X.providerKey s=onem2m R
	X.serviceType s=device.control R
	X.executionMode X.integrationStatus s=native R
	X.operations ss+ R
	X.name X.description X.providerId X.providerLabel X.updatedAt s O
	X.operationContracts a+ R
	X.operationContracts[].operation s=list-devices|get-device-info|get-latest-data|execute-action|subscribe-events R
	X.operationContracts[].inputFields X.operationContracts[].outputFields a R
	X.operationContracts[].exampleInput r O
	X.operationContracts[].exampleOutput x ON
	X.operationContracts[].inputFields[].key X.operationContracts[].inputFields[].type s+ R
	X.operationContracts[].inputFields[].description s R
	X.operationContracts[].inputFields[].required X.operationContracts[].inputFields[].integer b O
	X.operationContracts[].inputFields[].enum ss O
	X.operationContracts[].inputFields[].fixedValue X.operationContracts[].inputFields[].pattern s O
	X.operationContracts[].inputFields[].minimum X.operationContracts[].inputFields[].maximum n O
	X.operationContracts[].inputFields[].default X.operationContracts[].inputFields[].example x ON
	X.operationContracts[].outputFields[].key X.operationContracts[].outputFields[].type s+ R
	X.operationContracts[].outputFields[].description s R`

const sampleFields = `
	X o R
	X.deviceId X.resource s+ R
	X.value x N
	X.observedAt X.receivedAt s R
	X.commandId s+ ON
	X.source o R
	X.source.cseId X.source.resourceId s+ R
	X.source.version s+ O`

const deviceFields = `
	X o R
	X.id X.name X.location s+ R
	X.type s=occupancy-sensor|environmental-sensor|smart-door R
	X.profile s=peaqos.onem2m.device.v1 R
	X.availability s=available|unavailable|unknown R
	X.resources a R
	X.resources[].name s+ R
	X.resources[].valueSchema r R
	X.actions a R
	X.actions[].name s=OPEN R`

const subscriptionFields = `
	X.id X.machineId X.agentPairingId X.serviceId X.deviceId X.resource X.createdAt X.updatedAt X.expiresAt s+ R
	X.cleanup o R
	X.cleanup.lastAttemptAt X.cleanup.errorCode s+ ON`

// deviceRun is a successful oneM2M execution.
const deviceRun = `
	execution o R
	execution.task execution.route r R
	execution.run o R
	execution.run.id s+ R
	execution.run.status s=completed|failed R
	execution.outcome o R
	execution.outcome.errorCode execution.outcome.errorMessage s+ ON
	execution.outcome.status s=completed R`

const deviceOrder = `
	X o R
	X.id s=o R
	X.machineId X.agentPairingId X.serviceId s+ R
	X.providerKey s=onem2m R
	X.executionMode X.integrationStatus s=native R
	X.status s=created|ready|executing|delivered|confirmed|disputed|cancelled|failed R
	X.createdAt X.updatedAt s R
	X.skillKey X.serviceType s O
	X.searchId X.quoteId X.errorMessage s ON
	X.input c R
	X.input.deviceId s=dev R`

const actionOrder = `
	X.operation s=execute-action R
	X.input.action s=OPEN R
	X.input.commandId s=cmd R`

const actionResult = `
	execution.outcome.result o R
	execution.outcome.result.deviceId s=dev R
	execution.outcome.result.commandId s=cmd R
	execution.outcome.result.action s=OPEN R
	execution.outcome.result.status s=applied R
	execution.outcome.result.submittedAt execution.outcome.result.expiresAt s R
	execution.outcome.result.acknowledgement o R
	execution.outcome.result.acknowledgement.commandId s=cmd R
	execution.outcome.result.acknowledgement.status s=applied R
	execution.outcome.result.acknowledgement.observedAt s R
	execution.outcome.result.acknowledgement.source o R
	execution.outcome.result.acknowledgement.source.cseId execution.outcome.result.acknowledgement.source.resourceId s+ R
	execution.outcome.result.state o R
	execution.outcome.result.state.deviceId s=dev R
	execution.outcome.result.state.resource s=state R
	execution.outcome.result.state.value s=OPEN R
	execution.outcome.result.state.commandId s=cmd R
	execution.outcome.result.state.observedAt execution.outcome.result.state.receivedAt s R
	execution.outcome.result.state.source o R
	execution.outcome.result.state.source.cseId execution.outcome.result.state.source.resourceId s+ R`

// instead replaces one line of a table.
func instead(text, line, by string) string { return strings.Replace(text, line, by, 1) }

// anyDevice is an order that does not belong to a command of the test.
func anyDevice(text string) string {
	text = instead(instead(text, "X.id s=o R", "X.id s+ R"), "X.input.deviceId s=dev R", "X.input.deviceId s+ R")
	return instead(text, "X.input.commandId s=cmd R", "X.input.commandId s+ R")
}

func TestFieldsOfDevices(t *testing.T) {
	token := NewSecret("t")
	read := func(in OneM2MReadInput) func(*Client) error {
		return failing(func(ctx context.Context, c *Client) (*OneM2MReadResult, error) {
			return c.OneM2M.Read(ctx, "s", token, OneM2MRead{"m", "p", in})
		})
	}
	envelope := under("service", deviceServiceFields) + under("service.payment", instead(freeFields, "X o R", "X o O")) +
		deviceRun + "\n execution.statusCode i R\n execution.outcome.result o R\n"
	runTables(t, []fieldTable{
		{
			"list", read(OneM2MListDevices{}),
			envelope + "execution.outcome.result.items a R\n execution.outcome.result.nextCursor s O\n" +
				under("execution.outcome.result.items[]", deviceFields),
		},
		{"info", read(OneM2MGetDeviceInfo{"d"}), envelope + under("execution.outcome.result.device", deviceFields)},
		{"latest", read(OneM2MGetLatestData{"d", "r"}), envelope + `
			execution.outcome.result.deviceId execution.outcome.result.resource s+ R
			execution.outcome.result.availability s=present R` + under("execution.outcome.result.sample", sampleFields)},
		{"own service", failing(func(ctx context.Context, c *Client) (*MarketService, error) {
			return c.MarketServices.Get(ctx, "s", GetMarketServiceOptions{PairingToken: Some(token)})
		}), under("item", deviceServiceFields)},
		{"create", failing(func(ctx context.Context, c *Client) (*MarketOrder, error) {
			return c.OneM2M.CreateOrder(
				ctx, token,
				OneM2MOrder{MachineID: "m", AgentPairingID: "p", ServiceID: "s", Input: OneM2MExecuteAction{"dev", "OPEN", "cmd"}},
			)
		}), under("item", anyDevice(deviceOrder)) + under("item", anyDevice(actionOrder)) + under("item.payment", freeFields)},
		{
			"execute", failing(func(ctx context.Context, c *Client) (*OneM2MExecutedOrder, error) {
				return c.OneM2M.ExecuteOrder(ctx, "o", token)
			}),
			under("order", deviceOrder) + under("order", actionOrder) + under("order.payment", freeFields) + deviceRun +
				"\n execution.statusCode i R" + actionResult,
		},
		{
			"get", failing(func(ctx context.Context, c *Client) (*OneM2MStoredOrder, error) {
				return c.OneM2M.GetOrder(ctx, "o", token)
			}),
			under("item", deviceOrder) + under("item", actionOrder) + under("item.payment", freeFields) +
				instead(deviceRun, "execution o R", "execution o O") + "\n execution.statusCode x ON" + actionResult,
		},
		{"subscriptions", failing(func(ctx context.Context, c *Client) (*Page[IoTSubscription], error) {
			return c.IoT.Subscriptions(ctx, "m", token, ListOptions{})
		}), "items a R\n nextCursor s ON\n" + under("items[]", subscriptionFields+`
			X.status s=pending|active|deleting|deleted|expired|failed R
			X.cleanup.status s=not-required|pending|completed|failed R`)},
		{"end", failing(func(ctx context.Context, c *Client) (*IoTSubscription, error) {
			return c.IoT.DeleteSubscription(ctx, "m", "s", token)
		}), "item o R\n" + under("item", subscriptionFields+`
			X.status s=deleted|expired R
			X.cleanup.status s=completed R`)},
		{
			"subscribe", failing(func(ctx context.Context, c *Client) (*OneM2MExecutedOrder, error) {
				return c.OneM2M.ExecuteOrder(ctx, "o", token)
			}),
			under("order", instead(anyDevice(deviceOrder), "X.id s+ R", "X.id s=o R")) + `
			order.operation s=subscribe-events R
			order.input.resource s+ R` + under("order.payment", freeFields) + deviceRun + `
			execution.statusCode i R
			execution.outcome.result o R
			execution.outcome.result.eventsEndpoint s=/api/v1/machines/m/iot/events?subscriptionId=s R
			execution.outcome.result.subscription o R` + under("execution.outcome.result.subscription", subscriptionFields+`
			X.status s=active R
			X.cleanup.status s=not-required|pending|completed|failed R`) + `
			execution.outcome.result.initialSnapshot o R
			execution.outcome.result.initialSnapshot.deviceId execution.outcome.result.initialSnapshot.resource s+ R
			execution.outcome.result.initialSnapshot.availability s=present R` +
				under("execution.outcome.result.initialSnapshot.sample", sampleFields),
		},
	})
}

func TestFieldsOfEvents(t *testing.T) {
	call := func(c *Client) error {
		for _, err := range c.IoT.Events(context.Background(), "m", NewSecret("t"), IoTEventOptions{}) {
			if err != nil {
				return err
			}
		}
		return nil
	}
	for _, table := range []struct{ event, id, text string }{
		{"iot.data", "id: e1\n", `
			eventId s=e1 R
			machineId subscriptionId deviceId resource createdAt s+ R
			kind s=notification|snapshot R
			stale b R` + under("sample", sampleFields)},
		{"iot.subscription", "id: e1\n", `
			eventId s=e1 R
			machineId createdAt s+ R
			subscription o R` + under("subscription", subscriptionFields+`
			X.status s=pending|active|deleting|deleted|expired|failed R
			X.cleanup.status s=not-required|pending|completed|failed R`)},
		{"iot.error", "", `
			error o R
			error.code error.message s+ R
			error.details x ON`},
	} {
		t.Run(table.event, func(t *testing.T) {
			fieldTable{table.event, call, table.text}.runFramed(t, "event: "+table.event+"\n"+table.id+"data: %s\n\n")
		})
	}
}
