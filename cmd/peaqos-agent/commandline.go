package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// What is wrong with a command line, in the words of this program: the parser's own
// errors are written for programmers.

// commandLineProblem turns an error of the command line parser into a problem that
// names the command's help.
func commandLineProblem(cmd *cobra.Command, err error) error {
	message, detail := explainCommandLine(cmd, err)
	p := usageProblem(message, "see "+cmd.CommandPath()+" --help").Wrap(err)
	if p.Detail = detail; detail == "" && !cmd.HasSubCommands() {
		p.Detail = "usage: " + cmd.UseLine()
	}
	return p
}

// explainCommandLine returns what happened, and what may have been meant.
func explainCommandLine(cmd *cobra.Command, err error) (message, detail string) {
	var unknown *pflag.NotExistError
	var noValue *pflag.ValueRequiredError
	var badValue *pflag.InvalidValueError
	var syntax *pflag.InvalidSyntaxError
	text := err.Error()
	switch {
	case errors.As(err, &unknown):
		name := unknown.GetSpecifiedName()
		if shorthands := unknown.GetSpecifiedShortnames(); shorthands != "" {
			return fmt.Sprintf("%s has no flag -%.40s", cmd.CommandPath(), name), ""
		}
		return fmt.Sprintf("%s has no flag --%.40s", cmd.CommandPath(), name), didYouMean("--", similarFlags(cmd, name))
	case errors.As(err, &noValue):
		return "--" + noValue.GetFlag().Name + " needs a value", ""
	case errors.As(err, &badValue):
		f := badValue.GetFlag()
		return fmt.Sprintf("--%s: %.40q is not %s", f.Name, badValue.GetValue(), valueOf(f)), ""
	case errors.As(err, &syntax):
		return fmt.Sprintf("%.40q is not a flag", syntax.GetSpecifiedFlag()), ""
	case strings.HasPrefix(text, "at least one of the flags"):
		return "one of " + strings.Join(flagsIn(text), " and ") + " is required", ""
	case strings.HasPrefix(text, "if any flags in the group"):
		_, set, _ := strings.Cut(text, "; ")
		return strings.Join(flagsIn(set), " and ") + " cannot be combined", ""
	}
	args := leftover(cmd, text)
	switch want := len(strings.Fields(cmd.Use)) - 1; {
	case cmd.HasSubCommands() && len(args) > 0:
		return fmt.Sprintf("%s has no command %.40q", cmd.CommandPath(), args[0]), didYouMean("", cmd.SuggestionsFor(args[0]))
	case len(args) > want:
		return fmt.Sprintf("%s has no use for the argument %.40q", cmd.CommandPath(), args[want]), ""
	case len(args) < want:
		return strings.Join(strings.Fields(cmd.Use)[1+len(args):], " and ") + " is missing", ""
	}
	return text, ""
}

// leftover are the arguments of a command line that are not flags. The parser does not
// read those of the root command when it finds no command in them; its error has the
// first of them.
func leftover(cmd *cobra.Command, text string) []string {
	if cmd.HasParent() {
		return cmd.Flags().Args()
	}
	var name string
	if _, err := fmt.Sscanf(text, "unknown command %q", &name); err != nil {
		return nil
	}
	return []string{name}
}

// flagsIn lists the flags that an error of the parser has in brackets.
func flagsIn(text string) []string {
	_, list, _ := strings.Cut(text, "[")
	list, _, _ = strings.Cut(list, "]")
	flags := strings.Fields(list)
	for i := range flags {
		flags[i] = "--" + flags[i]
	}
	return flags
}

// valueOf says what a flag accepts.
func valueOf(f *pflag.Flag) string {
	switch f.Value.Type() {
	case "duration":
		return "a duration such as 90s or 5m"
	case "bool":
		return "true or false"
	case "int", "uint", "int64", "uint64":
		return "a whole number"
	}
	return "a value for it"
}

func didYouMean(prefix string, names []string) string {
	if len(names) == 0 {
		return ""
	}
	for i := range names {
		names[i] = prefix + names[i]
	}
	return "did you mean " + strings.Join(names, " or ") + "?"
}

// similarFlags are the flags of a command with almost this name, or that begin with it.
func similarFlags(cmd *cobra.Command, name string) []string {
	var names []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden && (distance(f.Name, name) <= 2 || strings.HasPrefix(f.Name, name)) {
			names = append(names, f.Name)
		}
	})
	return names
}

// distance is the number of letters to insert, remove or replace to make b of a.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(diagonal+cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// helpCmd is the help command. That of the library prints help and succeeds for a
// command that does not exist.
func helpCmd() *cobra.Command {
	return &cobra.Command{
		Use:     "help [COMMAND]",
		Short:   "Show the help of a command",
		Example: "  peaqos-agent help enroll",
		RunE: func(cmd *cobra.Command, args []string) error {
			of, rest, err := cmd.Root().Find(args)
			if err != nil || len(rest) > 0 {
				message := fmt.Sprintf("%s has no command %.40q", of.CommandPath(), slices.Concat(rest, args, []string{""})[0])
				p := usageProblem(message, "see "+of.CommandPath()+" --help")
				if len(rest) > 0 {
					p.Detail = didYouMean("", of.SuggestionsFor(rest[0]))
				}
				return p
			}
			return of.Help()
		},
		ValidArgsFunction: func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			of, _, err := cmd.Root().Find(args)
			if err != nil {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			var names []string
			for _, sub := range of.Commands() {
				names = append(names, sub.Name())
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
	}
}
