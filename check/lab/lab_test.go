package lab

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestConfigYAML(t *testing.T) {
	c := Config{
		Orchestrator: "http://o", OrchestratorKeys: "allow_plain_http: true", Runtime: "http://r", State: "/s",
		Telemetry: "127.0.0.1:1", More: []string{"log: {level: debug}"},
	}
	const want = `orchestrator: {url: "http://o", allow_plain_http: true}
machines:
  - endpoints:
      - {provider_key: demo, base_url: "http://r"}
heartbeat: {lease_ttl: 6s}
keystore: {dir: "/s", volatile: true}
telemetry: {listen: "127.0.0.1:1"}
log: {level: debug}
`
	if got := c.YAML(); got != want {
		t.Errorf("the configuration is\n%s\nwant\n%s", got, want)
	}
	if !strings.Contains(want, "lease_ttl: "+LeaseTTL.String()) {
		t.Errorf("LeaseTTL is %s, the configuration has another one", LeaseTTL)
	}
}

// TestLab: a lab's agent enrolls on a lab's sandbox, runs, and ends with 0.
func TestLab(t *testing.T) {
	dir := t.TempDir()
	binary, err := Build(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	l, err := New(binary, dir)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if status, body, err := Fetch(t.Context(), http.DefaultClient, l.Runtime.URL+"/health"); err != nil || status != 200 || body != "{}\n" {
		t.Errorf("the runtime responds with %d %q, %v", status, body, err)
	}
	orchestrator, err := l.StartSandbox(t.Context(), t.Output())
	if err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "config.yaml")
	text := Config{Orchestrator: orchestrator, Runtime: l.Runtime.URL, State: dir}.YAML()
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	o, err := Run(l.Command(t.Context(), nil, append(l.EnrollArgs(), "--config", config)...))
	if err != nil || o.Exit != 0 || !o.Report.Changed || !o.Report.Live || o.Report.AgentID == "" {
		t.Fatalf("enroll: %s, %v, %+v", o, err, o.Report)
	}
	if o, err = Run(l.Command(t.Context(), nil, "frobnicate")); err != nil || o.Exit != 1 || o.Killed {
		t.Errorf("an unknown command: %s, %v", o, err)
	}
	agent, err := Start(l.Command(t.Context(), nil, "run", "--config", config))
	if err != nil {
		t.Fatal(err)
	}
	if err := UntilAdmin(t.Context(), dir); err != nil {
		t.Fatalf("%v: %s", err, agent.Output)
	}
	if err := agent.Signal(syscall.SIGTERM); err != nil {
		t.Errorf("run ended with %v after SIGTERM, want 0: %s", err, agent.Output)
	}
}

func TestUntil(t *testing.T) {
	n := 0
	if err := Until(t.Context(), time.Minute, "three calls", func() bool { n++; return n == 3 }); err != nil || n != 3 {
		t.Errorf("%d calls, %v", n, err)
	}
	never := func() bool { return false }
	if err := Until(t.Context(), time.Millisecond, "pigs fly", never); err == nil || !strings.Contains(err.Error(), "pigs fly") {
		t.Errorf("the error is %v, want what was waited for", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Until(ctx, time.Minute, "pigs fly", never); !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v, want the context's", err)
	}
}
