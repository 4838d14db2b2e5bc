package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// demoRuntime is an HTTP server with the paths of a QVAC runtime that a machine is
// asked for, on an address it keeps over stop and start. Its model knows one
// answer.
type demoRuntime struct {
	addr   string
	server *http.Server
	asked  atomic.Int64 // completions
}

func newDemoRuntime() (*demoRuntime, error) {
	addr, err := freeAddress()
	return &demoRuntime{addr: addr}, err
}

func (r *demoRuntime) start() error {
	l, err := net.Listen("tcp", r.addr)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/models", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintln(w, `{"object": "list", "data": [{"id": "demo-model", "object": "model", "state": "ready"}]}`)
	})
	mux.HandleFunc("POST /v1/chat/completions", func(w http.ResponseWriter, _ *http.Request) {
		r.asked.Add(1)
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"object": "chat.completion", "choices": [{"index": 0, "message": {"role": "assistant", "content": "On this machine, at %s."}}]}`, r.addr)
	})
	r.server = &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = r.server.Serve(l) }()
	return nil
}

func (r *demoRuntime) stop() error {
	if r.server == nil {
		return nil
	}
	err := r.server.Close()
	r.server = nil
	return err
}

// freeAddress is a loopback port that was free a moment ago.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// demoChild is the agent as a process of its own.
type demoChild struct {
	cmd  *exec.Cmd
	log  string
	done chan error
}

// startChild runs this program's own run. PEAQOS_DEMO_RUNNER goes in front of
// it, for a foreign architecture whose emulator the kernel does not know.
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

// dead is an error when the process has ended by itself.
func (c *demoChild) dead() error {
	select {
	case err := <-c.done:
		c.done <- err
		return fmt.Errorf("the agent ended: %v; %s", err, c.lastWords())
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
		return errors.Join(errors.New("the agent did not end within 10 s of SIGTERM"), c.kill())
	}
}

// lastWords are the newest lines of its log, for a demo that fails.
func (c *demoChild) lastWords() string {
	if c == nil {
		return "no agent runs"
	}
	b, err := os.ReadFile(c.log)
	if err != nil {
		return "its log cannot be read"
	}
	lines := bytes.Split(bytes.TrimSpace(b), []byte("\n"))
	return "its log ends:\n" + string(bytes.Join(lines[max(0, len(lines)-5):], []byte("\n")))
}
