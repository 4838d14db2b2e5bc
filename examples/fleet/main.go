// Command fleet prints what an account has: every machine with its agents and
// endpoints, as an operator's program would read them.
//
// It shows how to walk over lists that change meanwhile. Pages are cut by offset: what is
// created or archived during a walk can make it repeat or skip a machine. So machines are
// collected by ID, and the walk is repeated until two walks agree.
//
// Without PEAQOS_ORCHESTRATION_URL it runs against a sandbox in this process with three
// machines:
//
//	go run ./examples/fleet
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"

	"github.com/peaqnetwork/peaqos-agent/sdk"
	"github.com/peaqnetwork/peaqos-agent/sdk/eip191"
	"github.com/peaqnetwork/peaqos-agent/sdk/sandbox"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "fleet:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer) error {
	c, stop, err := connect(ctx)
	if err != nil {
		return err
	}
	defer stop()
	machines, err := settled(ctx, c)
	if err != nil {
		return err
	}
	for _, line := range describeAll(ctx, c, machines) {
		fmt.Fprintln(out, line)
	}
	return nil
}

// settled returns the machines once two walks in a row have found the same ones.
func settled(ctx context.Context, c *sdk.Client) ([]sdk.Machine, error) {
	const walks = 5
	all := c.Machines.All(ctx, sdk.ListOptions{Limit: sdk.Some(500)}) // can be ranged again
	previous := map[string]sdk.Machine(nil)
	for range walks {
		found := map[string]sdk.Machine{}
		for machine, err := range all {
			if err != nil {
				return nil, err
			}
			found[machine.ID] = machine
		}
		if previous != nil && slices.Equal(ids(previous), ids(found)) {
			previous = found
			break
		}
		previous = found
	}
	out := make([]sdk.Machine, 0, len(previous))
	for _, id := range ids(previous) {
		out = append(out, previous[id])
	}
	slices.SortStableFunc(out, func(a, b sdk.Machine) int { return strings.Compare(a.DisplayName, b.DisplayName) })
	return out, nil
}

func ids(machines map[string]sdk.Machine) []string { return slices.Sorted(maps.Keys(machines)) }

// describeAll reads the rest of each machine, a few at a time: one client serves all
// goroutines.
func describeAll(ctx context.Context, c *sdk.Client, machines []sdk.Machine) []string {
	lines := make([]string, len(machines))
	slots := make(chan struct{}, 8)
	var group sync.WaitGroup
	for i, machine := range machines {
		group.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			lines[i] = describe(ctx, c, machine)
		})
	}
	group.Wait()
	return lines
}

// describe is one line about a machine. What cannot be read is said, and hides nothing else.
func describe(ctx context.Context, c *sdk.Client, m sdk.Machine) string {
	line := fmt.Sprintf("%s (%s) %s", m.DisplayName, m.IdentityRef, m.Status)
	active := 0
	agents, err := c.MachineAgents.List(ctx, m.ID)
	for _, agent := range agents {
		if agent.Status != sdk.AgentRevoked {
			active++
		}
	}
	line += plural(active, "agent", err)
	endpoints := 0
	for _, err = range c.RuntimeEndpoints.All(ctx, m.ID, sdk.ListOptions{}) {
		if err == nil {
			endpoints++
		}
	}
	return line + plural(endpoints, "endpoint", err)
}

func plural(n int, what string, err error) string {
	switch {
	case errors.Is(err, sdk.ErrRetryable):
		return ", " + what + "s not known now"
	case err != nil:
		return ", " + what + "s not known"
	case n == 1:
		return ", 1 " + what
	}
	return fmt.Sprintf(", %d %ss", n, what)
}

// connect makes a client from the environment, or of a sandbox in this process.
func connect(ctx context.Context) (*sdk.Client, func(), error) {
	if os.Getenv("PEAQOS_ORCHESTRATION_URL") != "" {
		env, err := sdk.FromEnv(sdk.RequireOrchestration)
		if err != nil {
			return nil, nil, err
		}
		c, err := env.Client()
		return c, func() {}, err
	}
	signer, err := eip191.NewSigner(sdk.NewSecret(strings.Repeat("11", 32))) // a public test key
	if err != nil {
		return nil, nil, err
	}
	server := sandbox.New(sandbox.WithController("", signer.Address()))
	stop := func() { _ = server.Close() }
	c, err := sdk.New("http://sandbox", sdk.WithHTTPClient(&http.Client{Transport: server.Transport()}))
	if err != nil {
		return nil, nil, err
	}
	for i, name := range []string{"Arm", "Rover", "Sensor"} {
		if err := populate(ctx, c, signer, fmt.Sprintf("did:peaq:%d", 40+i), name, i); err != nil {
			stop()
			return nil, nil, err
		}
	}
	return c, stop, nil
}

// populate puts a machine with some agents into the sandbox.
func populate(ctx context.Context, c *sdk.Client, signer *eip191.Signer, identity, name string, agents int) error {
	challenge, err := c.MachineIdentity.CreateChallenge(ctx, identity)
	if err != nil {
		return err
	}
	signature, err := signer.Sign([]byte(challenge.Message))
	if err != nil {
		return err
	}
	machine, err := c.Machines.Create(ctx, sdk.CreateMachine{
		DisplayName: name, OwnerID: "acct_1", MachineType: "robot", RuntimeProfile: "linux-native", IdentityRef: sdk.Some(identity),
		IdentityProof: sdk.Some(sdk.IdentityProofInput{ChallengeID: challenge.ChallengeID, Signature: signature}),
	})
	if err != nil {
		return err
	}
	if _, err := c.Machines.Update(ctx, machine.ID, sdk.UpdateMachine{Status: sdk.Some(sdk.MachineActive)}); err != nil {
		return err
	}
	for range agents {
		agent, err := c.MachineAgents.Enroll(ctx, machine.ID, sdk.EnrollMachineAgent{})
		if err != nil {
			return err
		}
		if _, err := c.MachineAgents.Heartbeat(ctx, sdk.Heartbeat{
			MachineID: machine.ID, AgentID: agent.ID, AgentToken: agent.Token,
			Endpoints: []sdk.HeartbeatEndpoint{{ProviderKey: "qvac", EndpointBaseURL: "http://127.0.0.1:11435"}},
		}); err != nil {
			return err
		}
	}
	return nil
}
