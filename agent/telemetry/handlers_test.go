package telemetry

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/agent/status/statustest"
)

// TestReadyz: 503 with the reasons until the endpoint is live, as JSON and as text.
func TestReadyz(t *testing.T) {
	s := newService(t, "127.0.0.1:0").serve()
	s.state.Update("main", func(m *status.Machine) {
		m.SetState(status.Unenrolled, status.NewCause("not_enrolled", "waiting for peaqos-agent enroll"), time.Now())
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
	got = s.get("/readyz")
	if got.status != 200 || !strings.Contains(got.body, `"ready": true`) || !strings.Contains(got.body, `"reasons": []`) {
		t.Errorf("live: %d %s", got.status, got.body)
	}
	s.state.Update("main", func(m *status.Machine) {
		m.Endpoints[0].Up, m.Endpoints[0].ProbeFault = false, "no answer in time"
	})
	text := func(r *http.Request) { r.Header.Set("Accept", "text/plain") }
	want := "not ready: online\n  endpoint_down: endpoint qvac is down (no answer in time); " +
		"it stays listed for 90 s more, until its lease expires\n"
	if got := s.do("GET", "/readyz", text); got.status != 503 || got.body != want {
		t.Errorf("down: %d %q, want %q", got.status, got.body, want)
	}
	if got := s.do("HEAD", "/readyz", nil); got.status != 503 || got.body != "" {
		t.Errorf("HEAD: %d %q", got.status, got.body)
	}
}

func TestHealthzNamesTheStuckLoop(t *testing.T) {
	s := newService(t, "127.0.0.1:0").serve()
	ran := func(loop string, ago time.Duration) {
		s.state.UpdateProcess(func(p *status.Process) { p.Turns[loop] = time.Now().Add(-ago) })
	}
	ran("beat/main", 0)
	ran("probe/main", 0)
	if got := s.get("/healthz"); got.status != 200 || got.body != "ok: 2 loops running\n" {
		t.Errorf("%d %q", got.status, got.body)
	}
	ran("beat/main", 61*time.Second)
	if got := s.get("/healthz"); got.status != 503 || got.body != "stuck: loop beat/main has not run for 61 s (limit 60 s)\n" {
		t.Errorf("%d %q", got.status, got.body)
	}
	ran("beat/main", 0)
	if got := s.get("/healthz"); got.status != 200 {
		t.Errorf("after it has run again: %d %q", got.status, got.body)
	}
}

func TestStuckLoops(t *testing.T) {
	now := statustest.Now
	lastRun := map[string]time.Time{"b": now.Add(-time.Minute), "a": now.Add(-2 * time.Minute), "c": now.Add(-time.Minute - 1)}
	got := strings.Join(stuckLoops(lastRun, now, time.Minute), "|")
	if want := "loop a has not run for 2 min 0 s (limit 60 s)|loop c has not run for 60 s (limit 60 s)"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if len(stuckLoops(nil, now, time.Minute)) != 0 {
		t.Error("a loop is stuck before one is registered")
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
	if v.PID != os.Getpid() || v.Version != "1.2.3" || v.StoreDir != "/var/lib/peaqos-agent" ||
		v.Listener.Address != s.address() || !v.Ready {
		t.Errorf("%+v", v)
	}
	text := s.do("GET", "/status", func(r *http.Request) { r.Header.Set("Accept", "text/plain, application/json") })
	if !strings.HasPrefix(text.body, "peaqos-agent 1.2.3: ready, online for ") {
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
		t.Error("something is counted outside the state")
	}
}

// TestMethods: every path is read-only.
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

// TestMetricsCompression: a scrape is compressed unless it comes over loopback.
func TestMetricsCompression(t *testing.T) {
	s := newService(t, "0.0.0.0:0")
	for peer, want := range map[string]string{"127.0.0.1:5000": "", "192.0.2.7:5000": "gzip"} {
		r := httptest.NewRequest("GET", "http://127.0.0.1:9757/metrics", nil)
		r.RemoteAddr = peer
		r.Header.Set("Accept-Encoding", "gzip")
		w := httptest.NewRecorder()
		s.handler().ServeHTTP(w, r)
		if got := w.Header().Get("Content-Encoding"); w.Code != http.StatusOK || got != want {
			t.Errorf("%s: status %d, encoding %q", peer, w.Code, got)
		}
		if plain := strings.Contains(w.Body.String(), "\npeaqos_agent_state{"); plain != (want == "") {
			t.Errorf("%s: plain text: %v", peer, plain)
		}
	}
}
