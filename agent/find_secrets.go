package agent

import (
	"context"
	"encoding/hex"
	"errors"

	"github.com/peaqnetwork/peaqos-agent/keystore"
)

// A support bundle is compared with the secrets before it is handed out. Only the owner
// of the store has them, so that it is the daemon that looks, and not the command.

// maxSecretText is the largest text of one request: base64 makes it 14 KB, and there is a
// limit of 16. A part of a longer text begins secretOverlap before the end of the last
// one, so that no token of up to 1,000 bytes is cut in two, in hex either.
const (
	maxSecretText = 10 << 10
	secretOverlap = 2 << 10
)

// adminText is a text to look at, on the admin socket.
type adminText struct {
	Text []byte `json:"text"`
}

// SecretSearch is what was found of the store's secrets in a text.
type SecretSearch struct {
	Found []string `json:"found"`
	// Unread is why some of the secrets cannot be read, so that nobody has them now; empty
	// when the text was compared with all of them.
	Unread string `json:"unread"`
}

// FindSecrets looks for the tokens and the controller key in a text, in any of the forms
// of [keystore.Secret.FoundIn]. Error: that of the context.
func (a *Agent) FindSecrets(ctx context.Context, text []byte) (SecretSearch, error) {
	out := SecretSearch{Found: []string{}}
	end, err := a.begin(ctx, "a search for secrets", nil)
	if err != nil {
		return out, err
	}
	defer end()
	unread := func(err error) {
		if !errors.Is(err, keystore.ErrNotFound) {
			out.Unread = Explain(err).Message
		}
	}
	for _, m := range a.current.Machines {
		r, err := a.store.Agent(m.Name)
		if err != nil {
			unread(err)
			continue
		}
		if r.Token.FoundIn(text) || r.Pending != nil && r.Pending.Token.FoundIn(text) {
			out.Found = append(out.Found, "the agent token of machine "+m.Name)
		}
	}
	key, err := a.store.ControllerKey()
	if err != nil {
		unread(err)
		return out, nil
	}
	defer key.Wipe()
	digits := key.Hex()[2:]
	raw, err := hex.DecodeString(digits)
	defer clear(raw)
	if err != nil || keystore.NewSecret(raw).FoundIn(text) || keystore.NewSecret(digits).FoundIn(text) {
		out.Found = append(out.Found, "the controller key")
	}
	return out, nil
}
