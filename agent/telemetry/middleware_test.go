package telemetry

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
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

// TestOwnNames: health and metrics are available over loopback under every name of the
// machine and those that the operator allows; status and page are not.
func TestOwnNames(t *testing.T) {
	s := newService(t, "127.0.0.1:0")
	c := newHostCheck("127.0.0.1:0", []string{"Gateway.Plant.example", "10.0.0.9", "fd00::9"}, func(*http.Request) bool { return false })
	c.ownName = func(name string) bool { return name == "robot7" }
	c.ownAddrs = func() []netip.Addr {
		return []netip.Addr{netip.MustParseAddr("10.77.0.1"), netip.MustParseAddr("fd00::1")}
	}
	h := c.handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	for host, open := range map[string]bool{
		"10.77.0.1:9757": true, "[fd00::1]:9757": true, "robot7": true, "ROBOT7:80": true, "[::ffff:10.77.0.1]:1": true,
		"gateway.plant.example": true, "GATEWAY.plant.EXAMPLE:8443": true, "gateway.plant.example.:1": true, "10.0.0.9": true, "[fd00:0::9]:1": true,
		"10.77.0.2": false, "robot8": false, "x.gateway.plant.example": false, "gateway.plant.example.evil": false, "evil.example": false, "": false,
	} {
		for _, path := range []string{"/metrics", "/healthz", "/readyz", "/status", "/"} {
			r := httptest.NewRequest("GET", "http://127.0.0.1"+path, nil)
			r.Host, r.RemoteAddr = host, "127.0.0.6:5000"
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if ok := w.Code == 200; ok != (open && isOpenPath(path)) {
				t.Errorf("%s for host %q: %d", path, host, w.Code)
			}
		}
	}
	s.serve()
	for path, want := range map[string]string{
		"/healthz": "HTTP/1.0 200", "/metrics": "HTTP/1.0 200", "/readyz": "HTTP/1.0 503", "/status": "HTTP/1.0 421", "/": "HTTP/1.0 421",
	} {
		if got := s.raw("GET " + path + " HTTP/1.0\r\n\r\n"); !strings.HasPrefix(got, want) {
			t.Errorf("%s in HTTP/1.0 without Host: %.40q, want %s", path, got, want)
		}
		if got := s.raw("GET " + path + " HTTP/1.1\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1 400") {
			t.Errorf("%s in HTTP/1.1 without Host: %.40q", path, got)
		}
		if got := s.raw("GET " + path + " HTTP/1.0\r\nHost: evil.example\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.0 421") {
			t.Errorf("%s in HTTP/1.0 with a foreign Host: %.40q", path, got)
		}
	}
}

// raw sends bytes and returns the response's.
func (s *service) raw(request string) string {
	s.t.Helper()
	c, err := net.Dial("tcp", s.address())
	if err != nil {
		s.t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write([]byte(request)); err != nil {
		s.t.Fatal(err)
	}
	head := make([]byte, 128)
	n, _ := c.Read(head)
	return string(head[:n])
}

// TestForwardedIsNotLocal: status and page stay on the machine although a proxy or a
// port forward makes every peer loopback.
func TestForwardedIsNotLocal(t *testing.T) {
	s := newService(t, "127.0.0.1:0").serve()
	for _, path := range []string{"/status", "/"} {
		for _, header := range []string{"X-Forwarded-For", "Forwarded", "X-Real-IP", "Via"} {
			if got := s.do("GET", path, func(r *http.Request) { r.Header.Set(header, "192.0.2.7") }); got.status != 403 {
				t.Errorf("%s with %s: %d", path, header, got.status)
			}
		}
		if got := s.get(path); got.status != 200 {
			t.Errorf("%s: %d", path, got.status)
		}
	}
	if got := s.do("GET", "/metrics", func(r *http.Request) { r.Header.Set("X-Forwarded-For", "192.0.2.7") }); got.status != 200 {
		t.Errorf("metrics through a proxy: %d", got.status)
	}
}

// TestContainerShowsItsStatusToItself: in a container, loopback is not enough.
func TestContainerShowsItsStatusToItself(t *testing.T) {
	s := newService(t, "127.0.0.1:0")
	s.InContainer()
	s.serve()
	if got := s.get("/status"); got.status != 200 { // this process is visible
		t.Errorf("a process of the container: %d %s", got.status, got.body)
	}
	r := httptest.NewRequest("GET", "http://localhost/status", nil)
	r.RemoteAddr = "127.0.0.1:1"
	r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 9757}))
	w := httptest.NewRecorder()
	s.handler().ServeHTTP(w, r)
	if w.Code != 403 {
		t.Errorf("a peer without a visible process: %d", w.Code)
	}
}

func TestHasOwner(t *testing.T) {
	ours, peer := netip.MustParseAddrPort("127.0.0.1:9757"), netip.MustParseAddrPort("127.0.0.1:39321") // 0x9999
	const peerRow = "   3: 0100007F:9999 0100007F:261D 01 00000000:00000000 00:00000000 00000000  1000        0 780" + rowTail
	for name, c := range map[string]struct {
		table     string
		processes map[string][]string
		want      bool
	}{
		"visible":                {rowLoopback + rowTalking + peerRow, map[string][]string{"7": {"socket:[780]"}}, true},
		"only our end is":        {rowLoopback + rowTalking + peerRow, map[string][]string{"7": {"socket:[779]"}}, false},
		"in another network":     {rowLoopback + rowTalking, map[string][]string{"7": {"socket:[779]"}}, false},
		"nothing can be read":    {"", nil, false},
		"mapped to IPv6 by peer": {rowLoopback + peerRow, map[string][]string{"7": {"socket:[780]"}}, true},
	} {
		p := peer
		if strings.HasPrefix(name, "mapped") {
			p = netip.MustParseAddrPort("[::ffff:127.0.0.1]:39321")
		}
		if got := hasOwner(procTree(t, c.table, c.processes), p, ours); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

// TestManyScrapersAndHeldConnections: hundreds of held connections and twenty
// scrapers at once do not keep anybody from health and metrics.
func TestManyScrapersAndHeldConnections(t *testing.T) {
	s := newService(t, "127.0.0.1:0").serve()
	for i := range 300 {
		c, err := net.Dial("tcp", s.address())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		switch i % 3 {
		case 0:
			_, _ = c.Write([]byte("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")) // kept alive
		case 1:
			_, _ = c.Write([]byte("GET /hea")) // never finished
		}
	}
	if got := s.get("/healthz"); got.status != 200 {
		t.Errorf("with 300 held connections: %d", got.status)
	}
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			for range 5 {
				if got := s.get("/metrics"); got.status != 200 || !strings.Contains(got.body, "peaqos_agent_") {
					t.Errorf("one of twenty scrapers: %d", got.status)
				}
			}
		})
	}
	wg.Wait()
}
