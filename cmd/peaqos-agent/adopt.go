package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/peaqnetwork/peaqos-agent/agent"
	"github.com/peaqnetwork/peaqos-agent/agent/config"
)

func (a *app) adoptCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "adopt",
		Short: "Leave quarantine: same machine, new hardware",
		Long: `Binds the store to the hardware it is on now. Use it when parts of this machine were
replaced. If this is a copy of another device, use reset-identity instead.`,
		Example: "  sudo peaqos-agent adopt",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := owned(cmd.Context(), a, func(_ *config.Config, o owner) (agent.AdoptResult, error) {
				return o.Adopt(cmd.Context(), a.progress)
			})
			switch {
			case err != nil:
				return err
			case a.json:
				return a.result(r)
			case !r.Changed:
				_, err = fmt.Fprintln(a.out, "The store belongs to this host; nothing changed")
			default:
				_, err = fmt.Fprintf(a.out, "Adopted\n  New:  %s\n", strings.Join(r.Differs, ", "))
			}
			return err
		},
	}
}
