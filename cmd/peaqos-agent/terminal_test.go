package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// terminal is a command line that runs on a pseudo-terminal, and the person in front of it.
type terminal struct {
	t      *testing.T
	master *os.File
	unread string // what was printed since the last answer
	all    string
	exit   chan int
	cancel context.CancelFunc // what Ctrl-C does
}

// onTerminal runs a command line with a terminal as its three streams.
func onTerminal(t *testing.T, env []string, args ...string) *terminal {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	p := &terminal{t: t, master: master, exit: make(chan int, 1), cancel: cancel}
	t.Cleanup(func() { cancel(); _ = slave.Close(); _ = master.Close() })
	go func() { p.exit <- execute(ctx, streams{slave, slave, slave}, args, env) }()
	return p
}

// read reads what is printed until done, or fails the test after half a minute.
func (p *terminal) read(what string, done func() bool) {
	p.t.Helper()
	// Fd() made the file blocking, so a deadline needs a reader of its own.
	deadline := time.Now().Add(30 * time.Second)
	buffer := make([]byte, 4096)
	for !done() {
		if time.Now().After(deadline) {
			p.t.Fatalf("waited for %q; printed so far:\n%s", what, p.all)
		}
		fds := []unix.PollFd{{Fd: int32(p.master.Fd()), Events: unix.POLLIN}}
		if n, err := unix.Poll(fds, 100); n == 0 || err != nil {
			continue
		}
		n, err := p.master.Read(buffer)
		if err != nil {
			p.t.Fatalf("waited for %q: %v; printed so far:\n%s", what, err, p.all)
		}
		text := strings.ReplaceAll(string(buffer[:n]), "\r", "")
		p.unread, p.all = p.unread+text, p.all+text
	}
}

// answer waits for a question that contains the text, and answers it.
func (p *terminal) answer(question, answer string) {
	p.t.Helper()
	p.read(question, func() bool { return strings.Contains(p.unread, question) && strings.HasSuffix(p.unread, ": ") })
	p.unread = ""
	if _, err := p.master.WriteString(answer + "\n"); err != nil {
		p.t.Fatal(err)
	}
}

// interrupt waits for a text and ends the command as Ctrl-C does.
func (p *terminal) interrupt(text string) {
	p.t.Helper()
	p.read(text, func() bool { return strings.Contains(p.unread, text) })
	p.cancel()
}

// end waits for the end of the command and returns its exit code and everything that it
// printed.
func (p *terminal) end() (exit int, printed string) {
	p.t.Helper()
	ended := false
	p.read("the end", func() bool {
		select {
		case exit = <-p.exit:
			ended = true
		default:
		}
		return ended
	})
	// What is still in the terminal's buffer.
	for {
		fds := []unix.PollFd{{Fd: int32(p.master.Fd()), Events: unix.POLLIN}}
		if n, err := unix.Poll(fds, 100); n == 0 || err != nil {
			return exit, p.all
		}
		buffer := make([]byte, 4096)
		n, err := p.master.Read(buffer)
		if err != nil {
			return exit, p.all
		}
		p.all += strings.ReplaceAll(string(buffer[:n]), "\r", "")
	}
}
