package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/peaqnetwork/peaqos-agent/check/lab"
)

// poweredWorld is a world whose store is on a disk that can lose its power.
type poweredWorld struct {
	*world
	disk *disk
}

// onDisk makes the world on an empty disk. The state directory itself is durable
// before anything begins, as a package makes it.
func (h *diskHost) onDisk() (*poweredWorld, error) {
	d, err := h.fresh()
	if err != nil {
		return nil, err
	}
	state, err := d.state()
	if err == nil {
		err = syncAll(d.point)
	}
	if err != nil {
		d.remove()
		return nil, err
	}
	w, err := h.faults.newWorld(state)
	if err != nil {
		d.remove()
		return nil, err
	}
	return &poweredWorld{w, d}, nil
}

// syncAll writes everything of a file system to its disk.
func syncAll(point string) error {
	f, err := os.Open(point)
	if err != nil {
		return err
	}
	defer f.Close()
	return unix.Syncfs(int(f.Fd()))
}

func (p *poweredWorld) close() {
	p.world.close()
	p.disk.remove()
}

// powerCut cuts the power: it copies the disk as it is now, kills the process and
// drops its requests. The store is then on the copy, at the same path.
func (p *poweredWorld) powerCut(kill func()) error {
	if !p.disk.host.clones {
		kill()
	}
	after, err := p.disk.cut()
	kill()
	if err != nil {
		return err
	}
	if err := p.sever(); err != nil {
		return err
	}
	if err := p.disk.unmount(); err != nil {
		return err
	}
	old := p.disk.image
	after.host, p.disk.image = p.disk.host, after.image
	_ = os.Remove(after.point)
	_ = os.Remove(old)
	return p.disk.mount()
}

// powerRandom cuts the power at random moments of enroll and rotate, and after.
func powerRandom(kind string, short, whole int) func(*harness, *row) {
	return func(h *harness, r *row) {
		disks, why := h.host(kind)
		if r.notRun = why; why != "" {
			return
		}
		n := h.pick(short, whole)
		disks.each(n, func(i int) {
			p, err := disks.onDisk()
			if err != nil {
				r.broken(err)
				return
			}
			defer p.close()
			f, what, err := p.cutAtRandom(i)
			if err != nil {
				r.broken(fmt.Errorf("%s: %w", what, err))
				return
			}
			r.add(attempt{what, true, f}) // powerCut mounted the copy
		})
		r.how = disks.method() + " at a random moment of enroll (two of three) or rotate, or up to 20 ms after its end"
	}
}

// each is harness.each, but one at a time on btrfs.
func (h *diskHost) each(n int, f func(int)) {
	h.faults.each(n, func(i int) {
		if h.kind == "btrfs" {
			h.mu.Lock()
			defer h.mu.Unlock()
		}
		f(i)
	})
}

func (h *diskHost) method() string {
	if h.clones {
		return "the loop image cloned in one instant, mounted with replay, enroll again;"
	}
	return "process killed and the loop image copied, mounted with replay, enroll again;"
}

func (p *poweredWorld) cutAtRandom(i int) (finding, string, error) {
	args, acked, what := p.enrollArgs(), false, "enroll"
	if i%3 == 2 {
		if _, err := p.enroll(); err != nil {
			return finding{}, what, err
		}
		args, acked, what = p.rotateArgs(), true, "rotate"
	}
	ctx, cancel := context.WithTimeout(p.faults.ctx, patience)
	defer cancel()
	cmd := p.command(ctx, nil, args...)
	type ended struct {
		o   lab.Outcome
		err error
	}
	done := make(chan ended, 1)
	started := make(chan struct{})
	go func() {
		close(started)
		o, err := lab.Run(cmd)
		done <- ended{o, err}
	}()
	<-started
	delay := time.Duration(rand.Int64N(int64(120 * time.Millisecond)))
	what += fmt.Sprintf(" cut after %s", delay.Round(time.Millisecond))
	var e ended
	over := false
	select {
	case e = <-done:
		over = true
		time.Sleep(time.Duration(rand.Int64N(int64(20 * time.Millisecond))))
	case <-time.After(delay):
	}
	// What was acknowledged before the cut must be on the disk.
	if over && e.err == nil && e.o.Exit == 0 {
		acked = true
	}
	err := p.powerCut(func() {
		if !over {
			cancel()
			<-done
			over = true
		}
	})
	if err != nil {
		return finding{}, what, err
	}
	f, err := p.settle(acked)
	return f, what, err
}

// powerSteps cuts the power when the orchestrator receives each request of enroll and
// of rotate, when it has handled it, and when the command has ended.
func powerSteps(kind string) func(*harness, *row) {
	return func(h *harness, r *row) {
		disks, why := h.host(kind)
		if r.notRun = why; why != "" {
			return
		}
		rounds := h.pick(1, 5)
		for range rounds {
			disks.steps(r, ofEnroll())
			disks.steps(r, ofRotate())
		}
		r.how = disks.method() + " at each request of enroll and rotate, before and after it was handled, and at the end; " + times(rounds)
		if kind == "ext4" {
			disks.control(r)
		}
	}
}

func (h *diskHost) steps(r *row, c change) {
	const most = 40 // more requests than any command sends
	for i := range most {
		ended := false
		for _, done := range []bool{false, true} {
			p, err := h.onDisk()
			if err != nil {
				r.broken(err)
				return
			}
			f, what, over, err := p.cutAtRequest(c, i, done)
			ended = ended || over
			p.close()
			if err != nil {
				r.broken(fmt.Errorf("%s: %w", what, err))
				return
			}
			r.add(attempt{what, true, f}) // powerCut mounted the copy
		}
		if ended {
			return
		}
	}
}

// cutAtRequest cuts at the n-th request, before or after the sandbox handles it; a
// command that sends fewer is cut right after its end.
func (p *poweredWorld) cutAtRequest(c change, n int, done bool) (f finding, what string, over bool, err error) {
	if err := c.prepare(p.world); err != nil {
		return f, "prepare", false, err
	}
	reached, killed := make(chan string, 1), make(chan struct{})
	seen := 0
	p.interpose(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if seen++; seen-1 != n {
			next.ServeHTTP(w, r)
			return
		}
		if done {
			next.ServeHTTP(httptest.NewRecorder(), r)
		}
		reached <- r.Method + " " + r.URL.Path
		<-killed
		panic(http.ErrAbortHandler)
	})
	ctx, cancel := context.WithTimeout(p.faults.ctx, patience)
	defer cancel()
	cmd := p.command(ctx, nil, c.args(p.world)...)
	ended := make(chan lab.Outcome, 1)
	go func() {
		o, ferr := lab.Run(cmd)
		if ferr != nil {
			o.Exit = -1
		}
		ended <- o
	}()
	acked := c.acked
	select {
	case path := <-reached:
		what = fmt.Sprintf("request %d (%s), handled: %t", n+1, path, done)
	case o := <-ended:
		over, acked, what = true, true, "after the end"
		if o.Exit != 0 {
			return f, what, over, fmt.Errorf("%s", o)
		}
	}
	err = p.powerCut(func() {
		if cancel(); !over {
			<-ended
			over = true
			close(killed)
		}
	})
	p.interpose(nil)
	over = what == "after the end"
	if err == nil {
		f, err = p.settle(acked)
	}
	return f, what, over, err
}

// control shows that the method detects a loss: a file that was renamed without
// fsync is missing after the cut.
func (h *diskHost) control(r *row) {
	const n = 10
	lost := 0
	for range n {
		d, err := h.fresh()
		if err != nil {
			r.broken(err)
			return
		}
		name := filepath.Join(d.point, "token")
		err = os.WriteFile(name+".tmp", []byte(strings.Repeat("token", 100)), 0o600)
		if err == nil {
			err = os.Rename(name+".tmp", name)
		}
		after, cerr := d.cut()
		if err == nil && cerr == nil {
			err = after.mount()
			if b, rerr := os.ReadFile(filepath.Join(after.point, "token")); rerr != nil || len(b) != 500 {
				lost++
			}
			after.remove()
		}
		d.remove()
		if err != nil || cerr != nil {
			r.broken(fmt.Errorf("control: %w, %w", err, cerr))
			return
		}
	}
	if lost == 0 {
		r.broken(fmt.Errorf("the method detects no loss of a file renamed without fsync"))
	}
	r.how += fmt.Sprintf("; control, a file renamed without fsync: lost %d of %d times", lost, n)
}
