package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
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
	online := false
	cmd := &cobra.Command{
		Use: "check", SuggestFor: []string{"validate", "test", "lint"},
		Short: "Report every problem in the configuration",
		Long: `Reads the configuration as every other command does and reports every problem in
it, each with its file, line, column and key. It also opens the files that the
configuration names and warns about those that cannot be used now; secret files that
this user may not read are left out. A proxy variable that cannot be used is an error.
With --json, standard output has the problems and the warnings, and the exit code is
the same.

The files in conf.d beside the configuration file are read as well: each adds endpoints
to a machine. With --online, the orchestrator's health and every endpoint are requested
once, without any key but the endpoints' own; the exit code is 2 if one of them does
not respond.`,
		Example: `  peaqos-agent config check --config config.yaml
  sudo peaqos-agent config check --online`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if a.json {
				return a.checkAsJSON(cmd.Context(), online)
			}
			return a.checkAsText(cmd.Context(), online)
		},
	}
	cmd.Flags().BoolVar(&online, "online", false, "also request what the configuration names: the orchestrator and every endpoint")
	return cmd
}

func (a *app) checkAsText(ctx context.Context, online bool) error {
	cfg, err := a.read()
	if err != nil {
		return err
	}
	unusable, err := agent.CheckEnvironment(cfg)
	warnings := slices.Clone(cfg.Warnings)
	for _, w := range unusable {
		warnings = append(warnings, w.Message)
	}
	if err == nil {
		warnings = append(warnings, allowListWarnings(ctx, cfg)...)
	}
	for _, w := range warnings {
		if w != noConfigFile() { // the result says it
			a.progress("warning: " + w)
		}
	}
	if err != nil {
		return err
	}
	what := cfg.Path
	if cfg.Path == "" {
		what = "environment and defaults only"
	}
	if n := len(cfg.DropIns); n > 0 {
		what += " and " + counted(n, "drop-in")
	}
	if cfg.Path == "" {
		_, err = fmt.Fprintf(a.out, "Configuration OK: %s; %s\n", what, noConfigFile())
	} else {
		_, err = fmt.Fprintf(a.out, "Configuration OK (%s)\n", what)
	}
	if err != nil || !online {
		return err
	}
	answers := checkOnline(ctx, cfg)
	if _, err := fmt.Fprint(a.out, answers.text()); err != nil {
		return err
	}
	return answers.exit()
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
	return config.NoFileText(config.DefaultPath)
}

// configCheck is what config check --json prints.
type configCheck struct {
	OK       bool             `json:"ok"`       // there is no problem
	Problems []config.Problem `json:"problems"` // sorted by place
	Warnings []string         `json:"warnings"`
	Online   *onlineCheck     `json:"online,omitempty"` // with --online
}

// checkAsJSON prints the result of the check on standard output and exits with
// the code of a bad configuration if there is a problem.
func (a *app) checkAsJSON(ctx context.Context, online bool) error {
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
		check.OK, check.Warnings = true, append(check.Warnings, cfg.Warnings...)
		for _, w := range warnings {
			check.Warnings = append(check.Warnings, w.Message)
		}
		check.Warnings = append(check.Warnings, allowListWarnings(ctx, cfg)...)
		if cfg.Path == "" && !slices.Contains(check.Warnings, noConfigFile()) {
			check.Warnings = append(check.Warnings, noConfigFile())
		}
		if online {
			check.Online = checkOnline(ctx, cfg)
		}
	}
	if err := a.result(check); err != nil {
		return err
	}
	if !check.OK {
		return exitError(status.ExitConfig)
	}
	return check.Online.exit()
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
	format := ""
	cmd := &cobra.Command{
		Use:   "schema",
		Short: "List every key with its variable, default and meaning",
		Long: `Lists every key with its variable, default and meaning. With --format json-schema it
prints a JSON Schema (draft 7) of the file, with which editors complete and check it:

  peaqos-agent config schema --format json-schema > config.schema.json

and as the first line of the configuration file

  # yaml-language-server: $schema=config.schema.json`,
		Example: "  peaqos-agent config schema",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			switch {
			case format == "json-schema":
				return a.result(config.JSONSchema())
			case format != "":
				return usageProblem(fmt.Sprintf("%.40q is not a format", format), "give --format json-schema, or leave it out")
			case a.json:
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
	cmd.Flags().StringVar(&format, "format", "", "json-schema: a JSON Schema of the file")
	return cmd
}
