package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/peaqnetwork/peaqos-agent/check/bench/measure"
)

// comparison runs the jobs, each in a process of its own.
type comparison struct {
	bin            string // the directory of the programs client and sign
	python, script string
	rounds         int
	out            io.Writer
}

// jobs are one round. Jobs that are compared with each other are adjacent.
func jobs(base string) []measure.Job {
	job := func(client, task string, calls int) measure.Job {
		return measure.Job{Base: base, Client: client, Task: task, Calls: calls}
	}
	return []measure.Job{
		job("sdk", "beat", 4000),
		job("floor", "beat", 4000),
		job("python", "beat", 400),
		job("sdk", "list", 0),
		job("floor", "list", 0),
		job("python", "list", 0),
		job("sdk", "list", 500),
		job("floor", "list", 500),
		job("python", "list", 500),
		job("sdk", "sign", 20000),
		job("python", "sign", 100),
	}
}

// run runs all rounds and prints the report.
func (c comparison) run(ctx context.Context) error {
	base, stop, err := startServer(ctx)
	if err != nil {
		return err
	}
	defer stop()
	all, before := jobs(base), load()
	results := make([][]measure.Result, len(all))
	for round := range c.rounds {
		fmt.Fprintf(os.Stderr, "round %d of %d\n", round+1, c.rounds)
		for i := range all {
			if round%2 == 1 {
				i = len(all) - 1 - i // no client is always the first
			}
			m, err := c.runJob(ctx, all[i])
			if err != nil {
				return fmt.Errorf("%s %s: %w", all[i].Client, all[i].Task, err)
			}
			results[i] = append(results[i], m)
		}
	}
	return c.report(all, results, before)
}

// startServer starts the server and returns its URL.
func startServer(ctx context.Context) (base string, stop func(), err error) {
	self, err := os.Executable()
	if err != nil {
		return "", nil, err
	}
	cmd := exec.CommandContext(ctx, self, "serve")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return "", nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return "", nil, err
	}
	if err := cmd.Start(); err != nil {
		return "", nil, err
	}
	stop = func() {
		in.Close()
		_ = cmd.Wait()
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		stop()
		return "", nil, fmt.Errorf("the server did not start: %w", err)
	}
	return strings.TrimSpace(line), stop, nil
}

// runJob runs one job in a new process.
func (c comparison) runJob(ctx context.Context, j measure.Job) (measure.Result, error) {
	var r measure.Result
	text, err := json.Marshal(j)
	if err != nil {
		return r, err
	}
	cmd := exec.CommandContext(ctx, c.python, c.script, string(text))
	if j.Client != "python" {
		program := "client"
		if j.Task == "sign" {
			program = "sign"
		}
		cmd = exec.CommandContext(ctx, filepath.Join(c.bin, program), string(text))
	}
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return r, err
	}
	return r, json.Unmarshal(out, &r)
}
