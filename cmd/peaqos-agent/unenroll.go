package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/peaqnetwork/peaqos-agent/agent"
)

func (a *app) unenrollCmd() *cobra.Command {
	var req agent.LeaveRequest
	var apiKeyFile string
	cmd := &cobra.Command{
		Use: "unenroll", SuggestFor: []string{"leave", "logout", "remove"},
		Short: "Revoke this machine's agent and delete its token",
		Long: `Revokes the agent with the API key, then deletes the token. The machine's registration
and a stored controller key are kept. --local-only sends nothing and prints the command
that revokes the agent later, from any computer.`,
		Example: `  sudo peaqos-agent unenroll --api-key-file key
  sudo peaqos-agent unenroll --local-only`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			if !req.LocalOnly {
				if req.APIKey, err = a.apiKey(apiKeyFile); err != nil {
					return err
				}
			}
			cfg, err := a.read()
			if err != nil {
				return err
			}
			if !req.APIKey.IsZero() {
				if err := a.trustConfig(cfg); err != nil {
					return err
				}
			}
			nothing := agent.LeaveResult{Revoked: []string{}, LeftBehind: []agent.LeftBehind{}}
			r, err := ifStored(cmd.Context(), cfg, nothing, func(o owner) (agent.LeaveResult, error) {
				return o.Unenroll(cmd.Context(), req, a.progress)
			})
			if err != nil {
				return err
			}
			title := "Unenrolled"
			if !r.Changed {
				title = "Not enrolled; nothing changed"
			}
			return a.showLeft(title, r)
		},
	}
	f := cmd.Flags()
	f.StringVar(&apiKeyFile, "api-key-file", "", apiKeyUsage)
	f.StringVar(&req.Machine, "machine", "", machineUsage)
	f.BoolVar(&req.LocalOnly, "local-only", false, "delete the token locally, do not revoke")
	f.BoolVar(&req.ReplaceLostKey, "replace-lost-key", false, lostKeyUsage)
	return cmd
}

// showLeft prints the result of unenroll or reset-identity, with the commands that
// revoke the agents which may still be active.
func (a *app) showLeft(title string, r agent.LeaveResult) error {
	if a.json {
		return a.result(r)
	}
	var b strings.Builder
	b.WriteString(title + "\n")
	for _, id := range r.Revoked {
		fmt.Fprintf(&b, "  Revoked:     %s\n", id)
	}
	b.WriteString(describeLeftBehind(r.LeftBehind))
	if r.ControllerKeyOnDevice {
		b.WriteString("  Controller:  its key is still on this device\n")
	}
	_, err := fmt.Fprint(a.out, b.String())
	return err
}

// describeLeftBehind lists agents that were not revoked, each with the command that
// finds or revokes it.
func describeLeftBehind(left []agent.LeftBehind) string {
	var b strings.Builder
	for _, l := range left {
		if l.AgentID == "" {
			fmt.Fprintf(&b, "  Possibly still active: %s of %s; find it with\n    %s\n",
				l.Label, l.MachineID, agentsCommand("list", l.Orchestrator, l.MachineID))
			continue
		}
		fmt.Fprintf(&b, "  Possibly still active: %s of %s; revoke it with\n    %s\n",
			l.AgentID, l.MachineID, agentsCommand("revoke "+l.AgentID, l.Orchestrator, l.MachineID))
	}
	return b.String()
}

// agentsCommand is a command line of agents that works on any computer.
func agentsCommand(subcommand, orchestrator, machineID string) string {
	return fmt.Sprintf("peaqos-agent agents %s --orchestrator-url %s --machine-id %s --api-key-file FILE", subcommand, orchestrator, machineID)
}
