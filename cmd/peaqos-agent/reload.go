package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/peaqnetwork/peaqos-agent/agent"
	"github.com/peaqnetwork/peaqos-agent/agent/status"
)

func (a *app) reloadCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "reload",
		Short: "Reload the running agent's configuration",
		Long: `The running agent checks the whole configuration first and applies it completely or not
at all; SIGHUP does the same. A change that needs a restart (the orchestrator's address,
the state directory, the telemetry address, the set of machines) is rejected by name.`,
		Example: "  sudo peaqos-agent reload",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := a.load()
			if err != nil {
				return err
			}
			admin, err := agent.FindAdmin(cmd.Context(), cfg)
			if err != nil {
				return err
			}
			if admin == nil {
				return status.NewProblem(status.CodeNotRunning, cfg.Keystore.Dir)
			}
			stop := a.waiting("the running agent")
			result, err := admin.Reload(cmd.Context())
			stop()
			switch {
			case err != nil:
				return err
			case a.json:
				return a.result(newReloadReport(result))
			}
			for _, w := range result.Warnings {
				a.progress("warning: " + w)
			}
			switch {
			case len(result.Changed) == 0:
				_, err = fmt.Fprintln(a.out, "Reloaded: nothing has changed")
			default:
				_, err = fmt.Fprintf(a.out, "Reloaded\n  Changed:  %s\n", strings.Join(result.Changed, ", "))
			}
			return err
		},
	}
}

// reloadReport is what reload prints as JSON.
type reloadReport struct {
	Changed     bool     `json:"changed"`
	ChangedKeys []string `json:"changed_keys"` // of the configuration, sorted
	Warnings    []string `json:"warnings"`
}

func newReloadReport(r agent.ReloadResult) reloadReport {
	return reloadReport{len(r.Changed) > 0, list(r.Changed), list(r.Warnings)}
}
