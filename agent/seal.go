package agent

import (
	"context"

	"go.uber.org/zap"

	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/keystore"
)

// SealRequest protects the store by a credential of the system from now on.
type SealRequest struct {
	Credential keystore.Secret // what the system will hand us; 32 bytes in hex
	Recovery   keystore.Secret // the passphrase that opens the store without it; 32 bytes in hex
}

// SealResult says what protects the store.
type SealResult struct {
	Protector string `json:"protector"` // keyfile, passphrase or credential
}

// Reseal gives the store a new key under the credential and the recovery passphrase.
func (a *Agent) Reseal(_ context.Context, req SealRequest) (SealResult, error) {
	a.changing.Lock()
	defer a.changing.Unlock()
	if err := a.store.CheckDurable(); err != nil {
		return SealResult{}, err
	}
	if err := a.store.Reseal(keystore.Protection{Credential: req.Credential, Passphrase: req.Recovery}); err != nil {
		return SealResult{}, err
	}
	a.markStore()
	a.log.Info("the store has a new key", code(status.CodeResealed), zap.Stringer("protector", a.store.Protector()))
	return SealResult{a.store.Protector().String()}, nil
}
