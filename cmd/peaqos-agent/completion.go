package main

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/peaqnetwork/peaqos-agent/agent/config"
	"github.com/peaqnetwork/peaqos-agent/sdk/sandbox"
)

func (a *app) completionCmd() *cobra.Command {
	shells := []string{"bash", "zsh", "fish"}
	return &cobra.Command{
		Use:   "completion SHELL",
		Short: "Print the completion script of bash, zsh or fish",
		Long: `Prints a script that makes the shell complete commands, flags and their values. Packages
install it. Without one, bash reads it from /etc/bash_completion.d/peaqos-agent (it needs
bash-completion), zsh from a file _peaqos-agent in a directory of $fpath, and fish from
~/.config/fish/completions/peaqos-agent.fish.`,
		Example: `  peaqos-agent completion bash | sudo tee /etc/bash_completion.d/peaqos-agent
  peaqos-agent completion zsh > "${fpath[1]}/_peaqos-agent"`,
		Args:      cobra.ExactArgs(1),
		ValidArgs: shells,
		RunE: func(cmd *cobra.Command, args []string) error {
			script, err := completionScript(cmd.Root(), args[0])
			if err != nil {
				return err
			}
			if a.json {
				return a.result(map[string]string{"shell": args[0], "script": script})
			}
			_, err = fmt.Fprint(a.out, script)
			return err
		},
	}
}

func completionScript(root *cobra.Command, shell string) (string, error) {
	var b bytes.Buffer
	var err error
	switch shell {
	case "bash":
		err = root.GenBashCompletionV2(&b, true)
	case "zsh":
		err = root.GenZshCompletion(&b)
	case "fish":
		err = root.GenFishCompletion(&b, true)
	default:
		return "", usageProblem(fmt.Sprintf("there is no completion for the shell %.40q", shell), "give bash, zsh or fish")
	}
	return b.String(), err
}

// completes reports whether a command line is the shell's request for completions.
func completes(args []string) bool {
	return len(args) > 0 && (args[0] == cobra.ShellCompRequestCmd || args[0] == cobra.ShellCompNoDescRequestCmd)
}

// completeValues makes the shell complete the values of all flags below a command: file
// names where a file is meant, those of values where they are known, and nothing else.
func completeValues(cmd *cobra.Command, values map[string]cobra.CompletionFunc) {
	cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
		known := values[f.Name]
		var err error
		switch {
		case f.Value.Type() == "bool":
		case known != nil:
			err = cmd.RegisterFlagCompletionFunc(f.Name, known)
		case isDirectory(f.Name):
			err = cmd.MarkFlagDirname(f.Name)
		case !isFile(f.Name):
			err = cmd.RegisterFlagCompletionFunc(f.Name, cobra.NoFileCompletions)
		}
		if err != nil {
			panic(err) // a flag was given two completions in the source
		}
	})
	if cmd.ValidArgs == nil && cmd.ValidArgsFunction == nil && !isFile(strings.ToLower(cmd.Use)) {
		cmd.ValidArgsFunction = cobra.NoFileCompletions
	}
	for _, sub := range cmd.Commands() {
		completeValues(sub, values)
	}
}

// isFile reports whether a flag, or the argument of a command, is the path of a file.
func isFile(name string) bool {
	return strings.HasSuffix(name, "file") || strings.HasSuffix(name, " dir") ||
		slices.Contains([]string{"config", "grant", "grant-out", "state", "bundle", "write-config"}, name)
}

func isDirectory(name string) bool { return name == "keystore-dir" || name == "tls" }

// knownValues are the flags whose values are known, with what lists them.
func (a *app) knownValues() map[string]cobra.CompletionFunc {
	fixed := func(values ...string) cobra.CompletionFunc {
		return cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)
	}
	return map[string]cobra.CompletionFunc{
		"check":         fixed(statusChecks()...),
		"sign-with":     fixed("prompt"),
		"paging":        fixed(sandbox.PagingOffset, sandbox.PagingSequence),
		"identity-refs": fixed(sandbox.RefsAny, sandbox.RefsDecimal),
		"with":          fixed("presence", "control"),
		"scenario":      cobra.FixedCompletions(append(sandbox.ScenarioNames(), "list"), cobra.ShellCompDirectiveDefault),
		"machine":       a.configured(func(m config.Machine) []string { return []string{m.Name} }),
		"machine-id":    a.configured(func(m config.Machine) []string { return []string{m.ID} }),
		"identity-ref":  a.configured(func(m config.Machine) []string { return []string{m.IdentityRef} }),
		"provider-key": a.configured(func(m config.Machine) []string {
			var keys []string
			for _, e := range m.Endpoints {
				keys = append(keys, e.ProviderKey)
			}
			return keys
		}),
	}
}

// configured lists what the configured machines have; nothing without a configuration.
func (a *app) configured(values func(config.Machine) []string) cobra.CompletionFunc {
	return func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		cfg, err := a.read()
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		var found []string
		for _, m := range cfg.Machines {
			for _, v := range values(m) {
				if v != "" && !slices.Contains(found, v) {
					found = append(found, v)
				}
			}
		}
		return found, cobra.ShellCompDirectiveNoFileComp
	}
}
