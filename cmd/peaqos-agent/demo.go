package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/peaqnetwork/peaqos-agent/agent"
	"github.com/peaqnetwork/peaqos-agent/agent/config"
	"github.com/peaqnetwork/peaqos-agent/keystore"
	"github.com/peaqnetwork/peaqos-agent/sdk"
	"github.com/peaqnetwork/peaqos-agent/sdk/sandbox"
)

const (
	demoIdentity = "did:peaq:42"
	demoAPIKey   = "demo-api-key"
	// demoLease is much shorter than the default of 90 s, so that it can be seen to expire.
	demoLease = 6 * time.Second
)

// demo shows what an agent does, from its enrollment to its stop, on one machine: the
// orchestrator and the runtime are in this process, the agent is a child process.
type demo struct {
	app     *app
	dir     string
	server  *sandbox.Server
	web     *http.Server
	runtime *demoRuntime
	child   *demoChild
	listen  string // address of the agent's telemetry listener
	cfg     *config.Config
	start   time.Time
	steps   []demoStep
	first   agent.EnrollResult
	with    []string // services that are shown in addition
	hook    *demoHook
}

// demoStep is one step of the demo, after it was done.
type demoStep struct {
	Step    string  `json:"step"`
	Seconds float64 `json:"elapsed_seconds"` // since the demo began
	Saw     string  `json:"saw"`             // what was observed
}

func (a *app) demoCmd() *cobra.Command {
	var stay time.Duration
	var with []string
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Run a complete offline demonstration; installs and leaves nothing",
		Long: `Runs an orchestrator, a runtime and the agent on loopback, in a temporary directory:
enrolls the agent, publishes the runtime, has an AI agent order its service, then stops
the runtime, starts it again and kills the agent, and shows that it recovers.`,
		Example: `  peaqos-agent demo
  peaqos-agent demo --for 10m
  peaqos-agent demo --with presence,control`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkServices(with); err != nil {
				return err
			}
			a.quiet = true // the steps are printed instead of progress
			d := &demo{app: a, start: time.Now(), with: with}
			defer d.close()
			if err := d.run(cmd.Context(), stay); err != nil {
				return fmt.Errorf("the demo stopped after %d steps: %w", len(d.steps), err)
			}
			return d.summary()
		},
	}
	cmd.Flags().StringSliceVar(&with, "with", nil, "also show presence, control, or both: presence,control")
	cmd.Flags().DurationVar(&stay, "for", 0, "keep running this long before the summary, so that the page can be viewed")
	return cmd
}

// run runs the steps in order.
func (d *demo) run(ctx context.Context, stay time.Duration) error {
	steps := []func(context.Context) error{
		d.startOrchestrator, d.startRuntime, d.startAgent, d.enroll, d.heartbeat, d.order, d.presence, d.control, d.removeKeys,
		d.stopRuntime, d.leaseExpires, d.restartRuntime, d.kill, d.enrollAgain,
	}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return err
		}
	}
	if stay > 0 {
		d.report("wait", "the page is at http://%s/ for %s", d.listen, stay)
		select {
		case <-ctx.Done():
		case <-time.After(stay):
		}
	}
	return d.stop()
}

// report records a step that was done and prints it.
func (d *demo) report(step, format string, args ...any) {
	s := demoStep{step, time.Since(d.start).Seconds(), fmt.Sprintf(format, args...)}
	d.steps = append(d.steps, s)
	if !d.app.json {
		_, _ = fmt.Fprintf(d.app.out, "%6.1f s  %-10s %s\n", s.Seconds, s.Step, s.Saw)
	}
}

func (d *demo) startOrchestrator(context.Context) error {
	dir, err := os.MkdirTemp("", "peaqos-demo-")
	if err != nil {
		return err
	}
	d.dir = dir
	key, err := keystore.NewKey()
	if err != nil {
		return err
	}
	defer key.Wipe()
	d.server = sandbox.New(sandbox.WithAPIKey(demoAPIKey), sandbox.WithController("", key.Signer().Address()))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	d.web = d.server.HTTPServer()
	go func() { _ = d.web.Serve(l) }()
	for name, content := range map[string]string{"controller.hex": key.Hex(), "api-key": demoAPIKey} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content+"\n"), 0o600); err != nil {
			return err
		}
	}
	d.report("sandbox", "a local orchestrator listens on http://%s; leases last %d s here (default 90 s)", l.Addr(), demoLease/time.Second)
	return d.configure("http://" + l.Addr().String())
}

// configure writes a configuration file like that of a real machine.
func (d *demo) configure(orchestrator string) error {
	var err error
	if d.runtime, err = newDemoRuntime(); err != nil {
		return err
	}
	if d.listen, err = freeAddress(); err != nil {
		return err
	}
	services, err := d.serviceConfig(orchestrator)
	if err != nil {
		return err
	}
	file := filepath.Join(d.dir, "config.yaml")
	text := fmt.Sprintf(`orchestrator: {url: "%s"}
machines:
  - identity_ref: %s
    endpoints:
      - {provider_key: qvac, base_url: "http://%s", model_alias: demo-model}
heartbeat: {lease_ttl: %s}
keystore: {dir: "%s", volatile: true}
telemetry: {listen: "%s"}
%s`, orchestrator, demoIdentity, d.runtime.addr, demoLease, d.dir, d.listen, services)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return err
	}
	d.app.config, d.app.dir = file, ""
	d.cfg, err = config.Load(config.Source{Path: file})
	return err
}

func (d *demo) startRuntime(context.Context) error {
	if err := d.runtime.start(); err != nil {
		return err
	}
	d.report("runtime", "a runtime responds to GET http://%s/v1/models", d.runtime.addr)
	return nil
}

func (d *demo) startAgent(ctx context.Context) error {
	var err error
	if d.child, err = startChild(filepath.Join(d.dir, "config.yaml"), filepath.Join(d.dir, "agent.log")); err != nil {
		return err
	}
	if err := d.until(ctx, "the agent to respond on its telemetry port", func() (bool, error) {
		status, _ := d.get("/readyz")
		return status == http.StatusServiceUnavailable, d.child.dead()
	}); err != nil {
		return err
	}
	d.report("agent", "process %d is running, not enrolled yet; its page is http://%s/", d.child.pid(), d.listen)
	return nil
}

func (d *demo) enroll(ctx context.Context) error {
	result, err := d.enrollOnce(ctx)
	if err != nil {
		return err
	}
	if !result.Changed || !result.Live {
		return fmt.Errorf("enroll returned changed=%t, live=%t (%s)", result.Changed, result.Live, result.Reason)
	}
	d.first = result
	d.report("enroll", "registered %s as %s, enrolled %s, token stored, first heartbeat accepted",
		result.IdentityRef, result.MachineID, result.AgentID)
	return nil
}

func (d *demo) enrollOnce(ctx context.Context) (agent.EnrollResult, error) {
	key, err := d.app.controllerKey(filepath.Join(d.dir, "controller.hex"), "")
	if err != nil {
		return agent.EnrollResult{}, err
	}
	defer key.Wipe()
	return d.app.enroll(ctx, d.cfg, agent.EnrollRequest{
		IdentityRef: demoIdentity, APIKey: sdk.NewSecret(demoAPIKey), Controller: key,
	})
}

func (d *demo) heartbeat(ctx context.Context) error {
	before := d.server.Beats()
	if err := d.until(ctx, "two more heartbeats and a ready agent", func() (bool, error) {
		status, _ := d.get("/readyz")
		return status == http.StatusOK && d.server.Beats() >= before+2, d.child.dead()
	}); err != nil {
		return err
	}
	e := d.endpoint()
	if e.Status != "active" || e.Source != "agent" {
		return fmt.Errorf("the orchestrator shows the endpoint as %s, source %s", e.Status, e.Source)
	}
	d.report("heartbeat", "the orchestrator shows the endpoint active, source agent; /readyz is 200")
	return nil
}

// removeKeys moves the key files to other names; enrollAgain moves them back.
func (d *demo) removeKeys(context.Context) error {
	for _, f := range []string{"api-key", "controller.hex"} {
		if err := os.Rename(filepath.Join(d.dir, f), filepath.Join(d.dir, f+".elsewhere")); err != nil {
			return err
		}
	}
	d.report("keys", "API key and controller key removed; the agent needs only its token")
	return nil
}

func (d *demo) stopRuntime(ctx context.Context) error {
	if err := d.runtime.stop(); err != nil {
		return err
	}
	if err := d.until(ctx, "/readyz to report the runtime as down", func() (bool, error) {
		status, body := d.get("/readyz")
		return status == http.StatusServiceUnavailable && strings.Contains(body, "qvac"), d.child.dead()
	}); err != nil {
		return err
	}
	d.report("break", "runtime stopped: /readyz returns 503 with the reason; the next heartbeat omits it")
	return nil
}

func (d *demo) leaseExpires(ctx context.Context) error {
	if err := d.until(ctx, "the lease to expire on the orchestrator", func() (bool, error) {
		return d.endpoint().Status == "unreachable", d.child.dead()
	}); err != nil {
		return err
	}
	d.report("expire", "its lease expired on the orchestrator: unreachable")
	return nil
}

func (d *demo) restartRuntime(ctx context.Context) error {
	began := time.Now()
	if err := d.runtime.start(); err != nil {
		return err
	}
	if err := d.until(ctx, "the endpoint to be published again", func() (bool, error) {
		return d.endpoint().Status == "active", d.child.dead()
	}); err != nil {
		return err
	}
	d.report("recover", "runtime started: published again after %.1f s", time.Since(began).Seconds())
	return nil
}

func (d *demo) kill(ctx context.Context) error {
	old := d.child.pid()
	if err := d.child.kill(); err != nil {
		return err
	}
	began, beats := time.Now(), d.server.Beats()
	var err error
	if d.child, err = startChild(filepath.Join(d.dir, "config.yaml"), filepath.Join(d.dir, "agent.log")); err != nil {
		return err
	}
	if err := d.until(ctx, "the new process to send a heartbeat", func() (bool, error) {
		return d.server.Beats() > beats, d.child.dead()
	}); err != nil {
		return err
	}
	if agents := d.server.Agents(""); len(agents) != 1 || agents[0].ID != d.first.AgentID {
		return fmt.Errorf("after the kill the orchestrator does not list exactly the agent %s", d.first.AgentID)
	}
	d.report("kill -9", "killed process %d; process %d is back after %.1f s as the same agent, not enrolled again",
		old, d.child.pid(), time.Since(began).Seconds())
	return nil
}

func (d *demo) enrollAgain(ctx context.Context) error {
	for _, f := range []string{"api-key", "controller.hex"} {
		if err := os.Rename(filepath.Join(d.dir, f+".elsewhere"), filepath.Join(d.dir, f)); err != nil {
			return err
		}
	}
	result, err := d.enrollOnce(ctx)
	if err != nil {
		return err
	}
	if result.Changed || result.AgentID != d.first.AgentID || len(d.server.Agents("")) != 1 {
		return fmt.Errorf("a second enroll changed something: changed=%t, agent %s", result.Changed, result.AgentID)
	}
	d.report("again", "enrolled again: nothing changed, still one agent")
	return nil
}

func (d *demo) stop() error {
	began := time.Now()
	if err := d.child.terminate(); err != nil {
		return err
	}
	d.report("stop", "SIGTERM: the agent exited after %.2f s without sending anything", time.Since(began).Seconds())
	d.child = nil
	return nil
}

// summary prints what was done.
func (d *demo) summary() error {
	if d.app.json {
		return d.app.result(demoSummary(d.steps, d.server.Beats(), len(d.server.Agents(""))))
	}
	const text = "\nDone in %.1f s: %d steps, %d heartbeats accepted, one machine, one agent, one enrollment.\nNothing was left behind.\n"
	_, err := fmt.Fprintf(d.app.out, text, time.Since(d.start).Seconds(), len(d.steps), d.server.Beats())
	return err
}

// demoSummary is what the demo prints as JSON.
func demoSummary(steps []demoStep, heartbeats uint64, agents int) map[string]any {
	return map[string]any{"ok": true, "steps": steps, "heartbeats": heartbeats, "agents": agents}
}

// endpoint returns the demo's endpoint as the orchestrator shows it.
func (d *demo) endpoint() sandbox.Endpoint {
	for _, e := range d.server.Endpoints(d.first.MachineID) {
		return e
	}
	return sandbox.Endpoint{}
}

// until waits for at most 30 s until done reports true, and asks it every 100 ms.
func (d *demo) until(ctx context.Context, what string, done func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		ok, err := done()
		if ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("timed out waiting for %s; %s", what, d.child.logTail())
		case <-tick.C:
		}
	}
}

// get requests a path of the agent's telemetry listener. The status is 0 if it does not
// respond.
func (d *demo) get(path string) (int, string) {
	client := http.Client{Timeout: 2 * time.Second}
	res, err := client.Get("http://" + d.listen + path)
	if err != nil {
		return 0, ""
	}
	defer res.Body.Close()
	b, _ := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	return res.StatusCode, string(b)
}

// close stops what is still running and deletes the temporary directory.
func (d *demo) close() {
	if d.child != nil {
		_ = d.child.kill()
	}
	if d.runtime != nil {
		_ = d.runtime.stop()
	}
	if d.hook != nil {
		_ = d.hook.server.Close()
	}
	if d.web != nil {
		_ = d.web.Close()
	}
	if d.dir != "" {
		_ = os.RemoveAll(d.dir)
	}
}
