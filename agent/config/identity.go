package config

import (
	"math/big"
	"strings"
)

// CanonicalRef writes the alias peaqos:machine:<n> as did:peaq:<n>; any other
// text is returned unchanged.
func CanonicalRef(ref string) string {
	if n, ok := strings.CutPrefix(ref, "peaqos:machine:"); ok {
		return "did:peaq:" + n
	}
	return ref
}

// identityRefFault returns what is wrong with an identity reference, as the end
// of a sentence, or "". The form is did:peaq: or peaqos:machine: and a decimal
// uint256 without sign or leading zero.
func identityRefFault(ref string) string {
	number, ok := strings.CutPrefix(ref, "did:peaq:")
	if !ok {
		number, ok = strings.CutPrefix(ref, "peaqos:machine:")
	}
	switch {
	case !ok:
		return "must be did:peaq:NUMBER or peaqos:machine:NUMBER"
	case strings.HasPrefix(number, "0x"):
		return "must end in the machine's decimal number; the form with an address (0x…) is no longer accepted by the orchestrator"
	case !madeOf(number, 1<<10, digits) || (number[0] == '0' && number != "0"):
		return "must end in a decimal number without sign, spaces or leading zeros"
	case len(number) > 78: // 2^256 has 78 digits
		return "has a number above 2^256-1"
	}
	if n, ok := new(big.Int).SetString(number, 10); !ok || n.BitLen() > 256 {
		return "has a number above 2^256-1"
	}
	return ""
}
