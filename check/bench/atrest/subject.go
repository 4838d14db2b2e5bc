package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// subject is a program that is measured.
type subject struct {
	name    string
	listen  string // host:port of its HTTP server, empty for none
	command func() *exec.Cmd
	running *exec.Cmd
	before  time.Duration // CPU when the measured time began
}

func (s *subject) start() error {
	s.running = s.command()
	return s.running.Start()
}

func (s *subject) stop() {
	_ = s.running.Process.Signal(syscall.SIGTERM)
	_ = s.running.Wait()
}

// timeStart is the time from the start of the process to the first response with
// status 200 of /healthz.
func (s *subject) timeStart(ctx context.Context) (time.Duration, error) {
	began := time.Now()
	if err := s.start(); err != nil {
		return 0, err
	}
	defer s.stop()
	for time.Since(began) < 10*time.Second && ctx.Err() == nil {
		if s.healthy() {
			return time.Since(began), nil
		}
		_ = wait(ctx, 200*time.Microsecond)
	}
	return 0, fmt.Errorf("%s: no response of /healthz", s.name)
}

// healthy asks by hand, because an HTTP client costs as much as what is measured.
func (s *subject) healthy() bool {
	c, err := net.Dial("tcp", s.listen)
	if err != nil {
		return false
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(time.Second))
	if _, err := fmt.Fprintf(c, "GET /healthz HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", s.listen); err != nil {
		return false
	}
	line := make([]byte, 16)
	n, _ := c.Read(line)
	return strings.Contains(string(line[:n]), " 200")
}

// cpu is the time that the kernel accounted to all threads so far.
func (s *subject) cpu() (time.Duration, error) {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", s.running.Process.Pid))
	if err != nil || len(threads) == 0 {
		return 0, fmt.Errorf("%s has ended", s.name)
	}
	var total time.Duration
	for _, path := range threads {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // a thread that ended meanwhile
		}
		first, _, _ := strings.Cut(string(text), " ")
		n, err := strconv.ParseInt(first, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", path, err)
		}
		total += time.Duration(n)
	}
	return total, nil
}

// memory is the process's smaps_rollup, in MB (10^6 bytes) by name.
func (s *subject) memory() (map[string]float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", s.running.Process.Pid))
	if err != nil {
		return nil, err
	}
	sizes := map[string]float64{}
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) == 3 && f[2] == "kB" {
			n, err := strconv.ParseFloat(f[1], 64)
			if err != nil {
				return nil, err
			}
			sizes[strings.TrimSuffix(f[0], ":")] = n * 1024 / 1e6
		}
	}
	return sizes, nil
}
