package keystore

import (
	"crypto/ecdsa"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/ethereum/go-ethereum/crypto"
)

// Key is a secp256k1 private key: the one that controls a machine's DID. It
// never prints: the bytes lie behind a func, where no printer reaches them.
type Key struct{ scalar func() []byte }

// ErrBadKey is what ParseKey answers for anything but a private key. It does not
// repeat what it was given.
var ErrBadKey = errors.New("not a private key: want 0x and 64 hex digits, between 1 and the order of secp256k1")

// ParseKey reads the form that the peaq tools use: exactly 0x and 64 hex digits.
// One trailing line end is allowed, because files have one.
func ParseKey(text []byte) (*Key, error) {
	s := strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r")
	digits, ok := strings.CutPrefix(s, "0x")
	if !ok || len(digits) != 64 {
		return nil, ErrBadKey
	}
	raw, err := hex.DecodeString(digits)
	if err != nil {
		return nil, ErrBadKey
	}
	return keyFromBytes(raw)
}

// NewKey makes a random key.
func NewKey() (*Key, error) {
	k, err := crypto.GenerateKey()
	if err != nil {
		return nil, err
	}
	return keyFromBytes(crypto.FromECDSA(k))
}

func keyFromBytes(raw []byte) (*Key, error) {
	if _, err := crypto.ToECDSA(raw); err != nil { // strict: 32 bytes, 1 <= k < n
		return nil, ErrBadKey
	}
	c := append([]byte(nil), raw...)
	return &Key{func() []byte { return c }}, nil
}

// Hex is the key as ParseKey reads it. Only for writing it to where it belongs.
func (k *Key) Hex() string { return "0x" + hex.EncodeToString(k.scalar()) }

// Wipe overwrites the key; it is useless afterwards.
func (k *Key) Wipe() { clear(k.scalar()) }

// Signer returns what signs with this key.
func (k *Key) Signer() *Signer {
	priv, err := crypto.ToECDSA(k.scalar())
	if err != nil {
		panic("keystore: signer of a wiped key")
	}
	return &Signer{key: func() *ecdsa.PrivateKey { return priv }}
}

func (k *Key) String() string               { return redacted }
func (k *Key) GoString() string             { return redacted }
func (k *Key) Format(f fmt.State, _ rune)   { _, _ = io.WriteString(f, redacted) }
func (k *Key) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }
func (k *Key) LogValue() slog.Value         { return slog.StringValue(redacted) }

// Signer signs texts for one address, by EIP-191 (personal_sign). The key sits
// behind a func, so that no printer reaches it.
type Signer struct{ key func() *ecdsa.PrivateKey }

// Address is the signer's address with the EIP-55 checksum.
func (s *Signer) Address() string { return crypto.PubkeyToAddress(s.key().PublicKey).Hex() }

// PublicKey is the uncompressed public key, 0x04 and 128 hex digits.
func (s *Signer) PublicKey() string {
	return "0x" + hex.EncodeToString(crypto.FromECDSAPub(&s.key().PublicKey))
}

// SignText signs the text byte for byte: 65 bytes r, s, v as 0x-hex, v 27 or 28.
// The nonce is deterministic (RFC 6979), so the same text gives the same bytes.
func (s *Signer) SignText(text string) (string, error) {
	sig, err := crypto.Sign(textHash(text), s.key())
	if err != nil {
		return "", err
	}
	sig[64] += 27
	return "0x" + hex.EncodeToString(sig), nil
}

// RecoverText returns the address that signed the text.
func RecoverText(text, signature string) (string, error) {
	sig, err := hex.DecodeString(strings.TrimPrefix(signature, "0x"))
	if err != nil || len(sig) != 65 || (sig[64] != 27 && sig[64] != 28) {
		return "", errors.New("not a signature: want 0x and 130 hex digits that end in 1b or 1c")
	}
	sig[64] -= 27
	pub, err := crypto.SigToPub(textHash(text), sig)
	if err != nil {
		return "", errors.New("the signature belongs to no key")
	}
	return crypto.PubkeyToAddress(*pub).Hex(), nil
}

// textHash is the EIP-191 hash of a text, version 0x45.
func textHash(text string) []byte {
	return crypto.Keccak256(fmt.Appendf(nil, "\x19Ethereum Signed Message:\n%d", len(text)), []byte(text))
}
