package sdk

import (
	"errors"
	"math/big"
	"strings"

	"github.com/peaqnetwork/peaqos-agent/sdk/internal/wire"
)

const (
	didPrefix   = "did:peaq:"
	aliasPrefix = "peaqos:machine:"
)

var errNotDecimal = errors.New("not a canonical decimal machine DID")

// MachineNumber returns the digits of did:peaq:<decimal> or peaqos:machine:<decimal>. The
// number must be canonical (no sign, space or leading zero) and below 2^256; anything else
// is an error.
func MachineNumber(identityRef string) (digits string, err error) {
	digits, ok := strings.CutPrefix(identityRef, didPrefix)
	if !ok {
		if digits, ok = strings.CutPrefix(identityRef, aliasPrefix); !ok {
			return "", errNotDecimal
		}
	}
	if !canonicalUint256(digits) {
		return "", errNotDecimal
	}
	return digits, nil
}

// canonicalUint256 reports whether s is a decimal number below 2^256 without leading zeros.
func canonicalUint256(s string) bool {
	if s == "" || len(s) > 78 || (s[0] == '0' && len(s) > 1) {
		return false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	if len(s) < 78 {
		return true
	}
	n, ok := new(big.Int).SetString(s, 10)
	return ok && n.BitLen() <= 256
}

// legacyRef reports whether ref is did:peaq:0x<address>.
func legacyRef(ref string) bool {
	address, ok := strings.CutPrefix(ref, didPrefix)
	return ok && isAddress(address)
}

// isAddress reports whether s is 0x and 40 hex digits in any case.
func isAddress(s string) bool { return len(s) == 42 && isHex(s) }

// isHex reports whether s is 0x and hex digits.
func isHex(s string) bool {
	if !strings.HasPrefix(s, "0x") {
		return false
	}
	for _, c := range []byte(s[2:]) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') && (c < 'A' || c > 'F') {
			return false
		}
	}
	return true
}

// identityRefs selects which forms of a machine's identity are accepted: the decimal one,
// and with legacy also did:peaq:0x<address>.
type identityRefs struct{ legacy bool }

// check is the contract's rule for a request (§2.1).
func (r identityRefs) check(field, ref string) error {
	if _, err := MachineNumber(ref); err == nil || (r.legacy && legacyRef(ref)) {
		return nil
	}
	return &ValidationError{field, "canonical decimal machine DID"}
}

// canonical is the contract's rule for a response: the server has resolved the alias to the
// DID.
func (r identityRefs) canonical(name, ref string) error {
	if _, err := MachineNumber(ref); err == nil && strings.HasPrefix(ref, didPrefix) {
		return nil
	}
	if r.legacy && legacyRef(ref) {
		return nil
	}
	return wire.Inside(name, wire.MustBe("a canonical did:peaq:<decimal> machine DID"))
}
