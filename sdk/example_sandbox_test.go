package sdk_test

import (
	"context"
	"encoding/hex"
	"log"
	"net/http"

	"github.com/ethereum/go-ethereum/crypto"

	"github.com/peaqnetwork/peaqos-agent/sdk"
	"github.com/peaqnetwork/peaqos-agent/sdk/sandbox"
)

// newSandbox starts an orchestrator in this process, and a client of it. The address
// controls every machine identity there. A real program has a URL and a platform key
// instead.
func newSandbox(controller string) (*sdk.Client, *sandbox.Server, error) {
	server := sandbox.New(sandbox.WithAPIKey("platform-key"), sandbox.WithController("", controller))
	c, err := sdk.New("https://orchestration.example",
		sdk.WithAPIKey(sdk.NewSecret("platform-key")),
		sdk.WithHTTPClient(&http.Client{Transport: server.Transport()}))
	return c, server, err
}

// exampleSigner signs with a public test key and EIP-191 personal_sign. A real signer uses a
// key store, a hardware key or a wallet.
func exampleSigner(privateKey string) (address string, sign func(message string) (string, error), err error) {
	key, err := crypto.HexToECDSA(privateKey)
	if err != nil {
		return "", nil, err
	}
	sign = func(message string) (string, error) {
		signature, err := crypto.Sign(sdk.EIP191Digest([]byte(message)), key)
		if err != nil {
			return "", err
		}
		signature[64] += 27
		return "0x" + hex.EncodeToString(signature), nil
	}
	return crypto.PubkeyToAddress(key.PublicKey).Hex(), sign, nil
}

const exampleKey = "1111111111111111111111111111111111111111111111111111111111111111"

// exampleMachine returns an active machine on its own sandbox, the signer that controls it,
// and a function that stops the sandbox.
func exampleMachine(ctx context.Context) (c *sdk.Client, machine *sdk.Machine, owner agentKey, end func() error) {
	address, sign, err := exampleSigner(exampleKey)
	if err != nil {
		log.Fatal(err)
	}
	c, server, err := newSandbox(address)
	if err != nil {
		log.Fatal(err)
	}
	machine, err = onboard(ctx, c, "did:peaq:42", address, sign)
	if err != nil {
		log.Fatal(err)
	}
	return c, machine, agentKey{address, sign}, server.Close
}
