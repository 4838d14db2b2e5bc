package telemetry

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/peaqnetwork/peaqos-agent/agent/status"
)

// TestHeaders: every response, including errors, restricts what a browser may do with it.
func TestHeaders(t *testing.T) {
	s := newService(t, "127.0.0.1:0").serve()
	for _, path := range []string{"/metrics", "/healthz", "/readyz", "/status", "/", "/nothing"} {
		h := s.get(path).header
		if h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Cache-Control") != "no-store" ||
			h.Get("Referrer-Policy") != "no-referrer" {
			t.Errorf("%s: %v", path, h)
		}
		policy := h.Get("Content-Security-Policy")
		if !strings.HasPrefix(policy, "default-src 'none'; ") || !strings.Contains(policy, "frame-ancestors 'none'") ||
			strings.Contains(policy, "unsafe") {
			t.Errorf("%s: policy %q", path, policy)
		}
		if h.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s can be read by other origins", path)
		}
	}
}

// TestRebinding: requests for a foreign name that resolves to loopback are rejected.
func TestRebinding(t *testing.T) {
	s := newService(t, "127.0.0.1:0").serve()
	_, port, _ := net.SplitHostPort(s.address())
	tests := map[string]bool{
		"127.0.0.1:" + port: true, "localhost:" + port: true, "LOCALHOST": true, "127.0.0.1": true,
		"[::1]:" + port: true, "127.9.9.9:80": true,
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

func TestAllowedHost(t *testing.T) {
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
		if got := allowedHost(test.header, test.bound); got != test.want {
			t.Errorf("%q at %q: %v", test.header, test.bound, got)
		}
	}
}

func FuzzAllowedHost(f *testing.F) {
	for _, seed := range []string{
		"127.0.0.1:9757", "[::1]:1", "evil.example", "::ffff:127.0.0.1", "[", ":", "localhost:x", "[localhost]",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		if !allowedHost(header, "") {
			return
		}
		// Only a loopback address or the name localhost is allowed, with any brackets
		// and port around it.
		if strings.Contains(strings.ToLower(header), "localhost") {
			return
		}
		if u, err := url.Parse("http://" + header + "/"); err == nil && u.Hostname() != "" {
			if ip := net.ParseIP(u.Hostname()); ip != nil && !ip.IsLoopback() {
				t.Errorf("%q was taken for this machine", header)
			}
		}
		if strings.Trim(strings.ToLower(header), "[]0123456789abcdef.:%") != "" && !strings.ContainsAny(header, "%:") {
			t.Errorf("%q was taken for this machine", header)
		}
	})
}

// TestOnlyLocal: if the listener is reachable from other hosts, they get the metrics
// but neither status nor page. Not every test host has an address other than
// loopback, so the test sets the addresses of the request.
func TestOnlyLocal(t *testing.T) {
	s := newService(t, "0.0.0.0:0")
	h := s.handler()
	for path, want := range map[string]int{"/status": 403, "/": 403, "/metrics": 200, "/healthz": 200, "/readyz": 503} {
		for _, peer := range []string{"192.0.2.7:5000", "[2001:db8::1]:5000", "garbage"} {
			r := httptest.NewRequest("GET", "http://robot.lan:9757"+path, nil)
			r.RemoteAddr = peer
			local := &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 9757}
			r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, local))
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != want {
				t.Errorf("%s from %s: %d, want %d", path, peer, w.Code, want)
			}
		}
	}
}

// TestOpenListenerOverLoopback: such a listener serves every path to the machine
// itself, but still rejects a foreign name.
func TestOpenListenerOverLoopback(t *testing.T) {
	s := newService(t, "0.0.0.0:0").serve()
	_, port, _ := net.SplitHostPort(s.address())
	s.state.UpdateProcess(func(p *status.Process) { p.Listener = "127.0.0.1:" + port })
	if got := s.get("/status"); got.status != 200 {
		t.Errorf("status: %d", got.status)
	}
	if got := s.do("GET", "/status", func(r *http.Request) { r.Host = "evil.example" }); got.status != 421 {
		t.Errorf("foreign name: %d", got.status)
	}
}

// TestBigHeader: too large a header ends the request only. The response may be lost,
// because the server closes the connection with bytes unread.
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

// TestPanicInHandler: a panic becomes a response with status 500 and is counted.
func TestPanicInHandler(t *testing.T) {
	s := newService(t, "127.0.0.1:0").serve()
	h := s.recoverPanics(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(fmt.Errorf("broken")) }))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	if w.Code != 500 || s.snapshot().Process.Panics != 1 || strings.Contains(w.Body.String(), "broken") {
		t.Errorf("%d %q, %d panics", w.Code, w.Body, s.snapshot().Process.Panics)
	}
}
