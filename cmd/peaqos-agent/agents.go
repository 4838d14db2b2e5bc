package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/peaqnetwork/peaqos-agent/agent"
	"github.com/peaqnetwork/peaqos-agent/agent/config"
	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/sdk"
)

// agentsFlags select the account and the machine whose agents are meant.
type agentsFlags struct {
	apiKeyFile, machineID, identityRef string
}

func (f *agentsFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.apiKeyFile, "api-key-file", "", apiKeyUsage)
	cmd.Flags().StringVar(&f.machineID, "machine-id", "", "the machine's ID on the orchestrator (mach_…); default: the configured machine")
	cmd.Flags().StringVar(&f.identityRef, "identity-ref", "", "the machine's identity (did:peaq:NUMBER), instead of its ID")
}

func (a *app) agentsCmd() *cobra.Command {
	return group("agents", "List and revoke a machine's agents, from any computer", a.agentsListCmd(), a.agentsRevokeCmd())
}

func (a *app) agentsListCmd() *cobra.Command {
	var flags agentsFlags
	cmd := &cobra.Command{
		Use: "list", SuggestFor: []string{"ls", "show"},
		Short:   "List the agents that were enrolled for a machine",
		Example: "  peaqos-agent agents list --orchestrator-url https://HOST --machine-id mach_… --api-key-file key",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			api, machine, err := a.account(cmd.Context(), flags)
			if err != nil {
				return err
			}
			agents, err := agent.ListAgents(cmd.Context(), api, machine)
			if err != nil {
				return err
			}
			return a.showAgents(agents)
		},
	}
	flags.add(cmd)
	return cmd
}

func (a *app) agentsRevokeCmd() *cobra.Command {
	var flags agentsFlags
	cmd := &cobra.Command{
		Use:     "revoke AGENT",
		Short:   "Permanently revoke an agent; its heartbeats are refused from then on",
		Example: "  peaqos-agent agents revoke magt_… --orchestrator-url https://HOST --machine-id mach_… --api-key-file key",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if fault := config.IDFault(args[0]); fault != "" {
				return usageProblem("the agent's ID is not valid", "give an ID that peaqos-agent agents list shows (magt_…)")
			}
			api, machine, err := a.account(cmd.Context(), flags)
			if err != nil {
				return err
			}
			return a.revokeAgent(cmd.Context(), api, machine, args[0])
		},
	}
	flags.add(cmd)
	return cmd
}

// account returns a client with the API key, and the ID of the machine that the flags
// or else the configuration name. It does not open the store.
func (a *app) account(ctx context.Context, flags agentsFlags) (*sdk.Client, string, error) {
	if fault := config.IDFault(flags.machineID); flags.machineID != "" && fault != "" {
		return nil, "", usageProblem("--machine-id "+fault, "give the ID that status shows (mach_…)")
	}
	cfg, err := a.read()
	if err != nil {
		return nil, "", err
	}
	if err := a.trustConfig(cfg); err != nil {
		return nil, "", err
	}
	key, err := a.apiKey(flags.apiKeyFile)
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
	machineID, identityRef := flags.machineID, flags.identityRef
	if machineID == "" && identityRef == "" && len(cfg.Machines) == 1 {
		machineID, identityRef = cfg.Machines[0].ID, cfg.Machines[0].IdentityRef
	}
	if machineID == "" {
		machineID, err = agent.FindMachine(ctx, api, identityRef)
	}
	return api, machineID, err
}

// agentRow is one agent as agents list prints it.
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
		r := agentRow{
			ID: m.ID, MachineID: m.MachineID, Label: m.Label, Status: string(m.Status),
			AllowedProviderKeys: append([]string{}, m.AllowedProviderKeys...), CreatedAt: m.CreatedAt, UpdatedAt: m.UpdatedAt,
		}
		if m.LastSeenAt != "" {
			r.LastSeenAt = &m.LastSeenAt
		}
		rows = append(rows, r)
	}
	if a.json {
		return a.list(rows)
	}
	for _, r := range rows {
		seen := "—"
		if r.LastSeenAt != nil {
			seen = *r.LastSeenAt
		}
		if _, err := fmt.Fprintf(a.out, "%-28s %-10s last seen %-26s %s\n",
			status.Sanitize(r.ID), status.Sanitize(r.Status), status.Sanitize(seen), status.Sanitize(r.Label)); err != nil {
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
