package agent

import "strings"

// Exit codes of the command, by meaning (they extend those of the peaq CLI).
const (
	ExitOK       = 0
	ExitUsage    = 1 // usage or validation
	ExitNetwork  = 2 // network or API
	ExitConfig   = 3 // configuration
	ExitRejected = 4 // the agent is rejected or revoked
	ExitKeystore = 5
	ExitRunning  = 6 // another process holds the store
)

// Problem is an error as a person should meet it: what is wrong, what we know,
// what to do next. The same sentences go to the terminal, the log, the status
// page and the exit code. It never holds a secret.
type Problem struct {
	Exit  int
	Code  string // stable, for programs
	What  string
	Known string
	Next  string
	Cause error
}

func problem(exit int, code, what, known, next string) *Problem {
	return &Problem{Exit: exit, Code: code, What: what, Known: known, Next: next}
}

func (p *Problem) Error() string {
	var parts []string
	for _, s := range []string{p.What, p.Known, p.Next} {
		if s != "" {
			parts = append(parts, s)
		}
	}
	return strings.Join(parts, "; ")
}

func (p *Problem) Unwrap() error { return p.Cause }
