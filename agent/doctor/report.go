package doctor

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/peaqnetwork/peaqos-agent/agent/status"
)

// Level says how much a finding matters.
type Level string

const (
	OK      Level = "ok"
	Skipped Level = "skipped" // could not be checked, and why
	Warning Level = "warning" // works, and deserves a look
	Problem Level = "problem"
)

// Finding is the result of one check.
type Finding struct {
	Check   string      `json:"check"`
	Machine string      `json:"machine,omitempty"`
	Level   Level       `json:"level"`
	Code    status.Code `json:"code,omitempty"` // empty: nothing is wrong
	Text    string      `json:"text"`
	Next    string      `json:"next,omitempty"` // a command or a sentence
}

// Report is the result of a diagnosis.
type Report struct {
	Version  string    `json:"version"`
	At       time.Time `json:"at"`
	OK       bool      `json:"ok"` // no warning and no problem
	Findings []Finding `json:"findings"`
	Fixed    []string  `json:"fixed,omitempty"`   // what --fix did
	Network  *Network  `json:"network,omitempty"` // with --network
}

// Exit is the exit code of the first problem; status.ExitOK without one. Warnings alone
// do not make a command fail.
func (r Report) Exit() status.Exit {
	for _, f := range r.Findings {
		if f.Level != Problem {
			continue
		}
		switch exit := status.Lookup(f.Code).Exit; {
		case exit != status.ExitOK:
			return exit
		case f.Check == checkEndpoint: // as endpoints check
			return status.ExitNetwork
		}
		return status.ExitFailed
	}
	return status.ExitOK
}

// Text is the report for a person: one line for each finding, and what helps below those
// that need it. Quiet leaves out what is in order.
func (r Report) Text(quiet bool) string {
	var b strings.Builder
	for _, done := range r.Fixed {
		fmt.Fprintf(&b, "%-8s %s\n", "fixed", done)
	}
	count := map[Level]int{}
	for _, f := range r.Findings {
		count[f.Level]++
		if quiet && (f.Level == OK || f.Level == Skipped) {
			continue
		}
		name := f.Check
		if f.Machine != "" {
			name += " " + f.Machine
		}
		fmt.Fprintf(&b, "%-8s %-14s %s", f.Level, name, f.Text)
		if f.Code != "" && f.Level != OK {
			fmt.Fprintf(&b, " [%s]", f.Code)
		}
		b.WriteString("\n")
		if f.Next != "" && f.Level != OK {
			fmt.Fprintf(&b, "%-8s %-14s Next: %s\n", "", "", f.Next)
		}
	}
	switch {
	case !r.OK:
		fmt.Fprintf(&b, "\n%s, %s\n", plural(count[Problem], "problem"), plural(count[Warning], "warning"))
	case !quiet && count[Skipped] > 0:
		fmt.Fprintf(&b, "\nNo problem found; %s skipped\n", plural(count[Skipped], "check"))
	case !quiet:
		b.WriteString("\nNo problem found\n")
	}
	if r.Network != nil {
		b.WriteString(r.Network.text())
	}
	return b.String()
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// add appends a finding without a code.
func (r *Report) add(level Level, check, text string) {
	r.put(Finding{Check: check, Level: level, Text: text})
}

// code appends a finding with the words of the table: its meaning with the detail, its
// command, or else its advice.
func (r *Report) code(level Level, check string, code status.Code, detail string) {
	p := status.NewProblem(code, "")
	next := status.Lookup(code).Command
	if strings.Contains(next, "{") || next == "" || next == "-" || p.Next != "" {
		next = p.Next
	}
	r.put(Finding{Check: check, Level: level, Code: code, Text: status.NewCause(code, detail).Text, Next: next})
}

// problem appends what a command would report as its error.
func (r *Report) problem(level Level, check string, p *status.Problem) {
	text := p.Message
	if p.Detail != "" {
		text += ": " + p.Detail
	}
	r.put(Finding{Check: check, Level: level, Code: p.Code, Text: text, Next: p.Next})
}

func (r *Report) put(f Finding) { r.Findings = append(r.Findings, f) }

// has reports whether a warning or a problem with this code was found.
func (r *Report) has(code status.Code) bool {
	return slices.ContainsFunc(r.Findings, func(f Finding) bool {
		return f.Code == code && (f.Level == Warning || f.Level == Problem)
	})
}

// failed reports whether a check of a machine has found a problem.
func (r *Report) failed(check, machine string) bool {
	return slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.Check == check && f.Machine == machine && f.Level == Problem })
}
