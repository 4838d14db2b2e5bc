package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/peaqnetwork/peaqos-agent/keystore"
	"github.com/peaqnetwork/peaqos-agent/sdk"
)

// order shows what a machine is kept online for: an AI agent that is paired with the
// machine finds its skill, orders it, and the runtime on the machine does the work.
func (d *demo) order(ctx context.Context) error {
	client, err := sdk.New(d.cfg.Orchestrator.URL, sdk.WithAPIKey(sdk.NewSecret(demoAPIKey)))
	if err != nil {
		return err
	}
	session, err := d.pair(ctx, client)
	if err != nil {
		return err
	}
	search, err := client.MarketSearches.Search(ctx, session.PairingToken, sdk.SearchMarket{
		MachineID: sdk.Some(d.first.MachineID), AgentPairingID: sdk.Some(session.ID), RequiredCapabilities: sdk.Some([]string{"on-device"}),
	})
	if err != nil {
		return err
	}
	if len(search.Quotes) == 0 {
		return fmt.Errorf("the search found no offer of the machine")
	}
	quote := search.Quotes[0]
	order, err := client.MarketOrders.Create(ctx, session.PairingToken, sdk.CreateMarketOrder{
		MachineID: d.first.MachineID, AgentPairingID: session.ID, ServiceID: quote.ServiceID,
		SearchID: sdk.Some(search.ID), QuoteID: sdk.Some(quote.ID), Operation: sdk.Some("chat-completion"),
		Input: json.RawMessage(`{"messages": [{"role": "user", "content": "Where are you?"}]}`),
	})
	if err != nil {
		return err
	}
	executed, err := client.MarketOrders.Execute(ctx, order.ID, session.PairingToken, sdk.ExecuteMarketOrder{})
	if err != nil {
		return err
	}
	reply, err := d.replyOf(executed)
	if err != nil {
		return err
	}
	d.report("order", "an AI agent found and ordered %s; reply of this machine's runtime: %q", quote.SkillKey, reply)
	return nil
}

// pair pairs an AI agent with the machine: it proves its key and receives a session.
func (d *demo) pair(ctx context.Context, client *sdk.Client) (*sdk.PairingSession, error) {
	key, err := keystore.NewKey()
	if err != nil {
		return nil, err
	}
	defer key.Wipe()
	signer := key.Signer()
	challenge, err := client.AgentPairings.CreateChallenge(ctx, d.first.MachineID, sdk.CreatePairingChallenge{
		AgentAddress: signer.Address(), AgentProvider: "demo", AgentRole: "operator",
	})
	if err != nil {
		return nil, err
	}
	signature, err := signer.SignText(challenge.Message)
	if err != nil {
		return nil, err
	}
	return client.AgentPairings.Create(ctx, d.first.MachineID, sdk.CreateAgentPairing{
		AgentAddress: signer.Address(), AgentProvider: "demo", AgentRole: "operator",
		AgentProof: sdk.AgentProof{ChallengeID: challenge.ChallengeID, Signature: signature},
	})
}

// replyOf returns the reply of the runtime, which the orchestrator passes on unchanged.
func (d *demo) replyOf(order *sdk.ExecutedOrder) (string, error) {
	native, ok := order.Execution.(*sdk.NativeExecution)
	if !ok {
		return "", fmt.Errorf("the order was handed off, not executed")
	}
	var reply struct {
		Choices []struct{ Message struct{ Content string } }
	}
	if err := json.Unmarshal(native.Outcome.Result, &reply); err != nil || len(reply.Choices) == 0 {
		return "", fmt.Errorf("the order is %s, its outcome %s %q, without a reply of the runtime",
			order.Order.Status, native.Outcome.Status, native.Outcome.ErrorMessage)
	}
	if n := d.runtime.completions.Load(); n != 1 {
		return "", fmt.Errorf("the runtime received %d requests, not one", n)
	}
	return reply.Choices[0].Message.Content, nil
}
