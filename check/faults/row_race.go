package main

import (
	"fmt"
	"sync"
	"sync/atomic"
)

// race starts n enrolls on one empty store at the same moment: some exit with 0, the
// others report that the store is in use, and one agent is active.
func race(n int) func(*harness, *row) {
	return func(h *harness, r *row) {
		rounds := h.pick(20, 200)
		if n > 2 {
			rounds = h.pick(1, 5)
		}
		for i := range rounds {
			what := fmt.Sprintf("race %d", i+1)
			f, overlapped, err := h.oneRace(n, i%2 == 1)
			if err != nil {
				r.broken(fmt.Errorf("%s: %w", what, err))
				return
			}
			r.add(attempt{what, overlapped, f})
		}
		r.how = fmt.Sprintf("%d races of %d processes: enroll at once on one empty store, in every other race one of them run", rounds, n)
	}
}

// oneRace also reports whether two of the processes existed at the same time.
func (h *harness) oneRace(n int, withRun bool) (f finding, overlapped bool, err error) {
	w, err := h.newWorld("")
	if err != nil {
		return f, false, err
	}
	defer w.close()
	var mu sync.Mutex
	var wg sync.WaitGroup
	var broken error
	acked := false
	var alive atomic.Int64
	var together atomic.Bool
	start := make(chan struct{})
	var d *daemon
	if withRun {
		n--
	}
	for range n {
		wg.Go(func() {
			<-start
			if alive.Add(1) > 1 || withRun {
				together.Store(true)
			}
			defer alive.Add(-1)
			o, err := w.runCommand(nil, w.enrollArgs()...)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err != nil:
				broken = err
			case o.Exit == 0:
				acked = true
			case o.Exit != 6:
				f.halves, f.why = f.halves+1, o.String()
			}
		})
	}
	if withRun {
		if d, err = w.run(); err != nil {
			return f, false, err
		}
		defer d.kill()
	}
	close(start)
	wg.Wait()
	if broken != nil {
		return f, false, broken
	}
	if d != nil {
		d.kill()
	}
	after, err := w.settle(acked)
	if f.good() {
		f = after
	}
	return f, together.Load(), err
}
