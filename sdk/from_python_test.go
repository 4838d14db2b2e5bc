package sdk_test

import (
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func fromPython(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("FROM_PYTHON.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestFromPythonNamesEveryMethod: each method of the coverage table has one row, with a
// call of the same operation.
func TestFromPythonNamesEveryMethod(t *testing.T) {
	rows := map[string]string{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z0-9_]+)` \\| `([A-Za-z0-9.]+)` \\|").FindAllStringSubmatch(fromPython(t), -1) {
		if first, ok := rows[m[1]]; ok {
			t.Errorf("%s is listed twice: %s and %s", m[1], first, m[2])
		}
		rows[m[1]] = m[2]
	}
	ours := byPython(t)
	for name := range coverage(t) {
		if !slices.ContainsFunc(ours[name].Calls, func(c call) bool { return c.Go == rows[name] }) {
			t.Errorf("%s is documented as %q", name, rows[name])
		}
	}
	for name, want := range functions() {
		if rows[name] != want {
			t.Errorf("%s is documented as %q, not %s", name, rows[name], want)
		}
	}
}

// TestFromPythonNamesExist: every Go name on the page exists, and its examples are valid
// Go.
func TestFromPythonNamesExist(t *testing.T) {
	page := fromPython(t)
	known := parsePackage(t, ".").names
	for _, call := range goCalls(t) {
		known[call] = true
	}
	for name := range parsePackage(t, "internal/wire").names { // the methods of Secret and Optional
		known[name] = true
	}
	for _, theirs := range []string{"KeyError", "TypeError"} { // Python's
		known[theirs] = true
	}
	blocks := regexp.MustCompile("(?s)```(go|python)\n(.*?)```")
	for _, m := range blocks.FindAllStringSubmatch(page, -1) {
		if m[1] != "go" {
			continue
		}
		if _, err := parser.ParseFile(token.NewFileSet(), "block.go", "package p\nfunc _() error {\n"+m[2]+"return nil\n}", 0); err != nil {
			t.Errorf("%v in\n%s", err, m[2])
		}
		for _, name := range regexp.MustCompile(`\b(?:sdk|c)\.([A-Z]\w*(?:\.[A-Z]\w*)?)`).FindAllStringSubmatch(m[2], -1) {
			if !known[name[1]] {
				t.Errorf("an example uses %s, which does not exist", name[1])
			}
		}
	}
	named := 0
	goName := regexp.MustCompile("`\\*?(?:sdk\\.|c\\.)?((?:x402\\.)?[A-Z][a-zA-Z0-9]*(?:\\.[A-Z][a-zA-Z0-9]*)?)`")
	for line := range strings.Lines(blocks.ReplaceAllString(page, "")) {
		if strings.HasPrefix(line, "| ") { // the first column is Python's
			_, line, _ = strings.Cut(line[2:], " | ")
		}
		for _, m := range goName.FindAllStringSubmatch(line, -1) {
			named++
			if !known[m[1]] {
				t.Errorf("the page names %s, which does not exist", m[1])
			}
		}
	}
	if named < 100 {
		t.Errorf("only %d names were found", named)
	}
}
