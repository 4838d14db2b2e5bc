package config

import (
	"math/big"
	"strings"
)

// CanonicalRef writes an identity reference in the one form that references are
// compared in: the alias peaqos:machine:<n> as did:peaq:<n>, and an address in
// lower case. Any other text is returned unchanged.
func CanonicalRef(ref string) string {
	if n, ok := strings.CutPrefix(ref, "peaqos:machine:"); ok {
		return "did:peaq:" + n
	}
	if n, ok := strings.CutPrefix(ref, "did:peaq:"); ok && isAddress(n) {
		return "did:peaq:" + strings.ToLower(n)
	}
	return ref
}

// IdentityRefFault returns what is wrong with an identity reference, as the end
// of a sentence, or "". accept is the value of orchestrator.identity_refs: "any"
// or "decimal".
//
// The decimal form is did:peaq: or peaqos:machine: and a decimal uint256 without
// sign or leading zero. The form with an address is did:peaq:0x and 40 hex digits
// in either case; a checksum in their case is not verified, because the
// orchestrator does not.
func IdentityRefFault(ref, accept string) string {
	number, isDID := strings.CutPrefix(ref, "did:peaq:")
	if !isDID {
		var isAlias bool
		if number, isAlias = strings.CutPrefix(ref, "peaqos:machine:"); !isAlias {
			return "must be did:peaq:NUMBER or peaqos:machine:NUMBER" + orAddress(accept)
		}
	}
	switch {
	case strings.HasPrefix(number, "0x") && accept == "decimal":
		return "must end in the machine's decimal number; orchestrator.identity_refs: decimal refuses the form with an address (0x…)"
	case strings.HasPrefix(number, "0x") && !isDID:
		return "must end in the machine's decimal number; the form with an address is did:peaq:0x…"
	case strings.HasPrefix(number, "0x"):
		if !isAddress(number) {
			return "must have 40 hex digits after 0x"
		}
		return ""
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

func orAddress(accept string) string {
	if accept == "decimal" {
		return ""
	}
	return " (or did:peaq:0xADDRESS)"
}

// isAddress reports whether text is 0x and 40 hex digits.
func isAddress(text string) bool {
	hex, ok := strings.CutPrefix(text, "0x")
	return ok && len(hex) == 40 && madeOf(hex, 40, hexDigits)
}
