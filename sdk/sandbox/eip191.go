package sandbox

import (
	"encoding/hex"
	"errors"
	"math/big"
	"strconv"
	"strings"

	"github.com/ethereum/go-ethereum/crypto"
)

// isAddress reports whether text is an address: 0x and 40 hex digits.
func isAddress(text string) bool {
	digits, ok := strings.CutPrefix(text, "0x")
	return ok && len(digits) == 40 && consistsOf(digits, isHexDigit)
}

// textHash returns the digest that a wallet signs for a text (EIP-191, version 0x45).
func textHash(text string) []byte {
	return crypto.Keccak256([]byte("\x19Ethereum Signed Message:\n"+strconv.Itoa(len(text))), []byte(text))
}

// recoverText returns the checksummed address that signed a text.
func recoverText(text, signature string) (string, error) {
	return recoverHash(textHash(text), signature)
}

// recoverHash returns the address that signed a hash. The signature is 65 bytes r‖s‖v in
// 0x-hex, with v 27 or 28 (or 0 or 1). The upper half of s is rejected, as everywhere since EIP-2.
func recoverHash(hash []byte, signature string) (string, error) {
	digits, ok := strings.CutPrefix(signature, "0x")
	sig, err := hex.DecodeString(digits)
	if !ok || err != nil || len(sig) != 65 {
		return "", errors.New("a signature must be 65 bytes in 0x-hex")
	}
	if sig[64] >= 27 {
		sig[64] -= 27
	}
	if !crypto.ValidateSignatureValues(sig[64], new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:64]), true) {
		return "", errors.New("the signature values are out of range")
	}
	pub, err := crypto.SigToPub(hash, sig)
	if err != nil {
		return "", err
	}
	return crypto.PubkeyToAddress(*pub).Hex(), nil
}
