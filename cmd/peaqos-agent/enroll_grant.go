package main

import (
	"context"
	"time"

	"github.com/peaqnetwork/peaqos-agent/agent"
	"github.com/peaqnetwork/peaqos-agent/agent/config"
	"github.com/peaqnetwork/peaqos-agent/agent/status"
)

// grantOut does the whole enrollment on this computer and hands over the grant.
func (a *app) grantOut(ctx context.Context, cfg *config.Config, req agent.EnrollRequest, path string, providerKeys []string) error {
	if len(cfg.Machines) != 1 {
		return status.NewProblem(status.CodeOneMachine, "")
	}
	if len(providerKeys) > 0 {
		cfg = cfg.WithAllowedProviderKeys(providerKeys)
	}
	h, err := a.openHandover(path)
	if err != nil {
		return err
	}
	done := false
	defer func() { h.close(done) }()
	r, err := agent.MakeGrant(ctx, cfg, agent.Options{Version: version}, req, func(g agent.Grant) error {
		document, err := g.Document()
		if err != nil {
			return err
		}
		defer clear(document)
		return h.write(document)
	}, a.progress)
	if err != nil {
		return err
	}
	done = true
	a.progress("agent " + r.AgentID + " of " + r.MachineID + " is granted; it lives where enroll --grant takes it")
	return nil
}

// takeGrant stores a grant that was made elsewhere.
func (a *app) takeGrant(ctx context.Context, path, machine string, force bool, wait time.Duration) error {
	b, err := a.secret(path)
	if err != nil {
		return err
	}
	defer clear(b)
	grant, err := agent.ParseGrant(b)
	if err != nil {
		return err
	}
	cfg, err := a.load()
	if err != nil {
		return err
	}
	r, err := withOwner(ctx, cfg, func(o owner) (agent.EnrollResult, error) {
		return o.TakeGrant(ctx, agent.GrantRequest{Machine: machine, Grant: grant, Force: force}, a.progress)
	})
	if err != nil {
		return err
	}
	if wait > 0 && !r.Live {
		if r, err = a.waitLive(ctx, cfg, machine, wait, r); err != nil {
			return err
		}
	}
	return a.showEnrolled(r)
}
