// Package eip191 signs messages as Ethereum wallets do (EIP-191, personal_sign), and finds out
// who signed one.
//
// It is what the API's challenges need: sign the message of a challenge byte for byte, and send
// the signature.
//
//	signer, err := eip191.NewSigner(sdk.NewSecret(os.Getenv("PEAQOS_PRIVATE_KEY")))
//	if err != nil {
//		return err
//	}
//	challenge, err := c.MachineIdentity.CreateChallenge(ctx, "did:peaq:42")
//	if err != nil {
//		return err
//	}
//	signature, err := signer.Sign([]byte(challenge.Message))
//
// A signature is 65 bytes, written as 0x and 130 hex digits: r and s of 32 bytes each, and v,
// which is 27 or 28 (1b or 1c). s is in the lower half of the curve's order (EIP-2).
//
// The package is separate from sdk, because it needs a curve: sdk itself does without
// go-ethereum. A key that must not be in memory belongs in a wallet or a hardware module, which
// signs the same message.
package eip191

import (
	"crypto/ecdsa"
	"encoding/hex"
	"fmt"
	"log/slog"
	"math/big"
	"strings"

	"github.com/ethereum/go-ethereum/crypto"

	"github.com/peaqnetwork/peaqos-agent/sdk"
)

// Signer signs with one private key. It is safe for concurrent use, and prints as its address.
type Signer struct {
	key     *ecdsa.PrivateKey
	address string
}

// NewSigner makes a signer of a private key, 0x and 64 hex digits; 0x may be left out. It keeps
// the key in memory. Errors: *sdk.ValidationError for the field privateKey, which never repeats
// the key.
func NewSigner(key sdk.Secret) (*Signer, error) {
	private, err := crypto.HexToECDSA(strings.TrimPrefix(key.Reveal(), "0x"))
	if err != nil {
		return nil, &sdk.ValidationError{
			Field: "privateKey", Constraint: "0x and 64 hex digits, above 0 and below the curve's order",
		}
	}
	return &Signer{private, crypto.PubkeyToAddress(private.PublicKey).Hex()}, nil
}

// Address is the signer's address, in the mixed case of EIP-55.
func (s *Signer) Address() string { return s.address }

// PublicKey is the uncompressed public key: 0x04 and 128 hex digits, as [sdk.PresencePush]
// needs it.
func (s *Signer) PublicKey() string {
	return "0x" + hex.EncodeToString(crypto.FromECDSAPub(&s.key.PublicKey))
}

// Sign signs a message, which is prefixed and hashed (see [sdk.EIP191Digest]). v is 27 or 28.
// The same message always has the same signature (RFC 6979).
func (s *Signer) Sign(message []byte) (signature string, err error) {
	raw, err := crypto.Sign(sdk.EIP191Digest(message), s.key)
	if err != nil {
		return "", fmt.Errorf("signing the message: %w", err)
	}
	raw[64] += 27
	return "0x" + hex.EncodeToString(raw), nil
}

// String is the address.
func (s *Signer) String() string { return "eip191.Signer(" + s.address + ")" }

// GoString is String, so that %#v does not print the key.
func (s *Signer) GoString() string { return s.String() }

// Format prints String for every format.
func (s *Signer) Format(f fmt.State, _ rune) { fmt.Fprint(f, s.String()) }

// LogValue makes slog print String.
func (s *Signer) LogValue() slog.Value { return slog.StringValue(s.String()) }

// Recover returns the address that signed a message, in the mixed case of EIP-55. Compare it
// with strings.EqualFold: a signature of another message recovers to
// another address. Errors: *sdk.ValidationError for the field signature, which says what is wrong
// with its form.
func Recover(message []byte, signature string) (address string, err error) {
	raw, err := parse(signature)
	if err != nil {
		return "", err
	}
	public, err := crypto.SigToPub(sdk.EIP191Digest(message), raw)
	if err != nil {
		return "", &sdk.ValidationError{Field: "signature", Constraint: "one that recovers to an address"}
	}
	return crypto.PubkeyToAddress(*public).Hex(), nil
}

// parse reads a signature and returns it with v as 0 or 1.
func parse(signature string) ([]byte, error) {
	fault := func(constraint string) ([]byte, error) {
		return nil, &sdk.ValidationError{Field: "signature", Constraint: constraint}
	}
	digits, prefixed := strings.CutPrefix(signature, "0x")
	if !prefixed {
		return fault("0x and 130 hex digits; 0x is missing")
	}
	if len(digits) != 130 {
		return fault(fmt.Sprintf("65 bytes: 0x and 130 hex digits, not %d", len(digits)))
	}
	raw, err := hex.DecodeString(digits)
	if err != nil {
		return fault("0x and 130 hex digits; it has other characters")
	}
	if raw[64] != 27 && raw[64] != 28 {
		return fault(fmt.Sprintf("one whose last byte, v, is 27 or 28 (1b or 1c), not %d", raw[64]))
	}
	half := new(big.Int).Rsh(crypto.S256().Params().N, 1)
	if new(big.Int).SetBytes(raw[32:64]).Cmp(half) > 0 {
		return fault("one whose s is in the lower half of the curve's order (EIP-2)")
	}
	raw[64] -= 27
	return raw, nil
}
