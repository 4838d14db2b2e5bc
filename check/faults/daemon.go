package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// output is what a process wrote; it may be read while it writes.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// daemon is a running agent.
type daemon struct {
	cmd   *exec.Cmd
	out   *output
	ended chan struct{}
	stop  context.CancelFunc
}

// run starts the daemon on the world's store.
func (w *world) run(env ...string) (*daemon, error) {
	ctx, cancel := context.WithCancel(w.lab.ctx)
	d := &daemon{cmd: w.command(ctx, nil, "run"), out: &output{}, ended: make(chan struct{}), stop: cancel}
	d.cmd.Env = append(d.cmd.Env, env...)
	d.cmd.Dir = filepath.Dir(w.config)
	d.cmd.Stdout, d.cmd.Stderr = d.out, d.out
	if err := d.cmd.Start(); err != nil {
		cancel()
		return nil, err
	}
	go func() {
		_ = d.cmd.Wait()
		close(d.ended)
	}()
	return d, nil
}

// kill ends it at once and waits.
func (d *daemon) kill() { d.signal(syscall.SIGKILL) }

// signal sends one, and waits for the end; after our patience it is killed.
func (d *daemon) signal(s os.Signal) {
	_ = d.cmd.Process.Signal(s)
	select {
	case <-d.ended:
	case <-time.After(15 * time.Second):
		d.stop()
		<-d.ended
	}
	d.stop()
}

// until waits for a condition, looked at often.
func until(ctx context.Context, limit time.Duration, what string, f func() bool) error {
	deadline := time.Now().Add(limit)
	for !f() {
		if time.Now().After(deadline) || ctx.Err() != nil {
			return fmt.Errorf("not within %s: %s", limit, what)
		}
		time.Sleep(5 * time.Millisecond)
	}
	return nil
}

// answersAdmin waits for the socket through which verbs reach the daemon.
func (w *world) answersAdmin() error {
	path := filepath.Join(w.state, "admin.sock")
	return until(w.lab.ctx, 20*time.Second, "the daemon's admin socket", func() bool {
		c, err := net.Dial("unix", path)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
}

// freeAddress is a loopback address that nobody listens on.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// fetch is the body of a GET, whatever its status.
func fetch(ctx context.Context, url string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	b, err := io.ReadAll(res.Body)
	return string(b), errors.Join(err, res.Body.Close())
}
