package agent

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"

	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/keystore"
	"github.com/peaqnetwork/peaqos-agent/sdk"
)

// A request is sent to the admin socket as it is; only its secrets are not part of its
// own JSON. onSocket adds them as members of type wireSecret, for both directions: the
// command encodes the returned value, the daemon decodes into it. These are the only
// places where a secret is written as plain text, between two processes of one
// machine: the API key, a grant, and key material in hex; never a file and never a
// passphrase that a person chose.

// wireRequest is a request with secrets.
type wireRequest interface{ onSocket() any }

// wireSecret is one secret of a request. It is encoded as plain text in JSON and prints
// as [REDACTED] everywhere else. An empty secret is omitted with omitzero.
type wireSecret struct {
	get func() (string, error)
	set func(string) error
}

// MarshalJSON returns the secret as a JSON string.
func (s wireSecret) MarshalJSON() ([]byte, error) {
	text, err := s.get()
	if err != nil {
		return nil, err
	}
	return json.Marshal(text)
}

// UnmarshalJSON stores the secret in the request. Its errors do not repeat the input.
func (s wireSecret) UnmarshalJSON(data []byte) error {
	var text string
	if json.Unmarshal(data, &text) != nil {
		return &wireSecretError{status.NewProblem(status.CodeBadRequest, "")}
	}
	if err := s.set(text); err != nil {
		return &wireSecretError{err}
	}
	return nil
}

// IsZero reports whether there is no secret.
func (s wireSecret) IsZero() bool {
	text, err := s.get()
	return err == nil && text == ""
}

const redacted = "[REDACTED]"

func (s wireSecret) String() string             { return redacted }
func (s wireSecret) GoString() string           { return redacted }
func (s wireSecret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }
func (s wireSecret) LogValue() slog.Value       { return slog.StringValue(redacted) }

// wireSecretError is a secret that is not valid, in a request that is.
type wireSecretError struct{ err error }

func (e *wireSecretError) Error() string { return e.err.Error() }

func (e *wireSecretError) Unwrap() error { return e.err }

func (r *EnrollRequest) onSocket() any {
	return &struct {
		*EnrollRequest
		APIKey        wireSecret `json:"api_key,omitzero"`
		ControllerKey wireSecret `json:"controller_key,omitzero"`
	}{r, wireToken(&r.APIKey), wireKey(&r.Controller)}
}

func (r *RotateRequest) onSocket() any {
	return &struct {
		*RotateRequest
		APIKey wireSecret `json:"api_key,omitzero"`
	}{r, wireToken(&r.APIKey)}
}

func (r *LeaveRequest) onSocket() any {
	return &struct {
		*LeaveRequest
		APIKey wireSecret `json:"api_key,omitzero"`
	}{r, wireToken(&r.APIKey)}
}

func (r *GrantRequest) onSocket() any {
	return &struct {
		*GrantRequest
		Grant wireSecret `json:"grant"`
	}{r, wireGrant(&r.Grant)}
}

func (r *SealRequest) onSocket() any {
	return &struct {
		*SealRequest
		Credential wireSecret `json:"credential"`
		Recovery   wireSecret `json:"recovery"`
	}{r, wireHex(&r.Credential), wireHex(&r.Recovery)}
}

// keyMessage is a controller key as request or result.
type keyMessage struct{ key *keystore.Key }

func (m *keyMessage) onSocket() any {
	return &struct {
		Key wireSecret `json:"key"`
	}{wireKey(&m.key)}
}

// wireToken is an API key.
func wireToken(s *sdk.Secret) wireSecret {
	return wireSecret{
		get: func() (string, error) { return s.Reveal(), nil },
		set: func(text string) error { *s = sdk.NewSecret(text); return nil },
	}
}

// wireKey is a private key: 0x and 64 hex digits. nil is empty.
func wireKey(k **keystore.Key) wireSecret {
	return wireSecret{
		get: func() (string, error) {
			if *k == nil {
				return "", nil
			}
			return (*k).Hex(), nil
		},
		set: func(text string) (err error) {
			if text == "" {
				return nil
			}
			*k, err = keystore.ParseKey([]byte(text))
			return err
		},
	}
}

// wireHex is a secret that is the text of 64 hex digits: the system passes on the text,
// not the 32 bytes.
func wireHex(s *keystore.Secret) wireSecret {
	return wireSecret{
		get: func() (string, error) { return string(s.Reveal()), nil },
		set: func(text string) error {
			if raw, err := hex.DecodeString(text); err != nil || len(raw) != 32 {
				return status.NewProblem(status.CodeBadRequest, "a secret that protects the store is 32 bytes in hex")
			}
			*s = keystore.NewSecret(text)
			return nil
		},
	}
}

// wireGrant is a grant document.
func wireGrant(g *Grant) wireSecret {
	return wireSecret{
		get: func() (string, error) {
			document, err := g.Document()
			defer clear(document)
			return string(document), err
		},
		set: func(text string) (err error) {
			*g, err = ParseGrant([]byte(text))
			return err
		},
	}
}
