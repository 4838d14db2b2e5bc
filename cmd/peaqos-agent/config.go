package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/peaqnetwork/peaqos-agent/agent"
	"github.com/peaqnetwork/peaqos-agent/agent/config"
	"github.com/peaqnetwork/peaqos-agent/agent/status"
)

func (a *app) configCmd() *cobra.Command {
	return group("config", "Check or show the configuration", a.configCheckCmd(), a.configShowCmd(), a.configSchemaCmd())
}

func (a *app) configCheckCmd() *cobra.Command {
	return &cobra.Command{
		Use: "check", SuggestFor: []string{"validate", "test", "lint"},
		Short: "Report every problem in the configuration",
		Long: `Reads the configuration as every other command does and reports every problem in
it, each with its file, line, column and key. It also opens the files that the
configuration names and warns about those that cannot be used now; secret files that
this user may not read are left out. A proxy variable that cannot be used is an error.
With --json, standard output has the problems and the warnings, and the exit code is
the same.`,
		Example: "  peaqos-agent config check --config config.yaml",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if a.json {
				return a.checkAsJSON(cmd.Context())
			}
			cfg, err := a.load()
			if err != nil {
				return err
			}
			warnings, err := agent.CheckEnvironment(cfg)
			for _, w := range warnings {
				a.progress("warning: " + w)
			}
			if err != nil {
				return err
			}
			for _, w := range allowListWarnings(cmd.Context(), cfg) {
				a.progress("warning: " + w)
			}
			if cfg.Path == "" {
				_, err = fmt.Fprintf(a.out, "Configuration OK: environment and defaults only; %s\n", noConfigFile())
			} else {
				_, err = fmt.Fprintf(a.out, "Configuration OK (%s)\n", cfg.Path)
			}
			return err
		},
	}
}

// allowListWarnings compares the endpoints with what the store was enrolled for. A store
// that this user may not read, or that does not exist, gives no warnings.
func allowListWarnings(ctx context.Context, cfg *config.Config) []string {
	if _, err := os.Stat(filepath.Join(cfg.Keystore.Dir, "keystore")); err != nil {
		return nil
	}
	ids, err := withOwner(ctx, cfg, func(o owner) ([]agent.Identity, error) { return o.Identities(ctx) })
	if err != nil {
		return nil
	}
	return agent.AllowListWarnings(cfg, ids)
}

// noConfigFile is the remark on a configuration that was read without a file.
func noConfigFile() string {
	return "no configuration file was found (looked at " + config.DefaultPath + ")"
}

// configCheck is what config check --json prints.
type configCheck struct {
	OK       bool             `json:"ok"`       // there is no problem
	Problems []config.Problem `json:"problems"` // sorted by place
	Warnings []string         `json:"warnings"`
}

// checkAsJSON prints the result of the check on standard output and exits with
// the code of a bad configuration if there is a problem.
func (a *app) checkAsJSON(ctx context.Context) error {
	check := configCheck{Problems: []config.Problem{}, Warnings: []string{}}
	cfg, err := a.read()
	var bad *config.Error
	switch {
	case errors.As(err, &bad):
		check.Problems, check.Warnings = bad.Problems, append(check.Warnings, bad.Warnings...)
	case err != nil:
		return err
	default:
		warnings, err := agent.CheckEnvironment(cfg)
		if err != nil {
			return err
		}
		check.OK, check.Warnings = true, append(append(check.Warnings, cfg.Warnings...), warnings...)
		check.Warnings = append(check.Warnings, allowListWarnings(ctx, cfg)...)
		if cfg.Path == "" {
			check.Warnings = append(check.Warnings, noConfigFile())
		}
	}
	if err := a.result(check); err != nil {
		return err
	}
	if !check.OK {
		return exitError(status.ExitConfig)
	}
	return nil
}

func (a *app) configShowCmd() *cobra.Command {
	origin := false
	cmd := &cobra.Command{
		Use: "show", SuggestFor: []string{"print", "dump", "get"},
		Short:   "Show the effective configuration",
		Example: "  peaqos-agent config show --origin",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if a.json && origin {
				return usageProblem("--origin cannot be combined with --json", "drop one of them")
			}
			cfg, err := a.load()
			switch {
			case err != nil:
				return err
			case a.json:
				return a.result(cfg.Values())
			}
			_, err = fmt.Fprint(a.out, cfg.Show(origin))
			return err
		},
	}
	cmd.Flags().BoolVar(&origin, "origin", false, "show where each value comes from")
	return cmd
}

func (a *app) configSchemaCmd() *cobra.Command {
	return &cobra.Command{
		Use:     "schema",
		Short:   "List every key with its variable, default and meaning",
		Example: "  peaqos-agent config schema",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if a.json {
				return a.list(config.Schema())
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
}
