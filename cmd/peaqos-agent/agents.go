package main

import (
	"context"
	"errors"
	"fmt"
	"time"

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
	cmd.Flags().StringVar(&f.machineID, "machine-id", "", "the machine's ID on the orchestrator (mach_…); default: the configured or the enrolled machine")
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
			stop := a.waiting("the orchestrator")
			agents, err := agent.ListAgents(cmd.Context(), api, machine)
			stop()
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

// platform returns the configuration and a client with the API key. It does not open the
// store.
func (a *app) platform(apiKeyFile string) (*config.Config, *sdk.Client, error) {
	cfg, err := a.read()
	if err != nil {
		return nil, nil, err
	}
	if err := a.trustConfig(cfg); err != nil {
		return nil, nil, err
	}
	key, err := a.apiKey(apiKeyFile)
	if err != nil {
		return nil, nil, err
	}
	if key.IsZero() {
		return nil, nil, status.NewProblem(status.CodeAPIKeyMissing, "")
	}
	api, err := agent.NewClient(cfg, version, key)
	return cfg, api, err
}

// account returns a client with the API key, and the ID of the machine that the flags,
// the configuration or else the store names.
func (a *app) account(ctx context.Context, flags agentsFlags) (*sdk.Client, string, error) {
	if fault := config.IDFault(flags.machineID); flags.machineID != "" && fault != "" {
		return nil, "", usageProblem("--machine-id "+fault, "give the ID that status shows (mach_…)")
	}
	cfg, api, err := a.platform(flags.apiKeyFile)
	if err != nil {
		return nil, "", err
	}
	machineID, err := a.machineMeant(ctx, cfg, api, flags)
	return api, machineID, err
}

// machineMeant is the ID of the machine that the flags, the configuration or else the
// store names.
func (a *app) machineMeant(ctx context.Context, cfg *config.Config, api *sdk.Client, flags agentsFlags) (string, error) {
	machineID, identityRef := flags.machineID, flags.identityRef
	if machineID == "" && identityRef == "" && len(cfg.Machines) == 1 {
		machineID, identityRef = cfg.Machines[0].ID, cfg.Machines[0].IdentityRef
	}
	if machineID == "" && identityRef == "" {
		machineID = a.enrolledMachine(ctx, cfg)
	}
	if machineID == "" {
		defer a.waiting("the orchestrator")()
		return agent.FindMachine(ctx, api, identityRef)
	}
	return machineID, nil
}

// enrolledMachine returns the ID of the one machine that this device is enrolled as; ""
// if there is none, several, or this user may not know.
func (a *app) enrolledMachine(ctx context.Context, cfg *config.Config) string {
	view, err := a.fetchStatus(ctx, cfg)
	if ids := enrolledMachines(view); err == nil && len(ids) == 1 {
		return ids[0]
	}
	return ""
}

// agentRow is one agent as agents list prints it.
type agentRow struct {
	AgentID             string   `json:"agent_id"`
	MachineID           string   `json:"machine_id"`
	AgentLabel          string   `json:"agent_label"`
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
			AgentID: m.ID, MachineID: m.MachineID, AgentLabel: m.Label, Status: string(m.Status),
			AllowedProviderKeys: append([]string{}, m.AllowedProviderKeys...), CreatedAt: inSeconds(m.CreatedAt), UpdatedAt: inSeconds(m.UpdatedAt),
		}
		if m.LastSeenAt != "" {
			seen := inSeconds(m.LastSeenAt)
			r.LastSeenAt = &seen
		}
		rows = append(rows, r)
	}
	if a.json {
		return a.list(rows)
	}
	if len(rows) == 0 {
		_, err := fmt.Fprintln(a.out, "No agent was ever enrolled for this machine")
		return err
	}
	now := time.Now()
	table := [][]string{{"Agent id", "Status", "Last heartbeat", "Label"}}
	for _, r := range rows {
		table = append(table, []string{r.AgentID, r.Status, ago(r.LastSeenAt, now), r.AgentLabel})
	}
	_, err := fmt.Fprint(a.out, status.Table(table, a.textOptions(false)))
	return err
}

// inSeconds writes a time of the orchestrator as this program writes its own; one that
// cannot be read is left as it is.
func inSeconds(t string) string {
	at, err := time.Parse(time.RFC3339, t)
	if err != nil {
		return t
	}
	return at.UTC().Format(time.RFC3339)
}

// ago says how long ago a time of the orchestrator was, or the time itself if it cannot be
// read.
func ago(t *string, now time.Time) string {
	if t == nil {
		return "never"
	}
	at, err := time.Parse(time.RFC3339, *t)
	if err != nil {
		return *t
	}
	return status.FormatDuration(max(now.Sub(at), 0)) + " ago"
}

func (a *app) revokeAgent(ctx context.Context, api *sdk.Client, machine, id string) error {
	stop := a.waiting("the orchestrator")
	err := api.MachineAgents.Revoke(ctx, machine, id)
	stop()
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
