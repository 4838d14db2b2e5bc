package main

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/peaqnetwork/peaqos-agent/check/lab"
)

// injection is one fault in one system call, made by strace at the when-th call of
// that name. strace counts each thread separately, so the index does not identify a
// call of the process; position does, counted over all threads in strace's record.
type injection struct {
	call   string
	effect string // signal=KILL or error=EIO
	when   int
}

// front is the program that runs the agent.
func (i injection) front(record string) []string {
	inject := fmt.Sprintf("inject=%s:%s:when=%d", i.call, i.effect, i.when)
	return []string{"strace", "-f", "-qq", "-o", record, "-e", "trace=" + i.call, "-e", inject}
}

// position counts the calls in strace's record; a kill hit the last one.
func position(record, call string) (calls, injected int, err error) {
	f, err := os.Open(record)
	if err != nil {
		return 0, 0, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if strings.Contains(lines.Text(), " "+call+"(") {
			calls++
		}
		if strings.HasSuffix(lines.Text(), "(INJECTED)") {
			injected++
		}
	}
	return calls, injected, lines.Err()
}

// coverage is which positions of each call were hit, and how many there are.
type coverage struct {
	mu  sync.Mutex
	hit map[string]map[int]bool
	all map[string]int
}

func newCoverage() *coverage { return &coverage{hit: map[string]map[int]bool{}, all: map[string]int{}} }

func (c *coverage) add(call string, calls int, killed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all[call] = max(c.all[call], calls)
	if c.hit[call] == nil {
		c.hit[call] = map[int]bool{}
	}
	if killed {
		c.hit[call][calls] = true
	}
}

// String lists the calls as "fsync 28 of 28".
func (c *coverage) String() string {
	var parts []string
	for _, call := range calls() {
		if c.all[call] > 0 {
			parts = append(parts, fmt.Sprintf("%s %d of %d", call, len(c.hit[call]), c.all[call]))
		}
	}
	return strings.Join(parts, ", ")
}

// inject runs a command under one injection and reports whether it was hit.
func (w *world) inject(i injection, cover *coverage, args []string) (o lab.Outcome, hit bool, err error) {
	record := filepath.Join(filepath.Dir(w.config), "strace")
	o, err = w.runCommand(i.front(record), args...)
	if err != nil {
		return o, false, err
	}
	n, injected, err := position(record, i.call)
	if err != nil {
		return o, false, err
	}
	hit = o.Killed || injected > 0
	if cover != nil {
		cover.add(i.call, n, o.Killed)
	}
	return o, hit, os.Remove(record)
}
