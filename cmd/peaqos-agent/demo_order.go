package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/peaqnetwork/peaqos-agent/keystore"
	"github.com/peaqnetwork/peaqos-agent/sdk"
)

// order is why a machine is kept live: an AI agent that is paired with it finds
// the skill which the machine has just published, orders it, and the machine's own
// runtime does the work.
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
		return fmt.Errorf("the search found nothing that the machine offers")
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
	done, err := client.MarketOrders.Execute(ctx, order.ID, session.PairingToken, sdk.ExecuteMarketOrder{})
	if err != nil {
		return err
	}
	said, err := d.answerOf(done)
	if err != nil {
		return err
	}
	d.say("order", "an AI agent paired with the machine found %s, ordered it, and the machine's own runtime answered: %q", quote.SkillKey, said)
	return nil
}

// pair proves an AI agent's key and gives it a session for the machine.
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

// answerOf is what the runtime said, which went through the orchestrator as it is.
func (d *demo) answerOf(done *sdk.ExecutedOrder) (string, error) {
	native, ok := done.Execution.(*sdk.NativeExecution)
	if !ok {
		return "", fmt.Errorf("the order was handed off, not executed")
	}
	var answer struct {
		Choices []struct{ Message struct{ Content string } }
	}
	if err := json.Unmarshal(native.Outcome.Result, &answer); err != nil || len(answer.Choices) == 0 {
		return "", fmt.Errorf("the order is %s, its outcome %s %q, without an answer of the runtime", done.Order.Status, native.Outcome.Status, native.Outcome.ErrorMessage)
	}
	if asked := d.runtime.asked.Load(); asked != 1 {
		return "", fmt.Errorf("the runtime was asked %d times, not once", asked)
	}
	return answer.Choices[0].Message.Content, nil
}
