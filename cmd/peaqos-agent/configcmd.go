package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/peaqnetwork/peaqos-agent/agent/config"
)

func (a *app) configCmd() *cobra.Command {
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
	schema := &cobra.Command{Use: "schema", Short: "List every key, its variable, default and meaning", Args: cobra.NoArgs, RunE: func(*cobra.Command, []string) error {
		if a.json {
			return a.result(map[string]any{"items": config.Schema(), "next_cursor": nil})
		}
		for _, k := range config.Schema() {
			if _, err := fmt.Fprintf(a.out, "%s\n  Variable:  %s\n  Default:   %s\n  %s\n\n", k.Path, k.Env, k.Default, strings.ReplaceAll(k.Doc, "\n", "\n  ")); err != nil {
				return err
			}
		}
		return nil
	}}
	schema.Flags().BoolVar(&a.json, "json", false, "print as JSON")
	return group("config", "Check or show the configuration", check, show, schema)
}
