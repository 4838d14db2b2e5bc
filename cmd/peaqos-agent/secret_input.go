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

// secret reads one from a file, or from standard input for "-".
func (a *app) secret(path string) ([]byte, error) {
	if path == "-" {
		return io.ReadAll(io.LimitReader(a.in, 64<<10))
	}
	return keystore.ReadSecretFile(path)
}

// apiKey reads the platform key: the flag's file, a file named in the
// environment, and as a last resort the environment itself, with a warning.
func (a *app) apiKey(path string) (sdk.Secret, error) {
	if path == "" {
		name, file, raw, err := config.APIKeyFromEnv(a.env)
		if err != nil {
			return sdk.Secret{}, err
		}
		if raw != "" {
			a.progress("warning: " + rawKey(name))
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

// rawKey warns of a key in the environment.
func rawKey(name string) string {
	return "the API key comes from " + name + ", where every process of this user can read it; better give --api-key-file or PEAQOS_API_KEY_FILE"
}

// controllerKey reads a key file: 0x and 64 hex digits, or a Web3 file, which is
// decrypted here, in a process of its own.
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
