package lab

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Command prepares a command of the agent. front is a program to run it under, such
// as strace with its arguments; nil for none. The process gets a small environment,
// and is killed when the thread that started it ends.
func (l *Lab) Command(ctx context.Context, front []string, args ...string) *exec.Cmd {
	line := append(append([]string{}, front...), l.Binary)
	line = append(line, args...)
	cmd := exec.CommandContext(ctx, line[0], line[1:]...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + l.Dir, "GOTRACEBACK=all"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

// Outcome is how a command ended.
type Outcome struct {
	Exit   int // -1 when it was killed by a signal
	Killed bool
	Stdout string
	Stderr string
	Report Report
}

// Report is what enroll and rotate print with --json.
type Report struct {
	Changed   bool   `json:"changed"`
	MachineID string `json:"machine_id"`
	AgentID   string `json:"agent_id"`
	Live      bool   `json:"live"`
	Reason    string `json:"reason"`
}

// String is the exit code and what was written to standard error, on one line.
func (o Outcome) String() string {
	return fmt.Sprintf("exit %d, %s", o.Exit, strings.Join(strings.Fields(o.Stderr), " "))
}

// Run runs a prepared command to its end. An exit code other than 0 is not an
// error: it is in the outcome.
func Run(cmd *exec.Cmd) (Outcome, error) {
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	o := Outcome{Stdout: out.String(), Stderr: errs.String()}
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		o.Exit = exit.ExitCode()
		status, ok := exit.Sys().(syscall.WaitStatus)
		o.Killed = ok && status.Signaled() && status.Signal() == syscall.SIGKILL
	case err != nil:
		return o, err
	}
	_ = json.Unmarshal(out.Bytes(), &o.Report) // a command that failed prints no report
	return o, nil
}

// Process is a command that runs in the background.
type Process struct {
	Output *Output
	PID    int
	cmd    *exec.Cmd
	ended  chan struct{}
	err    error // of Wait; may be read once ended is closed
}

// Start starts a prepared command; its output goes to Output.
func Start(cmd *exec.Cmd) (*Process, error) {
	p := &Process{Output: &Output{}, cmd: cmd, ended: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = p.Output, p.Output
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p.PID = cmd.Process.Pid
	go func() {
		p.err = cmd.Wait()
		close(p.ended)
	}()
	return p, nil
}

// Signal sends a signal and waits for the end, which it returns as [exec.Cmd.Wait]
// does. After 15 s the process is killed.
func (p *Process) Signal(s os.Signal) error {
	_ = p.cmd.Process.Signal(s)
	select {
	case <-p.ended:
	case <-time.After(15 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.ended
	}
	return p.err
}

// Output is what a process wrote; it may be read while the process writes.
type Output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *Output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// StartSandbox runs the sandbox orchestrator as a process on a free port until ctx
// ends, and returns its URL. Its log goes to log.
func (l *Lab) StartSandbox(ctx context.Context, log io.Writer) (string, error) {
	cmd := l.Command(ctx, nil, "sandbox", "--listen", "127.0.0.1:0", "--api-key-file", l.APIKeyFile, "--controller", ControllerAddress)
	cmd.Stderr = log
	out, err := cmd.StdoutPipe()
	if err != nil {
		return "", err
	}
	if err := cmd.Start(); err != nil {
		return "", err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	url, found := strings.CutPrefix(strings.TrimSpace(line), "listening on ")
	if err != nil || !found {
		return "", fmt.Errorf("the sandbox printed %q (%w), want the address on which it listens", line, err)
	}
	return url, nil
}
