package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// patience is how long a verb may take before it counts as hung.
const patience = 60 * time.Second

// outcome is how a verb ended.
type outcome struct {
	exit   int // -1 when it was killed
	killed bool
	stdout string
	stderr string
	report report
}

// report is what enroll and rotate print with --json.
type report struct {
	Changed   bool   `json:"changed"`
	MachineID string `json:"machine_id"`
	AgentID   string `json:"agent_id"`
	Live      bool   `json:"live"`
	Reason    string `json:"reason"`
}

func (o outcome) String() string {
	return fmt.Sprintf("exit %d, %s", o.exit, strings.Join(strings.Fields(o.stderr), " "))
}

// command prepares a verb on this world's store; front is a program to run it
// under, as strace.
func (w *world) command(ctx context.Context, front []string, args ...string) *exec.Cmd {
	line := append(append([]string{}, front...), w.lab.agent)
	line = append(append(line, args...), "--config", w.config)
	cmd := exec.CommandContext(ctx, line[0], line[1:]...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + w.lab.root, "GOTRACEBACK=all"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

// finish runs a prepared verb to its end.
func finish(cmd *exec.Cmd) (outcome, error) {
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	o := outcome{stdout: out.String(), stderr: errs.String()}
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		o.exit = exit.ExitCode()
		status, ok := exit.Sys().(syscall.WaitStatus)
		o.killed = ok && status.Signaled() && status.Signal() == syscall.SIGKILL
	case err != nil:
		return o, err
	}
	_ = json.Unmarshal(out.Bytes(), &o.report) // a verb that failed prints none
	return o, nil
}

// verb runs one verb with our patience.
func (w *world) verb(front []string, args ...string) (outcome, error) {
	ctx, cancel := context.WithTimeout(w.lab.ctx, patience)
	defer cancel()
	o, err := finish(w.command(ctx, front, args...))
	if ctx.Err() != nil {
		return o, fmt.Errorf("%s did not end within %s: %s", strings.Join(args, " "), patience, o)
	}
	return o, err
}

func (w *world) enrollArgs() []string {
	return []string{"enroll", "--identity-ref", "did:peaq:42", "--controller-key-file", w.lab.ctlFile, "--api-key-file", w.lab.keyFile, "--json"}
}

func (w *world) rotateArgs() []string {
	return []string{"rotate", "--api-key-file", w.lab.keyFile, "--json"}
}

// enroll runs it, which must succeed.
func (w *world) enroll() (report, error) {
	o, err := w.verb(nil, w.enrollArgs()...)
	if err == nil && o.exit != 0 {
		err = fmt.Errorf("enroll: %s", o)
	}
	return o.report, err
}

// rotate runs it, which must succeed.
func (w *world) rotate() (report, error) {
	o, err := w.verb(nil, w.rotateArgs()...)
	if err == nil && o.exit != 0 {
		err = fmt.Errorf("rotate: %s", o)
	}
	return o.report, err
}
