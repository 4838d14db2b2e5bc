package sdk

import (
	"encoding/hex"
	"strconv"
	"strings"

	"golang.org/x/crypto/sha3"
)

// keccak256 is Ethereum's hash.
func keccak256(parts ...[]byte) []byte {
	h := sha3.NewLegacyKeccak256()
	for _, part := range parts {
		h.Write(part)
	}
	return h.Sum(nil)
}

// EIP191Digest is what personal_sign signs: the hash of the message behind its
// length and a prefix that keeps it from being a transaction.
func EIP191Digest(message []byte) []byte {
	return keccak256([]byte("\x19Ethereum Signed Message:\n"+strconv.Itoa(len(message))), message)
}

// checksumAddress writes an address in the mixed case of EIP-55.
func checksumAddress(address string) string {
	digits := []byte(strings.ToLower(strings.TrimPrefix(address, "0x")))
	sum := hex.EncodeToString(keccak256(digits))
	for i, c := range digits {
		if c >= 'a' && sum[i] >= '8' {
			digits[i] = c - 'a' + 'A'
		}
	}
	return "0x" + string(digits)
}

// checksumFits tells whether an address in mixed case is spelled as EIP-55 asks.
// One case throughout has no checksum, which is fine.
func checksumFits(address string) bool {
	digits := strings.TrimPrefix(address, "0x")
	return digits == strings.ToLower(digits) || digits == strings.ToUpper(digits) || address == checksumAddress(address)
}
