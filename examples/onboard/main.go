// Command onboard takes one machine from nothing to online, and pairs an AI agent with it. It
// shows what a program must not get wrong: it stores the one-time tokens before anything else,
// reads them back as it would after a restart, and does not enroll a second time when the
// outcome of the first is unknown.
//
// Without PEAQOS_ORCHESTRATION_URL it runs against a sandbox in this process:
//
//	go run ./examples/onboard
//
// With it, and with PEAQOS_API_KEY and PEAQOS_PRIVATE_KEY (the controller of the machine's
// identity), it runs against that orchestrator:
//
//	go run ./examples/onboard -identity did:peaq:42 -dir ./machine
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"

	"github.com/peaqnetwork/peaqos-agent/sdk"
	"github.com/peaqnetwork/peaqos-agent/sdk/eip191"
	"github.com/peaqnetwork/peaqos-agent/sdk/sandbox"
)

func main() {
	identity := flag.String("identity", "did:peaq:42", "the machine's identity")
	dir := flag.String("dir", "", "directory for the tokens (default: a temporary one)")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Stdout, *identity, *dir); err != nil {
		fmt.Fprintln(os.Stderr, "onboard:", err)
		os.Exit(1)
	}
}

// run does everything once. Run again with the same directory, it continues with what is stored.
func run(ctx context.Context, out io.Writer, identity, dir string) error {
	c, signer, stop, err := connect()
	if err != nil {
		return err
	}
	defer stop()
	if dir == "" {
		if dir, err = os.MkdirTemp("", "onboard-"); err != nil {
			return err
		}
		defer os.RemoveAll(dir)
	}
	machine, err := register(ctx, c, signer, identity)
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "machine", machine.IdentityRef, "is", machine.Status)
	agent, err := stored(filepath.Join(dir, "agent"), func() (credentials, error) { return enroll(ctx, c, machine.ID) })
	if err != nil {
		return err
	}
	beat, err := c.MachineAgents.Heartbeat(ctx, sdk.Heartbeat{
		MachineID: machine.ID, AgentID: agent.id, AgentToken: agent.token,
		Endpoints: []sdk.HeartbeatEndpoint{{ProviderKey: "qvac", EndpointBaseURL: "http://127.0.0.1:11435"}},
	})
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "heartbeat accepted,", len(beat.Endpoints), "endpoint published")
	session, err := stored(filepath.Join(dir, "pairing"), func() (credentials, error) { return pair(ctx, c, signer, machine.ID) })
	if err != nil {
		return err
	}
	services, err := c.MarketServices.List(ctx, sdk.MarketServiceOptions{
		MachineID: sdk.Some(machine.ID), PairingToken: sdk.Some(session.token),
	})
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "the paired agent sees services:", len(services.Items) > 0)
	return nil
}

// connect makes a client and the signer of the machine's controller, from the environment or
// for a sandbox in this process.
func connect() (*sdk.Client, *eip191.Signer, func(), error) {
	if os.Getenv("PEAQOS_ORCHESTRATION_URL") != "" {
		env, err := sdk.FromEnv(sdk.RequireOrchestration, sdk.RequireSigner)
		if err != nil {
			return nil, nil, nil, err
		}
		signer, err := eip191.NewSigner(env.PrivateKey)
		if err != nil {
			return nil, nil, nil, err
		}
		c, err := env.Client()
		return c, signer, func() {}, err
	}
	signer, err := eip191.NewSigner(sdk.NewSecret(strings.Repeat("11", 32))) // a public test key
	if err != nil {
		return nil, nil, nil, err
	}
	server := sandbox.New(sandbox.WithController("", signer.Address()))
	c, err := sdk.New("http://sandbox", sdk.WithHTTPClient(&http.Client{Transport: server.Transport()}))
	return c, signer, func() { _ = server.Close() }, err
}

// register returns the active machine with this identity. It creates it if there is none.
func register(ctx context.Context, c *sdk.Client, signer *eip191.Signer, identity string) (*sdk.Machine, error) {
	for machine, err := range c.Machines.All(ctx, sdk.ListOptions{}) {
		if err != nil {
			return nil, err
		}
		if machine.IdentityRef == identity {
			return &machine, nil
		}
	}
	challenge, err := c.MachineIdentity.CreateChallenge(ctx, identity)
	if err != nil {
		return nil, err
	}
	isOurs := func(address string) bool { return strings.EqualFold(address, signer.Address()) }
	if !slices.ContainsFunc(challenge.ControllerAddresses, isOurs) {
		return nil, fmt.Errorf("%s is controlled by %v, not by %s", identity, challenge.ControllerAddresses, signer.Address())
	}
	signature, err := signer.Sign([]byte(challenge.Message)) // byte for byte
	if err != nil {
		return nil, err
	}
	machine, err := c.Machines.Create(ctx, sdk.CreateMachine{
		DisplayName: "Rover 7", OwnerID: "acct_1", MachineType: "rover", RuntimeProfile: "linux-native",
		IdentityRef:   sdk.Some(identity),
		IdentityProof: sdk.Some(sdk.IdentityProofInput{ChallengeID: challenge.ChallengeID, Signature: signature}),
	})
	if err != nil {
		return nil, err
	}
	return c.Machines.Update(ctx, machine.ID, sdk.UpdateMachine{Status: sdk.Some(sdk.MachineActive)})
}

// label is how this program finds its own agents again.
const label = "onboard example"

// enroll creates the machine's agent. If the response is lost, the agent may exist with a
// token that nobody has: it is revoked before another one is enrolled.
func enroll(ctx context.Context, c *sdk.Client, machineID string) (credentials, error) {
	const tries = 3
	for try := 1; ; try++ {
		agent, err := c.MachineAgents.Enroll(ctx, machineID, sdk.EnrollMachineAgent{Label: sdk.Some(label)})
		switch {
		case err == nil:
			return credentials{agent.ID, agent.Token}, nil
		case !errors.Is(err, sdk.ErrOutcomeUnknown) && !errors.Is(err, sdk.ErrRetryable) || try == tries:
			return credentials{}, err
		}
		if err := revokeLost(ctx, c, machineID); err != nil {
			return credentials{}, err
		}
	}
}

// revokeLost revokes the agents of this program whose token was lost.
func revokeLost(ctx context.Context, c *sdk.Client, machineID string) error {
	agents, err := c.MachineAgents.List(ctx, machineID)
	if err != nil {
		return err
	}
	for _, agent := range agents {
		if agent.Label == label && agent.Status != sdk.AgentRevoked {
			if err := c.MachineAgents.Revoke(ctx, machineID, agent.ID); err != nil {
				return err
			}
		}
	}
	return nil
}

// pair pairs an AI agent with the machine. Here the agent has the controller's key; usually it
// has its own.
func pair(ctx context.Context, c *sdk.Client, signer *eip191.Signer, machineID string) (credentials, error) {
	const provider, role = "openclaw", "operator"
	challenge, err := c.AgentPairings.CreateChallenge(ctx, machineID, sdk.CreatePairingChallenge{
		AgentAddress: signer.Address(), AgentProvider: provider, AgentRole: role,
	})
	if err != nil {
		return credentials{}, err
	}
	signature, err := signer.Sign([]byte(challenge.Message))
	if err != nil {
		return credentials{}, err
	}
	session, err := c.AgentPairings.Create(ctx, machineID, sdk.CreateAgentPairing{
		AgentAddress: signer.Address(), AgentProvider: provider, AgentRole: role,
		AgentProof: sdk.AgentProof{ChallengeID: challenge.ChallengeID, Signature: signature},
	})
	if err != nil {
		return credentials{}, err
	}
	return credentials{session.ID, session.PairingToken}, nil
}

// credentials are an ID and the token that belongs to it.
type credentials struct {
	id    string
	token sdk.Secret
}

// stored returns the credentials in a file. If there is none, it makes them, and stores them
// before anything else is done with them.
func stored(path string, obtain func() (credentials, error)) (credentials, error) {
	text, err := os.ReadFile(path)
	if err == nil {
		id, token, ok := strings.Cut(strings.TrimSuffix(string(text), "\n"), "\n")
		if !ok {
			return credentials{}, fmt.Errorf("%s is damaged", path)
		}
		return credentials{id, sdk.NewSecret(token)}, nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return credentials{}, err
	}
	made, err := obtain()
	if err != nil {
		return credentials{}, err
	}
	if err := writeFile(path, made.id+"\n"+made.token.Reveal()+"\n"); err != nil {
		return credentials{}, fmt.Errorf("the token of %s could not be stored, and cannot be had again: %w", made.id, err)
	}
	return made, nil
}

// writeFile writes a file that only its owner can read, whole or not at all.
func writeFile(path, text string) error {
	temporary := path + ".new"
	f, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		return err
	}
	return os.Rename(temporary, path)
}
