package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
)

// conductor runs the turns, each in a process of its own.
type conductor struct {
	python, script string
	rounds         int
	out            io.Writer
}

// turns are one round. The paired ones stand side by side.
func turns(base string) []turn {
	return []turn{
		{base, "sdk", "beat", 4000},
		{base, "floor", "beat", 4000},
		{base, "python", "beat", 400},
		{base, "sdk", "list", 0},
		{base, "floor", "list", 0},
		{base, "python", "list", 0},
		{base, "sdk", "list", 500},
		{base, "floor", "list", 500},
		{base, "python", "list", 500},
		{base, "sdk", "sign", 2000},
		{base, "python", "sign", 50},
	}
}

func conduct(ctx context.Context, c conductor) error {
	base, stop, err := startServer(ctx)
	if err != nil {
		return err
	}
	defer stop()
	all := turns(base)
	results := make([][]measured, len(all))
	for round := range c.rounds {
		fmt.Fprintf(os.Stderr, "round %d of %d\n", round+1, c.rounds)
		for i := range all {
			if round%2 == 1 {
				i = len(all) - 1 - i // nobody always goes first
			}
			m, err := c.take(ctx, all[i])
			if err != nil {
				return fmt.Errorf("%s %s: %w", all[i].Client, all[i].Task, err)
			}
			results[i] = append(results[i], m)
		}
	}
	return c.report(all, results)
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

// take plays one turn in a new process.
func (c conductor) take(ctx context.Context, t turn) (measured, error) {
	self, err := os.Executable()
	if err != nil {
		return measured{}, err
	}
	text, err := json.Marshal(t)
	if err != nil {
		return measured{}, err
	}
	cmd := exec.CommandContext(ctx, self, "client", string(text))
	if t.Client == "python" {
		cmd = exec.CommandContext(ctx, c.python, c.script, string(text))
	}
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return measured{}, err
	}
	var m measured
	return m, json.Unmarshal(out, &m)
}
