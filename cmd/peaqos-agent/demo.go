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
	// demoLease is far shorter than a real one (90 s), so that lapsing can be watched.
	demoLease = 6 * time.Second
)

// demo is the whole life of an agent on one machine: an orchestrator and a
// runtime in this process, the agent as a real child process.
type demo struct {
	app     *app
	dir     string
	server  *sandbox.Server
	web     *http.Server
	runtime *demoRuntime
	child   *demoChild
	listen  string // the agent's telemetry
	cfg     *config.Config
	start   time.Time
	steps   []demoStep
	first   agent.EnrollResult
}

// demoStep is one thing shown.
type demoStep struct {
	Step    string  `json:"step"`
	Seconds float64 `json:"seconds"` // since the demo began
	Saw     string  `json:"saw"`
}

func (a *app) demoCmd() *cobra.Command {
	var stay time.Duration
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "See the whole job done on this machine: nothing to install, nothing left behind",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			a.quiet = true // its steps say it
			d := &demo{app: a, start: time.Now()}
			defer d.close()
			if err := d.run(cmd.Context(), stay); err != nil {
				return fmt.Errorf("the demo stopped after %d steps: %w", len(d.steps), err)
			}
			return d.summary()
		},
	}
	cmd.Flags().DurationVar(&stay, "for", 0, "stay up so long before the summary, to look at the page")
	cmd.Flags().BoolVar(&a.json, "json", false, "print the steps as JSON")
	return cmd
}

// run is the script.
func (d *demo) run(ctx context.Context, stay time.Duration) error {
	steps := []func(context.Context) error{
		d.startOrchestrator, d.startRuntime, d.startAgent, d.enroll, d.beat, d.order, d.dropKeys,
		d.stopRuntime, d.lapse, d.restartRuntime, d.kill, d.enrollAgain,
	}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return err
		}
	}
	if stay > 0 {
		d.say("stay", "look at http://%s/ for %s", d.listen, stay)
		select {
		case <-ctx.Done():
		case <-time.After(stay):
		}
	}
	return d.stop()
}

func (d *demo) say(step, format string, args ...any) {
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
	d.web = &http.Server{Handler: d.server, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = d.web.Serve(l) }()
	for name, content := range map[string]string{"controller.hex": key.Hex(), "api-key": demoAPIKey} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content+"\n"), 0o600); err != nil {
			return err
		}
	}
	d.say("sandbox", "an orchestrator stand-in listens on http://%s; leases last %s here, 90 s in real life", l.Addr(), demoLease)
	return d.configure("http://" + l.Addr().String())
}

// configure writes the configuration that a robot maker would.
func (d *demo) configure(orchestrator string) error {
	var err error
	if d.runtime, err = newDemoRuntime(); err != nil {
		return err
	}
	if d.listen, err = freeAddress(); err != nil {
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
`, orchestrator, demoIdentity, d.runtime.addr, demoLease, d.dir, d.listen)
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
	d.say("runtime", "a runtime answers GET http://%s/v1/models", d.runtime.addr)
	return nil
}

func (d *demo) startAgent(ctx context.Context) error {
	var err error
	if d.child, err = startChild(filepath.Join(d.dir, "config.yaml"), filepath.Join(d.dir, "agent.log")); err != nil {
		return err
	}
	if err := d.until(ctx, "the agent answers on its telemetry port", func() (bool, error) {
		status, _ := d.get("/readyz")
		return status == http.StatusServiceUnavailable, d.child.dead()
	}); err != nil {
		return err
	}
	d.say("agent", "process %d runs and waits, unenrolled; its page is http://%s/", d.child.pid(), d.listen)
	return nil
}

func (d *demo) enroll(ctx context.Context) error {
	result, err := d.enrollOnce(ctx)
	if err != nil {
		return err
	}
	if !result.Changed || !result.Live {
		return fmt.Errorf("enroll answered changed=%t, live=%t (%s)", result.Changed, result.Live, result.Reason)
	}
	d.first = result
	d.say("enroll", "registered %s as %s, enrolled %s, token stored, first beat accepted", result.IdentityRef, result.MachineID, result.AgentID)
	return nil
}

func (d *demo) enrollOnce(ctx context.Context) (agent.EnrollResult, error) {
	key, err := d.app.controllerKey(filepath.Join(d.dir, "controller.hex"), "")
	if err != nil {
		return agent.EnrollResult{}, err
	}
	defer key.Wipe()
	return d.app.enroll(ctx, d.cfg, agent.EnrollRequest{IdentityRef: demoIdentity, APIKey: sdk.NewSecret(demoAPIKey), Controller: key})
}

func (d *demo) beat(ctx context.Context) error {
	before := d.server.Beats()
	if err := d.until(ctx, "two more beats and a ready agent", func() (bool, error) {
		status, _ := d.get("/readyz")
		return status == http.StatusOK && d.server.Beats() >= before+2, d.child.dead()
	}); err != nil {
		return err
	}
	e := d.endpoint()
	if e.Status != "active" || e.Source != "agent" {
		return fmt.Errorf("the orchestrator shows the endpoint as %s, source %s", e.Status, e.Source)
	}
	d.say("beat", "the orchestrator shows the endpoint active, source agent; /readyz is 200")
	return nil
}

func (d *demo) dropKeys(context.Context) error {
	for _, f := range []string{"api-key", "controller.hex"} {
		if err := os.Rename(filepath.Join(d.dir, f), filepath.Join(d.dir, f+".elsewhere")); err != nil {
			return err
		}
	}
	d.say("keys", "API key and controller key are taken away: the agent runs on its token alone")
	return nil
}

func (d *demo) stopRuntime(ctx context.Context) error {
	if err := d.runtime.stop(); err != nil {
		return err
	}
	if err := d.until(ctx, "/readyz tells that the runtime is gone", func() (bool, error) {
		status, body := d.get("/readyz")
		return status == http.StatusServiceUnavailable && strings.Contains(body, "qvac"), d.child.dead()
	}); err != nil {
		return err
	}
	d.say("break", "the runtime is stopped: /readyz is 503 and says why; it is left out of the next beat")
	return nil
}

func (d *demo) lapse(ctx context.Context) error {
	if err := d.until(ctx, "the lease lapses on the orchestrator", func() (bool, error) {
		return d.endpoint().Status == "unreachable", d.child.dead()
	}); err != nil {
		return err
	}
	d.say("lapse", "its lease ended on the orchestrator by itself: unreachable")
	return nil
}

func (d *demo) restartRuntime(ctx context.Context) error {
	began := time.Now()
	if err := d.runtime.start(); err != nil {
		return err
	}
	if err := d.until(ctx, "the endpoint is published again", func() (bool, error) {
		return d.endpoint().Status == "active", d.child.dead()
	}); err != nil {
		return err
	}
	d.say("mend", "the runtime is started: published again after %.1f s", time.Since(began).Seconds())
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
	if err := d.until(ctx, "the new process beats", func() (bool, error) { return d.server.Beats() > beats, d.child.dead() }); err != nil {
		return err
	}
	agents := d.server.Agents("")
	if len(agents) != 1 || agents[0].ID != d.first.AgentID {
		return fmt.Errorf("the orchestrator lists %d agents after the kill, not the one from before", len(agents))
	}
	d.say("kill -9", "process %d was killed; process %d beats after %.1f s as the same agent, no new enrollment", old, d.child.pid(), time.Since(began).Seconds())
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
	d.say("again", "enroll once more: nothing changed, still one agent")
	return nil
}

func (d *demo) stop() error {
	began := time.Now()
	if err := d.child.terminate(); err != nil {
		return err
	}
	d.say("stop", "SIGTERM: the agent ended after %.2f s and sent nothing", time.Since(began).Seconds())
	d.child = nil
	return nil
}

func (d *demo) summary() error {
	if d.app.json {
		return d.app.result(map[string]any{"ok": true, "steps": d.steps, "beats": d.server.Beats(), "agents": len(d.server.Agents(""))})
	}
	_, err := fmt.Fprintf(d.app.out, "\nDone in %.1f s: %d steps, %d beats accepted, one machine, one agent, one enrollment.\nNothing was left behind.\n",
		time.Since(d.start).Seconds(), len(d.steps), d.server.Beats())
	return err
}

// endpoint is the orchestrator's view of the one endpoint.
func (d *demo) endpoint() sandbox.Endpoint {
	for _, e := range d.server.Endpoints(d.first.MachineID) {
		return e
	}
	return sandbox.Endpoint{}
}

// until asks ten times a second, for at most 30 s.
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
			return fmt.Errorf("waited in vain: %s; %s", what, d.child.lastWords())
		case <-tick.C:
		}
	}
}

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

func (d *demo) close() {
	if d.child != nil {
		_ = d.child.kill()
	}
	if d.runtime != nil {
		_ = d.runtime.stop()
	}
	if d.web != nil {
		_ = d.web.Close()
	}
	if d.dir != "" {
		_ = os.RemoveAll(d.dir)
	}
}
