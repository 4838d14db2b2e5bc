package peaqosagent_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	fenced     = regexp.MustCompile("(?ms)^```[a-z]*\n(.*?)^```")
	indented   = regexp.MustCompile(`(?m)^    (.*)$`)
	inline     = regexp.MustCompile("`([^`\n]+)`")
	makeTarget = regexp.MustCompile(`\bmake ([a-z][a-z-]*)`)
	// A command stands at the start, after a prompt, sudo, a pipe or a path.
	agentCall = regexp.MustCompile(`(?:^|[$|;&] *|sudo |/|\()peaqos-agent((?: [a-z][a-z-]*)+)((?: [^|;&#\n]*)?)`)
	flagName  = regexp.MustCompile(`(?:^| )(--[a-z][a-z-]*)`)
	link      = regexp.MustCompile(`\]\(([^)#\s]+)[^)]*\)`)
)

// commands are a document's lines of code, continued lines joined.
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

func TestMakeHelpTellsEveryTarget(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "make", "--no-print-directory", "help").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, target := range []string{"help", "build", "demo", "test", "check", "faults", "bench", "cross", "size", "fmt"} {
		if !regexp.MustCompile(`(?m)^ *make ` + target + ` +\S`).Match(out) {
			t.Errorf("make help does not tell what %s does", target)
		}
	}
}

func TestDocumentsLinkToWhatIsThere(t *testing.T) {
	for _, path := range files(t, ".md") {
		for _, m := range link.FindAllStringSubmatch(read(t, path), -1) {
			if strings.Contains(m[1], ":") {
				continue // another site: not looked at from here
			}
			if _, err := os.Stat(filepath.Join(filepath.Dir(path), m[1])); err != nil {
				t.Errorf("%s links to %s: %v", path, m[1], err)
			}
		}
	}
}

func TestDocumentsNameRealVerbsAndFlags(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "peaqos-agent")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "./cmd/peaqos-agent").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
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
		t.Errorf("only %d verbs were found in the documents", len(known))
	}
}

// checkCall walks down the words: each is a verb, or an argument of the last one
// that is.
func checkCall(t *testing.T, path string, words []string, flags [][]string, help func([]string) string) {
	t.Helper()
	verbs := 0
	for verbs < len(words) && regexp.MustCompile(`(?m)^ +peaqos-agent `+strings.Join(words[:verbs+1], " ")+`\b`).MatchString(help(words[:verbs+1])) {
		verbs++
	}
	if verbs < len(words) && (verbs == 0 || strings.Contains(help(words[:verbs]), "Available Commands:")) {
		t.Errorf("%s: peaqos-agent has no verb %s", path, strings.Join(words[:verbs+1], " "))
		return
	}
	for _, f := range flags {
		if !regexp.MustCompile(regexp.QuoteMeta(f[1]) + `\b`).MatchString(help(words[:verbs])) {
			t.Errorf("%s: peaqos-agent %s has no flag %s", path, strings.Join(words[:verbs], " "), f[1])
		}
	}
}
