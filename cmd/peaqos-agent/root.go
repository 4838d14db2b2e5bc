package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/peaqnetwork/peaqos-agent/agent"
	"github.com/peaqnetwork/peaqos-agent/agent/config"
	"github.com/peaqnetwork/peaqos-agent/agent/status"
)

// streams are where a verb reads and writes.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// app is what every verb gets: the streams, the environment, the global flags.
type app struct {
	streams
	env    []string
	config string
	dir    string

	volatile bool
	url      string
	json     bool
	quiet    bool

	stdinRead bool // a secret was read from standard input
	begun     bool // the line was understood: what fails from now on is no misspelling
}

// exitError ends a verb with a code after it has said everything itself.
type exitError status.Exit

func (e exitError) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// execute runs one command line and returns its exit code; tests call it, too.
func execute(ctx context.Context, s streams, args, env []string) int {
	harden()
	a := &app{streams: s, env: env}
	root := a.root()
	root.SetArgs(args)
	root.SetIn(s.in)
	root.SetOut(s.out)
	root.SetErr(s.err)
	cmd, err := root.ExecuteContextC(ctx)
	var code exitError
	switch {
	case err == nil:
		return int(status.ExitOK)
	case errors.As(err, &code):
		return int(code)
	case !a.begun:
		err = misspelt(cmd, err)
	}
	return a.fail(err)
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:           "peaqos-agent",
		Short:         "Turn this machine into a live peaqOS machine, and keep it one",
		Version:       version,
		SilenceErrors: true, SilenceUsage: true,
	}
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error {
		if err := cmd.ValidateFlagGroups(); err != nil {
			return err
		}
		a.begun = true
		return nil
	}
	root.SetVersionTemplate("peaqos-agent {{.Version}}\n")
	f := root.PersistentFlags()
	f.StringVar(&a.config, "config", "", "configuration file (default "+config.DefaultPath+" if it exists)")
	f.StringVar(&a.url, "orchestrator-url", "", "the orchestrator's base URL, over orchestrator.url")
	f.BoolVar(&a.volatile, "volatile", false, "accept a store in memory, which is lost at a restart; as keystore.volatile")
	f.StringVar(&a.dir, "keystore-dir", "", "state directory, over keystore.dir")
	f.BoolVarP(&a.quiet, "quiet", "q", false, "say nothing but the result and errors")
	root.AddCommand(a.enrollCmd(), a.rotateCmd(), a.unenrollCmd(), a.adoptCmd(), a.resetIdentityCmd(), a.agentsCmd(), a.runCmd(), a.reloadCmd(), a.statusCmd(), a.identityCmd(), a.endpointsCmd(), a.configCmd(),
		a.serviceCmd(), a.sandboxCmd(), a.demoCmd(), a.versionCmd())
	return root
}

// group is a verb that only holds others: alone it explains them, and a word that
// is none of them is an error.
func group(name, short string, verbs ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use: name, Short: short, Args: cobra.NoArgs, DisableFlagsInUseLine: true,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(verbs...)
	return cmd
}

// misspelt is a command line that was not understood, with the way to its help.
func misspelt(cmd *cobra.Command, err error) error {
	p := usageProblem(strings.TrimSpace(err.Error()), "see "+cmd.CommandPath()+" --help").Wrap(err)
	if !cmd.HasSubCommands() {
		p.Detail = "usage: " + cmd.UseLine()
	}
	return p
}

// usageProblem is a flag or argument that cannot be used as given.
func usageProblem(message, next string) *status.Problem {
	p := status.NewProblem(status.CodeUsage, "").Advise(next)
	p.Message = message
	return p
}

// load reads the configuration as the global flags say.
func (a *app) load() (*config.Config, error) {
	cfg, err := a.read()
	if err != nil {
		return nil, err
	}
	for _, w := range cfg.Warnings {
		a.progress("warning: " + w)
	}
	return cfg, nil
}

// read is load without the warnings, for who has another way to say them, or has
// nothing to do with the machine that is configured here.
func (a *app) read() (*config.Config, error) {
	return config.Load(config.Source{Path: a.config, Env: a.env, Flags: a.flags()})
}

// progress is one line for a person; --quiet and --json hide it.
func (a *app) progress(line string) {
	if !a.quiet && !a.json {
		_, _ = fmt.Fprintln(a.err, line)
	}
}

// result prints a verb's result as JSON.
func (a *app) result(v any) error {
	enc := json.NewEncoder(a.out)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// fail says what is wrong and returns the exit code.
func (a *app) fail(err error) int {
	p := agent.Explain(err)
	if a.json {
		enc := json.NewEncoder(a.err)
		enc.SetIndent("", "  ")
		_ = enc.Encode(map[string]*status.Problem{"error": p})
		return int(p.Exit)
	}
	_, _ = fmt.Fprintf(a.err, "Error: %s\n", p.Message)
	for _, line := range []string{p.Detail, p.Next} {
		if line != "" {
			_, _ = fmt.Fprintf(a.err, "\n  %s\n", line)
		}
	}
	return int(p.Exit)
}

// isTerminal reports whether a stream is a person's terminal.
func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

func (a *app) versionCmd() *cobra.Command {
	return &cobra.Command{Use: "version", Short: "Print the version", Args: cobra.NoArgs, RunE: func(*cobra.Command, []string) error {
		_, err := fmt.Fprintf(a.out, "peaqos-agent %s\n", version)
		return err
	}}
}
