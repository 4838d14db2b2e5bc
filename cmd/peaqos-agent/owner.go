package main

import (
	"context"

	"github.com/peaqnetwork/peaqos-agent/agent"
)

// owner is who may change the store: the daemon that runs on it, asked over its
// admin socket, or this process under the store's lock. Either does the same work.
type owner interface {
	Enroll(context.Context, agent.EnrollRequest, func(string)) (agent.EnrollResult, error)
	Rotate(context.Context, agent.RotateRequest, func(string)) (agent.RotateResult, error)
}

var (
	_ owner = (*agent.Admin)(nil)
	_ owner = (*agent.Agent)(nil)
)

// withOwner finds the owner of the configured store and has it do f.
func withOwner[Out any](ctx context.Context, cfg *agent.Config, f func(owner) (Out, error)) (Out, error) {
	var none Out
	admin, err := agent.FindAdmin(ctx, cfg)
	if err != nil {
		return none, err
	}
	if admin != nil {
		return f(admin)
	}
	ag, err := agent.New(ctx, cfg, agent.Options{Version: version, NoAdmin: true})
	if err != nil {
		return none, err
	}
	defer func() { _ = ag.Close() }()
	return f(ag)
}
