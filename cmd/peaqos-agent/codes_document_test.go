package main

import (
	"fmt"
	"path/filepath"
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

A machine is in one state. A cause, with one of the codes below, says why.

`)
	var states [][]string
	for _, s := range status.States() {
		states = append(states, []string{"`" + string(s) + "`", status.Effect(status.Machine{State: s})})
	}
	writeTable(&b, []string{"State", "Effect"}, states)

	b.WriteString(`
## Codes

A code appears as ` + "`code`" + ` in log lines, in ` + "`/readyz`" + ` and ` + "`/status`" + `, and in the errors that a command
prints with ` + "`--json`" + `. It never changes its meaning. Codes in upper case are the orchestrator's; one that is not
listed here is passed through. A log line about a change of state has the code ` + "`state_`" + ` and the state.

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
	return "`" + command + "`"
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
