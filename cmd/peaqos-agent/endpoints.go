package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/peaqnetwork/peaqos-agent/agent"
	"github.com/peaqnetwork/peaqos-agent/agent/config"
	"github.com/peaqnetwork/peaqos-agent/agent/status"
)

func (a *app) endpointsCmd() *cobra.Command {
	list := &cobra.Command{
		Use:     "list",
		Short:   "List the configured endpoints",
		Example: "  peaqos-agent endpoints list",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := a.load()
			if err != nil {
				return err
			}
			return a.showEndpoints(cmd.Context(), cfg, nil)
		},
	}
	check := &cobra.Command{
		Use: "check", SuggestFor: []string{"probe", "test"},
		Short: "Probe every endpoint once, as the agent does",
		Long: `Probes every configured endpoint once, as the agent does, and prints the results. The
exit code is 2 if any endpoint is down.`,
		Example: "  peaqos-agent endpoints check --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := a.load()
			if err != nil {
				return err
			}
			return a.showEndpoints(cmd.Context(), cfg, agent.CheckEndpoint)
		},
	}
	return group("endpoints", "List and probe the runtimes on this machine", list, check)
}

// endpointRow is one endpoint as endpoints list and check print it.
type endpointRow struct {
	Machine     string  `json:"machine"`
	ProviderKey string  `json:"provider_key"`
	BaseURL     string  `json:"base_url"`
	Scope       string  `json:"network_scope"`
	Up          *bool   `json:"up,omitempty"`
	Fault       string  `json:"fault,omitempty"`
	Seconds     float64 `json:"seconds,omitempty"`
}

// showEndpoints prints all endpoints, with the results of probe unless it is nil. If
// one of them is down the exit code is 2.
func (a *app) showEndpoints(ctx context.Context, cfg *config.Config, probe func(context.Context, config.Endpoint) agent.Finding) error {
	rows := []endpointRow{}
	allUp := true
	if probe != nil && !slices.ContainsFunc(cfg.Machines, func(m config.Machine) bool { return len(m.Endpoints) > 0 }) {
		where := "in " + cfg.Path
		if cfg.Path == "" {
			where = noConfigFile()
		}
		return status.NewProblem(status.CodeNoEndpoint, where)
	}
	for _, m := range cfg.Machines {
		for _, e := range m.Endpoints {
			row := endpointRow{Machine: m.Name, ProviderKey: e.ProviderKey, BaseURL: e.BaseURL, Scope: e.NetworkScope}
			if probe != nil {
				f := probe(ctx, e)
				row.Up, row.Fault, row.Seconds = &f.Up, f.Fault, f.Took.Seconds()
				allUp = allUp && f.Up
			}
			rows = append(rows, row)
		}
	}
	if a.json {
		if err := a.list(rows); err != nil {
			return err
		}
	} else {
		for _, r := range rows {
			_, _ = fmt.Fprintf(a.out, "%-10s %-16s %-32s %-9s %s\n", r.Machine, r.ProviderKey, r.BaseURL, r.Scope, r.probeText())
		}
	}
	if !allUp {
		return exitError(status.ExitNetwork)
	}
	return nil
}

// probeText is the result of the probe, empty if there was none.
func (r endpointRow) probeText() string {
	switch {
	case r.Up == nil:
		return ""
	case *r.Up:
		return fmt.Sprintf("up (%.0f ms)", r.Seconds*1000)
	}
	return "down: " + r.Fault
}
