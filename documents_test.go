package peaqosagent_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/check/lab"
)

var (
	fenced     = regexp.MustCompile("(?ms)^```[a-z]*\n(.*?)^```")
	indented   = regexp.MustCompile(`(?m)^    (.*)$`)
	inline     = regexp.MustCompile("`([^`\n]+)`")
	makeTarget = regexp.MustCompile(`\bmake ([a-z][a-z-]*)`)
	// A command is at the start of a line, or after a prompt, sudo, a pipe or a path.
	agentCall = regexp.MustCompile(`(?:^|[$|;&] *|sudo |/|\()peaqos-agent((?: [a-z][a-z-]*)+)((?: [^|;&#\n]*)?)`)
	flagName  = regexp.MustCompile(`(?:^| )(--[a-z][a-z0-9-]*)`)
	link      = regexp.MustCompile(`\]\(([^)#\s]*)(#[^)\s]+)?[^)]*\)`)
	heading   = regexp.MustCompile(`(?m)^#+ (.*)$`)

	testFunc  = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Benchmark|Example)\w*)\(`)
	testCall  = regexp.MustCompile(`\bgo test ((?:-tags \w+ )?)(\./\S*|\.)(.*)`)
	testFlag  = regexp.MustCompile(`-(?:run|bench) (?:'([^']*)'|(\S+))`)
	testName  = regexp.MustCompile(`^(?:([\w/.-]+_test\.go) )?((?:Test|Fuzz|Benchmark)[A-Z]\w*)$`)
	namedPath = regexp.MustCompile(`^[\w.-]+(?:/[\w.*-]+)*/?$`)
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

// TestDocumentLinksExist: a link leads to a file, and its fragment to a heading of it.
func TestDocumentLinksExist(t *testing.T) {
	for _, path := range files(t, ".md") {
		for _, m := range link.FindAllStringSubmatch(read(t, path), -1) {
			if strings.Contains(m[1], ":") {
				continue // another site: not checked here
			}
			target := path
			if m[1] != "" {
				target = filepath.Join(filepath.Dir(path), m[1])
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s links to %s: %v", path, m[1], err)
			} else if m[2] != "" && !slices.Contains(anchors(read(t, target)), m[2]) {
				t.Errorf("%s links to %s%s: there is no such heading", path, m[1], m[2])
			}
		}
	}
}

// anchors returns the fragments by which a document's headings can be reached.
func anchors(text string) []string {
	var all []string
	for _, m := range heading.FindAllStringSubmatch(fenced.ReplaceAllString(text, ""), -1) {
		plain := regexp.MustCompile(`[^a-z0-9 _-]`).ReplaceAllString(strings.ToLower(m[1]), "")
		all = append(all, "#"+strings.ReplaceAll(plain, " ", "-"))
	}
	return all
}

// TestDocumentsNameRealFiles: what looks like a path of this repository (bin and .cache,
// which make fills, apart) is one, from
// its root or from the document.
func TestDocumentsNameRealFiles(t *testing.T) {
	named := 0
	for _, path := range files(t, ".md") {
		for _, span := range inline.FindAllStringSubmatch(read(t, path), -1) {
			name, _, _ := strings.Cut(span[1], " ")
			first, _, nested := strings.Cut(name, "/")
			if info, err := os.Stat(first); !nested || !namedPath.MatchString(name) || first == "bin" || first == ".cache" || err != nil || !info.IsDir() {
				continue
			}
			named++
			found, err := filepath.Glob(name)
			if beside, _ := filepath.Glob(filepath.Join(filepath.Dir(path), name)); err != nil || len(found)+len(beside) == 0 {
				t.Errorf("%s names %s, which does not exist", path, name)
			}
		}
	}
	if named < 30 {
		t.Errorf("only %d files are named", named)
	}
}

// tests returns the names of the test functions in a package's directory.
func tests(t *testing.T, dir string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil || len(paths) == 0 {
		return nil
	}
	var names []string
	for _, path := range paths {
		for _, m := range testFunc.FindAllStringSubmatch(read(t, path), -1) {
			names = append(names, m[1])
		}
	}
	return names
}

// TestDocumentsNameRealTests: a test that a document names exists, in the file that it
// names, and every alternative of a -run or -bench pattern selects one.
func TestDocumentsNameRealTests(t *testing.T) {
	everywhere := map[string]bool{}
	for _, path := range files(t, "_test.go") {
		for _, m := range testFunc.FindAllStringSubmatch(read(t, path), -1) {
			everywhere[m[1]] = true
			everywhere[path+" "+m[1]] = true
		}
	}
	named := 0
	for _, path := range files(t, ".md") {
		for _, line := range commands(read(t, path)) {
			line = strings.ReplaceAll(line, `\|`, "|")
			if m := testName.FindStringSubmatch(line); m != nil {
				named++
				if !everywhere[line] {
					t.Errorf("%s names %s, which does not exist", path, line)
				}
			}
			for _, m := range testCall.FindAllStringSubmatch(line, -1) {
				named++
				checkTestCall(t, path, m[2], m[3])
			}
		}
	}
	if named < 30 {
		t.Errorf("only %d tests are named", named)
	}
}

// checkTestCall checks the package and the patterns of one go test command.
func checkTestCall(t *testing.T, path, pkg, flags string) {
	t.Helper()
	dir := strings.TrimSuffix(pkg, "/...")
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		t.Errorf("%s: go test %s: there is no such package", path, pkg)
		return
	}
	for _, m := range testFlag.FindAllStringSubmatch(flags, -1) {
		for pattern := range strings.SplitSeq(m[1]+m[2], "|") {
			function, subtest, _ := strings.Cut(pattern, "/")
			selects, err := regexp.Compile(function)
			if err != nil {
				t.Errorf("%s: go test %s: %v", path, pkg, err)
			} else if function != "^$" && !slices.ContainsFunc(tests(t, dir), selects.MatchString) {
				t.Errorf("%s: go test %s: %s selects no test", path, pkg, pattern)
			}
			if subtest == "" {
				continue
			}
			// The subtests of these documents are the scripts of the commands.
			if _, err := os.Stat(filepath.Join(dir, "testdata", "script", subtest+".txtar")); err != nil {
				t.Errorf("%s: go test %s: there is no script %s", path, pkg, subtest)
			}
		}
	}
}

// TestTroubleshootingFollowsTheCodes: every code exists, and where the table of codes
// suggests a command, the row suggests it as well.
func TestTroubleshootingFollowsTheCodes(t *testing.T) {
	const path = "docs/troubleshooting.md"
	rows := regexp.MustCompile("(?m)^\\| (`[^|]+`) \\| (.*) \\|$").FindAllStringSubmatch(read(t, path), -1)
	for _, row := range rows {
		for _, span := range inline.FindAllStringSubmatch(row[1], -1) {
			meaning := status.Lookup(status.Code(span[1]))
			if strings.HasPrefix(meaning.What, "the orchestrator returned ") {
				t.Errorf("%s: the code %s does not exist", path, span[1])
			}
			command := strings.Trim(strings.TrimPrefix(meaning.Command, "peaqos-agent "), "{}")
			if command == "-" || command == "health" || command == "status --check live" {
				continue // no command, or only a closer look
			}
			if !strings.Contains(row[2], command) {
				t.Errorf("%s: %s: the agent suggests %q, this row does not", path, span[1], command)
			}
		}
	}
	if len(rows) < 30 {
		t.Errorf("only %d rows were found", len(rows))
	}
}

// TestReadmeShowsTheDemo: the README has the picture of the demo, and the steps in it are
// those of the demo (make picture draws it again).
func TestReadmeShowsTheDemo(t *testing.T) {
	if !strings.Contains(read(t, "README.md"), "(docs/demo.svg)") {
		t.Error("the README does not show docs/demo.svg")
	}
	steps := regexp.MustCompile(`<tspan class="s">([^<]+)</tspan>`).FindAllStringSubmatch(read(t, "docs/demo.svg"), -1)
	var source strings.Builder
	paths, err := filepath.Glob("cmd/peaqos-agent/demo*.go")
	if err != nil || len(paths) == 0 || len(steps) < 5 {
		t.Fatalf("%d files of the demo, %d steps in the picture (%v)", len(paths), len(steps), err)
	}
	for _, path := range paths {
		source.WriteString(read(t, path))
	}
	for _, m := range steps {
		if !strings.Contains(source.String(), `("`+m[1]+`", "`) {
			t.Errorf("the picture shows the step %q, which the demo does not have", m[1])
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
