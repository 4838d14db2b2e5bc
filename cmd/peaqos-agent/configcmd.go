package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/peaqnetwork/peaqos-agent/agent/config"
)

func (a *app) configCmd() *cobra.Command {
	return group("config", "Check or show the configuration", a.configCheckCmd(), a.configShowCmd(), a.configSchemaCmd())
}

func (a *app) configCheckCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Report every problem in the configuration",
		Long: `Reads the configuration as every other command does and reports every problem in
it, each with its file, line, column and key. It needs no privileges: secret files
are not opened.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			cfg, err := a.load()
			if err != nil {
				return err
			}
			if cfg.Path == "" {
				_, err = fmt.Fprintf(a.out, "Configuration OK: environment and defaults only; %s\n", noConfigFile())
			} else {
				_, err = fmt.Fprintf(a.out, "Configuration OK (%s)\n", cfg.Path)
			}
			return err
		},
	}
	return cmd
}

// noConfigFile is the remark on a configuration that was read without a file.
func noConfigFile() string {
	return "no configuration file was found (looked at " + config.DefaultPath + ")"
}

func (a *app) configShowCmd() *cobra.Command {
	origin := false
	cmd := &cobra.Command{
		Use: "show", Short: "Show the effective configuration", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			cfg, err := a.load()
			if err != nil {
				return err
			}
			_, err = fmt.Fprint(a.out, cfg.Show(origin))
			return err
		},
	}
	cmd.Flags().BoolVar(&origin, "origin", false, "show where each value comes from")
	return cmd
}

func (a *app) configSchemaCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use: "schema", Short: "List every key with its variable, default and meaning", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if a.json {
				return a.result(map[string]any{"items": config.Schema(), "next_cursor": nil})
			}
			for _, k := range config.Schema() {
				doc := strings.ReplaceAll(k.Doc, "\n", "\n  ")
				if _, err := fmt.Fprintf(a.out, "%s\n  Variable:  %s\n  Default:   %s\n  %s\n\n", k.Path, k.Env, k.Default, doc); err != nil {
					return err
				}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&a.json, "json", false, "print as JSON")
	return cmd
}
