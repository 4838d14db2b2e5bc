package main

import (
	"context"

	"github.com/peaqnetwork/peaqos-agent/agent"
	"github.com/peaqnetwork/peaqos-agent/agent/config"
	"github.com/peaqnetwork/peaqos-agent/keystore"
)

// owner is who may change the store: the daemon that runs on it, asked over its
// admin socket, or this process under the store's lock. Either does the same work.
type owner interface {
	Enroll(context.Context, agent.EnrollRequest, func(string)) (agent.EnrollResult, error)
	TakeGrant(context.Context, agent.GrantRequest, func(string)) (agent.EnrollResult, error)
	Rotate(context.Context, agent.RotateRequest, func(string)) (agent.RotateResult, error)
	Unenroll(context.Context, agent.LeaveRequest, func(string)) (agent.LeaveResult, error)
	ResetIdentity(context.Context, agent.ResetRequest, func(string)) (agent.LeaveResult, error)
	Adopt(context.Context, func(string)) (agent.AdoptResult, error)
	Identities(context.Context) ([]agent.Identity, error)
	PutController(context.Context, *keystore.Key) (string, error)
	ControllerKey(context.Context) (*keystore.Key, error)
	Prove(context.Context, agent.ProveRequest) (agent.Proof, error)
	SignOptIn(ctx context.Context, machine string, message []byte) (string, error)
	FindSecrets(ctx context.Context, text []byte) (agent.SecretSearch, error)
	Reseal(context.Context, agent.SealRequest) (agent.SealResult, error)
}

var (
	_ owner = (*agent.Admin)(nil)
	_ owner = (*agent.Agent)(nil)
)

// withOwner calls f with the owner of the store that cfg names: the running daemon if
// there is one, else an agent in this process that holds the store's lock until f
// returns. It is for commands that have read the configuration already; the others
// use owned.
func withOwner[Out any](ctx context.Context, cfg *config.Config, f func(owner) (Out, error)) (Out, error) {
	var none Out
	admin, err := agent.FindAdmin(ctx, cfg)
	if err != nil {
		return none, err
	}
	if admin != nil {
		if err := admin.SameOrchestrator(cfg); err != nil {
			return none, err
		}
		return f(admin)
	}
	ag, err := agent.New(ctx, cfg, agent.Options{Version: version, NoAdmin: true})
	if err != nil {
		return none, err
	}
	defer func() { _ = ag.Close() }()
	return f(ag)
}

// ifStored calls f with the owner of the store that cfg names; if there is no store, it
// returns nothing instead of making one.
func ifStored[Out any](ctx context.Context, cfg *config.Config, nothing Out, f func(owner) (Out, error)) (Out, error) {
	if exists, err := agent.StoreExists(cfg); err != nil || !exists {
		return nothing, err
	}
	return withOwner(ctx, cfg, f)
}

// owned reads the configuration and calls f with it and the owner of its store. The
// warnings of the configuration are not printed.
func owned[Out any](ctx context.Context, a *app, f func(*config.Config, owner) (Out, error)) (Out, error) {
	cfg, err := a.read()
	if err != nil {
		var none Out
		return none, err
	}
	return withOwner(ctx, cfg, func(o owner) (Out, error) { return f(cfg, o) })
}
