package realclient

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// lease is short, so that its end can be watched.
const lease = 6 * time.Second

// sight is what onlooker.py says it sees.
type sight struct {
	Machine  string `json:"machine"`
	Identity string `json:"identity"`
	Agents   []struct {
		ID         string `json:"id"`
		Status     string `json:"status"`
		LastSeenAt string `json:"last_seen_at"`
	} `json:"agents"`
	Endpoints []struct {
		ProviderKey string `json:"provider_key"`
		Source      string `json:"source"`
		Status      string `json:"status"`
		AgentID     string `json:"agent_id"`
		BaseURL     string `json:"base_url"`
		Scope       string `json:"scope"`
	} `json:"endpoints"`
}

// lab is an orchestrator, a runtime and a configuration for an agent; the
// program under test runs as processes of its own.
type lab struct {
	t            *testing.T
	dir, binary  string
	orchestrator string
	runtime      *httptest.Server
}

func newLab(t *testing.T) *lab {
	t.Helper()
	l := &lab{t: t, dir: t.TempDir()}
	l.binary = filepath.Join(l.dir, "peaqos-agent")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", l.binary, "../../cmd/peaqos-agent")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("the program cannot be built: %v\n%s", err, out)
	}
	l.write("api-key", apiKey)
	l.write("controller.hex", controllerKey)
	l.runtime = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/health" {
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(l.runtime.Close)
	l.orchestrator = l.startSandbox()
	l.write("config.yaml", fmt.Sprintf(`orchestrator: {url: %q}
machines:
  - endpoints:
      - {provider_key: demo, base_url: %q}
heartbeat: {lease_ttl: %s}
keystore: {dir: %q}
telemetry: {listen: ""}
`, l.orchestrator, l.runtime.URL, lease, l.dir))
	return l
}

func (l *lab) write(name, content string) {
	l.t.Helper()
	if err := os.WriteFile(filepath.Join(l.dir, name), []byte(content+"\n"), 0o600); err != nil {
		l.t.Fatal(err)
	}
}

func (l *lab) path(name string) string { return filepath.Join(l.dir, name) }

// start runs the program until the test ends; what it prints comes back.
func (l *lab) start(args ...string) (*exec.Cmd, io.Reader) {
	l.t.Helper()
	cmd := exec.CommandContext(l.t.Context(), l.binary, args...)
	cmd.Stderr = l.t.Output()
	out, err := cmd.StdoutPipe()
	if err != nil {
		l.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		l.t.Fatal(err)
	}
	return cmd, out
}

func (l *lab) startSandbox() string {
	l.t.Helper()
	_, out := l.start("sandbox", "--listen", "127.0.0.1:0", "--api-key-file", l.path("api-key"), "--controller", controllerAddress(l.t))
	line, err := bufio.NewReader(out).ReadString('\n')
	url, found := strings.CutPrefix(strings.TrimSpace(line), "listening on ")
	if err != nil || !found {
		l.t.Fatalf("the sandbox said %q (%v), not where it listens", line, err)
	}
	return url
}

// enroll returns the ids that enroll --json prints.
func (l *lab) enroll() (machineID, agentID string) {
	l.t.Helper()
	cmd := exec.CommandContext(l.t.Context(), l.binary, "enroll", "--config", l.path("config.yaml"), "--identity-ref", "did:peaq:42",
		"--controller-key-file", l.path("controller.hex"), "--api-key-file", l.path("api-key"), "--json")
	cmd.Stderr = l.t.Output()
	out, err := cmd.Output()
	if err != nil {
		l.t.Fatalf("enroll: %v", err)
	}
	var result struct {
		Changed   bool   `json:"changed"`
		MachineID string `json:"machine_id"`
		AgentID   string `json:"agent_id"`
	}
	if err := json.Unmarshal(out, &result); err != nil || !result.Changed {
		l.t.Fatalf("enroll printed %s (%v)", out, err)
	}
	return result.MachineID, result.AgentID
}

// onlooker starts the real client; each call of what it returns looks once.
func (l *lab) onlooker(machineID string) func() sight {
	l.t.Helper()
	cmd := exec.CommandContext(l.t.Context(), python(l.t), "onlooker.py")
	cmd.Env = pythonEnv("BASE_URL="+l.orchestrator, "MACHINE_ID="+machineID)
	cmd.Stderr = l.t.Output()
	in, err := cmd.StdinPipe()
	if err != nil {
		l.t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		l.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		l.t.Fatal(err)
	}
	decoder := json.NewDecoder(out)
	return func() sight {
		var s sight
		if _, err := io.WriteString(in, "look\n"); err != nil {
			l.t.Fatal(err)
		}
		if err := decoder.Decode(&s); err != nil {
			l.t.Fatalf("the real client stopped: %v", err)
		}
		return s
	}
}

// until looks every quarter of a second, for a minute at most.
func (l *lab) until(what string, look func() sight, done func(sight) bool) sight {
	l.t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		s := look()
		if done(s) {
			return s
		}
		if time.Now().After(deadline) {
			l.t.Fatalf("not within a minute: %s; the real client sees %+v", what, s)
		}
		<-time.After(250 * time.Millisecond)
	}
}

func TestRealClientSeesTheAgentLiveAndLapse(t *testing.T) {
	l := newLab(t)
	machineID, agentID := l.enroll()
	for _, key := range []string{"api-key", "controller.hex"} { // run needs neither
		if err := os.Remove(l.path(key)); err != nil {
			t.Fatal(err)
		}
	}
	agent, _ := l.start("run", "--config", l.path("config.yaml"))
	look := l.onlooker(machineID)
	status := func(want string) func(sight) bool {
		return func(s sight) bool { return len(s.Endpoints) == 1 && s.Endpoints[0].Status == want }
	}

	first := l.until("the endpoint is active", look, status("active"))
	if first.Machine != "active" || first.Identity != "did:peaq:42" {
		t.Errorf("the machine is %s as %s, want active as did:peaq:42", first.Machine, first.Identity)
	}
	if len(first.Agents) != 1 || first.Agents[0].ID != agentID || first.Agents[0].Status != "active" {
		t.Fatalf("agents = %+v, want %s alone, active", first.Agents, agentID)
	}
	if e := first.Endpoints[0]; e.ProviderKey != "demo" || e.Source != "agent" || e.AgentID != agentID || e.BaseURL != l.runtime.URL || e.Scope != "loopback" {
		t.Errorf("the endpoint is listed as %+v", e)
	}
	// A second beat moves lastSeenAt: the daemon beats, not only enroll did.
	moved := l.until("lastSeenAt moves", look, func(s sight) bool { return s.Agents[0].LastSeenAt != first.Agents[0].LastSeenAt })
	if seenAt := moved.Agents[0].LastSeenAt; !fresh(seenAt, lease) {
		t.Errorf("lastSeenAt = %s is not fresh", seenAt)
	}

	l.runtime.Close()
	l.until("the lease of a stopped runtime lapses", look, status("unreachable"))
	if err := agent.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := agent.Wait(); err != nil {
		t.Errorf("run ended with %v after SIGTERM, want 0", err)
	}
}
