package sdk_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net/http/httptest"

	"github.com/peaqnetwork/peaqos-agent/sdk"
	"github.com/peaqnetwork/peaqos-agent/sdk/sandbox"
)

// listen reads a machine's control socket until stop returns true.
func listen(ctx context.Context, c *sdk.Client, machineID, agentID string, token sdk.Secret, stop func(sdk.ControlMessage) bool) error {
	socket, err := sdk.ConnectControlSocket(
		ctx, c, machineID, sdk.ControlSocketOptions{AgentID: sdk.Some(agentID), AgentToken: sdk.Some(token)},
	)
	if err != nil {
		return err
	}
	defer socket.Close()
	for message, err := range socket.Messages(ctx) {
		var unreadable *sdk.ControlFrameError
		if errors.As(err, &unreadable) {
			continue // one message; the socket stays open
		}
		if err != nil {
			return err
		}
		switch message := message.(type) {
		case *sdk.ControlConnected:
			fmt.Println("connected, as the agent:", message.AgentID == agentID)
			if err := socket.Send(ctx, json.RawMessage(`{"type":"hello"}`)); err != nil {
				return err
			}
		case *sdk.ControlAck:
			fmt.Println("acknowledged:", message.MessageType)
		case *sdk.ControlNotification:
			fmt.Println("notified:", message.Type)
		case *sdk.ControlUnknown:
			fmt.Println("something new:", message.Type)
		}
		if stop(message) {
			return nil
		}
	}
	return nil
}

// Read a machine's control socket, over loopback.
func ExampleConnectControlSocket() {
	ctx := context.Background()
	address, sign, err := exampleSigner(exampleKey)
	if err != nil {
		log.Fatal(err)
	}
	orchestrator := sandbox.New(sandbox.WithController("", address))
	defer orchestrator.Close()
	server := httptest.NewServer(orchestrator)
	defer server.Close()
	c, err := sdk.New(server.URL)
	if err != nil {
		log.Fatal(err)
	}
	machine, err := onboard(ctx, c, "did:peaq:42", address, sign)
	if err != nil {
		log.Fatal(err)
	}
	agent, err := enrollAgent(ctx, c, machine.ID, func(string, sdk.Secret) error { return nil })
	if err != nil {
		log.Fatal(err)
	}

	err = listen(ctx, c, machine.ID, agent.ID, agent.Token, func(m sdk.ControlMessage) bool {
		_, acknowledged := m.(*sdk.ControlAck)
		return acknowledged
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output:
	// connected, as the agent: true
	// acknowledged: hello
}
