package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run is the conductor, or one of its processes: "serve", or "client" with a turn.
func run(ctx context.Context, args []string) error {
	if len(args) == 1 && args[0] == "serve" {
		return serve(os.Stdin, os.Stdout)
	}
	if len(args) == 2 && args[0] == "client" {
		var t turn
		if err := json.Unmarshal([]byte(args[1]), &t); err != nil {
			return err
		}
		m, err := t.play(ctx)
		if err != nil {
			return err
		}
		return json.NewEncoder(os.Stdout).Encode(m)
	}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	python := flags.String("python", "", "interpreter of a virtual environment with the Python SDK (check/realclient/venv.sh prints it)")
	script := flags.String("script", "check/bench/turn.py", "the Python half of this program")
	rounds := flags.Int("rounds", 7, "how often each client has its turn")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *python == "" || *rounds < 1 {
		return errors.New("give -python, and at least one round")
	}
	return conduct(ctx, conductor{python: *python, script: *script, rounds: *rounds, out: os.Stdout})
}
