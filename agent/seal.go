package agent

import (
	"context"

	"go.uber.org/zap"

	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/keystore"
)

// SealRequest asks to protect the store with a credential of the system. Both secrets
// are the text of 64 hex digits.
type SealRequest struct {
	Credential keystore.Secret `json:"-"` // the system passes it to the service at each start
	Recovery   keystore.Secret `json:"-"` // a passphrase that opens the store without the credential
}

// SealResult reports what protects the store.
type SealResult struct {
	Protector string `json:"protector"` // keyfile, passphrase or credential
}

// Reseal gives the store a new key, protected by the credential and the recovery
// passphrase. The caller wipes both. Errors: those of the store.
func (a *Agent) Reseal(ctx context.Context, req SealRequest) (SealResult, error) {
	end, err := a.begin(ctx, "a sealing of the store", nil)
	if err != nil {
		return SealResult{}, err
	}
	defer end()
	if req.Credential.IsZero() || req.Recovery.IsZero() {
		return SealResult{}, status.NewProblem(status.CodeBadRequest, "a secret that protects the store is missing")
	}
	if err := a.store.CheckDurable(); err != nil {
		return SealResult{}, err
	}
	if ctx.Err() != nil {
		return SealResult{}, context.Cause(ctx)
	}
	if err := a.store.Reseal(keystore.Protection{Credential: req.Credential, Passphrase: req.Recovery}); err != nil {
		return SealResult{}, err
	}
	a.markStore()
	logEvent(a.log.Info, status.CodeResealed, zap.Stringer("protector", a.store.Protector()))
	return SealResult{a.store.Protector().String()}, nil
}
