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
		Short: "Replace the agent and its token, even if the token is lost",
		Long: `Enrolls a new agent, stores its token next to the old one, confirms it with a heartbeat
and revokes the old agent. Without a running runtime it stops at "pending" (exit code 9):
the agent switches with its next accepted heartbeat, and rotate run again revokes the old
agent. If the orchestrator rejects the new agent, that one is revoked and the old one
stays in use.

If the store cannot be unsealed or is damaged, it gets a new key and a new agent.

Without an API key on this device, enroll --grant --force stores a new agent. Once the
previous one was revoked with agents revoke on another computer, --revoked completes the
rotation; it sends nothing.`,
		Example: `  sudo peaqos-agent rotate --api-key-file key
  sudo peaqos-agent rotate --revoked magt_…`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := a.load()
			if err != nil {
				return err
			}
			if err := a.trustConfig(cfg); err != nil {
				return err
			}
			if req.Revoked == "" {
				req.APIKey, err = a.apiKey(apiKeyFile)
			}
			if err != nil {
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
	f.StringVar(&apiKeyFile, "api-key-file", "", apiKeyUsage)
	f.StringVar(&req.Revoked, "revoked", "", "the previous agent's ID (magt_…), if it was revoked on another computer")
	f.StringVar(&req.Machine, "machine", "", machineUsage)
	f.StringVar(&req.MachineID, "machine-id", "", "the machine's ID, if neither store nor configuration names it")
	f.StringVar(&req.IdentityRef, "identity-ref", "", "the machine's identity (did:peaq:NUMBER), if neither store nor configuration names it")
	f.BoolVar(&req.ReplaceLostKey, "replace-lost-key", false, lostKeyUsage)
	return cmd
}

func (a *app) showRotated(r agent.RotateResult) error {
	if a.json {
		r.Revoked, r.OtherAgents, r.Unknown = list(r.Revoked), list(r.OtherAgents), list(r.Unknown)
		return a.result(r)
	}
	var b strings.Builder
	switch {
	case r.Pending:
		fmt.Fprintf(&b, "Pending: the new agent is stored, no heartbeat accepted yet\n  New agent: %s\n", r.PendingAgentID)
	case r.Changed:
		b.WriteString("Rotated\n")
	default:
		b.WriteString("Nothing changed\n")
	}
	b.WriteString(describeAgent(r.MachineID, r.IdentityRef, r.AgentID, r.Live, r.Reason, r.LeaseExpiresAt))
	for _, id := range r.Revoked {
		fmt.Fprintf(&b, "  Revoked:   %s\n", id)
	}
	for _, id := range r.Unknown {
		fmt.Fprintf(&b, "  Still active: %s. The previous agent's ID is unknown; if this is it, run\n"+
			"    peaqos-agent agents revoke %[1]s --machine-id %[2]s --api-key-file FILE\n", id, r.MachineID)
	}
	b.WriteString(describeOthers(r.MachineID, r.OtherAgents))
	if r.Pending {
		b.WriteString("  Next:      start the runtime, then run peaqos-agent rotate again\n")
	}
	_, err := fmt.Fprint(a.out, b.String())
	return err
}
