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

// shortCalls are those of the short form: what changes the disk, and the network.
func shortCalls() []string {
	return []string{"write", "fsync", "renameat", "connect"}
}

// change is a verb that changes the store, and what it needs.
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
func killEachEnroll(l *lab, r *row) { killEach(l, r, ofEnroll()) }

func killEachRotate(l *lab, r *row) { killEach(l, r, ofRotate()) }

// killEach goes through all calls, whatever thread makes them, until a run ends
// unkilled; the short form takes some.
func killEach(l *lab, r *row, c change) {
	step := l.pick(13, 1)
	var ended atomic.Bool
	var mu sync.Mutex
	most := map[string]int{}
	l.each(5000, func(i int) {
		if ended.Load() {
			return
		}
		n := 1 + i*step
		what := fmt.Sprintf("before call %d", n)
		w, err := l.newWorld("")
		if err == nil {
			defer w.close()
			err = c.prepare(w)
		}
		var t traced
		if err == nil {
			t = killBefore(w.command(l.ctx, nil, c.args(w)...), n)
			err = t.fault
		}
		if err == nil && t.hit == "" && t.exit != 0 {
			err = fmt.Errorf("not killed, and yet exit %d", t.exit)
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
	r.how = fmt.Sprintf("SIGKILL before the n-th call, counted over all threads, n = 1, %d, … until a run ended unkilled: %s", 1+step, listCounts(most))
}

// listCounts writes counts as "close 70, fsync 28".
func listCounts(counts map[string]int) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%s %d", name, counts[name]))
	}
	return strings.Join(parts, ", ")
}

// killEnroll kills enroll by strace, until a run ends unkilled.
func killEnroll(l *lab, r *row) {
	if r.notRun = missing("strace"); r.notRun != "" {
		return
	}
	killVerb(l, r, ofEnroll())
}

// killRotate does the same to rotate on an enrolled store.
func killRotate(l *lab, r *row) {
	if r.notRun = missing("strace"); r.notRun != "" {
		return
	}
	killVerb(l, r, ofRotate())
}

func killVerb(l *lab, r *row, c change) {
	which, rounds := shortCalls(), 1
	if l.whole {
		which, rounds = calls(), 3
	}
	cover := newCoverage()
	for range rounds {
		for _, call := range which {
			injectCall(l, r, cover, c, call, "signal=KILL")
		}
	}
	r.how = fmt.Sprintf("SIGKILL by strace before the n-th call of a name in one thread, n = 1, 2, … until a run ended unkilled, %s; of each name so many positions hit: %s", times(rounds), cover)
}

func times(n int) string {
	if n == 1 {
		return "one round"
	}
	return fmt.Sprintf("%d rounds", n)
}

// injectCall goes through the indexes of one call. Two workers go ahead; the
// first run that ends without having been hit ends it.
func injectCall(l *lab, r *row, cover *coverage, c change, call, effect string) {
	const most = 5000
	var ended atomic.Bool
	l.each(most, func(i int) {
		if ended.Load() {
			return
		}
		what := fmt.Sprintf("%s %s %d", call, effect, i+1)
		w, err := l.newWorld("")
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

// injected runs one verb under one injection and judges what is left.
func (w *world) injected(c change, i injection, cover *coverage) (hit bool, f finding, err error) {
	if err := c.prepare(w); err != nil {
		return false, f, err
	}
	o, hit, err := w.inject(i, cover, c.args(w))
	if err != nil || !hit {
		if err == nil && o.exit != 0 {
			err = fmt.Errorf("not hit, and yet: %s", o)
		}
		return hit, f, err
	}
	if err := w.sever(); err != nil {
		return hit, f, err
	}
	if f, err = w.settle(c.acked || o.exit == 0); err != nil {
		return hit, f, err
	}
	if o.exit != 0 && !o.killed && strings.TrimSpace(o.stderr) == "" && !strings.HasPrefix(i.call, "write") {
		f.halves, f.why = f.halves+1, "it failed without a word"
	}
	return hit, f, nil
}

// errorsEnroll makes one call of enroll fail.
func errorsEnroll(l *lab, r *row) { errorsVerb(l, r, ofEnroll()) }

// errorsRotate does the same to rotate on an enrolled store.
func errorsRotate(l *lab, r *row) { errorsVerb(l, r, ofRotate()) }

func errorsVerb(l *lab, r *row, c change) {
	if r.notRun = missing("strace"); r.notRun != "" {
		return
	}
	which := []string{"fsync:EIO", "write:ENOSPC", "renameat:EIO"}
	if l.whole {
		for _, call := range []string{"write", "fsync", "renameat", "openat", "mkdirat", "unlinkat", "close"} {
			which = append(which, call+":ENOSPC", call+":EIO")
		}
		slices.Sort(which)
		which = slices.Compact(which)
	}
	for _, w := range which {
		call, code, _ := strings.Cut(w, ":")
		injectCall(l, r, nil, c, call, "error="+code)
	}
	r.how = "by strace, the n-th call of a name in one thread fails, n = 1, 2, … until none did: " + strings.Join(which, ", ")
}
