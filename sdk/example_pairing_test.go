package sdk_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"

	"github.com/peaqnetwork/peaqos-agent/sdk"
)

// agentKey is an AI agent with its own key.
type agentKey struct {
	address string
	sign    func(message string) (string, error)
}

// prove signs a new challenge. A pairing and every new session require one.
func (a agentKey) prove(ctx context.Context, c *sdk.Client, machineID string) (sdk.AgentProof, error) {
	challenge, err := c.AgentPairings.CreateChallenge(ctx, machineID, sdk.CreatePairingChallenge{
		AgentAddress: a.address, AgentProvider: "anthropic", AgentRole: "operator",
	})
	if err != nil {
		return sdk.AgentProof{}, err
	}
	signature, err := a.sign(challenge.Message)
	return sdk.AgentProof{ChallengeID: challenge.ChallengeID, Signature: signature}, err
}

// pair lets the agent act for the machine, within limits.
func (a agentKey) pair(ctx context.Context, c *sdk.Client, machineID string) (*sdk.PairingSession, error) {
	proof, err := a.prove(ctx, c, machineID)
	if err != nil {
		return nil, err
	}
	return c.AgentPairings.Create(ctx, machineID, sdk.CreateAgentPairing{
		AgentAddress: a.address, AgentProvider: "anthropic", AgentRole: "operator", AgentProof: proof,
		DelegationPolicy: sdk.Some(sdk.DelegationPolicy{
			DailySpendLimit: sdk.Some(json.Number("20")), Currency: sdk.Some("USDC"),
		}),
	})
}

// Pair an AI agent with a machine, and rotate its session: the previous token is no longer
// valid.
func Example_pairing() {
	ctx := context.Background()
	c, machine, _, end := exampleMachine(ctx)
	defer end()
	address, sign, err := exampleSigner("2222222222222222222222222222222222222222222222222222222222222222")
	if err != nil {
		log.Fatal(err)
	}
	agent := agentKey{address, sign}

	first, err := agent.pair(ctx, c, machine.ID)
	if err != nil {
		log.Fatal(err)
	}
	proof, err := agent.prove(ctx, c, machine.ID)
	if err != nil {
		log.Fatal(err)
	}
	second, err := c.AgentPairings.CreateSession(ctx, machine.ID, first.ID, proof)
	if err != nil {
		log.Fatal(err)
	}

	search := sdk.SearchMarket{MachineID: sdk.Some(machine.ID), AgentPairingID: sdk.Some(first.ID)}
	_, err = c.MarketSearches.Search(ctx, first.PairingToken, search)
	fmt.Println("the old token is rejected:", errors.Is(err, sdk.ErrAuth))
	found, err := c.MarketSearches.Search(ctx, second.PairingToken, search)
	fmt.Println("the new one finds quotes:", err == nil && len(found.Quotes) > 0)
	fmt.Println(
		second.AgentProvider, second.Status, "spends at most", second.DelegationPolicy.DailySpendLimit,
		"a day, with", second.PairingToken,
	)
	// Output:
	// the old token is rejected: true
	// the new one finds quotes: true
	// anthropic active spends at most 20 a day, with [REDACTED]
}
