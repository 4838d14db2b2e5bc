package peaqosagent_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/peaqnetwork/peaqos-agent/check/lab"
)

var (
	fenced     = regexp.MustCompile("(?ms)^```[a-z]*\n(.*?)^```")
	indented   = regexp.MustCompile(`(?m)^    (.*)$`)
	inline     = regexp.MustCompile("`([^`\n]+)`")
	makeTarget = regexp.MustCompile(`\bmake ([a-z][a-z-]*)`)
	// A command is at the start of a line, or after a prompt, sudo, a pipe or a path.
	agentCall = regexp.MustCompile(`(?:^|[$|;&] *|sudo |/|\()peaqos-agent((?: [a-z][a-z-]*)+)((?: [^|;&#\n]*)?)`)
	flagName  = regexp.MustCompile(`(?:^| )(--[a-z][a-z-]*)`)
	link      = regexp.MustCompile(`\]\(([^)#\s]+)[^)]*\)`)
)

// commands returns a document's lines of code; continued lines are joined.
func commands(text string) []string {
	var lines []string
	for _, block := range fenced.FindAllStringSubmatch(text, -1) {
		joined := strings.ReplaceAll(block[1], "\\\n", " ")
		lines = append(lines, strings.Split(joined, "\n")...)
	}
	text = fenced.ReplaceAllString(text, "")
	for _, line := range indented.FindAllStringSubmatch(strings.ReplaceAll(text, "\\\n", " "), -1) {
		lines = append(lines, line[1])
	}
	for _, span := range inline.FindAllStringSubmatch(text, -1) {
		lines = append(lines, span[1])
	}
	for i, line := range lines {
		lines[i] = strings.TrimSpace(line)
	}
	return lines
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestDocumentsNameRealMakeTargets(t *testing.T) {
	makefile := read(t, "Makefile")
	named := 0
	for _, path := range files(t, ".md") {
		for _, line := range commands(read(t, path)) {
			for _, m := range makeTarget.FindAllStringSubmatch(line, -1) {
				named++
				if !regexp.MustCompile(`(?m)^` + m[1] + `:`).MatchString(makefile) {
					t.Errorf("%s: make %s is not in the Makefile", path, m[1])
				}
			}
		}
	}
	if named == 0 {
		t.Error("no document names a make target")
	}
}

// TestMakefileDescribesEveryTarget: make help prints the text after "##" of each
// target. The Makefile is read, because a machine with Go alone has no make.
func TestMakefileDescribesEveryTarget(t *testing.T) {
	makefile := read(t, "Makefile")
	phony := regexp.MustCompile(`(?m)^\.PHONY: (.*)$`).FindStringSubmatch(makefile)
	if phony == nil {
		t.Fatal("the Makefile has no .PHONY targets")
	}
	targets := strings.Fields(phony[1])
	for _, want := range []string{"help", "build", "demo", "test", "check", "faults", "bench", "cross", "size", "vuln", "generate", "fmt"} {
		if !slices.Contains(targets, want) {
			t.Errorf("%s is not a target", want)
		}
	}
	for _, target := range targets {
		if !regexp.MustCompile(`(?m)^` + target + `:.*## \S`).MatchString(makefile) {
			t.Errorf("the Makefile does not describe %s after ##", target)
		}
	}
}

func TestDocumentLinksExist(t *testing.T) {
	for _, path := range files(t, ".md") {
		for _, m := range link.FindAllStringSubmatch(read(t, path), -1) {
			if strings.Contains(m[1], ":") {
				continue // another site: not checked here
			}
			if _, err := os.Stat(filepath.Join(filepath.Dir(path), m[1])); err != nil {
				t.Errorf("%s links to %s: %v", path, m[1], err)
			}
		}
	}
}

func TestDocumentsNameRealCommandsAndFlags(t *testing.T) {
	binary, err := lab.Build(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]string{}
	help := func(words []string) string {
		line := strings.Join(words, " ")
		if _, ok := known[line]; !ok {
			out, _ := exec.CommandContext(t.Context(), binary, append(slices.Clone(words), "--help")...).CombinedOutput()
			known[line] = string(out)
		}
		return known[line]
	}
	for _, path := range files(t, ".md") {
		for _, line := range commands(read(t, path)) {
			for _, m := range agentCall.FindAllStringSubmatch(line, -1) {
				checkCall(t, path, strings.Fields(m[1]), flagName.FindAllStringSubmatch(m[2], -1), help)
			}
		}
	}
	if len(known) < 5 {
		t.Errorf("only %d commands were found in the documents", len(known))
	}
}

// checkCall checks the words in order: each is a command, or an argument of the last
// word that is one.
func checkCall(t *testing.T, path string, words []string, flags [][]string, help func([]string) string) {
	t.Helper()
	isCommand := func(words []string) bool {
		return regexp.MustCompile(`(?m)^ +peaqos-agent ` + strings.Join(words, " ") + `\b`).MatchString(help(words))
	}
	depth := 0
	for depth < len(words) && isCommand(words[:depth+1]) {
		depth++
	}
	if depth < len(words) && (depth == 0 || strings.Contains(help(words[:depth]), "Available Commands:")) {
		t.Errorf("%s: peaqos-agent has no command %s", path, strings.Join(words[:depth+1], " "))
		return
	}
	for _, f := range flags {
		if !regexp.MustCompile(regexp.QuoteMeta(f[1]) + `\b`).MatchString(help(words[:depth])) {
			t.Errorf("%s: peaqos-agent %s has no flag %s", path, strings.Join(words[:depth], " "), f[1])
		}
	}
}
