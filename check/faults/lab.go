package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// Throw-away keys; the address is what the controller key signs as.
const (
	apiKey            = "canary-api-key-5b1f0c77"
	controllerKey     = "0x4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b"
	controllerAddress = "0x504e4FbaB7bC2962b361E3730B965E61F289d0cC"
)

// workers is how many tries run at once.
const workers = 2

// lab is what all worlds share: the binary, a work directory, a runtime endpoint
// that always answers, the key files.
type lab struct {
	ctx     context.Context
	agent   string
	whole   bool
	root    string
	runtime string
	keyFile string
	ctlFile string
	counter atomic.Int64
	closers []func()
	hosts   map[string]*diskHost
	net     int // second number of the loopback addresses of this lab's worlds
}

func newLab(ctx context.Context, agent string, whole bool) (*lab, error) {
	path, err := filepath.Abs(agent)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("build the agent first (make build): %w", err)
	}
	l := &lab{ctx: ctx, agent: path, whole: whole, hosts: map[string]*diskHost{}, net: 2 + rand.IntN(250)}
	if l.root, err = os.MkdirTemp("", "peaqos-faults-"); err != nil {
		return nil, err
	}
	l.closers = append(l.closers, func() { _ = os.RemoveAll(l.root) })
	l.keyFile, l.ctlFile = filepath.Join(l.root, "key"), filepath.Join(l.root, "ctl.hex")
	if err := errors.Join(os.WriteFile(l.keyFile, []byte(apiKey+"\n"), 0o600), os.WriteFile(l.ctlFile, []byte(controllerKey+"\n"), 0o600)); err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	server := &http.Server{ReadHeaderTimeout: 5 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte("{}"))
	})}
	go func() { _ = server.Serve(listener) }()
	l.closers = append(l.closers, func() { _ = server.Close() })
	l.runtime = "http://" + listener.Addr().String()
	return l, nil
}

// close undoes in reverse order.
func (l *lab) close() {
	for i := len(l.closers) - 1; i >= 0; i-- {
		l.closers[i]()
	}
}

// row runs one class.
func (l *lab) row(c class) *row {
	r := &row{name: c.name}
	started := time.Now()
	c.try(l, r)
	r.took = time.Since(started)
	return r
}

// newDir makes a directory of its own.
func (l *lab) newDir() (string, error) {
	dir := filepath.Join(l.root, strconv.FormatInt(l.counter.Add(1), 10))
	return dir, os.Mkdir(dir, 0o700)
}

// address is one of the loopback network that no other world has.
func (l *lab) address() string {
	n := l.counter.Add(1)
	return fmt.Sprintf("127.%d.%d.%d:8787", l.net, n/250%250, 1+n%250)
}

// pick is the count for the short form or for the whole one.
func (l *lab) pick(short, whole int) int {
	if l.whole {
		return whole
	}
	return short
}

// each calls f for 0 to n-1, a few at a time.
func (l *lab) each(n int, f func(i int)) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n && l.ctx.Err() == nil; i = int(next.Add(1)) - 1 {
				f(i)
			}
		})
	}
	wg.Wait()
}

// missing says which program is not there, or "".
func missing(programs ...string) string {
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			return p + " is not installed"
		}
	}
	return ""
}

// notRoot says that we are not root, or "".
func notRoot() string {
	if os.Geteuid() != 0 {
		return "it needs root to mount"
	}
	return ""
}

// firstOf is the first reason that is one.
func firstOf(reasons ...string) string {
	for _, r := range reasons {
		if r != "" {
			return r
		}
	}
	return ""
}
