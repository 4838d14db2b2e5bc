package agent

import "github.com/peaqnetwork/peaqos-agent/keystore"

// signPresence signs the message of a presence push with the controller key. It is the
// only place that knows the scheme, which the presence service does not document: an
// EIP-191 signature, as everywhere else in peaqOS, and the uncompressed public key.
func signPresence(signer *keystore.Signer, message string) (signature, publicKey string, err error) {
	signature, err = signer.SignText(message)
	return signature, signer.PublicKey(), err
}
