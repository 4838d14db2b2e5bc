package main

import (
	"bytes"
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
	passphraseUsage = "file with the passphrase of a Web3 key file"
	machineUsage    = "name of the configured machine, if there are several"
)

// secret reads a secret from a file, or from standard input if the path is "-".
func (a *app) secret(path string) ([]byte, error) {
	if path == "-" {
		return io.ReadAll(io.LimitReader(a.in, 64<<10))
	}
	return keystore.ReadSecretFile(path)
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
	key := strings.TrimSpace(string(b))
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
	if bytes.HasPrefix(bytes.TrimSpace(b), []byte("{")) {
		return a.web3Key(b, path, passphraseFile)
	}
	key, err := keystore.ParseKey(b)
	if err != nil {
		return nil, status.NewProblem(status.CodeControllerKeyFile, err.Error()).Advise("check " + path).Wrap(err)
	}
	return key, nil
}

// web3Key decrypts a Web3 key file with the passphrase in passphraseFile.
func (a *app) web3Key(file []byte, path, passphraseFile string) (*keystore.Key, error) {
	if passphraseFile == "" {
		return nil, status.NewProblem(status.CodePassphraseFile, path)
	}
	secret, err := keystore.ReadPassphraseFile(passphraseFile)
	if err != nil {
		return nil, err
	}
	defer clear(secret)
	a.progress("decrypting " + path)
	return keystore.ImportWeb3(file, secret)
}
