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

// conductor runs the turns, each in a process of its own.
type conductor struct {
	bin            string // where turn and sign are
	python, script string
	rounds         int
	out            io.Writer
}

// turns are one round. The paired ones stand side by side.
func turns(base string) []measure.Turn {
	turn := func(client, task string, calls int) measure.Turn {
		return measure.Turn{Base: base, Client: client, Task: task, Calls: calls}
	}
	return []measure.Turn{
		turn("sdk", "beat", 4000),
		turn("floor", "beat", 4000),
		turn("python", "beat", 400),
		turn("sdk", "list", 0),
		turn("floor", "list", 0),
		turn("python", "list", 0),
		turn("sdk", "list", 500),
		turn("floor", "list", 500),
		turn("python", "list", 500),
		turn("sdk", "sign", 20000),
		turn("python", "sign", 100),
	}
}

func conduct(ctx context.Context, c conductor) error {
	base, stop, err := startServer(ctx)
	if err != nil {
		return err
	}
	defer stop()
	all, before := turns(base), load()
	results := make([][]measure.Result, len(all))
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

// take plays one turn in a new process.
func (c conductor) take(ctx context.Context, t measure.Turn) (measure.Result, error) {
	var r measure.Result
	text, err := json.Marshal(t)
	if err != nil {
		return r, err
	}
	cmd := exec.CommandContext(ctx, c.python, c.script, string(text))
	if t.Client != "python" {
		program := "turn"
		if t.Task == "sign" {
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
