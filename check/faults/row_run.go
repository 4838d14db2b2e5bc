package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"
)

// killRun kills the daemon at random moments of its life: while it starts and
// runs, while it heals a damaged copy, while it enrolls and while it rotates for
// a verb.
func killRun(l *lab, r *row) {
	n := l.pick(60, 1000)
	modes := []func(*world) (bool, error){(*world).killIdle, (*world).killHealing, (*world).killEnrolling, (*world).killRotating}
	names := []string{"running", "healing a copy", "enrolling for a verb", "rotating for a verb"}
	l.inWorlds(r, n, func(w *world, i int) (string, finding, error) {
		what := names[i%4]
		acked, err := modes[i%4](w)
		if err != nil {
			return what, finding{}, err
		}
		if err := w.sever(); err != nil {
			return what, finding{}, err
		}
		f, err := w.settle(acked)
		return what, f, err
	})
	r.how = "SIGKILL at a random moment of the first 300 ms: a quarter each running, healing a damaged copy, enrolling and rotating through the admin socket"
}

// upTo is a random time.
func upTo(d time.Duration) time.Duration { return time.Duration(rand.Int64N(int64(d))) }

func (w *world) killIdle() (bool, error) {
	if _, err := w.enroll(); err != nil {
		return false, err
	}
	d, err := w.run()
	if err != nil {
		return false, err
	}
	time.Sleep(upTo(300 * time.Millisecond))
	d.kill()
	return true, nil
}

func (w *world) killHealing() (bool, error) {
	if _, err := w.enroll(); err != nil {
		return false, err
	}
	files, err := filepath.Glob(filepath.Join(w.state, "keystore", "*.[ab]"))
	if err != nil || len(files) == 0 {
		return false, fmt.Errorf("no slots: %w", err)
	}
	if err := flip(files[rand.IntN(len(files))], rand.IntN(100)); err != nil {
		return false, err
	}
	d, err := w.run()
	if err != nil {
		return false, err
	}
	time.Sleep(upTo(60 * time.Millisecond))
	d.kill()
	return true, nil
}

// flip changes one bit of a file.
func flip(path string, at int) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	b[at%len(b)] ^= 1 << (at % 8)
	return os.WriteFile(path, b, 0o600)
}

func (w *world) killEnrolling() (bool, error) { return w.killDuring(w.enrollArgs(), false) }

func (w *world) killRotating() (bool, error) {
	if _, err := w.enroll(); err != nil {
		return false, err
	}
	return w.killDuring(w.rotateArgs(), true)
}

// killDuring kills the daemon while it does a verb's work.
func (w *world) killDuring(args []string, acked bool) (bool, error) {
	d, err := w.run()
	if err != nil {
		return false, err
	}
	defer d.kill()
	if err := w.answersAdmin(); err != nil {
		return false, fmt.Errorf("%w: %s", err, d.out)
	}
	done := make(chan outcome, 1)
	go func() {
		o, err := w.verb(nil, args...)
		if err != nil {
			o.exit = -1
		}
		done <- o
	}()
	time.Sleep(upTo(100 * time.Millisecond))
	d.kill()
	o := <-done
	return acked || o.exit == 0, nil
}

// killUnderLease kills the daemon again and again and watches the lease.
func killUnderLease(l *lab, r *row) {
	worlds, kills := l.pick(2, 20), l.pick(2, 5)
	l.inWorlds(r, worlds, func(w *world, _ int) (string, finding, error) {
		const what = "the lease"
		if _, err := w.enroll(); err != nil {
			return what, finding{}, err
		}
		var f finding
		before := w.sandbox.Beats()
		for range kills {
			d, err := w.run()
			if err != nil {
				return what, f, err
			}
			for end := time.Now().Add(2*time.Second + upTo(2*time.Second)); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
				for _, e := range w.sandbox.Endpoints("") {
					if e.Status != "active" {
						f.halves, f.why = f.halves+1, "the endpoint was "+e.Status
					}
				}
			}
			d.kill()
		}
		if w.sandbox.Beats() == before {
			f.halves, f.why = f.halves+1, "no beat was accepted"
		}
		return what, f, nil
	})
	r.how = fmt.Sprintf("%d kills of each daemon, 2 to 4 s apart, under a lease of 6 s: it never lapses", kills)
}
