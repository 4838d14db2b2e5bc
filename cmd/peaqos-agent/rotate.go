package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/peaqnetwork/peaqos-agent/agent"
	"github.com/peaqnetwork/peaqos-agent/agent/status"
)

func (a *app) rotateCmd() *cobra.Command {
	var req agent.RotateRequest
	var apiKeyFile string
	cmd := &cobra.Command{
		Use:   "rotate",
		Short: "Replace the agent and its token, also when the token is lost",
		Long: `Enrolls a new agent, stores its token beside the old one, proves it by a beat, and
revokes the old agent. With no runtime up it stops at "pending: not yet proven": the
running agent proves the new one at the first chance, and rotate run again revokes the
old one. A new agent that the orchestrator refuses is revoked, and the old one stays.

A store that cannot be unsealed or is damaged gets a new key and a new agent.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := a.load()
			if err != nil {
				return err
			}
			if req.APIKey, err = a.apiKey(apiKeyFile); err != nil {
				return err
			}
			result, err := withOwner(cmd.Context(), cfg, func(o owner) (agent.RotateResult, error) {
				return o.Rotate(cmd.Context(), req, a.progress)
			})
			if err != nil {
				return err
			}
			if err := a.showRotated(result); err != nil {
				return err
			}
			if result.Pending {
				return exitError(status.ExitPending)
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&apiKeyFile, "api-key-file", "", "file with the platform API key, - for standard input")
	f.StringVar(&req.Machine, "machine", "", "which configured machine, when there are several")
	f.StringVar(&req.MachineID, "machine-id", "", "the machine's id, when neither store nor configuration tells")
	f.StringVar(&req.IdentityRef, "identity-ref", "", "the machine's identity (did:peaq:NUMBER), when neither store nor configuration tells")
	f.BoolVar(&req.ReplaceLostKey, "replace-lost-key", false, "give a store whose key is lost a new one, although the controller key or another machine needs the old one")
	f.BoolVar(&a.json, "json", false, "print the result as JSON")
	return cmd
}

func (a *app) showRotated(r agent.RotateResult) error {
	if a.json {
		return a.result(r)
	}
	var b strings.Builder
	switch {
	case r.Pending:
		fmt.Fprintf(&b, "Pending: the new agent is stored and not yet proven\n  New agent: %s\n", r.PendingAgentID)
	case r.Changed:
		b.WriteString("Rotated\n")
	default:
		b.WriteString("Nothing changed\n")
	}
	b.WriteString(whoLives(r.MachineID, r.IdentityRef, r.AgentID, r.Live, r.Reason, r.LeaseExpiresAt))
	for _, id := range r.Revoked {
		fmt.Fprintf(&b, "  Revoked:   %s\n", id)
	}
	for _, id := range r.Unknown {
		fmt.Fprintf(&b, "  Lives, too: %s; the former agent's name is lost: if it is this one, run\n    peaqos-agent agents revoke %[1]s --machine-id %[2]s --api-key-file FILE\n", id, r.MachineID)
	}
	if r.Pending {
		b.WriteString("  Next:      start the runtime, then run peaqos-agent rotate again\n")
	}
	_, err := fmt.Fprint(a.out, b.String())
	return err
}
