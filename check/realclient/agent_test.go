//go:build realclient

package realclient

import (
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/peaqnetwork/peaqos-agent/check/lab"
)

// sight is what owner_view.py prints.
type sight struct {
	Machine  string `json:"machine"`
	Identity string `json:"identity"`
	Agents   []struct {
		ID         string `json:"id"`
		Status     string `json:"status"`
		LastSeenAt string `json:"last_seen_at"`
	} `json:"agents"`
	Endpoints []endpointSight `json:"endpoints"`
}

type endpointSight struct {
	ProviderKey string `json:"provider_key"`
	Source      string `json:"source"`
	Status      string `json:"status"`
	AgentID     string `json:"agent_id"`
	BaseURL     string `json:"base_url"`
	Scope       string `json:"scope"`
}

// ownerView starts the real client; each call of what it returns reads once what
// an owner sees of the machine.
func ownerView(t *testing.T, orchestrator, machineID string) func() sight {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), python(t), "owner_view.py")
	cmd.Env = pythonEnv("BASE_URL="+orchestrator, "MACHINE_ID="+machineID)
	cmd.Stderr = t.Output()
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	decoder := json.NewDecoder(out)
	return func() sight {
		var s sight
		if _, err := io.WriteString(in, "look\n"); err != nil {
			t.Fatal(err)
		}
		if err := decoder.Decode(&s); err != nil {
			t.Fatalf("the real client stopped: %v", err)
		}
		return s
	}
}

// until looks every quarter of a second, for a minute at most.
func until(t *testing.T, what string, look func() sight, done func(sight) bool) sight {
	t.Helper()
	var s sight
	err := lab.UntilEvery(t.Context(), 250*time.Millisecond, time.Minute, what, func() bool {
		s = look()
		return done(s)
	})
	if err != nil {
		t.Fatalf("%v; the real client sees %+v", err, s)
	}
	return s
}

// enroll returns the ids that enroll --json prints.
func enroll(t *testing.T, l *lab.Lab, config string) (machineID, agentID string) {
	t.Helper()
	o, err := lab.Run(l.Command(t.Context(), nil, append(l.EnrollArgs(), "--config", config)...))
	if err != nil || o.Exit != 0 || !o.Report.Changed {
		t.Fatalf("enroll: %s, %v, printed %s", o, err, o.Stdout)
	}
	return o.Report.MachineID, o.Report.AgentID
}

func TestRealClientSeesTheAgentLiveAndExpire(t *testing.T) {
	dir := t.TempDir()
	binary, err := lab.Build(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	l, err := lab.New(binary, dir)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	orchestrator, err := l.StartSandbox(t.Context(), t.Output())
	if err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "config.yaml")
	text := lab.Config{Orchestrator: orchestrator, Runtime: l.Runtime.URL, State: dir}.YAML()
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	machineID, agentID := enroll(t, l, config)
	for _, key := range []string{l.APIKeyFile, l.ControllerKeyFile} { // run needs neither
		if err := os.Remove(key); err != nil {
			t.Fatal(err)
		}
	}
	agent, err := lab.Start(l.Command(t.Context(), nil, "run", "--config", config))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if t.Failed() {
			t.Log(agent.Output)
		}
	}()
	look := ownerView(t, orchestrator, machineID)
	status := func(want string) func(sight) bool {
		return func(s sight) bool { return len(s.Endpoints) == 1 && s.Endpoints[0].Status == want }
	}

	first := until(t, "the endpoint is active", look, status("active"))
	if first.Machine != "active" || first.Identity != lab.IdentityRef {
		t.Errorf("the machine is %s as %s, want active as %s", first.Machine, first.Identity, lab.IdentityRef)
	}
	if len(first.Agents) != 1 || first.Agents[0].ID != agentID || first.Agents[0].Status != "active" {
		t.Fatalf("agents = %+v, want %s alone, active", first.Agents, agentID)
	}
	want := endpointSight{"demo", "agent", "active", agentID, l.Runtime.URL, "loopback"}
	if first.Endpoints[0] != want {
		t.Errorf("the endpoint is listed as %+v, want %+v", first.Endpoints[0], want)
	}
	// A second heartbeat moves lastSeenAt: the daemon sends them, not only enroll.
	moved := until(t, "lastSeenAt moves", look, func(s sight) bool { return s.Agents[0].LastSeenAt != first.Agents[0].LastSeenAt })
	if seenAt := moved.Agents[0].LastSeenAt; !fresh(seenAt, lab.LeaseTTL) {
		t.Errorf("lastSeenAt = %s is not fresh", seenAt)
	}

	l.Runtime.Stop()
	until(t, "the lease of a stopped runtime expires", look, status("unreachable"))
	if err := agent.Signal(syscall.SIGTERM); err != nil {
		t.Errorf("run ended with %v after SIGTERM, want 0", err)
	}
}
