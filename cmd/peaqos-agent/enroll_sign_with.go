package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/peaqnetwork/peaqos-agent/agent"
	"github.com/peaqnetwork/peaqos-agent/agent/config"
	"github.com/peaqnetwork/peaqos-agent/agent/status"
)

// signElsewhere asks a person to have the challenge signed, and checks what they
// paste before it is sent.
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

// configuredIdentity is the identity that the configuration gives a machine; no name
// means the first one.
func configuredIdentity(cfg *config.Config, machine string) string {
	for _, m := range cfg.Machines {
		if machine == "" || m.Name == machine {
			return m.IdentityRef
		}
	}
	return ""
}

// promptSignature shows the text also with --quiet: nobody signs what they cannot see.
func (a *app) promptSignature(text string) (string, error) {
	_, _ = fmt.Fprintf(a.err, "Sign exactly the text between the lines (EIP-191, personal_sign) with the controller's key:\n────────\n%s\n────────\nSignature (0x…): ", text)
	line, err := bufio.NewReader(io.LimitReader(a.in, 4<<10)).ReadString('\n')
	if err != nil && strings.TrimSpace(line) == "" {
		return "", status.NewProblem(status.CodeNoSignature, "")
	}
	return line, nil
}
