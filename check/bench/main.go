package main

import (
	"context"
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

// run runs the comparison, or with the argument serve its server.
func run(ctx context.Context, args []string) error {
	if len(args) == 1 && args[0] == "serve" {
		return serve(os.Stdin, os.Stdout)
	}
	c := comparison{out: os.Stdout}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.StringVar(&c.bin, "bin", "", "directory of the built programs client and sign")
	flags.StringVar(&c.python, "python", "", "interpreter of a virtual environment with the Python SDK (check/realclient/venv.sh prints it)")
	flags.StringVar(&c.script, "script", "check/bench/client/python_client.py", "the Python SDK's program")
	flags.IntVar(&c.rounds, "rounds", 7, "how often each job runs")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if c.bin == "" || c.python == "" || c.rounds < 1 {
		return errors.New("give -bin, -python, and at least one round")
	}
	return c.run(ctx)
}
