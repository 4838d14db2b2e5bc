package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/peaqnetwork/peaqos-agent/agent/config"
)

// writtenPages runs the man command and returns the pages that it wrote, by file name.
func writtenPages(t *testing.T) map[string]string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "new", "man")
	outputOf(t, "man", dir)
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	pages := map[string]string{}
	for _, f := range files {
		text, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		pages[f.Name()] = string(text)
	}
	return pages
}

// TestEveryCommandHasAManPage: a page for each command, which names every flag; no page
// of anything else; and every page that a page refers to exists.
func TestEveryCommandHasAManPage(t *testing.T) {
	pages := writtenPages(t)
	want := map[string]bool{"peaqos-agent.5": true}
	var walk func(*cobra.Command)
	walk = func(cmd *cobra.Command) {
		file := strings.ReplaceAll(cmd.CommandPath(), " ", "-") + ".1"
		want[file] = true
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if !f.Hidden && !strings.Contains(pages[file], escapeRoff("--"+f.Name)) {
				t.Errorf("%s does not name --%s", file, f.Name)
			}
		})
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
	}
	walk((&app{}).root())
	for file := range pages {
		if !want[file] {
			t.Errorf("%s is the page of no command", file)
		}
	}
	for file := range want {
		if pages[file] == "" {
			t.Errorf("no page %s", file)
		}
	}
	for _, k := range config.Schema() {
		if !strings.Contains(pages["peaqos-agent.5"], escapeRoff(k.Path)) {
			t.Errorf("peaqos-agent.5 does not name %s", k.Path)
		}
	}
	reference := regexp.MustCompile(`(peaqos[a-z-]*)\(([15])\)`)
	for file, text := range pages {
		for _, m := range reference.FindAllStringSubmatch(strings.ReplaceAll(text, `\-`, "-"), -1) {
			if pages[m[1]+"."+m[2]] == "" {
				t.Errorf("%s refers to %s, which does not exist", file, m[0])
			}
		}
	}
	again := writtenPages(t)
	for file := range pages {
		if again[file] != pages[file] {
			t.Errorf("%s is not the same when it is written again", file)
		}
	}
}

// TestManPagesAreCleanRoff: the pages use the few requests and escapes that they need,
// blocks are closed, and text is ASCII. With these, groff and mandoc have no warning.
func TestManPagesAreCleanRoff(t *testing.T) {
	requests := []string{".TH", ".SH", ".SS", ".PP", ".TP", ".IP", ".B", ".I", ".RS", ".RE", ".nf", ".fi", ".nh", ".ad"}
	escape := regexp.MustCompile(`\\(?:-|e|&|\(aq|\(dq|\(ga|\(ha|\(ti|\[u[0-9A-F]{4,5}\])`)
	for file, text := range writtenPages(t) {
		lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
		if !strings.HasPrefix(lines[0], ".TH ") || !strings.Contains(text, "\n.SH NAME\npeaqos\\-agent") {
			t.Errorf("%s has no title or name:\n%s", file, text)
		}
		open := 0
		filled := true
		for i, line := range lines {
			at := file + ":" + lines[0]
			if rest := escape.ReplaceAllString(line, ""); strings.Contains(rest, `\`) || strings.ContainsFunc(rest, func(r rune) bool { return r < ' ' || r > '~' }) {
				t.Errorf("%s: line %d is not plain: %q", at, i+1, line)
			}
			name, argument, _ := strings.Cut(line, " ")
			switch {
			case name == ".RS":
				open++
			case name == ".RE":
				open--
			case name == ".nf", name == ".fi":
				if filled == (name == ".fi") {
					t.Errorf("%s: line %d: %s without its counterpart", at, i+1, name)
				}
				filled = name == ".fi"
			case line == "" && filled:
				t.Errorf("%s: line %d is empty", at, i+1)
			}
			if strings.HasPrefix(line, "'") || strings.HasPrefix(line, ".") && !slices.Contains(requests, name) {
				t.Errorf("%s: line %d: request %q", at, i+1, line)
			}
			if strings.HasPrefix(line, ".") && strings.Count(argument, `"`)%2 != 0 {
				t.Errorf("%s: line %d: an odd number of quotes: %s", at, i+1, line)
			}
		}
		if open != 0 || !filled {
			t.Errorf("%s: a block is not closed", file)
		}
	}
}

// TestManExample: the configuration that peaqos-agent(5) shows is valid.
func TestManExample(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(file, []byte(configExample), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(config.Source{Path: file})
	if err != nil || len(cfg.Machines) != 1 || cfg.Machines[0].Endpoints[0].ProviderKey != "ollama" {
		t.Errorf("%+v, %v", cfg, err)
	}
}
