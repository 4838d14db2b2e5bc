package x402

import (
	"encoding/hex"
	"errors"
	"testing"

	"github.com/ethereum/go-ethereum/crypto"

	"github.com/peaqnetwork/peaqos-agent/sdk"
)

func usdc() *Requirements {
	return &Requirements{
		Scheme: "exact", Network: "eip155:8453", Asset: "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913",
		ExtraName: "USD Coin", ExtraVersion: "2",
	}
}

// TestAuthorizationVectors: digests and signatures of Ethereum's own Python
// library (eth-account 0.14, encode_typed_data) for the key of 32 bytes 0x11.
func TestAuthorizationVectors(t *testing.T) {
	key, err := crypto.HexToECDSA("1111111111111111111111111111111111111111111111111111111111111111")
	if err != nil {
		t.Fatal(err)
	}
	terms, err := newTerms(usdc())
	if err != nil {
		t.Fatal(err)
	}
	const from, to = "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A", "0x8617E340B3D01FA5F11F306F4090FD50E238070D"
	for _, c := range []struct {
		authorization     Authorization
		digest, signature string // v as 0 or 1
	}{
		{
			Authorization{from, to, "10000", "0", "1790000000", "0xabababababababababababababababababababababababababababababababab"},
			"ec1e6fcdd7f25a3087b6547f0a4b3f4ce041393ce411b5cbf8d4e3b560e98a40",
			"e700f50bd18790fad1088bf055112270eab5702f022578bfdd0cd0a24337ab650c6186eff4d05122c0547460bef43865fa7" +
				"2f3290ac79e73e8a229e484bb807400",
		},
		{
			Authorization{
				from, to, "115792089237316195423570985008687907853269984665640564039457584007913129639935", "7", "18446744073709551616",
				"0x0000000000000000000000000000000000000000000000000000000000000001",
			},
			"7796db764ad3ddbb101884c53cf804c2ea866336ef8251e0f09f4c9842e21c2c",
			"9c74207d02b91cb1e18aea88885ccf3fc656d0f3b3f1d02fdd68fd5e08777afb3ba6a097dda2033322fe3672bc71239eb66" +
				"8d209a1d326fd0d16e2b46ea8c66300",
		},
	} {
		digest, err := terms.digest(c.authorization)
		if err != nil || hex.EncodeToString(digest) != c.digest {
			t.Errorf("digest %x, %v, want %s", digest, err, c.digest)
			continue
		}
		signature, err := crypto.Sign(digest, key)
		if err != nil || hex.EncodeToString(signature) != c.signature {
			t.Errorf("signature %x, %v, want %s", signature, err, c.signature)
		}
	}
}

func TestAuthorizationRefusesWhatDoesNotFit(t *testing.T) {
	good := Authorization{
		"0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A", "0x8617E340B3D01FA5F11F306F4090FD50E238070D", "1", "0", "1",
		"0x0000000000000000000000000000000000000000000000000000000000000001",
	}
	terms, err := newTerms(usdc())
	if err != nil {
		t.Fatal(err)
	}
	for field, spoil := range map[string]func(*Authorization){
		"payTo":       func(a *Authorization) { a.To = a.To[:41] },
		"from":        func(a *Authorization) { a.From = "did:peaq:42" },
		"amount":      func(a *Authorization) { a.Value = "1.5" },
		"validAfter":  func(a *Authorization) { a.ValidAfter = "-1" },
		"validBefore": func(a *Authorization) { a.ValidBefore = "0x10" },
		"nonce":       func(a *Authorization) { a.Nonce = "0x01" },
	} {
		a := good
		spoil(&a)
		_, err := terms.digest(a)
		var invalid *sdk.ValidationError
		if !errors.As(err, &invalid) || invalid.Field != field {
			t.Errorf("%s: %v", field, err)
		}
	}
	for field, spoil := range map[string]func(*Requirements){
		"network": func(r *Requirements) { r.Network = "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp" },
		"asset":   func(r *Requirements) { r.Asset = "USDC" },
	} {
		r := usdc()
		spoil(r)
		_, err := newTerms(r)
		var invalid *sdk.ValidationError
		if !errors.As(err, &invalid) || invalid.Field != field {
			t.Errorf("%s: %v", field, err)
		}
	}
}
