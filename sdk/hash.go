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

// EIP191Digest returns the hash that personal_sign signs. It covers a prefix, which keeps
// the message from being a valid transaction, the length of the message, and the message.
func EIP191Digest(message []byte) []byte {
	return keccak256([]byte("\x19Ethereum Signed Message:\n"+strconv.Itoa(len(message))), message)
}

// checksumAddress returns an address in the mixed case of EIP-55.
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

// checksumFits reports whether an address in mixed case has the checksum of EIP-55. An
// address in a single case has no checksum, which is valid.
func checksumFits(address string) bool {
	digits := strings.TrimPrefix(address, "0x")
	return digits == strings.ToLower(digits) || digits == strings.ToUpper(digits) || address == checksumAddress(address)
}
