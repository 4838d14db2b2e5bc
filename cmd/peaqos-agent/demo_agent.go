package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// demoChild is the agent as a child process.
type demoChild struct {
	cmd  *exec.Cmd
	log  string
	done chan error
}

// startChild starts "peaqos-agent run" of this same binary. PEAQOS_DEMO_RUNNER is a
// command to run it with, such as an emulator for a foreign architecture.
func startChild(config, log string) (*demoChild, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	argv := append(strings.Fields(os.Getenv("PEAQOS_DEMO_RUNNER")), self, "run", "--config", config)
	f, err := os.OpenFile(log, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr = f, f
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "PEAQOS_AGENT_LOG_FORMAT=json"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	c := &demoChild{cmd: cmd, log: log, done: make(chan error, 1)}
	go func() { c.done <- cmd.Wait() }()
	return c, nil
}

func (c *demoChild) pid() int { return c.cmd.Process.Pid }

// dead returns an error if the process has exited.
func (c *demoChild) dead() error {
	select {
	case err := <-c.done:
		c.done <- err
		return fmt.Errorf("the agent exited: %v; %s", err, c.logTail())
	default:
		return nil
	}
}

func (c *demoChild) kill() error {
	if err := c.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-c.done
	return nil
}

func (c *demoChild) terminate() error {
	if err := c.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case err := <-c.done:
		return err
	case <-time.After(10 * time.Second):
		return errors.Join(errors.New("the agent did not exit within 10 s of SIGTERM"), c.kill())
	}
}

// logTail returns the last lines of the agent's log, for a demo that fails.
func (c *demoChild) logTail() string {
	if c == nil {
		return "the agent is not running"
	}
	b, err := os.ReadFile(c.log)
	if err != nil {
		return "its log cannot be read"
	}
	lines := bytes.Split(bytes.TrimSpace(b), []byte("\n"))
	return "the end of its log:\n" + string(bytes.Join(lines[max(0, len(lines)-5):], []byte("\n")))
}
