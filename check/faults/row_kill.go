package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// calls are the system calls of files and sockets that the agent makes.
func calls() []string {
	return []string{
		"openat", "mkdirat", "read", "pread64", "write", "fsync", "renameat", "unlinkat", "close", "flock", "fstat", "fstatfs",
		"getdents64", "fcntl", "socket", "connect", "getsockopt", "setsockopt", "epoll_ctl",
	}
}

// shortCalls are those of the short form: writes to the disk, and connections.
func shortCalls() []string {
	return []string{"write", "fsync", "renameat", "connect"}
}

// change is a command that changes the store, and what it needs.
type change struct {
	prepare func(*world) error
	args    func(*world) []string
	acked   bool // a token was acknowledged before
}

func ofEnroll() change {
	return change{func(*world) error { return nil }, (*world).enrollArgs, false}
}

func ofRotate() change {
	return change{func(w *world) error { _, err := w.enroll(); return err }, (*world).rotateArgs, true}
}

// killEachEnroll kills enroll before each file and socket call of the process.
func killEachEnroll(h *harness, r *row) { killEach(h, r, ofEnroll()) }

func killEachRotate(h *harness, r *row) { killEach(h, r, ofRotate()) }

// killEach kills before every call, whichever thread makes it, until a run completes;
// the short form skips some.
func killEach(h *harness, r *row, c change) {
	step := h.pick(13, 1)
	var ended atomic.Bool
	var mu sync.Mutex
	most := map[string]int{}
	h.each(5000, func(i int) {
		if ended.Load() {
			return
		}
		n := 1 + i*step
		what := fmt.Sprintf("before call %d", n)
		w, err := h.newWorld("")
		if err == nil {
			defer w.close()
			err = c.prepare(w)
		}
		var t traced
		if err == nil {
			t = killBefore(w.command(h.ctx, nil, c.args(w)...), n)
			err = t.fault
		}
		if err == nil && t.hit == "" && t.exit != 0 {
			err = fmt.Errorf("it was not killed, but failed with exit %d", t.exit)
		}
		var f finding
		if err == nil && t.hit != "" {
			if err = w.sever(); err == nil {
				f, err = w.settle(c.acked)
			}
		}
		if err != nil {
			ended.Store(true)
			r.broken(fmt.Errorf("%s: %w", what, err))
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
		r.add(what+", "+t.hit, f)
	})
	r.how = fmt.Sprintf("SIGKILL before the n-th call, counted over all threads, n = 1, %d, … until a run completed: %s",
		1+step, listCounts(most))
}

// listCounts formats counts as "close 70, fsync 28".
func listCounts(counts map[string]int) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%s %d", name, counts[name]))
	}
	return strings.Join(parts, ", ")
}

// killEnroll kills enroll by strace, until a run completes.
func killEnroll(h *harness, r *row) {
	if r.notRun = missing("strace"); r.notRun != "" {
		return
	}
	killCommand(h, r, ofEnroll())
}

// killRotate does the same to rotate on an enrolled store.
func killRotate(h *harness, r *row) {
	if r.notRun = missing("strace"); r.notRun != "" {
		return
	}
	killCommand(h, r, ofRotate())
}

func killCommand(h *harness, r *row, c change) {
	which, rounds := shortCalls(), 1
	if h.whole {
		which, rounds = calls(), 3
	}
	cover := newCoverage()
	for range rounds {
		for _, call := range which {
			injectCall(h, r, cover, c, call, "signal=KILL")
		}
	}
	r.how = fmt.Sprintf("SIGKILL by strace before the n-th call of one system call in one thread, n = 1, 2, … until a run completed, %s; "+
		"positions reached for each: %s", times(rounds), cover)
}

func times(n int) string {
	if n == 1 {
		return "one round"
	}
	return fmt.Sprintf("%d rounds", n)
}

// injectCall tries every index of one call, several at a time, until a run is not
// hit.
func injectCall(h *harness, r *row, cover *coverage, c change, call, effect string) {
	const most = 5000
	var ended atomic.Bool
	h.each(most, func(i int) {
		if ended.Load() {
			return
		}
		what := fmt.Sprintf("%s %s %d", call, effect, i+1)
		w, err := h.newWorld("")
		if err == nil {
			defer w.close()
			var hit bool
			var f finding
			if hit, f, err = w.injected(c, injection{call, effect, i + 1}, cover); hit && err == nil {
				r.add(what, f)
			}
			if !hit {
				ended.Store(true)
			}
		}
		if err != nil {
			ended.Store(true)
			r.broken(fmt.Errorf("%s: %w", what, err))
		}
	})
}

// injected runs one command under one injection and checks the result.
func (w *world) injected(c change, i injection, cover *coverage) (hit bool, f finding, err error) {
	if err := c.prepare(w); err != nil {
		return false, f, err
	}
	o, hit, err := w.inject(i, cover, c.args(w))
	if err != nil || !hit {
		if err == nil && o.Exit != 0 {
			err = fmt.Errorf("it was not hit, but failed: %s", o)
		}
		return hit, f, err
	}
	if err := w.sever(); err != nil {
		return hit, f, err
	}
	if f, err = w.settle(c.acked || o.Exit == 0); err != nil {
		return hit, f, err
	}
	if o.Exit != 0 && !o.Killed && strings.TrimSpace(o.Stderr) == "" && !strings.HasPrefix(i.call, "write") {
		f.halves, f.why = f.halves+1, "it failed without a message"
	}
	return hit, f, nil
}

// errorsEnroll makes one call of enroll fail.
func errorsEnroll(h *harness, r *row) { errorsCommand(h, r, ofEnroll()) }

// errorsRotate does the same to rotate on an enrolled store.
func errorsRotate(h *harness, r *row) { errorsCommand(h, r, ofRotate()) }

func errorsCommand(h *harness, r *row, c change) {
	if r.notRun = missing("strace"); r.notRun != "" {
		return
	}
	which := []string{"fsync:EIO", "write:ENOSPC", "renameat:EIO"}
	if h.whole {
		for _, call := range []string{"write", "fsync", "renameat", "openat", "mkdirat", "unlinkat", "close"} {
			which = append(which, call+":ENOSPC", call+":EIO")
		}
		slices.Sort(which)
		which = slices.Compact(which)
	}
	for _, w := range which {
		call, code, _ := strings.Cut(w, ":")
		injectCall(h, r, nil, c, call, "error="+code)
	}
	r.how = "by strace, the n-th call of one system call in one thread fails, n = 1, 2, … until none did: " + strings.Join(which, ", ")
}
