package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/peaqnetwork/peaqos-agent/check/lab"
)

// patience is how long a command may take before it counts as hung.
const patience = 60 * time.Second

// command prepares a command on this world's store; front is a program to run it
// under instead of the world's own.
func (w *world) command(ctx context.Context, front []string, args ...string) *exec.Cmd {
	if front == nil {
		front = w.front
	}
	return w.faults.lab.Command(ctx, front, append(append([]string{}, args...), "--config", w.config)...)
}

// runCommand runs one command, for at most patience.
func (w *world) runCommand(front []string, args ...string) (lab.Outcome, error) {
	ctx, cancel := context.WithTimeout(w.faults.ctx, patience)
	defer cancel()
	o, err := lab.Run(w.command(ctx, front, args...))
	if ctx.Err() != nil {
		return o, fmt.Errorf("%s did not end within %s: %s", strings.Join(args, " "), patience, o)
	}
	return o, err
}

func (w *world) enrollArgs() []string { return w.faults.lab.EnrollArgs() }

func (w *world) rotateArgs() []string { return w.faults.lab.RotateArgs() }

// enroll runs enroll, which must succeed.
func (w *world) enroll() (lab.Report, error) { return w.mustRun(w.enrollArgs()) }

// rotate runs rotate, which must succeed.
func (w *world) rotate() (lab.Report, error) { return w.mustRun(w.rotateArgs()) }

func (w *world) mustRun(args []string) (lab.Report, error) {
	o, err := w.runCommand(nil, args...)
	if err == nil && o.Exit != 0 {
		err = fmt.Errorf("%s: %s", args[0], o)
	}
	return o.Report, err
}

// daemon is a running agent.
type daemon struct {
	*lab.Process
	stop context.CancelFunc
}

// run starts the daemon on the world's store.
func (w *world) run(env ...string) (*daemon, error) {
	ctx, cancel := context.WithCancel(w.faults.ctx)
	cmd := w.command(ctx, nil, "run")
	cmd.Env = append(cmd.Env, env...)
	cmd.Dir = filepath.Dir(w.config)
	p, err := lab.Start(cmd)
	if err != nil {
		cancel()
		return nil, err
	}
	return &daemon{p, cancel}, nil
}

// kill ends the daemon at once and waits; landed reports that it died of that signal.
func (d *daemon) kill() (landed bool) { return d.end(syscall.SIGKILL) }

// end sends a signal and waits for the end of the daemon; landed reports that it died
// of that signal.
func (d *daemon) end(s syscall.Signal) (landed bool) {
	err := d.Signal(s)
	d.stop()
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return false
	}
	status, ok := exit.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == s
}

// untilAdmin waits for the daemon's admin socket.
func (w *world) untilAdmin() error { return lab.UntilAdmin(w.faults.ctx, w.state) }
