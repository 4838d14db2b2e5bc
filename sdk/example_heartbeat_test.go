package sdk_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/peaqnetwork/peaqos-agent/sdk"
)

// enrollAgent enrolls the machine's agent. The server returns its token only once, so keep
// is called before anything else can fail.
func enrollAgent(
	ctx context.Context, c *sdk.Client, machineID string, keep func(agentID string, token sdk.Secret) error,
) (*sdk.EnrolledAgent, error) {
	agent, err := c.MachineAgents.Enroll(ctx, machineID, sdk.EnrollMachineAgent{Label: sdk.Some("main")})
	if err != nil {
		return nil, err
	}
	return agent, keep(agent.ID, agent.Token)
}

// beat publishes one endpoint, and returns what to do if that fails.
func beat(ctx context.Context, c *sdk.Client, machineID, agentID string, token sdk.Secret) error {
	result, err := c.MachineAgents.Heartbeat(ctx, sdk.Heartbeat{
		MachineID: machineID, AgentID: agentID, AgentToken: token,
		Endpoints:       []sdk.HeartbeatEndpoint{{ProviderKey: "qvac", EndpointBaseURL: "http://127.0.0.1:11434"}},
		LeaseTTLSeconds: sdk.Some(120), // send the next heartbeat well before it expires
	})
	switch {
	case errors.Is(err, sdk.ErrAuth):
		return fmt.Errorf("the token was rejected, enroll again: %w", err)
	case errors.Is(err, sdk.ErrRetryable):
		return fmt.Errorf("try again with the next heartbeat: %w", err)
	case err != nil:
		return err
	}
	for _, endpoint := range result.Endpoints {
		fmt.Println(endpoint.ProviderKey, endpoint.Status, "for", result.LeaseTTLSeconds, "s")
	}
	return nil
}

// Enroll a machine's agent and send a heartbeat that publishes its runtime's endpoint.
func Example_heartbeat() {
	ctx := context.Background()
	c, machine, _, end := exampleMachine(ctx)
	defer end()

	agent, err := enrollAgent(ctx, c, machine.ID, func(string, sdk.Secret) error { return nil })
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("the token prints as", agent.Token)
	if err := beat(ctx, c, machine.ID, agent.ID, agent.Token); err != nil {
		log.Fatal(err)
	}
	err = beat(ctx, c, machine.ID, agent.ID, sdk.NewSecret("wrong"))
	fmt.Println(errors.Is(err, sdk.ErrAuth))
	// Output:
	// the token prints as [REDACTED]
	// qvac active for 120 s
	// true
}
