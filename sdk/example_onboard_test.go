package sdk_test

import (
	"context"
	"fmt"
	"log"
	"slices"
	"strings"

	"github.com/peaqnetwork/peaqos-agent/sdk"
)

// onboard registers a machine under an identity that sign's key controls, and activates it.
func onboard(ctx context.Context, c *sdk.Client, identityRef, signer string, sign func(string) (string, error)) (*sdk.Machine, error) {
	challenge, err := c.MachineIdentity.CreateChallenge(ctx, identityRef)
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(challenge.ControllerAddresses, func(a string) bool { return strings.EqualFold(a, signer) }) {
		return nil, fmt.Errorf("%s is controlled by %v, not by %s", identityRef, challenge.ControllerAddresses, signer)
	}
	signature, err := sign(challenge.Message) // byte for byte
	if err != nil {
		return nil, err
	}
	machine, err := c.Machines.Create(ctx, sdk.CreateMachine{
		DisplayName: "Rover 7", OwnerID: "acct_1", MachineType: "rover", RuntimeProfile: "linux-native",
		IdentityRef:   sdk.Some(identityRef),
		IdentityProof: sdk.Some(sdk.IdentityProofInput{ChallengeID: challenge.ChallengeID, Signature: signature}),
		Labels:        sdk.Some(map[string]string{"site": "berlin"}),
	})
	if err != nil {
		return nil, err
	}
	return c.Machines.Update(ctx, machine.ID, sdk.UpdateMachine{Status: sdk.Some(sdk.MachineActive)})
}

// Onboard a machine: prove who controls its identity, register it, activate it.
func Example_onboard() {
	address, sign, err := exampleSigner(exampleKey)
	if err != nil {
		log.Fatal(err)
	}
	c, server, err := newSandbox(address)
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()

	machine, err := onboard(context.Background(), c, "did:peaq:42", address, sign)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(machine.DisplayName, machine.IdentityRef, machine.Status, machine.Labels)
	// Output: Rover 7 did:peaq:42 active map[site:berlin]
}
