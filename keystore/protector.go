package keystore

import (
	"fmt"
	"os"
	"path/filepath"
)

// Protector is what protects the store's key from someone who has the files. Its
// number is in every frame.
type Protector byte

// The protectors, from none to the strongest.
const (
	ProtectorNone       Protector = iota // nothing was sealed, or it is not known; also in frames of the seal file
	ProtectorKeyFile                     // the 0600 mode of the seal file: protects against partial copies only
	ProtectorPassphrase                  // a passphrase in a file elsewhere
	ProtectorCredential                  // a systemd credential, which can be bound to a TPM
)

// String returns "none", "keyfile", "passphrase" or "credential".
func (p Protector) String() string {
	return [...]string{"none", "keyfile", "passphrase", "credential"}[min(p, ProtectorCredential)]
}

// strength orders protectors: no protector is silently replaced by a weaker one.
func (p Protector) strength() int { return int(min(p, ProtectorPassphrase)) }

// protectorNamed is the protector with this name, ProtectorNone for an unknown one.
func protectorNamed(name string) Protector {
	for p := ProtectorKeyFile; p <= ProtectorCredential; p++ {
		if p.String() == name {
			return p
		}
	}
	return ProtectorNone
}

// CredentialName is the name of the systemd credential that holds the secret of
// ProtectorCredential: the file $CREDENTIALS_DIRECTORY/peaqos-agent.seal.
const CredentialName = "peaqos-agent.seal"

const minCredential = 16 // bytes, of the secret in a credential

// auto reports whether the protector is not named, but chosen by what is configured.
func (o *Options) auto() bool { return o.Seal == "" || o.Seal == "auto" }

// wantedProtector is the minimum protector that the options ask for.
func (o *Options) wantedProtector() (Protector, error) {
	switch {
	case o.auto():
		if o.PassphraseFile != "" {
			return ProtectorPassphrase, nil
		}
		return ProtectorKeyFile, nil
	case protectorNamed(o.Seal) != ProtectorNone:
		return protectorNamed(o.Seal), nil
	}
	return ProtectorNone, fmt.Errorf("keystore: seal must be auto, keyfile, passphrase or credential, not %q", o.Seal)
}

// secretFor reads the secret of a protector from where this process has it. Its
// errors are of type *SealError.
func (o *Options) secretFor(p Protector) ([]byte, error) {
	switch p {
	case ProtectorKeyFile:
		return nil, nil
	case ProtectorPassphrase:
		if o.PassphraseFile == "" {
			return nil, &SealError{Reason: SealNoPassphraseFile, Protector: p}
		}
		secret, err := readPassphraseFile(o.PassphraseFile)
		if err != nil {
			return nil, &SealError{Reason: SealBadPassphraseFile, Protector: p, Path: o.PassphraseFile, Err: err}
		}
		return secret, nil
	case ProtectorCredential:
		return readCredential()
	}
	return nil, &SealError{Reason: SealUnknownProtector}
}

// readCredential reads the systemd credential. Its errors are of type *SealError.
func readCredential() ([]byte, error) {
	dir := os.Getenv("CREDENTIALS_DIRECTORY")
	if dir == "" {
		return nil, &SealError{Reason: SealNoCredential, Protector: ProtectorCredential}
	}
	path := filepath.Join(dir, CredentialName)
	secret, err := readPassphraseFile(path)
	if err != nil {
		return nil, &SealError{Reason: SealBadCredential, Protector: ProtectorCredential, Path: path, Err: err}
	}
	if len(secret) < minCredential {
		clear(secret)
		return nil, &SealError{Reason: SealShortCredential, Protector: ProtectorCredential, Path: path}
	}
	return secret, nil
}
