package sandbox

import (
	"encoding/hex"
	"errors"
	"fmt"
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
	return recoverHash(textHash(text), signature, true)
}

// recoverHash returns the address that signed a hash. The signature is 65 bytes r‖s‖v in 0x-hex,
// with v 27 or 28 or, if bareV is set, 0 or 1. The upper half of s is rejected, as everywhere since
// EIP-2. Each fault of its form has an error of its own.
func recoverHash(hash []byte, signature string, bareV bool) (string, error) {
	sig, err := signatureBytes(signature)
	if err != nil {
		return "", err
	}
	v := sig[64]
	switch {
	case v == 27 || v == 28:
		v -= 27
	case !bareV || v > 1:
		allowed := "27 or 28"
		if bareV {
			allowed = "27 or 28 (or 0 or 1)"
		}
		return "", fmt.Errorf("the signature's last byte, v, is %d; it must be %s", v, allowed)
	}
	if err := checkValues(new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:64])); err != nil {
		return "", err
	}
	sig[64] = v
	pub, err := crypto.SigToPub(hash, sig)
	if err != nil {
		return "", errors.New("the signature belongs to no key: r is not the x coordinate of a point of the curve")
	}
	return crypto.PubkeyToAddress(*pub).Hex(), nil
}

// signatureBytes decodes a signature.
func signatureBytes(signature string) ([]byte, error) {
	digits, ok := strings.CutPrefix(signature, "0x")
	if !ok {
		return nil, errors.New("the signature does not start with 0x")
	}
	for i := range len(digits) {
		if !isHexDigit(digits[i]) {
			return nil, fmt.Errorf("the signature has a character that is not a hex digit, at position %d", i+2)
		}
	}
	if len(digits)%2 != 0 {
		return nil, fmt.Errorf("the signature has an odd number of hex digits, %d; it must have 130", len(digits))
	}
	sig, err := hex.DecodeString(digits)
	switch {
	case err != nil:
		return nil, err
	case len(sig) == 64:
		return nil, errors.New("the signature is 64 bytes long; it must be 65: r, s and v (the compact form of EIP-2098 is not accepted)")
	case len(sig) != 65:
		return nil, fmt.Errorf("the signature is %d bytes long; it must be 65: r, s and v", len(sig))
	}
	return sig, nil
}

// checkValues checks r and s of a signature.
func checkValues(r, s *big.Int) error {
	order := crypto.S256().Params().N
	half := new(big.Int).Rsh(order, 1)
	switch {
	case r.Sign() == 0 || s.Sign() == 0:
		return errors.New("r or s of the signature is zero")
	case r.Cmp(order) >= 0:
		return errors.New("r of the signature is not less than the order of the curve")
	case s.Cmp(order) >= 0:
		return errors.New("s of the signature is not less than the order of the curve")
	case s.Cmp(half) > 0:
		return errors.New("s of the signature is in the upper half (a high s, rejected since EIP-2): use the order of the curve minus s, " +
			"and the other v")
	}
	return nil
}

// likelyMistake returns what a signer did instead of signing a text with EIP-191, if the signature
// shows it: expected reports whether an address is an expected signer.
func likelyMistake(text, signature string, expected func(string) bool) string {
	bare := strings.TrimRight(text, "\n")
	for _, m := range []struct {
		hash []byte
		what string
	}{
		{crypto.Keccak256([]byte(text)), "the text was hashed without the prefix of EIP-191 (personal_sign)"},
		{textHash(text + "\n"), "the text was signed with a line break after it"},
		{textHash(text + "\r\n"), "the text was signed with a line break after it"},
		{textHash(bare), "the text was signed without its last line break"},
		{textHash(strings.TrimSpace(text)), "the text was signed without the space around it"},
		{textHash(strings.ReplaceAll(text, "\n", "\r\n")), "the text was signed with CRLF instead of LF"},
		{textHash(strings.ReplaceAll(text, "\n", "\\n")), "the text was signed with \\n instead of line breaks: decode the JSON string first"},
		{textHash(strconv.Quote(text)), "the text was signed with the quotes of its JSON string"},
		{textHash("0x" + hex.EncodeToString([]byte(text))), "the hex digits of the text were signed instead of the text"},
		{textHash(string(crypto.Keccak256([]byte(text)))), "the hash of the text was signed instead of the text"},
	} {
		if signer, err := recoverHash(m.hash, signature, true); err == nil && expected(signer) {
			return m.what
		}
	}
	return ""
}
