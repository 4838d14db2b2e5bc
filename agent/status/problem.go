package status

import "strings"

// Problem is an error as a person meets it: what happened, what is known, and what
// to do next. The same Problem goes to the terminal, to --json, over the admin
// socket and into the exit code. It never holds a secret.
type Problem struct {
	Code    Code   `json:"code"`
	Message string `json:"message"`          // what happened
	Detail  string `json:"detail,omitempty"` // what is known about it
	Next    string `json:"next"`             // what to do
	Exit    Exit   `json:"exit"`
	Cause   error  `json:"-"`
}

// NewProblem returns the problem that a code stands for, with what is known in
// this case.
func NewProblem(code Code, detail string) *Problem {
	m := Lookup(code)
	next := m.Advice
	if next == "" && strings.HasPrefix(m.Command, "peaqos-agent ") {
		next = "run " + m.Command
	}
	return &Problem{Code: code, Message: m.What, Detail: detail, Next: next, Exit: m.Exit}
}

// Problem returns the cause as the problem of a command that it stopped.
func (c *Cause) Problem() *Problem {
	p := NewProblem(c.Code, "")
	p.Message = c.Text
	return p
}

// Wrap returns the problem with the error that led to it, for errors.Is and As.
func (p *Problem) Wrap(err error) *Problem {
	p.Cause = err
	return p
}

// Advise returns the problem with another next step than its code's usual one.
func (p *Problem) Advise(next string) *Problem {
	p.Next = next
	return p
}

// Error is the problem in one line.
func (p *Problem) Error() string {
	var parts []string
	for _, s := range []string{p.Message, p.Detail, p.Next} {
		if s != "" {
			parts = append(parts, s)
		}
	}
	return strings.Join(parts, "; ")
}

func (p *Problem) Unwrap() error { return p.Cause }
