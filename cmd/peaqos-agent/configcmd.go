package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func (a *app) configCmd() *cobra.Command {
	cmd := &cobra.Command{Use: "config", Short: "Check or show the configuration"}
	check := &cobra.Command{Use: "check", Short: "Tell everything that is wrong with the configuration", Args: cobra.NoArgs, RunE: func(*cobra.Command, []string) error {
		cfg, err := a.load()
		if err != nil {
			return err
		}
		from := cfg.Path
		if from == "" {
			from = "environment and defaults"
		}
		_, err = fmt.Fprintf(a.out, "The configuration is good (%s)\n", from)
		return err
	}}
	origin := false
	show := &cobra.Command{Use: "show", Short: "Show the configuration as it counts", Args: cobra.NoArgs, RunE: func(*cobra.Command, []string) error {
		cfg, err := a.load()
		if err != nil {
			return err
		}
		_, err = fmt.Fprint(a.out, cfg.Show(origin))
		return err
	}}
	show.Flags().BoolVar(&origin, "origin", false, "say where each value comes from")
	cmd.AddCommand(check, show)
	return cmd
}
