package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// killEach kills a command before every call, whichever thread makes it, until a run
// completes; the short form skips some.
func killEach(c change) func(*harness, *row) {
	return func(h *harness, r *row) {
		if c.needs != nil {
			if r.notRun = c.needs(); r.notRun != "" {
				return
			}
		}
		step := h.pick(29, 1)
		counts := h.everyCall(r, c, step, interruption{})
		r.how = fmt.Sprintf("SIGKILL before the n-th call, counted over all threads, n = %s until a run completed: %s",
			series(step), listCounts(counts))
	}
}

// failEach makes every call fail that an exhausted or dying disk can make fail.
func failEach(c change) func(*harness, *row) {
	return func(h *harness, r *row) {
		why := canFail()
		if c.needs != nil {
			why = cmp.Or(why, c.needs())
		}
		if r.notRun = why; why != "" {
			return
		}
		step := h.pick(29, 1)
		var how []string
		for _, i := range []interruption{
			{unix.ENOSPC, []string{"openat", "mkdirat", "write", "fsync", "renameat"}},
			{unix.EIO, []string{"openat", "mkdirat", "write", "fsync", "renameat", "unlinkat", "close", "read", "pread64", "getdents64"}},
		} {
			counts := h.everyCall(r, c, step, i)
			how = append(how, fmt.Sprintf("%s: %s", unix.ErrnoName(i.errno), listCounts(counts)))
		}
		r.how = fmt.Sprintf("the n-th call, counted over all threads, fails, n = %s until a run was not hit: %s", series(step), strings.Join(how, "; "))
	}
}

// everyCall interrupts a command at each of its calls, and returns how many calls a whole
// run makes.
func (h *harness) everyCall(r *row, c change, step int, at interruption) map[string]int {
	var ended atomic.Bool
	var mu sync.Mutex
	most := map[string]int{}
	h.each(5000, func(i int) {
		if ended.Load() {
			return
		}
		n := 1 + i*step
		t, a, err := h.atCall(c, n, at)
		if err != nil {
			ended.Store(true)
			r.broken(fmt.Errorf("call %d: %w", n, err))
			return
		}
		mu.Lock()
		defer mu.Unlock()
		for name, count := range t.seen {
			most[name] = max(most[name], count)
		}
		if t.hit == "" {
			ended.Store(true)
			return
		}
		r.add(a)
	})
	return most
}

// atCall runs one command with one interruption, and checks what it left.
func (h *harness) atCall(c change, n int, at interruption) (t traced, a attempt, err error) {
	w, err := h.newWorld("")
	if err != nil {
		return t, a, err
	}
	defer w.close()
	if err := c.prepare(w); err != nil {
		return t, a, err
	}
	t = interrupt(w.command(h.ctx, nil, c.args(w)...), h.lab.Binary, n, at)
	if t.fault != nil || t.hit == "" {
		if t.fault == nil && t.exit != 0 {
			t.fault = fmt.Errorf("it was not hit, but failed with exit %d: %s", t.exit, t.output)
		}
		return t, a, t.fault
	}
	a.what = fmt.Sprintf("call %d, %s", n, t.hit)
	a.landed = at.errno != 0 || t.killed
	if err := w.sever(); err != nil {
		return t, a, err
	}
	if a.finding, err = c.check(w, !t.killed && t.exit == 0); err != nil {
		return t, a, err
	}
	// A rotation that is not confirmed yet is a result on standard output, with its own exit code.
	if !t.killed && t.exit != 0 && strings.TrimSpace(t.output) == "" && t.hit != "write" {
		a.halves, a.why = a.halves+1, "it failed without a message"
	}
	return t, a, nil
}

// series is the first positions, for the table.
func series(step int) string { return fmt.Sprintf("1, %d, …", 1+step) }

// listCounts formats counts as "close 70, fsync 28".
func listCounts(counts map[string]int) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%s %d", name, counts[name]))
	}
	return strings.Join(parts, ", ")
}

func times(n int) string {
	if n == 1 {
		return "one round"
	}
	return fmt.Sprintf("%d rounds", n)
}
