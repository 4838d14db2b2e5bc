package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"github.com/peaqnetwork/peaqos-agent/check/lab"
)

// killRun kills the daemon at random moments: while it starts and runs, while it
// repairs a damaged copy, and while it enrolls or rotates for a command.
func killRun(h *harness, r *row) {
	n := h.pick(60, 1000)
	modes := []func(*world) (acked, landed bool, err error){(*world).killIdle, (*world).killRepairing, (*world).killEnrolling, (*world).killRotating}
	names := []string{"running", "repairing a copy", "enrolling for a command", "rotating for a command"}
	h.inWorlds(r, n, func(w *world, i int) (attempt, error) {
		a := attempt{what: names[i%4]}
		acked, landed, err := modes[i%4](w)
		if err != nil {
			return a, err
		}
		a.landed = landed
		if err := w.sever(); err != nil {
			return a, err
		}
		a.finding, err = w.settle(acked)
		return a, err
	})
	r.how = "SIGKILL at a random moment of the first 300 ms: a quarter each running, repairing a damaged copy, " +
		"enrolling and rotating through the admin socket"
}

// upTo is a random time.
func upTo(d time.Duration) time.Duration { return time.Duration(rand.Int64N(int64(d))) }

func (w *world) killIdle() (acked, landed bool, err error) {
	if _, err := w.enroll(); err != nil {
		return false, false, err
	}
	d, err := w.run()
	if err != nil {
		return false, false, err
	}
	time.Sleep(upTo(300 * time.Millisecond))
	return true, d.kill(), nil
}

func (w *world) killRepairing() (acked, landed bool, err error) {
	if _, err := w.enroll(); err != nil {
		return false, false, err
	}
	files, err := filepath.Glob(filepath.Join(w.state, "keystore", "*.[ab]"))
	if err != nil || len(files) == 0 {
		return false, false, fmt.Errorf("no slots: %w", err)
	}
	if err := flip(files[rand.IntN(len(files))], rand.IntN(100)); err != nil {
		return false, false, err
	}
	d, err := w.run()
	if err != nil {
		return false, false, err
	}
	time.Sleep(upTo(60 * time.Millisecond))
	return true, d.kill(), nil
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

func (w *world) killEnrolling() (acked, landed bool, err error) {
	return w.killDuring(w.enrollArgs(), false)
}

func (w *world) killRotating() (acked, landed bool, err error) {
	if _, err := w.enroll(); err != nil {
		return false, false, err
	}
	return w.killDuring(w.rotateArgs(), true)
}

// killDuring kills the daemon while it runs a command.
func (w *world) killDuring(args []string, before bool) (acked, landed bool, err error) {
	d, err := w.run()
	if err != nil {
		return false, false, err
	}
	defer d.kill()
	if err := w.untilAdmin(); err != nil {
		return false, false, fmt.Errorf("%w: %s", err, d.Output)
	}
	done := make(chan lab.Outcome, 1)
	go func() {
		o, err := w.runCommand(nil, args...)
		if err != nil {
			o.Exit = -1
		}
		done <- o
	}()
	time.Sleep(upTo(100 * time.Millisecond))
	landed = d.kill()
	o := <-done
	return before || o.Exit == 0, landed, nil
}

// killUnderLease kills the daemon again and again and watches the lease.
func killUnderLease(h *harness, r *row) {
	worlds, kills := h.pick(2, 20), h.pick(2, 5)
	h.inWorlds(r, worlds, func(w *world, _ int) (attempt, error) {
		a := attempt{what: "the lease", landed: true}
		if _, err := w.enroll(); err != nil {
			return a, err
		}
		before := w.sandbox.Beats()
		for range kills {
			d, err := w.run()
			if err != nil {
				return a, err
			}
			for end := time.Now().Add(2*time.Second + upTo(2*time.Second)); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
				for _, e := range w.sandbox.Endpoints("") {
					if e.Status != "active" {
						a.halves, a.why = a.halves+1, "the endpoint was "+e.Status
					}
				}
			}
			a.landed = d.kill() && a.landed
		}
		if w.sandbox.Beats() == before {
			a.halves, a.why = a.halves+1, "no heartbeat was accepted"
		}
		return a, nil
	})
	r.how = fmt.Sprintf("%d kills of each daemon, 2 to 4 s apart, under a lease of 6 s: it never expires", kills)
}
