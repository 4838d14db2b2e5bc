package telemetry

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/peaqnetwork/peaqos-agent/agent/config"
	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/agent/status/statustest"
)

// service is a real telemetry listener on loopback over a state that the test
// changes.
type service struct {
	*Server
	t    *testing.T
	stop func() // ends it and waits
	boot time.Duration
}

func newService(t *testing.T, listen string) *service {
	t.Helper()
	cfg := &config.Config{
		Machines: []config.Machine{{Name: "main", ID: "mach_1", Endpoints: []config.Endpoint{{ProviderKey: "qvac", BaseURL: "http://127.0.0.1:11434", NetworkScope: "loopback"}}}},
		Keystore: config.Keystore{Dir: "/var/lib/peaqos-agent"}, Telemetry: config.Telemetry{Listen: listen},
	}
	s := &service{t: t, boot: time.Hour}
	state := status.NewTracker(cfg, time.Now())
	s.Server = New(cfg, state, time.Minute, "1.2.3", func() time.Duration { return s.boot }, zap.NewNop())
	s.retry = 5 * time.Millisecond
	return s
}

// serve binds and serves until the test, or stop, ends it.
func (s *service) serve() *service {
	s.t.Helper()
	s.Bind()
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { s.Serve(ctx) })
	s.stop = sync.OnceFunc(func() { cancel(); wg.Wait() })
	s.t.Cleanup(s.stop)
	return s
}

func (s *service) address() string { return s.snapshot().Process.Listener }

// live makes the one endpoint published and up.
func (s *service) live() {
	s.state.Update("main", func(m *status.Machine) {
		m.SetState(status.Online, nil, time.Now())
		e := &m.Endpoints[0]
		e.Up, e.Probed, e.ProbedAt, e.ProbeResult = true, true, time.Now(), "success"
		e.Published, e.AcceptedAt, e.Lease = true, s.boot, 90*time.Second
	})
}

type answered struct {
	status int
	header http.Header
	body   string
}

// do sends one request over the socket; change may be nil.
func (s *service) do(method, path string, change func(*http.Request)) answered {
	s.t.Helper()
	req, err := http.NewRequest(method, "http://"+s.address()+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	if change != nil {
		change(req)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
	res, err := client.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return answered{res.StatusCode, res.Header, string(body)}
}

func (s *service) get(path string) answered { s.t.Helper(); return s.do("GET", path, nil) }

// eventually looks again and again until f is true.
func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	for !f() {
		select {
		case <-deadline:
			t.Fatalf("in vain: %s", what)
		case <-time.After(2 * time.Millisecond):
		}
	}
}

func TestReadyzSaysWhy(t *testing.T) {
	s := newService(t, "127.0.0.1:0").serve()
	s.state.Update("main", func(m *status.Machine) {
		m.SetState(status.Unenrolled, status.NewCause("not_enrolled", "no enrollment yet: waiting for peaqos-agent enroll"), time.Now())
	})
	got := s.get("/readyz")
	var r status.Readiness
	if err := json.Unmarshal([]byte(got.body), &r); err != nil {
		t.Fatal(err)
	}
	if got.status != 503 || r.Ready || r.State != "unenrolled" || r.Reasons[0].Code != "not_enrolled" {
		t.Errorf("%d %s", got.status, got.body)
	}
	if kind := got.header.Get("Content-Type"); kind != "application/json" {
		t.Errorf("content type %q", kind)
	}
	s.live()
	if got := s.get("/readyz"); got.status != 200 || !strings.Contains(got.body, `"ready": true`) || !strings.Contains(got.body, `"reasons": []`) {
		t.Errorf("live: %d %s", got.status, got.body)
	}
	s.state.Update("main", func(m *status.Machine) { m.Endpoints[0].Up, m.Endpoints[0].ProbeFault = false, "no answer in time" })
	text := func(r *http.Request) { r.Header.Set("Accept", "text/plain") }
	if got := s.do("GET", "/readyz", text); got.status != 503 || got.body != "not ready: online\n  endpoint_down: endpoint qvac is down (no answer in time); it stays listed for 90 s more, until its lease expires\n" {
		t.Errorf("down: %d %q", got.status, got.body)
	}
	if got := s.do("HEAD", "/readyz", nil); got.status != 503 || got.body != "" {
		t.Errorf("HEAD: %d %q", got.status, got.body)
	}
}

func TestHealthzNamesTheStuckLoop(t *testing.T) {
	s := newService(t, "127.0.0.1:0").serve()
	ran := func(loop string, ago time.Duration) {
		s.state.UpdateProcess(func(a *status.Process) { a.Turns[loop] = time.Now().Add(-ago) })
	}
	ran("beat/main", 0)
	ran("probe/main", 0)
	if got := s.get("/healthz"); got.status != 200 || got.body != "ok: 2 loops turn\n" {
		t.Errorf("%d %q", got.status, got.body)
	}
	ran("beat/main", 61*time.Second)
	if got := s.get("/healthz"); got.status != 503 || got.body != "stuck: loop beat/main last turned 61 s ago, more than 60 s\n" {
		t.Errorf("%d %q", got.status, got.body)
	}
	ran("beat/main", 0)
	if got := s.get("/healthz"); got.status != 200 {
		t.Errorf("after a turn: %d %q", got.status, got.body)
	}
}

func TestStuckLoops(t *testing.T) {
	now := statustest.Now
	turns := map[string]time.Time{"b": now.Add(-time.Minute), "a": now.Add(-2 * time.Minute), "c": now.Add(-time.Minute - 1)}
	got := strings.Join(stuckLoops(turns, now, time.Minute), "|")
	if want := "loop a last turned 2 min 0 s ago, more than 60 s|loop c last turned 60 s ago, more than 60 s"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if len(stuckLoops(nil, now, time.Minute)) != 0 {
		t.Error("no loop is stuck before one is registered")
	}
}

func TestStatusOverHTTP(t *testing.T) {
	s := newService(t, "127.0.0.1:0").serve()
	s.live()
	got := s.get("/status")
	var v status.View
	dec := json.NewDecoder(strings.NewReader(got.body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&v); err != nil || got.status != 200 {
		t.Fatalf("%d: %v", got.status, err)
	}
	if v.PID != os.Getpid() || v.Version != "1.2.3" || v.StoreDir != "/var/lib/peaqos-agent" || v.Listener.Address != s.address() || !v.Ready {
		t.Errorf("%+v", v)
	}
	text := s.do("GET", "/status", func(r *http.Request) { r.Header.Set("Accept", "text/plain, application/json") })
	if !strings.HasPrefix(text.body, "peaqos-agent 1.2.3: ready, online\n") {
		t.Errorf("%q", text.body)
	}
}

func TestMetricsOverHTTP(t *testing.T) {
	s := newService(t, "127.0.0.1:0").serve()
	s.state.Update("main", func(m *status.Machine) { m.Beats["success"] = 3 })
	got := s.get("/metrics")
	for _, line := range []string{
		`peaqos_agent_heartbeats_total{machine="main",result="success"} 3`,
		`peaqos_agent_state{machine="main",state="unenrolled"} 1`,
		`peaqos_agent_endpoint_probes_total{machine="main",provider="qvac",result="timeout"} 0`,
		"go_goroutines ", "process_resident_memory_bytes ",
	} {
		if !strings.Contains(got.body, "\n"+line) {
			t.Errorf("no line %q", line)
		}
	}
	if strings.Contains(got.body, "promhttp_") {
		t.Error("something counts beside the state")
	}
}

// TestMethods: the listener only tells, whatever it is sent.
func TestMethods(t *testing.T) {
	s := newService(t, "127.0.0.1:0").serve()
	s.live()
	for _, path := range []string{"/metrics", "/healthz", "/readyz", "/status", "/"} {
		for _, method := range []string{"POST", "PUT", "DELETE", "PATCH", "OPTIONS"} {
			if got := s.do(method, path, nil); got.status != 405 || got.header.Get("Allow") != "GET, HEAD" {
				t.Errorf("%s %s: %d, Allow %q", method, path, got.status, got.header.Get("Allow"))
			}
		}
		if got := s.do("HEAD", path, nil); got.status != 200 || got.body != "" {
			t.Errorf("HEAD %s: %d, %d bytes", path, got.status, len(got.body))
		}
	}
	for _, path := range []string{"/debug/pprof/", "/status/", "/index.html", "/%2e%2e/etc/passwd"} {
		if got := s.get(path); got.status != 404 {
			t.Errorf("%s: %d", path, got.status)
		}
	}
}

// TestHeaders: every answer, errors among them, keeps the browser on a leash.
func TestHeaders(t *testing.T) {
	s := newService(t, "127.0.0.1:0").serve()
	for _, path := range []string{"/metrics", "/healthz", "/readyz", "/status", "/", "/nothing"} {
		h := s.get(path).header
		if h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Cache-Control") != "no-store" || h.Get("Referrer-Policy") != "no-referrer" {
			t.Errorf("%s: %v", path, h)
		}
		if policy := h.Get("Content-Security-Policy"); !strings.HasPrefix(policy, "default-src 'none'; ") || !strings.Contains(policy, "frame-ancestors 'none'") || strings.Contains(policy, "unsafe") {
			t.Errorf("%s: policy %q", path, policy)
		}
		if h.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s can be read by other origins", path)
		}
	}
}

// TestRebinding: a name that somebody else owns and that resolves to loopback
// gets nothing.
func TestRebinding(t *testing.T) {
	s := newService(t, "127.0.0.1:0").serve()
	_, port, _ := net.SplitHostPort(s.address())
	tests := map[string]bool{
		"127.0.0.1:" + port: true, "localhost:" + port: true, "LOCALHOST": true, "127.0.0.1": true, "[::1]:" + port: true, "127.9.9.9:80": true,
		"localhost:8080":       true, // a forwarded port
		"evil.example:" + port: false, "evil.example": false, "127.0.0.1.evil.example": false, "localhost.evil.example": false,
		"192.168.1.20:" + port: false, "0.0.0.0:" + port: false, "[::ffff:192.0.2.1]": false, "localhost.": false,
	}
	for _, path := range []string{"/status", "/", "/metrics", "/readyz", "/healthz"} {
		for host, ok := range tests {
			got := s.do("GET", path, func(r *http.Request) { r.Host = host })
			if refused := got.status == http.StatusMisdirectedRequest; refused == ok {
				t.Errorf("%s for host %q: %d", path, host, got.status)
			}
		}
	}
}

func TestBoundHostIsAnswered(t *testing.T) {
	for _, test := range []struct {
		header, bound string
		want          bool
	}{
		{"robot.lan:9757", "robot.lan", true},
		{"Robot.LAN", "robot.lan", true},
		{"other.lan", "robot.lan", false},
		{"10.0.0.5:9757", "10.0.0.5", true},
		{"", "", false},
		{"", "127.0.0.1", false},
		{"[::1]", "::1", true},
		{"::1", "", true},
	} {
		if got := ownHost(test.header, test.bound); got != test.want {
			t.Errorf("%q at %q: %v", test.header, test.bound, got)
		}
	}
}

func FuzzOwnHost(f *testing.F) {
	for _, seed := range []string{"127.0.0.1:9757", "[::1]:1", "evil.example", "::ffff:127.0.0.1", "[", ":", "localhost:x", "[localhost]"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		if !ownHost(header, "") {
			return
		}
		// What is let through is a loopback address or the one name, whatever the
		// brackets and ports around it.
		if strings.Contains(strings.ToLower(header), "localhost") {
			return
		}
		if u, err := url.Parse("http://" + header + "/"); err == nil && u.Hostname() != "" {
			if ip := net.ParseIP(u.Hostname()); ip != nil && !ip.IsLoopback() {
				t.Errorf("%q was taken for this machine", header)
			}
		}
		if strings.Trim(strings.ToLower(header), "[]0123456789abcdef.:%") != "" && !strings.Contains(header, "%") && !strings.Contains(header, ":") {
			t.Errorf("%q was taken for this machine", header)
		}
	})
}

// TestOnlyLocal: with an open listener the metrics are for everyone, status and
// page for this machine alone. Two ends that are not loopback cannot be had on
// every test host, so the request's addresses are set.
func TestOnlyLocal(t *testing.T) {
	s := newService(t, "0.0.0.0:0")
	h := s.handler()
	for path, want := range map[string]int{"/status": 403, "/": 403, "/metrics": 200, "/healthz": 200, "/readyz": 503} {
		for _, peer := range []string{"192.0.2.7:5000", "[2001:db8::1]:5000", "garbage"} {
			r := httptest.NewRequest("GET", "http://robot.lan:9757"+path, nil)
			r.RemoteAddr = peer
			r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 9757}))
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != want {
				t.Errorf("%s from %s: %d, want %d", path, peer, w.Code, want)
			}
		}
	}
}

// TestOpenListenerOverLoopback: the same listener, reached from the machine
// itself over the real socket, gives everything, and still not to a foreign name.
func TestOpenListenerOverLoopback(t *testing.T) {
	s := newService(t, "0.0.0.0:0").serve()
	_, port, _ := net.SplitHostPort(s.address())
	s.state.UpdateProcess(func(a *status.Process) { a.Listener = "127.0.0.1:" + port })
	if got := s.get("/status"); got.status != 200 {
		t.Errorf("status: %d", got.status)
	}
	if got := s.do("GET", "/status", func(r *http.Request) { r.Host = "evil.example" }); got.status != 421 {
		t.Errorf("foreign name: %d", got.status)
	}
}

func TestWantsText(t *testing.T) {
	for accept, want := range map[string]bool{
		"": false, "*/*": false, "application/json": false, "text/plain": true, "TEXT/plain;q=0.5": true,
		"text/plain, application/json": true, "application/json, text/plain": false,
		"text/html,application/xhtml+xml,*/*;q=0.8": false, "application/openmetrics-text, text/plain": true,
	} {
		r := httptest.NewRequest("GET", "/readyz", nil)
		r.Header.Set("Accept", accept)
		if got := wantsText(r); got != want {
			t.Errorf("%q: %v", accept, got)
		}
	}
}

// TestBigHeader: a header beyond the bound ends the request, not the agent. The
// answer may be lost, because the server closes on bytes that it will not read.
func TestBigHeader(t *testing.T) {
	s := newService(t, "127.0.0.1:0").serve()
	req, err := http.NewRequest("GET", "http://"+s.address()+"/healthz", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Big", strings.Repeat("a", 64<<10))
	if res, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req); err == nil {
		_ = res.Body.Close()
		if res.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
			t.Errorf("%d", res.StatusCode)
		}
	}
	if got := s.get("/healthz"); got.status != 200 {
		t.Errorf("afterwards: %d", got.status)
	}
}

// TestPanicIsCaught: one answer that panics is a 500 and a count.
func TestPanicIsCaught(t *testing.T) {
	s := newService(t, "127.0.0.1:0").serve()
	h := s.recovered(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(fmt.Errorf("broken")) }))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	if w.Code != 500 || s.snapshot().Process.Panics != 1 || strings.Contains(w.Body.String(), "broken") {
		t.Errorf("%d %q, %d panics", w.Code, w.Body, s.snapshot().Process.Panics)
	}
}
