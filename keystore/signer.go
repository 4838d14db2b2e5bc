package keystore

import (
	"bytes"
	"crypto/ecdsa"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/ethereum/go-ethereum/crypto"
)

// Signer signs texts for one address, by EIP-191 version 0x45 (personal_sign).
// The key is captured by a func, so that no formatter reaches it.
type Signer struct{ key func() *ecdsa.PrivateKey }

// Signer returns a signer that has its own copy of the key: it works after the key
// was wiped. It panics for a wiped key.
func (k *Key) Signer() *Signer {
	priv, err := crypto.ToECDSA(k.held(false))
	if err != nil {
		panic("keystore: Signer of a wiped key")
	}
	return &Signer{key: func() *ecdsa.PrivateKey { return priv }}
}

// Address is the signer's address with the checksum of EIP-55.
func (s *Signer) Address() string { return crypto.PubkeyToAddress(s.key().PublicKey).Hex() }

// PublicKey is the uncompressed public key, 0x04 and 128 hex digits.
func (s *Signer) PublicKey() string {
	public := s.key().PublicKey
	return "0x" + hex.EncodeToString(crypto.FromECDSAPub(&public))
}

// SignText signs the text byte for byte and returns r, s and v (27 or 28) as 0x
// and 130 hex digits. The nonce is deterministic (RFC 6979) and s is low, so the
// same text always gives the same signature. The caller decides whether the text may
// be signed.
func (s *Signer) SignText(text string) (string, error) {
	sig, err := crypto.Sign(textHash(text), s.key())
	if err != nil {
		return "", err
	}
	sig[64] += 27
	return "0x" + hex.EncodeToString(sig), nil
}

// Wipe overwrites the signer's key. It cannot sign afterwards.
func (s *Signer) Wipe() {
	//lint:ignore SA1019 nothing else in crypto/ecdsa overwrites the scalar in place
	d := s.key().D
	clear(d.Bits())
	d.SetInt64(0)
}

func (s Signer) String() string             { return "Signer(" + s.Address() + ")" }
func (s Signer) GoString() string           { return s.String() }
func (s Signer) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// RecoverText returns the address that signed the text, with the checksum of EIP-55.
// The signature is 0x and 130 hex digits with v 27 or 28. Any bytes of the right
// form recover some address: the caller compares it, see SameAddress.
func RecoverText(text, signature string) (string, error) {
	digits, ok := strings.CutPrefix(signature, "0x")
	sig, err := hex.DecodeString(digits)
	if !ok || err != nil || len(sig) != crypto.SignatureLength || (sig[64] != 27 && sig[64] != 28) {
		return "", errors.New("not a signature: expected 0x and 130 hex digits that end in 1b or 1c")
	}
	sig[64] -= 27
	pub, err := crypto.SigToPub(textHash(text), sig)
	if err != nil {
		return "", errors.New("the signature is not of any key")
	}
	return crypto.PubkeyToAddress(*pub).Hex(), nil
}

// SameAddress reports whether two strings are the same address, 0x and 40 hex digits
// in any case. A string that is not an address is not equal to anything.
func SameAddress(a, b string) bool {
	x, okA := addressBytes(a)
	y, okB := addressBytes(b)
	return okA && okB && bytes.Equal(x, y)
}

func addressBytes(address string) ([]byte, bool) {
	digits, ok := strings.CutPrefix(address, "0x")
	b, err := hex.DecodeString(digits)
	return b, ok && err == nil && len(b) == 20
}

// textHash is the hash of EIP-191 for a text of len bytes.
func textHash(text string) []byte {
	return crypto.Keccak256(fmt.Appendf(nil, "\x19Ethereum Signed Message:\n%d", len(text)), []byte(text))
}
