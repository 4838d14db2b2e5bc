package agent

import (
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/ethereum/go-ethereum/crypto"

	"github.com/peaqnetwork/peaqos-agent/keystore"
)

// signPresence signs the message of a presence push with the controller key. It is the
// only place that knows the scheme, which the presence service does not document: an
// EIP-191 signature, as everywhere else in peaqOS, and the uncompressed public key.
func signPresence(signer *keystore.Signer, message string) (signature, publicKey string, err error) {
	signature, err = signer.SignText(message)
	if err != nil {
		return "", "", err
	}
	publicKey, err = recoverPublicKey(message, signature)
	return signature, publicKey, err
}

// recoverPublicKey returns the key that made an EIP-191 signature, as 0x04 and 128 hex
// digits.
func recoverPublicKey(message, signature string) (string, error) {
	raw, err := hex.DecodeString(strings.TrimPrefix(signature, "0x"))
	if err != nil || len(raw) != crypto.SignatureLength || raw[64] < 27 {
		return "", fmt.Errorf("not a signature")
	}
	raw[64] -= 27
	digest := crypto.Keccak256(fmt.Appendf(nil, "\x19Ethereum Signed Message:\n%d", len(message)), []byte(message))
	public, err := crypto.Ecrecover(digest, raw)
	if err != nil {
		return "", err
	}
	return "0x" + hex.EncodeToString(public), nil
}
