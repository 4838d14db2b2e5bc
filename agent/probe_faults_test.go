package agent

import (
	"bytes"
	"context"
	"encoding/pem"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/peaqnetwork/peaqos-agent/agent/config"
)

// TestProbeSaysWhichKeyHelps: a response that is not 2xx is explained.
func TestProbeSaysWhichKeyHelps(t *testing.T) {
	respond := func(status int, location string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			if location != "" {
				w.Header().Set("Location", location)
			}
			w.WriteHeader(status)
		}
	}
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		serve  http.HandlerFunc
		change func(*config.Endpoint)
		want   []string
		not    string
	}{
		{
			"redirect on the same origin", respond(307, "/v1/models/?key=s3cret"), nil,
			[]string{"HTTP 307", `/v1/models/"`, "set probe_path"},
			"s3cret",
		},
		{
			"redirect elsewhere", respond(302, "https://u:s3cret@login.example/x?t=s3cret"), nil,
			[]string{"HTTP 302", `"https://login.example/x"`},
			"s3cret",
		},
		{"redirect to https", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://"+r.Host+"/v1/models", http.StatusMovedPermanently)
		}, nil, []string{"to https"}, ""},
		{"hostile redirect", respond(302, "https://h.example/\u202e"), nil, []string{"HTTP 302"}, "\u202e"},
		{"redirect without a target", respond(302, ""), nil, []string{"without a target"}, ""},
		{"401 without a token", respond(401, ""), nil, []string{"HTTP 401", "auth_token_file"}, ""},
		{
			"401 with a token", respond(401, ""), func(e *config.Endpoint) { e.AuthType, e.AuthTokenFile = "bearer", token },
			[]string{"does not accept the token"},
			"s3cret",
		},
		{"404", respond(404, ""), nil, []string{"HTTP 404", "probe_path"}, ""},
		{"405", respond(405, ""), nil, []string{"HTTP 405", "GET", "probe_path"}, ""},
		{"503 while loading", respond(503, ""), nil, []string{"HTTP 503", "loads a model", "2xx"}, ""},
	} {
		r := probeOf(t, c.serve, c.change)
		if r.up || r.result != "http" {
			t.Errorf("%s: %+v", c.name, r)
		}
		for _, w := range c.want {
			if !strings.Contains(r.fault, w) {
				t.Errorf("%s: %q does not say %q", c.name, r.fault, w)
			}
		}
		if c.not != "" && strings.Contains(r.fault, c.not) {
			t.Errorf("%s: %q", c.name, r.fault)
		}
	}
}

// TestProbeNeedsOnlyTheHead: a 2xx is one, whatever becomes of its body.
func TestProbeNeedsOnlyTheHead(t *testing.T) {
	for name, response := range map[string]string{
		"shorter than its length": "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nok",
		"no length":               "HTTP/1.0 200 OK\r\n\r\nok",
		"broken chunks":           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
		"204":                     "HTTP/1.1 204 No Content\r\n\r\n",
	} {
		if r := probeRaw(t, "http", response); !r.up {
			t.Errorf("%s: %+v", name, r)
		}
	}
	for name, response := range map[string]string{"a TLS alert": "\x15\x03\x01\x00\x02\x02\x16", "nothing": "", "garbage": "hello\r\n\r\n"} {
		if r := probeRaw(t, "http", response); r.up || !strings.Contains(r.fault, "https://") {
			t.Errorf("%s: %+v", name, r)
		}
	}
	if r := probeRaw(t, "https", "HTTP/1.1 400 Bad Request\r\n\r\n"); r.result != "tls" || !strings.Contains(r.fault, "http://") {
		t.Errorf("plain http under https: %+v", r)
	}
}

// probeRaw probes a runtime that responds with these bytes.
func probeRaw(t *testing.T, scheme, response string) probeResult {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		_, _ = c.Read(make([]byte, 4096))
		_, _ = c.Write([]byte(response))
		_ = c.Close()
	}()
	e := config.Endpoint{ProviderKey: "x", BaseURL: scheme + "://" + l.Addr().String(), ProbePath: "/health", AuthType: "none", NetworkScope: "loopback"}
	return newProber(e, nil).probe(t.Context())
}

// TestProbeWithPrivateCA: the endpoint's own CA file is used, in addition to the
// system's, and read again when it changes.
func TestProbeWithPrivateCA(t *testing.T) {
	web := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer web.Close()
	root := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: web.Certificate().Raw})
	e := config.Endpoint{ProviderKey: "x", BaseURL: web.URL, ProbePath: "/health", AuthType: "none", NetworkScope: "loopback"}
	if r := newProber(e, nil).probe(t.Context()); r.result != "tls" || !strings.Contains(r.fault, "set ca_file") {
		t.Errorf("an unknown CA: %+v", r)
	}
	e.CAFile = filepath.Join(t.TempDir(), "plant.pem")
	p := newProber(e, nil)
	step := func(text []byte, result, says string) {
		t.Helper()
		if err := os.WriteFile(e.CAFile+".new", text, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(e.CAFile+".new", e.CAFile); err != nil {
			t.Fatal(err)
		}
		if r := p.probe(t.Context()); r.result != result || !strings.Contains(r.fault, says) {
			t.Errorf("%.40q: %+v, want %s with %q", text, r, result, says)
		}
	}
	if r := p.probe(t.Context()); r.result != "tls" || !strings.Contains(r.fault, "no such file") {
		t.Errorf("a missing file: %+v", r)
	}
	step(root, "success", "")
	step([]byte("none"), "tls", "contains no certificate")
	step(append([]byte("\xef\xbb\xbf# plant CA\r\n"), bytes.ReplaceAll(root, []byte("\n"), []byte("\r\n"))...), "success", "")
	step(append(bytes.Clone(root), root[:len(root)/2]...), "tls", "begins a block that has no end")
	step(append(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("x")}), root...), "success", "")
	step([]byte("\xff\xfen\x00o\x00"), "tls", "UTF-16")
	step(web.Certificate().Raw, "success", "")
}

// TestProbeNamesTheRuntimeAsCallersDo: with probe_url the Host header and the
// certificate's name are those of base_url; a runtime that expects probe_url's is
// reached as well.
func TestProbeNamesTheRuntimeAsCallersDo(t *testing.T) {
	var asked []string
	accept := ""
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Host)
		if accept != "" && r.Host != accept {
			w.WriteHeader(http.StatusForbidden)
		}
	})
	plain, secure := httptest.NewServer(h), httptest.NewTLSServer(h)
	defer plain.Close()
	defer secure.Close()
	own := strings.TrimPrefix(plain.URL, "http://")
	caFile := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(caFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw}), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, base, probe, accept string
		want                      []string // Host headers of two probes
	}{
		{
			"virtual host", "http://robot.plant.example:8080", plain.URL, "robot.plant.example:8080",
			[]string{"robot.plant.example:8080", "robot.plant.example:8080"},
		},
		{"a tunnel that replaces the name", "https://robot.plant.example", plain.URL, own, []string{"robot.plant.example", own, own}},
		{"the certificate is for base_url", "https://example.com", secure.URL, "example.com", []string{"example.com", "example.com"}},
		{
			"the certificate is for probe_url", "https://robot.plant.example", secure.URL, "",
			[]string{strings.TrimPrefix(secure.URL, "https://"), strings.TrimPrefix(secure.URL, "https://")},
		},
	} {
		asked, accept = nil, c.accept
		e := config.Endpoint{ProviderKey: "x", BaseURL: c.base, ProbeURL: c.probe, ProbePath: "/health", AuthType: "none", NetworkScope: "public"}
		if strings.HasPrefix(c.probe, "https") {
			e.CAFile = caFile
		}
		p := newProber(e, nil)
		for range 2 {
			if r := p.probe(t.Context()); !r.up {
				t.Errorf("%s: %+v", c.name, r)
			}
		}
		if strings.Join(asked, " ") != strings.Join(c.want, " ") {
			t.Errorf("%s: asked as %q, want %q", c.name, asked, c.want)
		}
	}
}

// TestProbeOfOwnName: the machine's own name may resolve to loopback; a foreign name
// may not. localhost stands for a name that the system resolves to loopback.
func TestProbeOfOwnName(t *testing.T) {
	web := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer web.Close()
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(web.URL, "http://"))
	e := config.Endpoint{NetworkScope: "lan"}
	dial := func(own bool, change func(*probeDialer)) error {
		d := newProbeDialer(e, time.Second)
		d.isOwn = func(string) bool { return own }
		d.own = func() []netip.Addr { return nil }
		if change != nil {
			change(d)
		}
		c, err := d.dial(t.Context(), "tcp4", "localhost:"+port)
		if err == nil {
			_ = c.Close()
		}
		return err
	}
	if err := dial(true, nil); err != nil {
		t.Errorf("the machine's own name: %v", err)
	}
	if err := dial(false, nil); err == nil {
		t.Error("a foreign name was dialled at loopback")
	}
	e.ProbeURL = "http://localhost"
	if err := dial(false, nil); err != nil {
		t.Errorf("probe_url may be loopback: %v", err)
	}
}

// TestProbeAsksAvahi: names in .local are resolved by the system's mDNS service.
func TestProbeAsksAvahi(t *testing.T) {
	path := filepath.Join(t.TempDir(), "socket")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	replies := []string{"+ 2 0 robot.local 192.168.1.7\n", "-15 Timeout reached\n", "+ 2 1 robot.local fd00::7\n", "-15 x\n", "+ 2 0 robot.local $(id)\n"}
	go func() {
		for _, reply := range replies {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Read(make([]byte, 512))
			_, _ = c.Write([]byte(reply))
			_ = c.Close()
		}
	}()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	d := newProbeDialer(config.Endpoint{NetworkScope: "lan"}, time.Second)
	d.avahi = path
	for _, want := range []string{"192.168.1.7", "fd00::7", ""} {
		if got := strings.Join(d.askAvahi(ctx, "robot.local"), " "); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if fault := nameFault(&net.DNSError{Name: "robot.local", IsNotFound: true}); !strings.Contains(fault, "mDNS") || !strings.Contains(fault, "probe_url") {
		t.Error(fault)
	}
}
