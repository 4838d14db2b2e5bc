package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/internal/golden"
)

// TestCodesDocument keeps docs/codes.md in step with the tables of the status package:
//
//	go test ./cmd/peaqos-agent -run TestCodesDocument -update
func TestCodesDocument(t *testing.T) {
	golden.Check(t, filepath.Join("..", "..", "docs", "codes.md"), codesDocument())
}

func codesDocument() string {
	var b strings.Builder
	b.WriteString(`# Exit codes and codes

Generated from ` + "`agent/status`" + ` by a test; do not edit. Update it with

    go test ./cmd/peaqos-agent -run TestCodesDocument -update

## Exit codes

` + "`peaqos-agent --help`" + ` lists them as well. Scripts may rely on them.

`)
	var exits [][]string
	for _, e := range status.Exits() {
		exits = append(exits, []string{strconv.Itoa(int(e.Exit)), e.Meaning})
	}
	writeTable(&b, []string{"Exit code", "Meaning"}, exits)

	b.WriteString(`
## States

A machine is in one state. A cause, with one of the codes below, says why. The command is what
` + "`status`" + ` suggests if the cause has none of its own; while no agent is running on an enrolled store it is
` + "`peaqos-agent service start`, `peaqos-agent service install` or `peaqos-agent run`" + `.

`)
	var states [][]string
	for _, s := range status.States() {
		m := documentedMachine(s, "")
		states = append(states, []string{"`" + string(s) + "`", status.Effect(m), quoted(status.NextCommand(m)), quoted(string(status.CodeOfState(s)))})
	}
	writeTable(&b, []string{"State", "Effect", "Command", "Log code of a change into it"}, states)

	b.WriteString(`
## Codes

A code appears as ` + "`code`" + ` in log lines, in ` + "`/readyz`" + ` and ` + "`/status`" + `, and in the errors that a command
prints with ` + "`--json`" + `. It never changes its meaning. Codes in upper case are the orchestrator's; one that is not
listed here is passed through.

- Effect: what it means for the machine. Empty: the effect of its state.
- Command: what ` + "`status`" + ` suggests. Empty: what helps in the machine's state, if anything.
- Next step, exit code: of a command that fails with it.
`)
	for _, group := range status.Meanings() {
		fmt.Fprintf(&b, "\n### %s\n\n", group.Title)
		var rows [][]string
		for _, m := range group.Meanings {
			rows = append(rows, codeRow(m))
		}
		writeTable(&b, []string{"Code", "Meaning", "Effect", "Command", "Next step", "Exit code"}, rows)
	}
	return b.String()
}

func codeRow(m status.Meaning) []string {
	row := []string{"`" + string(m.Code) + "`", m.What, m.Effect, documentedCommand(m.Command), "", ""}
	if m.Exit != status.ExitOK {
		row[4], row[5] = status.NewProblem(m.Code, "").Next, strconv.Itoa(int(m.Exit))
	}
	return row
}

// documentedCommand fills in what depends on the machine.
func documentedCommand(template string) string {
	command := strings.NewReplacer(
		"{enroll}", "peaqos-agent enroll --api-key-file FILE",
		"{rotate}", "peaqos-agent rotate --api-key-file FILE",
		"{health}", "curl -i ORCHESTRATOR/api/v1/health",
	).Replace(template)
	switch command {
	case "":
		return ""
	case "-":
		return "none"
	}
	return quoted(command)
}

func quoted(text string) string {
	if text == "" {
		return ""
	}
	return "`" + text + "`"
}

// documentedMachine is a machine in whose commands nothing is its own.
func documentedMachine(s status.State, c status.Code) status.Machine {
	m := status.Machine{State: s, MachineID: "mach_1", Origin: "ORCHESTRATOR", Endpoints: []status.Endpoint{{Published: true}}}
	if c != "" {
		m.Cause = status.NewCause(c, "")
	}
	return m
}

// TestEveryNextIsDocumented: what status can suggest, in whatever state and for whatever
// cause, is in docs/codes.md.
func TestEveryNextIsDocumented(t *testing.T) {
	document, found := codesDocument(), 0
	for _, s := range status.States() {
		codes := []status.Code{"", "A_CODE_OF_TOMORROW"}
		for _, group := range status.Meanings() {
			for _, m := range group.Meanings {
				codes = append(codes, m.Code)
			}
		}
		for _, c := range codes {
			m := documentedMachine(s, c)
			empty, refused := m, m
			empty.Endpoints = nil
			refused.Endpoints = []status.Endpoint{{Refused: status.CodeAPIPolicyDenied}}
			for _, machine := range []status.Machine{m, empty, refused} {
				next := status.NextCommand(machine)
				if next != "" && !strings.Contains(document, quoted(next)) {
					t.Errorf("%s, %s: %q is not in docs/codes.md", s, c, next)
				}
				found++
			}
		}
	}
	for _, own := range []bool{true, false} {
		if next := startCommand(own); !strings.Contains(document, quoted(next)) {
			t.Errorf("%q is not in docs/codes.md", next)
		}
	}
	if found < 1000 {
		t.Errorf("only %d combinations", found)
	}
}

// logCall is a field of a log line that holds a code.
var logCall = regexp.MustCompile(`(?:zap\.String\("code", string\(|\bcode\(|logEvent\([\w.]+, )([\w.]+)`)

// TestLogCodesAreDocumented: the program logs no code but those of the table.
func TestLogCodesAreDocumented(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("..", "..", "agent", "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	telemetry, err := filepath.Glob(filepath.Join("..", "..", "agent", "telemetry", "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	calls := 0
	for _, file := range append(files, telemetry...) {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), `status.Code("`) {
			t.Errorf("%s makes a code of its own", file)
		}
		for _, m := range logCall.FindAllStringSubmatch(string(text), -1) {
			if calls++; strings.HasPrefix(m[1], "status.") && !strings.HasPrefix(m[1], "status.Code") {
				t.Errorf("%s: %s is not a code", file, m[0])
			}
		}
	}
	if calls < 30 {
		t.Errorf("only %d log calls with a code were found", calls)
	}
}

// writeTable writes a Markdown table without the columns that are empty in every row.
func writeTable(b *strings.Builder, header []string, rows [][]string) {
	used := func(column int) bool {
		return slices.ContainsFunc(rows, func(row []string) bool { return row[column] != "" })
	}
	line := func(cells []string) {
		for column, cell := range cells {
			if used(column) {
				b.WriteString("| " + strings.ReplaceAll(cell, "|", `\|`) + " ")
			}
		}
		b.WriteString("|\n")
	}
	line(header)
	line(slices.Repeat([]string{"---"}, len(header)))
	for _, row := range rows {
		line(row)
	}
}
