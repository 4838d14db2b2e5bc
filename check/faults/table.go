package main

import (
	"fmt"
	"strings"
	"sync"
	"time"
)

// class is one kind of fault and the function that tries it.
type class struct {
	name string
	try  func(*harness, *row)
}

// row counts one class. Its methods may be called by several workers.
type row struct {
	name   string
	how    string // what was done, for the table
	notRun string // why this machine cannot
	took   time.Duration

	mu       sync.Mutex
	tried    int
	landed   int // tries in which the fault was witnessed
	survived int
	finding  // the sum of all
	failures []string
}

// finding is what went wrong in one try; the zero value means nothing.
type finding struct {
	lost    int // acknowledged tokens that are gone, agents that the store does not name
	orphans int // active agents in addition to the one
	halves  int // enroll did not end with one active agent that sends heartbeats
	manual  int // more than one enroll was needed
	leaks   int // places where a canary was found
	signed  int // signatures of rejected text, bodies sent again
	why     string
}

func (f finding) good() bool {
	f.why = ""
	return f == finding{}
}

// attempt is one try: what was done, whether the fault was witnessed (the process died of
// the signal, the call failed, the file was different when it was read), and what went
// wrong after it.
type attempt struct {
	what   string
	landed bool
	finding
}

const maxFailures = 8

// add counts one try.
func (r *row) add(a attempt) {
	r.mu.Lock()
	defer r.mu.Unlock()
	what, f := a.what, a.finding
	r.tried++
	if a.landed {
		r.landed++
	} else if len(r.failures) < maxFailures {
		r.failures = append(r.failures, what+": the fault did not happen")
	}
	r.lost += f.lost
	r.orphans += f.orphans
	r.halves += f.halves
	r.manual += f.manual
	r.leaks += f.leaks
	r.signed += f.signed
	if f.good() {
		r.survived++
	} else if len(r.failures) < maxFailures {
		r.failures = append(r.failures, what+": "+f.why)
	}
}

// broken records an error of the check itself: the row fails.
func (r *row) broken(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.halves++
	if len(r.failures) < maxFailures {
		r.failures = append(r.failures, "the check itself: "+err.Error())
	}
}

func (r *row) good() bool {
	return r.notRun != "" || (r.finding.good() && r.tried > 0 && r.landed == r.tried && r.survived == r.tried)
}

// table formats the rows as Markdown, and their sum as one sentence.
func table(rows []*row) string {
	var b strings.Builder
	b.WriteString("| class | tried | landed | survived | lost | orphans | half states | manual steps | how |\n|---|--:|--:|--:|--:|--:|--:|--:|---|\n")
	var sum finding
	for _, r := range rows {
		if r.notRun != "" {
			fmt.Fprintf(&b, "| %s | – | – | – | – | – | – | – | not run here: %s |\n", r.name, r.notRun)
			continue
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %d | %d | %d | %d | %s |\n",
			r.name, thousands(r.tried), thousands(r.landed), thousands(r.survived), r.lost, r.orphans, r.halves, r.manual, r.how)
		sum.lost += r.lost
		sum.orphans += r.orphans
		sum.halves += r.halves
		sum.manual += r.manual
		sum.leaks += r.leaks
		sum.signed += r.signed
	}
	fmt.Fprintf(&b, "\n%d tokens lost, %d orphan agents, %d half states, %d manual steps; canaries found %d times; "+
		"%d signatures of rejected text or bodies sent again.\n",
		sum.lost, sum.orphans, sum.halves, sum.manual, sum.leaks, sum.signed)
	return b.String()
}

// thousands formats 12345 as 12,345.
func thousands(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
