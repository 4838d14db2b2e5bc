package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/peaqnetwork/peaqos-agent/agent/config"
	"github.com/peaqnetwork/peaqos-agent/agent/status"
)

// manual is the name that every man page has at its top.
const manual = "peaqOS machine agent"

// configExample is the file that peaqos-agent(5) shows.
const configExample = `machines:
  - identity_ref: did:peaq:42
    endpoints:
      - provider_key: ollama
        base_url: http://127.0.0.1:11434
        probe_path: /api/tags
`

func (a *app) manCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "man DIR",
		Short: "Write the man pages",
		Long: `Writes one man page per command (section 1) and one for the configuration file
(section 5) to a directory, which is made if it does not exist. The pages depend on this
program alone, so they can be written again at any time.`,
		Example: "  peaqos-agent man ./man\n  man -l ./man/peaqos-agent-enroll.1",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			pages := manPages(cmd.Root())
			if err := writePages(args[0], pages); err != nil {
				return err
			}
			if a.json {
				return a.list(pages)
			}
			_, err := fmt.Fprintf(a.out, "%d pages written to %s\n", len(pages), args[0])
			return err
		},
	}
}

// manPage is one page: the name of its file and its text.
type manPage struct {
	File string `json:"file"` // peaqos-agent-config-check.1
	text string
}

// manPages returns the page of every command and of the configuration.
func manPages(root *cobra.Command) []manPage {
	var pages []manPage
	var walk func(*cobra.Command)
	walk = func(cmd *cobra.Command) {
		pages = append(pages, manPage{pageName(cmd) + ".1", commandPage(cmd)})
		for _, sub := range documented(cmd) {
			walk(sub)
		}
	}
	walk(root)
	return append(pages, manPage{root.Name() + ".5", configurationPage()})
}

func writePages(dir string, pages []manPage) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return status.NewProblem(status.CodeFile, err.Error()).Wrap(err)
	}
	for _, p := range pages {
		if err := os.WriteFile(filepath.Join(dir, p.File), []byte(p.text), 0o644); err != nil {
			return status.NewProblem(status.CodeFile, err.Error()).Wrap(err)
		}
	}
	return nil
}

// documented are the subcommands that have a page.
func documented(cmd *cobra.Command) []*cobra.Command {
	var subs []*cobra.Command
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() && sub.Name() != "help" {
			subs = append(subs, sub)
		}
	}
	return subs
}

// pageName is the name of a command's page: peaqos-agent-config-check.
func pageName(cmd *cobra.Command) string { return strings.ReplaceAll(cmd.CommandPath(), " ", "-") }

// commandPage is the page of one command.
func commandPage(cmd *cobra.Command) string {
	cmd.InitDefaultHelpFlag()
	cmd.InitDefaultVersionFlag()
	var p roff
	p.title(pageName(cmd), "1")
	p.section("NAME")
	p.line(escapeRoff(pageName(cmd)) + ` \- ` + escapeRoff(cmd.Short))
	p.section("SYNOPSIS")
	p.macro(".B", synopsis(cmd))
	p.section("DESCRIPTION")
	p.paragraphs(description(cmd))
	if !cmd.HasParent() {
		p.groups(cmd)
	} else if subs := documented(cmd); len(subs) > 0 {
		p.section("COMMANDS")
		p.commands(subs)
	}
	if cmd.HasAvailableLocalFlags() {
		p.section("OPTIONS")
		p.flags(cmd.LocalFlags())
	}
	if cmd.HasAvailableInheritedFlags() {
		p.section("GLOBAL OPTIONS")
		p.flags(cmd.InheritedFlags())
	}
	if cmd.HasExample() {
		p.section("EXAMPLES")
		p.verbatim(unindent(cmd.Example))
	}
	p.section("EXIT STATUS")
	if cmd.HasParent() {
		p.line("0 if the command did its work. peaqos\\-agent(1) lists the other codes.")
	} else {
		p.verbatim(exitTable())
		p.section("ENVIRONMENT")
		p.verbatim(environmentTable())
		p.section("FILES")
		p.entry(config.DefaultPath, "the configuration file, see peaqos-agent(5)")
	}
	p.section("SEE ALSO")
	p.line(strings.Join(related(cmd), ",\n"))
	return p.String()
}

// synopsis is the usage line; that of a group names no command that does nothing.
func synopsis(cmd *cobra.Command) string {
	if cmd.HasSubCommands() {
		return cmd.CommandPath() + " COMMAND [flags]"
	}
	return cmd.UseLine()
}

// description is the long text of a command, or its short one as a sentence.
func description(cmd *cobra.Command) string {
	if cmd.Long != "" {
		return cmd.Long
	}
	return cmd.Short + "."
}

// related are the pages of the commands above, below and at the root, and of the
// configuration.
func related(cmd *cobra.Command) []string {
	var names []string
	add := func(name, section string) { names = append(names, escapeRoff(name)+"("+section+")") }
	for up := cmd.Parent(); up != nil; up = up.Parent() {
		add(pageName(up), "1")
	}
	for _, sub := range documented(cmd) {
		add(pageName(sub), "1")
	}
	add(cmd.Root().Name(), "5")
	return names
}

// configurationPage is the page of the configuration file, made from the table of keys.
func configurationPage() string {
	var p roff
	p.title("peaqos-agent", "5")
	p.section("NAME")
	p.line(`peaqos\-agent \- configuration file of peaqos\-agent(1)`)
	p.section("SYNOPSIS")
	p.macro(".I", config.DefaultPath)
	p.section("DESCRIPTION")
	p.paragraphs(`A YAML file. --config or PEAQOS_AGENT_CONFIG names another one. A variable of the environment
overrides the key that it belongs to, a flag of the command line both. Relative paths start at
the directory of the file. An unknown key is an error.

peaqos-agent config check reports every problem in the file, config show prints what is in
effect.`)
	p.section("KEYS")
	for _, k := range config.Schema() {
		p.macro(".TP\n.B", k.Path)
		p.line(escapeRoff(keyFacts(k)))
		p.macro(".IP", "")
		p.line(escapeRoff(k.Doc))
	}
	p.section("EXAMPLES")
	p.verbatim(configExample)
	p.section("SEE ALSO")
	p.line("peaqos\\-agent(1),\npeaqos\\-agent\\-config(1)")
	return p.String()
}

// keyFacts is what the table knows of a key besides its meaning.
func keyFacts(k config.Key) string {
	facts := []string{k.Type}
	if len(k.Values) > 0 {
		facts[0] = "one of " + strings.Join(k.Values, ", ")
	}
	if k.Default != "" {
		facts = append(facts, "default "+k.Default)
	}
	if k.Env != "" {
		facts = append(facts, "variable "+k.Env)
	}
	if k.Restart {
		facts = append(facts, "a change needs a restart")
	}
	return strings.Join(facts, "; ")
}

// unindent removes the two spaces before each line of an example.
func unindent(text string) string {
	return strings.TrimPrefix(strings.ReplaceAll(text, "\n  ", "\n"), "  ")
}

// roff writes a page in the man macros, which every reader of man pages knows.
type roff struct{ strings.Builder }

func (p *roff) line(text string) { p.WriteString(text + "\n") }

func (p *roff) title(name, section string) {
	p.line(fmt.Sprintf(`.TH "%s" "%s" "" "peaqos\-agent %s" "%s"`,
		escapeRoff(strings.ToUpper(name)), section, escapeRoff(version), manual))
	p.line(".nh\n.ad l") // a broken or stretched flag cannot be copied
}

func (p *roff) section(name string) { p.line(".SH " + name) }

// macro writes a request with its argument, which may contain spaces.
func (p *roff) macro(request, argument string) {
	if argument != "" {
		request += ` "` + strings.ReplaceAll(escapeRoff(argument), `"`, `\(dq`) + `"`
	}
	p.line(request)
}

// entry writes a term and, indented, its meaning.
func (p *roff) entry(term, meaning string) {
	p.macro(".TP\n.B", term)
	p.line(escapeRoff(meaning))
}

// paragraphs writes text whose paragraphs are apart by an empty line. An indented one is
// printed as it is.
func (p *roff) paragraphs(text string) {
	for i, paragraph := range strings.Split(strings.TrimSpace(text), "\n\n") {
		if strings.HasPrefix(paragraph, " ") || strings.HasPrefix(paragraph, "\t") {
			p.verbatim(unindent(strings.ReplaceAll(paragraph, "\t", "  ")))
			continue
		}
		if i > 0 {
			p.line(".PP")
		}
		p.line(escapeRoff(strings.TrimSpace(paragraph)))
	}
}

// verbatim writes lines that are not filled, indented.
func (p *roff) verbatim(text string) {
	p.line(".PP\n.RS 4\n.nf")
	p.line(escapeRoff(strings.TrimRight(text, "\n")))
	p.line(".fi\n.RE")
}

// groups writes the commands of the root command as its help groups them.
func (p *roff) groups(root *cobra.Command) {
	p.section("COMMANDS")
	for _, g := range root.Groups() {
		p.macro(".SS", strings.TrimSuffix(g.Title, ":"))
		var commands []*cobra.Command
		for _, cmd := range documented(root) {
			if cmd.GroupID == g.ID {
				commands = append(commands, cmd)
			}
		}
		p.commands(commands)
	}
}

func (p *roff) commands(commands []*cobra.Command) {
	for _, cmd := range commands {
		p.entry(pageName(cmd)+"(1)", cmd.Short)
	}
}

func (p *roff) flags(flags *pflag.FlagSet) {
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		value, usage := pflag.UnquoteUsage(f)
		term := "--" + f.Name
		if f.Shorthand != "" {
			term = "-" + f.Shorthand + ", " + term
		}
		if value != "" {
			term += " " + value
		}
		if d := f.DefValue; d != "" && d != "false" && d != "0" && d != "0s" && d != "[]" {
			usage += " (default " + d + ")"
		}
		p.entry(term, usage)
	})
}

// escapeRoff makes text stand for itself, also in a reader that knows only ASCII.
func escapeRoff(text string) string {
	var b strings.Builder
	start := true // of a line, where a dot or an apostrophe begins a request
	for _, r := range text {
		switch {
		case r == '\\':
			b.WriteString(`\e`)
		case r == '-':
			b.WriteString(`\-`)
		case r == '\'':
			b.WriteString(`\(aq`)
		case r == '`':
			b.WriteString(`\(ga`)
		case r == '^':
			b.WriteString(`\(ha`)
		case r == '~':
			b.WriteString(`\(ti`)
		case r == '.' && start:
			b.WriteString(`\&.`)
		case r > '~':
			fmt.Fprintf(&b, `\[u%04X]`, r)
		default:
			b.WriteRune(r)
		}
		start = r == '\n'
	}
	return b.String()
}
