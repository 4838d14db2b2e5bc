package main

import (
	"context"

	"github.com/peaqnetwork/peaqos-agent/agent"
	"github.com/peaqnetwork/peaqos-agent/agent/config"
	"github.com/peaqnetwork/peaqos-agent/agent/status"
)

// makeGrant enrolls another device from this computer and writes the grant to path.
func (a *app) makeGrant(ctx context.Context, cfg *config.Config, req agent.EnrollRequest, path string, providerKeys []string) error {
	if len(cfg.Machines) != 1 {
		return status.NewProblem(status.CodeOneMachine, "")
	}
	if len(providerKeys) > 0 {
		cfg = cfg.WithAllowedProviderKeys(providerKeys)
	}
	out, err := a.openSecretOutput(path)
	if err != nil {
		return err
	}
	defer out.close()
	r, err := agent.MakeGrant(ctx, cfg, agent.Options{Version: version}, req, func(g agent.Grant) error {
		document, err := g.Document()
		if err != nil {
			return err
		}
		defer clear(document)
		return out.write(document)
	}, a.progress)
	if err != nil {
		return err
	}
	out.keep = true
	a.progress("grant written for agent " + r.AgentID + " of " + r.MachineID +
		"; it becomes active on the device that redeems it with enroll --grant")
	return nil
}

// redeemGrant stores the token of a grant that was made on another computer.
func (a *app) redeemGrant(ctx context.Context, flags enrollFlags, req agent.EnrollRequest) error {
	b, err := a.secret(flags.grant)
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
	if err := a.trustConfig(cfg); err != nil {
		return err
	}
	r, err := withOwner(ctx, cfg, func(o owner) (agent.EnrollResult, error) {
		return o.TakeGrant(ctx, agent.GrantRequest{
			Machine: req.Machine, Grant: grant, Force: req.Force, ReplaceLostKey: req.ReplaceLostKey,
		}, a.progress)
	})
	if err != nil {
		return err
	}
	if flags.wait > 0 && !r.Live {
		if r, err = a.waitLive(ctx, cfg, req.Machine, flags.wait, r); err != nil {
			return err
		}
	}
	if err := a.showEnrolled(r); err != nil {
		return err
	}
	return a.showNext(ctx, cfg)
}
