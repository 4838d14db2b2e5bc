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
	return group("endpoints", "Find, list and probe the runtimes on this machine", list, check, a.discoverCmd())
}

// endpointRow is one endpoint as endpoints list and check print it.
type endpointRow struct {
	Machine     string  `json:"machine"`
	ProviderKey string  `json:"provider_key"`
	BaseURL     string  `json:"base_url"`
	Scope       string  `json:"network_scope"`
	Up          *bool   `json:"up"` // null: not probed
	Fault       string  `json:"fault"`
	Notice      string  `json:"notice"` // what an endpoint that is up seems to be instead
	Seconds     float64 `json:"probe_seconds"`
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
	if probe != nil {
		defer a.waiting("the endpoints")()
	}
	for _, m := range cfg.Machines {
		for _, e := range m.Endpoints {
			row := endpointRow{Machine: m.Name, ProviderKey: e.ProviderKey, BaseURL: e.BaseURL, Scope: e.NetworkScope}
			if probe != nil {
				f := probe(ctx, e)
				row.Up, row.Fault, row.Notice, row.Seconds = &f.Up, f.Fault, f.Notice, f.Took.Seconds()
				allUp = allUp && f.Up
			}
			rows = append(rows, row)
		}
	}
	if a.json {
		if err := a.list(rows); err != nil {
			return err
		}
	} else if len(rows) == 0 {
		_, _ = fmt.Fprintln(a.out, "No endpoint is configured")
	} else {
		table := [][]string{{"Machine", "Provider key", "Base URL", "Scope"}}
		if probe != nil {
			table[0] = append(table[0], "Local probe")
		}
		for _, r := range rows {
			table = append(table, append([]string{r.Machine, r.ProviderKey, r.BaseURL, r.Scope}, r.probeText()...))
		}
		if _, err := fmt.Fprint(a.out, status.Table(table, a.textOptions(false))); err != nil {
			return err
		}
	}
	if !allUp {
		return exitError(status.ExitNetwork)
	}
	return nil
}

// probeText is the result of the probe; nothing if there was none.
func (r endpointRow) probeText() []string {
	switch {
	case r.Up == nil:
		return nil
	case *r.Up && r.Notice != "":
		return []string{fmt.Sprintf("up (%.0f ms), but %s", r.Seconds*1000, r.Notice)}
	case *r.Up:
		return []string{fmt.Sprintf("up (%.0f ms)", r.Seconds*1000)}
	}
	return []string{"down: " + r.Fault}
}
