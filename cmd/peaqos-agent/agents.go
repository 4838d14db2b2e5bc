package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/peaqnetwork/peaqos-agent/agent"
	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/sdk"
)

func (a *app) agentsCmd() *cobra.Command {
	var machineID, identityRef, apiKeyFile string
	list := &cobra.Command{Use: "list", Short: "List the agents that were enrolled for a machine", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		api, machine, err := a.account(cmd.Context(), apiKeyFile, machineID, identityRef)
		if err != nil {
			return err
		}
		agents, err := api.MachineAgents.List(cmd.Context(), machine)
		if err != nil {
			return err
		}
		return a.showAgents(agents)
	}}
	revoke := &cobra.Command{
		Use: "revoke AGENT", Short: "Revoke an agent for good: its next beats are refused", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			api, machine, err := a.account(cmd.Context(), apiKeyFile, machineID, identityRef)
			if err != nil {
				return err
			}
			return a.revokeAgent(cmd.Context(), api, machine, args[0])
		},
	}
	for _, c := range []*cobra.Command{list, revoke} {
		f := c.Flags()
		f.StringVar(&apiKeyFile, "api-key-file", "", "file with the platform API key, - for standard input")
		f.StringVar(&machineID, "machine-id", "", "the machine's id on the orchestrator (mach_…); default: the configured machine")
		f.StringVar(&identityRef, "identity-ref", "", "the machine's identity, did:peaq:NUMBER, instead of its id")
		f.BoolVar(&a.json, "json", false, "print as JSON")
	}
	return group("agents", "List and revoke a machine's agents, from any computer", list, revoke)
}

// account is a client with the API key, and the machine that is meant: by flag, or
// the configured one. It needs no store.
func (a *app) account(ctx context.Context, apiKeyFile, machineID, identityRef string) (*sdk.Client, string, error) {
	cfg, err := a.read()
	if err != nil {
		return nil, "", err
	}
	key, err := a.apiKey(apiKeyFile)
	if err != nil {
		return nil, "", err
	}
	if key.IsZero() {
		return nil, "", status.NewProblem(status.CodeAPIKeyMissing, "")
	}
	api, err := agent.NewClient(cfg, version, key)
	if err != nil {
		return nil, "", err
	}
	if machineID == "" && identityRef == "" && len(cfg.Machines) == 1 {
		machineID, identityRef = cfg.Machines[0].ID, cfg.Machines[0].IdentityRef
	}
	if machineID == "" {
		machineID, err = agent.FindMachine(ctx, api, identityRef)
	}
	return api, machineID, err
}

// agentRow is one agent as printed.
type agentRow struct {
	ID                  string   `json:"id"`
	MachineID           string   `json:"machine_id"`
	Label               string   `json:"label"`
	Status              string   `json:"status"`
	AllowedProviderKeys []string `json:"allowed_provider_keys"`
	CreatedAt           string   `json:"created_at"`
	UpdatedAt           string   `json:"updated_at"`
	LastSeenAt          *string  `json:"last_seen_at"`
}

func (a *app) showAgents(agents []sdk.MachineAgent) error {
	rows := []agentRow{}
	for _, m := range agents {
		r := agentRow{m.ID, m.MachineID, m.Label, string(m.Status), append([]string{}, m.AllowedProviderKeys...), m.CreatedAt, m.UpdatedAt, nil}
		if m.LastSeenAt != "" {
			r.LastSeenAt = &m.LastSeenAt
		}
		rows = append(rows, r)
	}
	if a.json {
		return a.result(map[string]any{"items": rows, "next_cursor": nil})
	}
	for _, r := range rows {
		seen := "—"
		if r.LastSeenAt != nil {
			seen = *r.LastSeenAt
		}
		if _, err := fmt.Fprintf(a.out, "%-28s %-10s last seen %-26s %s\n", status.Sanitize(r.ID), status.Sanitize(r.Status), status.Sanitize(seen), status.Sanitize(r.Label)); err != nil {
			return err
		}
	}
	if len(rows) == 0 {
		_, err := fmt.Fprintln(a.out, "No agent was ever enrolled for this machine")
		return err
	}
	return nil
}

func (a *app) revokeAgent(ctx context.Context, api *sdk.Client, machine, id string) error {
	err := api.MachineAgents.Revoke(ctx, machine, id)
	var refused *sdk.APIError
	if errors.As(err, &refused) && refused.Code == sdk.CodeNotFound {
		return status.NewProblem(status.CodeAgentUnknown, fmt.Sprintf("machine %.100q has no agent %.100q", machine, id)).Wrap(err)
	}
	if err != nil {
		return err
	}
	if a.json {
		return a.result(map[string]any{"changed": true, "machine_id": machine, "agent_id": id, "status": string(sdk.AgentRevoked)})
	}
	_, err = fmt.Fprintf(a.out, "Revoked\n  Machine:  %s\n  Agent:    %s\n", machine, id)
	return err
}
