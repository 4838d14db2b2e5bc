package x402

import (
	"encoding/hex"
	"strings"

	"github.com/ethereum/go-ethereum/crypto"

	"github.com/peaqnetwork/peaqos-agent/sdk"
)

// Authorization is the message that the payer signs, an EIP-3009
// TransferWithAuthorization. Numbers are decimal strings, times are Unix seconds.
type Authorization struct {
	From        string `json:"from"`
	To          string `json:"to"`
	Value       string `json:"value"`
	ValidAfter  string `json:"validAfter"`
	ValidBefore string `json:"validBefore"`
	Nonce       string `json:"nonce"` // 0x and 32 random bytes in hex
}

const (
	domainType        = "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
	authorizationType = "TransferWithAuthorization(address from,address to,uint256 value,uint256 validAfter," +
		"uint256 validBefore,bytes32 nonce)"
)

// terms is the EIP-712 domain of a token on a chain.
type terms struct {
	separator []byte
}

func newTerms(want *Requirements) (*terms, error) {
	number, err := chainOf(want.Network)
	if err != nil {
		return nil, err
	}
	chain, err := word("network", number)
	if err != nil {
		return nil, err
	}
	asset, err := addressWord("asset", want.Asset)
	if err != nil {
		return nil, err
	}
	return &terms{crypto.Keccak256(
		crypto.Keccak256([]byte(domainType)), crypto.Keccak256([]byte(want.ExtraName)),
		crypto.Keccak256([]byte(want.ExtraVersion)), chain, asset,
	)}, nil
}

// digest returns the hash that is signed: keccak256(0x1901, domain, struct).
func (t *terms) digest(a Authorization) ([]byte, error) {
	words := [][]byte{crypto.Keccak256([]byte(authorizationType))}
	for _, field := range []struct {
		name, value string
		encode      func(string, string) ([]byte, error)
	}{
		{"from", a.From, addressWord},
		{"payTo", a.To, addressWord},
		{"amount", a.Value, word},
		{"validAfter", a.ValidAfter, word},
		{"validBefore", a.ValidBefore, word},
		{"nonce", a.Nonce, bytesWord},
	} {
		encoded, err := field.encode(field.name, field.value)
		if err != nil {
			return nil, err
		}
		words = append(words, encoded)
	}
	return crypto.Keccak256([]byte{0x19, 0x01}, t.separator, crypto.Keccak256(words...)), nil
}

// word encodes a decimal number below 2^256 as 32 bytes.
func word(field, decimal string) ([]byte, error) {
	n, ok := wholeNumber(decimal)
	if !ok {
		return nil, &sdk.ValidationError{Field: field, Constraint: "a whole number of the token's smallest unit"}
	}
	return n.FillBytes(make([]byte, 32)), nil
}

func addressWord(field, address string) ([]byte, error) {
	raw, err := hex.DecodeString(strings.TrimPrefix(address, "0x"))
	if err != nil || len(raw) != 20 || len(address) != 42 {
		return nil, &sdk.ValidationError{Field: field, Constraint: "an address: 0x and 40 hex digits"}
	}
	return append(make([]byte, 12), raw...), nil
}

func bytesWord(field, text string) ([]byte, error) {
	raw, err := hex.DecodeString(strings.TrimPrefix(text, "0x"))
	if err != nil || len(raw) != 32 {
		return nil, &sdk.ValidationError{Field: field, Constraint: "32 bytes in hex"}
	}
	return raw, nil
}
