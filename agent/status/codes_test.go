package status_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/peaqnetwork/peaqos-agent/agent/status"
)

// codesInSource lists the constants of codes.go.
func codesInSource(t *testing.T) map[string]status.Code {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "codes.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	codes := map[string]status.Code{}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Values) != 1 {
			return true
		}
		text, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		codes[spec.Names[0].Name] = status.Code(text)
		return true
	})
	return codes
}

// TestEveryCodeHasAMeaning: each code has one row, with a sentence, and a command
// that fails with it has an exit code and a next step.
func TestEveryCodeHasAMeaning(t *testing.T) {
	codes := codesInSource(t)
	if len(codes) < 100 {
		t.Fatalf("only %d codes were found", len(codes))
	}
	seen := map[status.Code]string{}
	for name, code := range codes {
		if other, twice := seen[code]; twice {
			t.Errorf("%s and %s are both %q", name, other, code)
		}
		seen[code] = name
		m := status.Lookup(code)
		if strings.HasPrefix(m.What, "the orchestrator returned ") {
			t.Errorf("%s (%s) has no meaning", name, code)
			continue
		}
		for what, text := range map[string]string{"What": m.What, "Effect": m.Effect, "Advice": m.Advice} {
			if strings.HasSuffix(text, ".") || text != strings.TrimSpace(text) || strings.Contains(text, "\n") {
				t.Errorf("%s: %s is not one sentence without a full stop: %q", code, what, text)
			}
		}
		if m.Exit != status.ExitOK && status.NewProblem(code, "").Next == "" &&
			!slices.Contains([]status.Code{status.CodeFailed, status.CodeInterrupted, status.CodeUsage, status.CodeService, status.CodeSealedAlready}, code) {
			t.Errorf("%s: a command that fails with it has no next step", code)
		}
	}
}

func TestExitsAreListed(t *testing.T) {
	exits := status.Exits()
	if !slices.IsSortedFunc(exits, func(a, b status.ExitMeaning) int { return int(a.Exit - b.Exit) }) {
		t.Error("the exit codes are not in order")
	}
	for _, code := range codesInSource(t) {
		exit := status.Lookup(code).Exit
		if !slices.ContainsFunc(exits, func(m status.ExitMeaning) bool { return m.Exit == exit }) {
			t.Errorf("%s ends with exit code %d, which is not listed", code, exit)
		}
	}
}

// TestUnknownCode: a code that the orchestrator invents later is shown, but not
// trusted.
func TestUnknownCode(t *testing.T) {
	p := status.NewProblem("TELEPORT\x1b[31m_FAILED", "HTTP 418")
	if strings.Contains(p.Error(), "\x1b") || !strings.Contains(p.Message, "TELEPORT") || p.Exit != status.ExitNetwork || p.Next == "" {
		t.Errorf("%+v", p)
	}
}

func TestCauseHasItsDetail(t *testing.T) {
	if got := status.NewCause(status.CodeRetryAfter, "HTTP 429").Text; got != "the orchestrator asked to wait: HTTP 429" {
		t.Error(got)
	}
	if got := status.NewCause(status.CodeNetwork, "").Text; got != "the orchestrator cannot be reached" {
		t.Error(got)
	}
}

// TestMeaningsListsEveryCode: the documentation is made from this list.
func TestMeaningsListsEveryCode(t *testing.T) {
	listed := map[status.Code]bool{}
	for _, group := range status.Meanings() {
		if group.Title == "" || len(group.Meanings) == 0 {
			t.Errorf("group %q has %d codes", group.Title, len(group.Meanings))
		}
		for _, m := range group.Meanings {
			if listed[m.Code] {
				t.Errorf("%s is listed twice", m.Code)
			}
			listed[m.Code] = true
		}
	}
	for name, code := range codesInSource(t) {
		if !listed[code] {
			t.Errorf("%s (%s) is not listed", name, code)
		}
	}
}
