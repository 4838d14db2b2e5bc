package sdk_test

import (
	"context"
	"encoding/hex"
	"testing"

	"github.com/ethereum/go-ethereum/crypto"

	"github.com/peaqnetwork/peaqos-agent/sdk"
)

// The key of the contracts' vectors, 32 bytes of 0x11, with its public key and address.
const (
	vectorKey       = "1111111111111111111111111111111111111111111111111111111111111111"
	vectorAddress   = "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A"
	vectorPublicKey = "0x044f355bdcb7cc0af728ef3cceb9615d90684bb5b2ca5f859ab0f0b704075871aa" +
		"385b6b1b8ead809ca67454d9683fcf2ba03456d6fe2c4abe2b07f0fbdbb2f1c1"
)

// signVector signs with that key and EIP-191 personal_sign.
func signVector(t testing.TB, message []byte) string {
	t.Helper()
	key, err := crypto.HexToECDSA(vectorKey)
	if err != nil {
		t.Fatal(err)
	}
	signature, err := crypto.Sign(sdk.EIP191Digest(message), key)
	if err != nil {
		t.Fatal(err)
	}
	signature[64] += 27
	return "0x" + hex.EncodeToString(signature)
}

// vectorSigner is signVector with the signature that the clients expect.
func vectorSigner(t testing.TB) func(context.Context, []byte) (string, error) {
	return func(_ context.Context, message []byte) (string, error) { return signVector(t, message), nil }
}
