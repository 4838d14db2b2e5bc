package peaqosagent_test

import (
	"regexp"
	"strings"
	"testing"
)

var (
	namedTest = regexp.MustCompile("`([a-z0-9_/.-]+_test\\.go) ((?:Test|Fuzz)\\w+)`")
	namedRow  = regexp.MustCompile("`faults: ([^`]+)`")
)

// TestSecurityNamesRealTests: every control in SECURITY.md names a test or a row of
// the fault table, and each named one exists.
func TestSecurityNamesRealTests(t *testing.T) {
	text := read(t, "SECURITY.md")
	rows := read(t, "check/faults/main.go")
	named := 0
	for _, m := range namedTest.FindAllStringSubmatch(text, -1) {
		named++
		if !regexp.MustCompile(`(?m)^func ` + m[2] + `\(`).MatchString(read(t, m[1])) {
			t.Errorf("SECURITY.md names %s of %s, which does not exist", m[2], m[1])
		}
	}
	for _, m := range namedRow.FindAllStringSubmatch(text, -1) {
		named++
		if !strings.Contains(rows, `"`+m[1]+`"`) {
			t.Errorf("SECURITY.md names the fault row %q, which does not exist", m[1])
		}
	}
	for line := range strings.Lines(text) {
		if regexp.MustCompile(`^\| \d+ \|`).MatchString(line) && !namedTest.MatchString(line) {
			t.Errorf("a control without a test: %.60s", line)
		}
	}
	if named < 30 {
		t.Errorf("only %d tests are named", named)
	}
}
