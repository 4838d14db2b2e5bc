package services

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/peaqnetwork/peaqos-agent/check/lab"
	"github.com/peaqnetwork/peaqos-agent/sdk/sandbox"
)

// kills is how often the agent is killed: PEAQOS_KILLS, or a few.
func kills(t *testing.T) int {
	text := os.Getenv("PEAQOS_KILLS")
	if text == "" {
		return 4
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("PEAQOS_KILLS is %q, want a number", text)
	}
	return n
}

// world is a sandbox that remembers the token it was shown, a hook that fails now and
// then, and the agent between them.
type world struct {
	t      *testing.T
	lab    *lab.Lab
	server *sandbox.Server
	config string
	state  string

	mu     sync.Mutex
	token  string // of the control socket
	got    []string
	steady bool // the hook does not fail any more
}

func newWorld(t *testing.T) *world {
	t.Helper()
	dir := t.TempDir()
	binary, err := lab.Build(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	l, err := lab.New(binary, dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	w := &world{t: t, lab: l, state: filepath.Join(dir, "state"), config: filepath.Join(dir, "config.yaml")}
	w.server = sandbox.New(sandbox.WithAPIKey(lab.APIKey), sandbox.WithController("", lab.ControllerAddress))
	t.Cleanup(func() { _ = w.server.Close() })
	web := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if token := r.Header.Get("X-Machine-Agent-Token"); token != "" {
			w.mu.Lock()
			w.token = token
			w.mu.Unlock()
		}
		w.server.ServeHTTP(rw, r)
	}))
	t.Cleanup(web.Close)
	hook := httptest.NewServer(http.HandlerFunc(w.hook))
	t.Cleanup(hook.Close)
	if err := os.Mkdir(w.state, 0o700); err != nil {
		t.Fatal(err)
	}
	text := lab.Config{Orchestrator: web.URL, Runtime: l.Runtime.URL, State: w.state, More: []string{
		fmt.Sprintf("presence: {enabled: true, url: %q, interval: 1s}", web.URL),
		fmt.Sprintf("control: {enabled: true, hooks: [%q]}", hook.URL+"/notify"),
		"log: {level: debug, format: json}",
	}}.YAML()
	if err := os.WriteFile(w.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return w
}

// hook accepts most notifications, and after some it reports a failure all the same.
func (w *world) hook(rw http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost { // another program of this machine looks what listens here
		rw.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	body, err := io.ReadAll(r.Body)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.token != "" && strings.Contains(string(body)+fmt.Sprint(r.Header), w.token) {
		w.t.Error("the hook was shown the token")
	}
	fails := 3
	if !w.steady {
		fails = rand.IntN(6)
	}
	if err == nil && fails != 0 { // 1: accepted, but the response says no
		w.got = append(w.got, string(body))
	}
	if fails <= 1 {
		rw.WriteHeader(http.StatusInternalServerError)
	}
}

// run runs a command of the agent to its end.
func (w *world) run(args ...string) lab.Outcome {
	w.t.Helper()
	o, err := lab.Run(w.lab.Command(w.t.Context(), nil, append(args, "--config", w.config)...))
	if err != nil || o.Exit != 0 {
		w.t.Fatalf("%v: %s, %v", args, o, err)
	}
	return o
}

// phase is when an agent first connects after its start: the same calculation as the
// agent's own.
func phase(machineID, agentID string) time.Duration {
	h := fnv.New64a()
	_, _ = h.Write([]byte(machineID + "\x00control/" + agentID))
	return time.Duration(h.Sum64() * 0x9e3779b97f4a7c15 % uint64(30*time.Second))
}

// TestKilledAgentLosesNoNotification: each notification that the sandbox sent and knows
// to have arrived reaches the hook, in order per purchase, however often the agent is
// killed, and the token is in no hook, log or queue.
func TestKilledAgentLosesNoNotification(t *testing.T) {
	w := newWorld(t)
	o := w.run(w.lab.EnrollArgs()...)
	machine, agentID := o.Report.MachineID, o.Report.AgentID
	for range 400 { // an agent that connects soon after its start, so that this test is short
		if phase(machine, agentID) < 1200*time.Millisecond {
			break
		}
		agentID = w.run(w.lab.RotateArgs()...).Report.AgentID
	}
	if err := os.WriteFile(filepath.Join(w.state, "key"), []byte(lab.ControllerKey+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	w.run("identity", "import", filepath.Join(w.state, "key"))
	if err := os.Remove(filepath.Join(w.state, "key")); err != nil {
		t.Fatal(err)
	}
	sequence, logs := map[string]int{}, ""
	notify := func() bool {
		purchase := fmt.Sprint("p", rand.IntN(4))
		ok := w.server.Notify(machine, "purchase.created", map[string]any{"purchaseId": purchase, "n": sequence[purchase]}) > 0
		sequence[purchase]++
		return ok
	}
	for range kills(t) {
		agent := w.start()
		w.until("the control socket is open", func() bool { return notify() })
		for range rand.IntN(40) {
			notify()
		}
		if rand.IntN(3) == 0 {
			w.server.CloseSockets()
		}
		pause(t, time.Duration(rand.IntN(150))*time.Millisecond)
		_ = agent.Signal(syscall.SIGKILL)
		logs += agent.Output.String()
	}
	w.mu.Lock()
	w.steady = true
	w.mu.Unlock()
	agent := w.start()
	w.until("the control socket is open", func() bool { return notify() }) // it handles signals from here on
	w.until("what was acknowledged is delivered", func() bool { return len(w.missing()) == 0 })
	w.until("the machine is online", func() bool { return w.server.Online(lab.IdentityRef) })
	w.until("the queue is empty", func() bool {
		info, err := os.Stat(filepath.Join(w.state, "control", "main.queue"))
		return err == nil && info.Size() == 0
	})
	if err := agent.Signal(syscall.SIGTERM); err != nil {
		t.Errorf("run ended with %v", err)
	}
	logs += agent.Output.String()
	w.checkOrder()
	if sent := w.server.Notifications(machine); len(sent) < kills(t) {
		t.Errorf("only %d notifications were sent", len(sent))
	}
	if w.token == "" || strings.Contains(logs, w.token) || strings.Contains(logs, lab.ControllerKey[2:]) {
		t.Errorf("a secret is in the log:\n%s", logs)
	}
}

func (w *world) start() *lab.Process {
	w.t.Helper()
	agent, err := lab.Start(w.lab.Command(w.t.Context(), nil, "run", "--config", w.config))
	if err != nil {
		w.t.Fatal(err)
	}
	return agent
}

func (w *world) until(what string, f func() bool) {
	w.t.Helper()
	if err := lab.UntilEvery(w.t.Context(), 20*time.Millisecond, 90*time.Second, what, f); err != nil {
		w.t.Fatal(err)
	}
}

// missing lists what was acknowledged and not delivered.
func (w *world) missing() (missing []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delivered := map[string]bool{}
	for _, body := range w.got {
		delivered[body] = true
	}
	for _, n := range w.server.Notifications("") {
		if n.Acknowledged && !delivered[string(n.Message)] {
			missing = append(missing, string(n.Message))
		}
	}
	return missing
}

// checkOrder checks the order of the first deliveries of each purchase.
func (w *world) checkOrder() {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	seen, last := map[string]bool{}, map[string]int{}
	for _, body := range w.got {
		var n struct {
			Payload struct {
				PurchaseID string
				N          int
			}
		}
		if err := json.Unmarshal([]byte(body), &n); err != nil {
			w.t.Fatalf("the hook got %q: %v", body, err)
		}
		if seen[body] {
			continue
		}
		seen[body] = true
		if before, any := last[n.Payload.PurchaseID]; any && n.Payload.N <= before {
			w.t.Errorf("purchase %s: %d after %d", n.Payload.PurchaseID, n.Payload.N, before)
		}
		last[n.Payload.PurchaseID] = n.Payload.N
	}
}

// pause lets the agent work for a moment before it is killed.
func pause(t *testing.T, d time.Duration) {
	select {
	case <-time.After(d):
	case <-t.Context().Done():
	}
}
