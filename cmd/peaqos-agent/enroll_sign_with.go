package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/peaqnetwork/peaqos-agent/agent"
	"github.com/peaqnetwork/peaqos-agent/agent/config"
	"github.com/peaqnetwork/peaqos-agent/agent/status"
)

// signElsewhere shows the challenge to a person, who has it signed elsewhere and
// pastes the signature. The signature is verified before it is sent.
func (a *app) signElsewhere(ctx context.Context, cfg *config.Config, req agent.EnrollRequest) (*agent.Proof, error) {
	if a.json {
		return nil, status.NewProblem(status.CodeNotInteractive, "")
	}
	ref := req.IdentityRef
	if ref == "" {
		ref = configuredIdentity(cfg, req.Machine)
	}
	api, err := agent.NewClient(cfg, version, req.APIKey)
	if err != nil {
		return nil, err
	}
	return agent.ProveElsewhere(ctx, api, cfg.Orchestrator.URL, ref, a.promptSignature)
}

// configuredIdentity returns the configured identity of a machine. An empty name
// means the first machine.
func configuredIdentity(cfg *config.Config, machine string) string {
	for _, m := range cfg.Machines {
		if machine == "" || m.Name == machine {
			return m.IdentityRef
		}
	}
	return ""
}

// promptSignature shows the text and reads a signature. It shows the text even with
// --quiet: nobody should sign what they cannot see.
func (a *app) promptSignature(text string) (string, error) {
	const rule = "────────"
	_, _ = fmt.Fprintf(a.err, "Sign exactly the text between the lines (EIP-191, personal_sign) with the controller's key:\n%s\n%s\n%s\n"+
		"Signature (0x…): ", rule, text, rule)
	line, err := a.input().ReadString('\n')
	if errors.Is(err, context.Canceled) {
		return "", err
	}
	if err != nil && strings.TrimSpace(line) == "" {
		return "", status.NewProblem(status.CodeNoSignature, "")
	}
	return line, nil
}
