package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"time"

	"github.com/peaqnetwork/peaqos-agent/check/lab"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "atrest:", err)
		os.Exit(1)
	}
}

// options are the command line.
type options struct {
	agent, floor, python, script string
	measured                     time.Duration
	starts                       int
}

func run(ctx context.Context, args []string) error {
	var o options
	flags := flag.NewFlagSet("atrest", flag.ContinueOnError)
	flags.StringVar(&o.agent, "agent", "bin/peaqos-agent", "the agent as it is released")
	flags.StringVar(&o.floor, "floor", "", "the built program floor")
	flags.StringVar(&o.python, "python", "", "interpreter of a virtual environment with the Python SDK (check/realclient/venv.sh prints it)")
	flags.StringVar(&o.script, "script", "check/bench/atrest/python_loop.py", "the Python SDK's program")
	flags.DurationVar(&o.measured, "for", 2*time.Minute, "how long CPU is measured")
	flags.IntVar(&o.starts, "starts", 9, "how often the start is measured")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if o.floor == "" || o.python == "" || o.measured < time.Minute || o.starts < 1 {
		return errors.New("give -floor and -python; -for is at least a minute, -starts at least 1")
	}
	dir, err := os.MkdirTemp("", "atrest-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	w, err := newWorld(ctx, o, dir)
	if err != nil {
		return err
	}
	defer w.lab.Close()
	return w.measure(ctx)
}

// world is the sandbox, the runtime and what is measured against them.
type world struct {
	options
	lab          *lab.Lab
	orchestrator string
}

// newWorld starts the sandbox and the runtime.
func newWorld(ctx context.Context, o options, dir string) (*world, error) {
	binary, err := filepath.Abs(o.agent)
	if err != nil {
		return nil, err
	}
	l, err := lab.New(binary, dir)
	if err != nil {
		return nil, err
	}
	url, err := l.StartSandbox(ctx, os.Stderr)
	if err != nil {
		l.Close()
		return nil, err
	}
	return &world{o, l, url}, nil
}

// measure starts the processes, measures them and prints the table.
func (w *world) measure(ctx context.Context) error {
	fast, err := w.newAgent(ctx, "agent-10s", "did:peaq:101", "heartbeat: {lease_ttl: 30s, interval: 10s}")
	if err != nil {
		return err
	}
	slow, err := w.newAgent(ctx, "agent-30s", "did:peaq:102", "heartbeat: {lease_ttl: 90s}")
	if err != nil {
		return err
	}
	floor, err := w.newLoop(ctx, "floor", "did:peaq:103", w.floor)
	if err != nil {
		return err
	}
	python, err := w.newLoop(ctx, "python", "did:peaq:104", w.python, w.script)
	if err != nil {
		return err
	}
	all := []*subject{fast, slow, floor, python}
	starts := map[*subject][]time.Duration{}
	for range w.starts {
		for _, s := range []*subject{fast, floor} {
			took, err := s.timeStart(ctx)
			if err != nil {
				return err
			}
			starts[s] = append(starts[s], took)
		}
	}
	versions, err := w.timeVersion(ctx)
	if err != nil {
		return err
	}
	for _, s := range all {
		if err := s.start(); err != nil {
			return err
		}
		defer s.stop()
	}
	if err := settle(ctx, all); err != nil {
		return err
	}
	for _, s := range all {
		if s.before, err = s.cpu(); err != nil {
			return err
		}
	}
	began := time.Now()
	if err := wait(ctx, w.measured); err != nil {
		return err
	}
	minutes := time.Since(began).Minutes()
	fmt.Printf("At rest for %s, median of %d starts.\n\n", w.measured, w.starts)
	fmt.Println("| | CPU, ms a minute | resident, MB | anonymous, MB | PSS, MB | start to the first 200, ms |")
	fmt.Println("|---|--:|--:|--:|--:|--:|")
	for _, s := range all {
		after, err := s.cpu()
		if err != nil {
			return err
		}
		m, err := s.memory()
		if err != nil {
			return err
		}
		fmt.Printf("| %s | %.1f | %.1f | %.1f | %.1f | %s |\n", s.name, (after-s.before).Seconds()*1000/minutes,
			m["Rss"], m["Anonymous"], m["Pss"], milliseconds(starts[s]))
	}
	fmt.Printf("\n`peaqos-agent version`: %s ms.\n", milliseconds(versions))
	return nil
}

// settle lets everything send its first heartbeats, and scrapes both servers twice.
func settle(ctx context.Context, all []*subject) error {
	if err := wait(ctx, 35*time.Second); err != nil {
		return err
	}
	for range 2 {
		for _, s := range all {
			if s.listen == "" {
				continue
			}
			if status, _, err := lab.Fetch(ctx, http.DefaultClient, "http://"+s.listen+"/metrics"); err != nil || status != http.StatusOK {
				return fmt.Errorf("%s: /metrics returned %d: %w", s.name, status, err)
			}
		}
	}
	return wait(ctx, 5*time.Second)
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// newAgent enrolls a machine and returns the daemon that keeps it alive.
func (w *world) newAgent(ctx context.Context, name, identity, heartbeat string) (*subject, error) {
	dir := filepath.Join(w.lab.Dir, name)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	address, err := lab.FreeAddress()
	if err != nil {
		return nil, err
	}
	config := filepath.Join(dir, "config.yaml")
	text := fmt.Sprintf("orchestrator: {url: %q}\nkeystore: {dir: %q, volatile: true}\ntelemetry: {listen: %q}\n%s\n"+
		"machines: [{endpoints: [{provider_key: demo, base_url: %q}]}]\n", w.orchestrator, dir, address, heartbeat, w.lab.Runtime.URL)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return nil, err
	}
	enroll := w.lab.Command(ctx, nil, "enroll", "--config", config, "--identity-ref", identity,
		"--controller-key-file", w.lab.ControllerKeyFile, "--api-key-file", w.lab.APIKeyFile)
	if outcome, err := lab.Run(enroll); err != nil || outcome.Exit != 0 {
		return nil, fmt.Errorf("enroll: %s: %w", outcome, err)
	}
	return &subject{name: name, listen: address, command: func() *exec.Cmd { return w.lab.Command(ctx, nil, "run", "--config", config) }}, nil
}

// newLoop enrolls a machine for a program that gets its token as an argument: a
// throw-away token of the sandbox, which nobody else may read in the process list.
func (w *world) newLoop(ctx context.Context, name, identity, program string, args ...string) (*subject, error) {
	address, err := lab.FreeAddress()
	if err != nil {
		return nil, err
	}
	grant := filepath.Join(w.lab.Dir, name+".json")
	enroll := w.lab.Command(ctx, nil, "enroll", "--grant-out", grant, "--provider-key", "demo", "--orchestrator-url", w.orchestrator,
		"--identity-ref", identity, "--controller-key-file", w.lab.ControllerKeyFile, "--api-key-file", w.lab.APIKeyFile)
	if outcome, err := lab.Run(enroll); err != nil || outcome.Exit != 0 {
		return nil, fmt.Errorf("enroll --grant-out: %s: %w", outcome, err)
	}
	text, err := os.ReadFile(grant)
	if err != nil {
		return nil, err
	}
	var granted struct {
		MachineID string `json:"machine_id"`
		AgentID   string `json:"agent_id"`
		Token     string `json:"agent_token"`
	}
	if err := json.Unmarshal(text, &granted); err != nil || granted.Token == "" {
		return nil, fmt.Errorf("the grant has no token: %w", err)
	}
	job, err := json.Marshal(map[string]any{
		"base": w.orchestrator, "machine": granted.MachineID, "agent": granted.AgentID, "token": granted.Token,
		"endpoint": w.lab.Runtime.URL, "listen": address, "seconds": 10,
	})
	if err != nil {
		return nil, err
	}
	s := &subject{name: name + "-10s", command: func() *exec.Cmd {
		cmd := exec.CommandContext(ctx, program, append(slices.Clone(args), string(job))...)
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + w.lab.Dir, "DO_NOT_TRACK=1"}
		cmd.Stderr = os.Stderr
		return cmd
	}}
	if program == w.floor {
		s.listen = address
	}
	return s, nil
}

// timeVersion measures the shortest command.
func (w *world) timeVersion(ctx context.Context) ([]time.Duration, error) {
	var all []time.Duration
	for range w.starts {
		began := time.Now()
		if outcome, err := lab.Run(w.lab.Command(ctx, nil, "version")); err != nil || outcome.Exit != 0 {
			return nil, fmt.Errorf("version: %s: %w", outcome, err)
		}
		all = append(all, time.Since(began))
	}
	return all, nil
}

// milliseconds is the median with the smallest and the largest.
func milliseconds(all []time.Duration) string {
	if len(all) == 0 {
		return "–"
	}
	sorted := slices.Sorted(slices.Values(all))
	ms := func(d time.Duration) float64 { return d.Seconds() * 1000 }
	return fmt.Sprintf("%.1f (%.1f to %.1f)", ms(sorted[len(sorted)/2]), ms(sorted[0]), ms(sorted[len(sorted)-1]))
}
