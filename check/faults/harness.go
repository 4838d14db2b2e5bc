package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/peaqnetwork/peaqos-agent/check/lab"
)

// workers is how many tries run at once.
const workers = 2

// harness is what all worlds share: the lab with the binary, the keys and a runtime
// endpoint, and a work directory.
type harness struct {
	ctx     context.Context
	lab     *lab.Lab
	whole   bool
	root    string
	other   string // this program, for another user; empty until it is needed
	counter atomic.Int64
	mu      sync.Mutex // held while a machine is made
	closers []func()
	hosts   map[string]*diskHost
	net     int // second number of the loopback addresses of these worlds
}

func newHarness(ctx context.Context, agent string, whole bool) (*harness, error) {
	path, err := filepath.Abs(agent)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("build the agent first (make build): %w", err)
	}
	h := &harness{ctx: ctx, whole: whole, hosts: map[string]*diskHost{}, net: 2 + rand.IntN(250)}
	if h.root, err = os.MkdirTemp("", "peaqos-faults-"); err != nil {
		return nil, err
	}
	h.closers = append(h.closers, func() { _ = os.RemoveAll(h.root) })
	if h.lab, err = lab.New(path, h.root); err != nil {
		h.close()
		return nil, err
	}
	h.closers = append(h.closers, h.lab.Close)
	return h, nil
}

// close releases everything, in reverse order.
func (h *harness) close() {
	for i := len(h.closers) - 1; i >= 0; i-- {
		h.closers[i]()
	}
}

// row runs one class.
func (h *harness) row(c class) *row {
	r := &row{name: c.name}
	started := time.Now()
	c.try(h, r)
	r.took = time.Since(started)
	return r
}

// newDir makes a directory of its own.
func (h *harness) newDir() (string, error) {
	dir := filepath.Join(h.root, strconv.FormatInt(h.counter.Add(1), 10))
	return dir, os.Mkdir(dir, 0o700)
}

// address is a loopback address that no other world has.
func (h *harness) address() string {
	n := h.counter.Add(1)
	return fmt.Sprintf("127.%d.%d.%d:8787", h.net, n/250%250, 1+n%250)
}

// pick is the count for the short form or for the whole one.
func (h *harness) pick(short, whole int) int {
	if h.whole {
		return whole
	}
	return short
}

// each calls f for 0 to n-1, a few at a time.
func (h *harness) each(n int, f func(i int)) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n && h.ctx.Err() == nil; i = int(next.Add(1)) - 1 {
				f(i)
			}
		})
	}
	wg.Wait()
}

// missing names a program that is not installed; "" when all are.
func missing(programs ...string) string {
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			return p + " is not installed"
		}
	}
	return ""
}

// notRoot is the reason not to run without root; "" for root.
func notRoot() string {
	if os.Geteuid() != 0 {
		return "it needs root to mount"
	}
	return ""
}
