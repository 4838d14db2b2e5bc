package main

import (
	"fmt"
	"sync"
)

// race starts n enrolls on one empty store at the same moment: some end with 0,
// the others say that the store is in use; one agent lives.
func race(n int) func(*lab, *row) {
	return func(l *lab, r *row) {
		rounds := l.pick(20, 200)
		if n > 2 {
			rounds = l.pick(1, 5)
		}
		for i := range rounds {
			what := fmt.Sprintf("race %d", i+1)
			f, err := l.oneRace(n, i%2 == 1)
			if err != nil {
				r.broken(fmt.Errorf("%s: %w", what, err))
				return
			}
			r.add(what, f)
		}
		r.how = fmt.Sprintf("%d races of %d processes: enroll at once on one empty store, in every other race one of them run", rounds, n)
	}
}

func (l *lab) oneRace(n int, withRun bool) (finding, error) {
	w, err := l.newWorld("")
	if err != nil {
		return finding{}, err
	}
	defer w.close()
	var f finding
	var mu sync.Mutex
	var wg sync.WaitGroup
	var broken error
	acked := false
	start := make(chan struct{})
	var d *daemon
	if withRun {
		n--
	}
	for range n {
		wg.Go(func() {
			<-start
			o, err := w.verb(nil, w.enrollArgs()...)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err != nil:
				broken = err
			case o.exit == 0:
				acked = true
			case o.exit != 6:
				f.halves, f.why = f.halves+1, o.String()
			}
		})
	}
	if withRun {
		if d, err = w.run(); err != nil {
			return f, err
		}
		defer d.kill()
	}
	close(start)
	wg.Wait()
	if broken != nil {
		return f, broken
	}
	if d != nil {
		d.kill()
	}
	after, err := w.settle(acked)
	if f.good() {
		f = after
	}
	return f, err
}
