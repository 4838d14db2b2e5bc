package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/peaqnetwork/peaqos-agent/agent/config"
	"github.com/peaqnetwork/peaqos-agent/agent/status"
)

// streams are what a command reads from and writes to.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// app is what every command shares: the streams, the environment and the values of
// the global flags. One app runs one command line.
type app struct {
	streams
	env     []string
	program string // how this program was started, for commands that are printed
	args    []string
	config  string
	dir     string
	url     string
	json    bool
	quiet   bool

	interrupted <-chan struct{} // closed when the command is interrupted

	volatile  bool  // accept a store in memory
	stdinRead bool  // a secret was read from standard input
	parsed    bool  // the command line is valid: errors from here on are not usage errors
	unknown   error // --help was asked of a command that does not exist
}

// exitError ends a command with an exit code when the result that it printed already
// explains it.
type exitError status.Exit

func (e exitError) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// execute runs one command line and returns its exit code. Tests call it as well.
func execute(ctx context.Context, s streams, args, env []string) int {
	return (&app{streams: s, env: env}).execute(ctx, args)
}

func (a *app) execute(ctx context.Context, args []string) int {
	harden()
	s := a.streams
	a.args, a.interrupted = args, ctx.Done()
	root := a.root()
	if completes(args) {
		completeValues(root, a.knownValues()) // no other command needs them, and the daemon would keep them
	}
	a.json = wantsJSON(args)
	root.SetArgs(args)
	root.SetIn(s.in)
	root.SetOut(s.out)
	root.SetErr(s.err)
	cmd, err := root.ExecuteContextC(ctx)
	var code exitError
	switch {
	case err == nil && a.unknown != nil:
		err = a.unknown
	case err == nil:
		return int(status.ExitOK)
	case errors.As(err, &code):
		return int(code)
	case !a.parsed:
		err = commandLineProblem(cmd, err)
	}
	return a.fail(err)
}

// wantsJSON reports whether --json is anywhere on the command line, so that an error
// is JSON even if the line cannot be parsed.
func wantsJSON(args []string) bool {
	if end := slices.Index(args, "--"); end >= 0 {
		args = args[:end]
	}
	return slices.Contains(args, "--json") || slices.Contains(args, "--json=true")
}

// The groups of commands in the help of the root command.
const (
	onDevice   = "device"
	onOperator = "operator"
	tryingOut  = "trying"
	otherGroup = "other"
)

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "peaqos-agent",
		Short: "Enroll this machine with a peaqOS orchestrator and keep it online",
		Long: `Enrolls this machine with a peaqOS orchestrator and keeps it online: the daemon probes
the runtimes on this machine, publishes those that answer and renews their leases with
heartbeats. The one-time agent token is stored durably and never leaves this device
except to the orchestrator that issued it.`,
		Example: `  peaqos-agent demo
  sudo peaqos-agent enroll --identity-ref did:peaq:42 --controller-key-file ctl.hex --api-key-file key
  peaqos-agent status`,
		Version:       versionText(),
		SilenceErrors: true, SilenceUsage: true,
		SuggestionsMinimumDistance: suggestionDistance,
		CompletionOptions:          cobra.CompletionOptions{DisableDefaultCmd: true}, // completionCmd is ours
	}
	root.SetHelpCommand(helpCmd())
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error {
		if err := cmd.ValidateFlagGroups(); err != nil {
			return err
		}
		a.parsed = true
		return nil
	}
	root.SetVersionTemplate("peaqos-agent {{.Version}}\n")
	f := root.PersistentFlags()
	f.StringVar(&a.config, "config", "", "configuration file (default "+config.DefaultPath+" if it exists)")
	f.StringVar(&a.url, "orchestrator-url", "", "base URL of the orchestrator (overrides orchestrator.url)")
	f.StringVar(&a.dir, "keystore-dir", "", "state directory (overrides keystore.dir)")
	f.BoolVar(&a.volatile, "volatile", false, "accept a store in memory, which is lost at a restart (sets keystore.volatile)")
	f.BoolVar(&a.json, "json", false, "print results and errors as JSON")
	f.BoolVarP(&a.quiet, "quiet", "q", false, "print only results and errors")

	a.addCommands(root)
	help := root.HelpFunc()
	root.SetHelpFunc(func(cmd *cobra.Command, args []string) {
		if cmd.HasSubCommands() && cmd.Flags().NArg() > 0 { // agents frobnicate --help
			a.unknown = commandLineProblem(cmd, errors.New("unknown command"))
			return
		}
		help(cmd, args)
		footer := "\nExit codes, environment variables: peaqos-agent --help\n"
		if cmd == root {
			footer = fmt.Sprintf("\nExit codes:\n%s\nEnvironment:\n%s\nConfiguration: %s\n", exitTable(), environmentTable(), config.DefaultPath)
		}
		_, _ = fmt.Fprint(cmd.OutOrStdout(), footer)
	})
	return root
}

// addCommands adds every command to the group in which the help lists it.
func (a *app) addCommands(root *cobra.Command) {
	for _, g := range []struct {
		id, title string
		commands  []*cobra.Command
	}{
		{onDevice, "On the device:", []*cobra.Command{
			a.enrollCmd(), a.runCmd(), a.statusCmd(), a.doctorCmd(), a.reloadCmd(), a.rotateCmd(), a.unenrollCmd(), a.adoptCmd(), a.resetIdentityCmd(),
			a.identityCmd(), a.endpointsCmd(), a.presenceCmd(), a.configCmd(), a.serviceCmd(),
		}},
		{onOperator, "On the operator's computer (enroll --grant-out also runs there):", []*cobra.Command{a.machinesCmd(), a.agentsCmd()}},
		{tryingOut, "Trying it out:", []*cobra.Command{a.demoCmd(), a.sandboxCmd()}},
		{otherGroup, "Other:", []*cobra.Command{a.versionCmd(), a.completionCmd(), a.manCmd()}},
	} {
		root.AddGroup(&cobra.Group{ID: g.id, Title: g.title})
		for _, c := range g.commands {
			c.GroupID = g.id
		}
		root.AddCommand(g.commands...)
	}
	root.SetHelpCommandGroupID(otherGroup)
}

// suggestionDistance is how many letters of a command may be wrong for it to be suggested.
const suggestionDistance = 2

// exitTable lists every exit code, one a line.
func exitTable() string {
	var b strings.Builder
	for _, e := range status.Exits() {
		fmt.Fprintf(&b, "  %3d  %s\n", e.Exit, e.Meaning)
	}
	return b.String()
}

// environmentTable lists the environment variables that matter, one a line.
func environmentTable() string {
	return `  PEAQOS_AGENT_CONFIG       path of the configuration file, like --config
  PEAQOS_AGENT_…            any configuration key, over the file: see config schema
  PEAQOS_ORCHESTRATION_URL  orchestrator.url, if nothing else sets it
  PEAQOS_API_KEY_FILE       file with the platform API key (also PEAQOS_ORCH_API_KEY_FILE)
  PEAQOS_API_KEY            the key itself; other processes of this user can read it
  HTTPS_PROXY, HTTP_PROXY   proxy for requests to the orchestrator
  NO_PROXY                  hosts to reach without the proxy
`
}

// group returns a command that only holds subcommands. Run alone it prints its help;
// an unknown subcommand is an error.
func group(name, short string, commands ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use: name, Short: short, Args: cobra.NoArgs, DisableFlagsInUseLine: true, SuggestionsMinimumDistance: suggestionDistance,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(commands...)
	for _, c := range commands {
		if c.HasExample() {
			cmd.Example += c.Example + "\n"
		}
	}
	cmd.Example = strings.TrimRight(cmd.Example, "\n")
	return cmd
}

// usageProblem returns the problem of a flag or an argument that cannot be used as
// given.
func usageProblem(message, next string) *status.Problem {
	p := status.NewProblem(status.CodeUsage, "").Advise(next)
	p.Message = message
	return p
}

// load reads the configuration from the file, the environment and the global flags,
// and prints its warnings. A command that works with the machine configured here
// calls it once.
//
// To work with the store as well, use [owned], which reads the configuration without
// its warnings and finds the store's owner, or load followed by [withOwner].
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

// read is load without the warnings: for run, which logs them, and for commands that
// are not about the machine configured here.
func (a *app) read() (*config.Config, error) {
	return config.Load(config.Source{Path: a.config, Env: a.env, Flags: a.flags()})
}

// flags returns the configuration keys that were set on the command line.
func (a *app) flags() map[string]string {
	flags := map[string]string{}
	if a.volatile {
		flags["keystore.volatile"] = "true"
	}
	if a.dir != "" {
		flags["keystore.dir"] = a.dir
	}
	if a.url != "" {
		flags["orchestrator.url"] = a.url
	}
	return flags
}
