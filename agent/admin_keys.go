package agent

import (
	"context"
	"encoding/hex"
	"net/http"

	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/keystore"
)

// The controller key and the store's protection on the socket: keys as 0x-hex of 32
// bytes, a protector's secret as plain hex of 32.

type adminKey struct {
	Key string `json:"key"`
}

type adminAddress struct {
	Address string `json:"address"`
}

type adminProve struct {
	Machine     string    `json:"machine,omitempty"`
	Challenge   Challenge `json:"challenge"`
	IdentityRef string    `json:"identity_ref,omitempty"`
}

type adminSeal struct {
	Credential string `json:"credential"`
	Recovery   string `json:"recovery"`
}

func (a *Agent) adminKeys(mux *http.ServeMux) {
	mux.HandleFunc("POST /v1/identity/show", onSocket(func(ctx context.Context, _ nothingAsked) ([]Identity, error) { return a.Identities(ctx) }))
	mux.HandleFunc("POST /v1/identity/import", onSocket(func(ctx context.Context, in adminKey) (adminAddress, error) {
		key, err := keystore.ParseKey([]byte(in.Key))
		if err != nil {
			return adminAddress{}, err
		}
		defer key.Wipe()
		address, err := a.PutController(ctx, key)
		return adminAddress{address}, err
	}))
	mux.HandleFunc("POST /v1/identity/export", onSocket(func(ctx context.Context, _ nothingAsked) (adminKey, error) {
		key, err := a.ControllerKey(ctx)
		if err != nil {
			return adminKey{}, err
		}
		defer key.Wipe()
		return adminKey{key.Hex()}, nil
	}))
	mux.HandleFunc("POST /v1/identity/prove", onSocket(func(ctx context.Context, in adminProve) (Proof, error) {
		return a.Prove(ctx, ProveRequest(in))
	}))
	mux.HandleFunc("POST /v1/seal", onSocket(func(ctx context.Context, in adminSeal) (SealResult, error) {
		credential, err := hexSecret(in.Credential)
		if err != nil {
			return SealResult{}, err
		}
		recovery, err := hexSecret(in.Recovery)
		if err != nil {
			return SealResult{}, err
		}
		return a.Reseal(ctx, SealRequest{credential, recovery})
	}))
}

// hexSecret takes 32 bytes written as hex; the secret is the text, which is what the
// system hands out again.
func hexSecret(text string) (keystore.Secret, error) {
	if raw, err := hex.DecodeString(text); err != nil || len(raw) != 32 {
		return keystore.Secret{}, status.NewProblem(status.CodeBadRequest, "a protector's secret is 32 bytes in hex")
	}
	return keystore.NewSecret(text), nil
}

// Identities asks the daemon who the machines are.
func (a *Admin) Identities(ctx context.Context) ([]Identity, error) {
	return ask[[]Identity](ctx, a, "/v1/identity/show", nothingAsked{}, unheard)
}

// PutController has the daemon keep a controller key.
func (a *Admin) PutController(ctx context.Context, key *keystore.Key) (string, error) {
	out, err := ask[adminAddress](ctx, a, "/v1/identity/import", adminKey{key.Hex()}, unheard)
	return out.Address, err
}

// ControllerKey fetches the stored controller key. The caller wipes it.
func (a *Admin) ControllerKey(ctx context.Context) (*keystore.Key, error) {
	out, err := ask[adminKey](ctx, a, "/v1/identity/export", nothingAsked{}, unheard)
	if err != nil {
		return nil, err
	}
	return keystore.ParseKey([]byte(out.Key))
}

// Prove has the daemon sign a challenge with the stored key.
func (a *Admin) Prove(ctx context.Context, req ProveRequest) (Proof, error) {
	return ask[Proof](ctx, a, "/v1/identity/prove", adminProve(req), unheard)
}

// Reseal has the daemon give the store another protection.
func (a *Admin) Reseal(ctx context.Context, req SealRequest) (SealResult, error) {
	return ask[SealResult](ctx, a, "/v1/seal", adminSeal{string(req.Credential.Reveal()), string(req.Recovery.Reveal())}, unheard)
}
