package main

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// injection is one fault in one system call, made by strace at the when-th call
// of that name. strace counts for each thread apart, so the index alone does not
// say which call of the process it was; position does, counted over all threads
// in strace's own record.
type injection struct {
	call   string
	effect string // signal=KILL or error=EIO
	when   int
}

// front is the program to put before the agent's line.
func (i injection) front(record string) []string {
	return []string{"strace", "-f", "-qq", "-o", record, "-e", "trace=" + i.call, "-e", "inject=" + i.call + ":" + i.effect + fmt.Sprintf(":when=%d", i.when)}
}

// position counts the calls in strace's record; the last one is where a kill hit.
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

// coverage is which positions of each call were hit, of how many.
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

// inject runs a verb under one injection and says whether it was hit.
func (w *world) inject(i injection, cover *coverage, args []string) (o outcome, hit bool, err error) {
	record := filepath.Join(filepath.Dir(w.config), "strace")
	o, err = w.verb(i.front(record), args...)
	if err != nil {
		return o, false, err
	}
	n, injected, err := position(record, i.call)
	if err != nil {
		return o, false, err
	}
	hit = o.killed || injected > 0
	if cover != nil {
		cover.add(i.call, n, o.killed)
	}
	return o, hit, os.Remove(record)
}
