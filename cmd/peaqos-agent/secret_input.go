package main

import (
	"errors"
	"io"
	"strings"

	"github.com/peaqnetwork/peaqos-agent/agent/config"
	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/keystore"
	"github.com/peaqnetwork/peaqos-agent/sdk"
)

// Flag descriptions that several commands share.
const (
	apiKeyUsage     = "file with the platform API key, - for standard input"
	passphraseUsage = "file with the passphrase of a Web3 key file, - for standard input"
	machineUsage    = "name of the configured machine, if there are several"
	lostKeyUsage    = "give up what needs the lost key of the store: the controller key, other machines' tokens"
)

// secret reads a secret from a file, or from standard input if the path is "-".
// Standard input holds one secret only.
func (a *app) secret(path string) ([]byte, error) {
	if path == "-" || path == "/dev/stdin" {
		if a.stdinRead {
			return nil, usageProblem("standard input was given for two secrets", "give it for one of them and a file for the other")
		}
		a.stdinRead = true
	}
	if path == "-" {
		if isTerminal(a.in) {
			a.progress("reading the terminal, up to Ctrl-D on a line of its own")
		}
		return io.ReadAll(a.bounded())
	}
	return keystore.ReadSecretFile(path)
}

// formNext returns how to provide a secret that was found in another form.
func formNext(form keystore.Form, path string) string {
	if path == "-" {
		path = "standard input"
	}
	switch form {
	case keystore.FormEmpty:
		return "write the secret into " + path
	case keystore.FormUTF16:
		return "save " + path + " as UTF-8 or ASCII, for example with Out-File -Encoding ascii"
	case keystore.FormQuoted:
		return "remove the quotation marks in " + path
	case keystore.FormNameValue:
		return "write only the value into " + path + ", without the name"
	case keystore.FormMnemonic:
		return "derive the account's private key from the phrase in the wallet that made it, " +
			"export that as hex or as a Web3 file, and provide it"
	case keystore.FormPolkadot:
		return "a backup of polkadot.js holds an sr25519, ed25519 or encrypted key: " +
			"export the Ethereum account as a private key or a Web3 (version 3) file"
	case keystore.FormPEM:
		return "convert it: openssl ec -in FILE -text shows the private key as hex, if its curve is secp256k1"
	case keystore.FormLines:
		return "leave only the line with the secret in " + path
	case keystore.FormAddress:
		return "provide the private key (64 hex digits), not the address"
	case keystore.FormShort:
		return "provide all 64 hex digits, including leading zeros"
	case keystore.FormPlain, keystore.FormWeb3, keystore.FormJSON, keystore.FormNotText:
	}
	return "check " + path
}

// apiKey reads the platform API key from the file of the flag, else from the file that
// the environment names, else from the environment itself, with a warning. It returns
// the zero Secret if none of them is set.
func (a *app) apiKey(path string) (sdk.Secret, error) {
	if path == "" {
		name, file, raw, err := config.APIKeyFromEnv(a.env)
		if err != nil {
			return sdk.Secret{}, err
		}
		if raw != "" {
			a.progress("warning: " + rawKeyWarning(name))
			return sdk.NewSecret(raw), nil
		}
		path = file
	}
	if path == "" {
		return sdk.Secret{}, nil
	}
	b, err := a.secret(path)
	if err != nil {
		return sdk.Secret{}, err
	}
	switch form := keystore.FormOf(b); form {
	case keystore.FormEmpty, keystore.FormUTF16, keystore.FormQuoted, keystore.FormWeb3, keystore.FormPolkadot,
		keystore.FormJSON, keystore.FormPEM, keystore.FormLines, keystore.FormNotText:
		return sdk.Secret{}, status.NewProblem(status.CodeAPIKeyFile, form.String()).Advise(formNext(form, path))
	case keystore.FormNameValue:
		if isAssignment(b) {
			return sdk.Secret{}, status.NewProblem(status.CodeAPIKeyFile, form.String()).Advise(formNext(form, path))
		}
	}
	key := strings.TrimSpace(strings.TrimPrefix(string(b), "\ufeff"))
	if key == "" || strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return sdk.Secret{}, status.NewProblem(status.CodeAPIKeyFile, path)
	}
	return sdk.NewSecret(key), nil
}

// rawKeyWarning is the warning about an API key in an environment variable.
func rawKeyWarning(name string) string {
	return "the API key comes from " + name + ", where every process of this user can read it; " +
		"use --api-key-file or PEAQOS_API_KEY_FILE instead"
}

// controllerKey reads a controller key file: 0x and 64 hex digits, or a Web3 file. A
// Web3 file is decrypted in this process, never in the daemon, because that can take
// 256 MiB. It returns nil if the path is empty.
func (a *app) controllerKey(path, passphraseFile string) (*keystore.Key, error) {
	if path == "" {
		return nil, nil
	}
	b, err := a.secret(path)
	if err != nil {
		return nil, err
	}
	defer clear(b)
	form := keystore.FormOf(b)
	if form == keystore.FormWeb3 {
		return a.web3Key(b, path, passphraseFile)
	}
	key, err := keystore.ParseKey(b)
	if err != nil {
		return nil, status.NewProblem(status.CodeControllerKeyFile, err.Error()).Advise(formNext(form, path)).Wrap(err)
	}
	return key, nil
}

// isAssignment reports whether a text is NAME=value or NAME: value with a name that is
// usual for a key. An API key itself may contain either character.
func isAssignment(b []byte) bool {
	name, _, _ := strings.Cut(strings.TrimSpace(string(b)), "=")
	if i := strings.IndexByte(name, ':'); i >= 0 {
		name = name[:i]
	}
	name = strings.ToLower(strings.TrimSpace(strings.TrimPrefix(name, "export ")))
	return strings.Contains(name, "key") || strings.Contains(name, "token") ||
		strings.HasPrefix(name, "peaqos") || strings.HasPrefix(name, "authorization")
}

// passphrase reads the passphrase for a key file that will be written.
func (a *app) passphrase(path string) ([]byte, error) {
	b, err := a.secret(path)
	if err != nil {
		return nil, err
	}
	if b = keystore.PassphraseForms(b)[0].Passphrase; len(b) == 0 {
		return nil, &keystore.SecretFileError{FileFacts: keystore.FileFacts{Path: path, Problem: keystore.FileEmpty}}
	}
	return b, nil
}

// web3Key decrypts a Web3 key file with the passphrase in passphraseFile. A passphrase
// that does not fit is tried in the other forms that editors and tools write.
func (a *app) web3Key(file []byte, path, passphraseFile string) (*keystore.Key, error) {
	if passphraseFile == "" {
		return nil, status.NewProblem(status.CodePassphraseFile, path)
	}
	secret, err := a.secret(passphraseFile)
	if err != nil {
		return nil, err
	}
	defer clear(secret)
	a.progress("decrypting " + path)
	for _, form := range keystore.PassphraseForms(secret) {
		var key *keystore.Key
		if key, err = keystore.ImportWeb3(file, form.Passphrase); err == nil && form.Name != "" {
			a.progress("the passphrase fits " + form.Name)
		}
		if !errors.Is(err, keystore.ErrWrongPassphrase) {
			return key, err
		}
	}
	return nil, err
}
