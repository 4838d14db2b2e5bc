package agent

import (
	"context"
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

func probeOf(t *testing.T, h http.HandlerFunc, change func(*config.Endpoint)) probeResult {
	t.Helper()
	web := httptest.NewServer(h)
	t.Cleanup(web.Close)
	e := config.Endpoint{ProviderKey: "qvac", BaseURL: web.URL, ProbePath: "/v1/models", AuthType: "none", NetworkScope: "loopback"}
	if change != nil {
		change(&e)
	}
	e.ProbeTimeout = time.Second
	return newProber(e, nil).probe(context.Background())
}

func TestProbe(t *testing.T) {
	models := func(list string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`{"object":"list","data":[` + list + `]}`))
		}
	}
	alias := func(e *config.Endpoint) { e.ModelAlias = "my-llm" }
	for _, c := range []struct {
		name   string
		serve  http.HandlerFunc
		change func(*config.Endpoint)
		result string
	}{
		{"any 2xx", models(""), nil, "success"},
		{"503", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) }, nil, "http"},
		{"redirect is not followed", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) }, nil, "http"},
		{"idle model", models(`{"id":"my-llm","state":"idle"}`), alias, "success"},
		{"model without a state", models(`{"id":"other"},{"id":"my-llm"}`), alias, "success"},
		{"model in error", models(`{"id":"my-llm","state":"error"}`), alias, "http"},
		{"model not listed", models(`{"id":"other","state":"ready"}`), alias, "http"},
		{"not a model list", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) }, alias, "http"},
		{"the model is in the first part of a list that is too long", models(`{"id":"my-llm","state":"ready"}` + strings.Repeat(`,{"id":"x"}`, 5000)), alias, "success"},
		{"scope lan does not dial loopback", models(""), func(e *config.Endpoint) { e.NetworkScope = "lan" }, "blocked"},
		{"nothing listens", models(""), func(e *config.Endpoint) { e.BaseURL = "http://127.0.0.1:1" }, "network"},
	} {
		if got := probeOf(t, c.serve, c.change); got.result != c.result || got.up != (c.result == "success") || (got.fault == "") != got.up {
			t.Errorf("%s: %+v, want %s", c.name, got, c.result)
		}
	}
}

// TestProbeNotice: a probe that found the endpoint up also reports what responded, if that
// is something else than the provider key says. A slow body does not delay it.
func TestProbeNotice(t *testing.T) {
	models := func(list string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`{"object":"list","data":[` + list + `]}`))
		}
	}
	const ollama = `{"id":"my-llm","object":"model","created":1,"owned_by":"library"}`
	alias := func(e *config.Endpoint) { e.ModelAlias = "my-llm" }
	ownKey := func(e *config.Endpoint) { e.ProviderKey = "own" }
	endless := func(w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}
	for _, c := range []struct {
		name   string
		serve  http.HandlerFunc
		change func(*config.Endpoint)
		notice string
	}{
		{"Ollama", models(ollama), nil, "answers like Ollama"},
		{"Ollama with the model", models(ollama), alias, "answers like Ollama"},
		{"no model", models(""), nil, "lists no model"},
		{"QVAC", models(`{"id":"my-llm","owned_by":"qvac","state":"idle"}`), alias, ""},
		{"another key", models(ollama), ownKey, ""},
		{"a body that does not come", endless, nil, ""},
	} {
		got := probeOf(t, c.serve, c.change)
		if !got.up || (c.notice == "") != (got.notice == "") || !strings.Contains(got.notice, c.notice) {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
}

func TestProbeTimeout(t *testing.T) {
	stuck := make(chan struct{})
	got := probeOf(t, func(http.ResponseWriter, *http.Request) { <-stuck }, nil)
	close(stuck)
	if got.result != "timeout" {
		t.Errorf("a runtime that hangs: %+v, want timeout", got)
	}
}

func TestProbeSendsItsToken(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for kind, header := range map[string]string{"bearer": "Authorization: Bearer s3cret", "api-key": "X-Api-Key: s3cret"} {
		name, value, _ := strings.Cut(header, ": ")
		var got string
		probeOf(t, func(_ http.ResponseWriter, r *http.Request) { got = r.Header.Get(name) }, func(e *config.Endpoint) { e.AuthType, e.AuthTokenFile = kind, file })
		if got != value {
			t.Errorf("%s: %s = %q, want %q", kind, name, got, value)
		}
	}
}

func TestDialAllowed(t *testing.T) {
	for _, c := range []struct {
		scope, addr string
		want        bool
	}{
		{"loopback", "127.0.0.1", true},
		{"loopback", "::1", true},
		{"loopback", "::ffff:127.0.0.1", true},
		{"loopback", "192.168.1.1", false},
		{"lan", "192.168.1.1", true},
		{"lan", "10.0.0.1", true},
		{"lan", "100.64.1.1", true},
		{"lan", "8.8.8.8", false},
		{"lan", "127.0.0.1", false},
		{"vpn", "10.8.0.2", true},
		{"public", "8.8.8.8", true},
		{"public", "169.254.169.254", false},
		{"lan", "169.254.169.254", false},
		{config.ScopeNearby, "169.254.169.254", false},
		{"public", "::ffff:169.254.169.254", false},
		{"public", "fe80::1", false},
		{"public", "fd00:ec2::254", false},
		{"public", "0.0.0.0", false},
		{"public", "224.0.0.1", false},
		{"public", "100.100.100.200", false},
		{config.ScopeNearby, "127.0.0.1", true},
		{config.ScopeNearby, "10.0.0.1", true},
		{config.ScopeNearby, "8.8.8.8", false},
	} {
		if got := config.AddressAllowed(c.scope, netip.MustParseAddr(c.addr).Unmap()); got != c.want {
			t.Errorf("scope %s, %s: %t, want %t", c.scope, c.addr, got, c.want)
		}
	}
}

// TestProbeResponses: unusual responses end the probe, with a result, within its limits.
func TestProbeResponses(t *testing.T) {
	var connection string
	for _, c := range []struct {
		name   string
		serve  http.HandlerFunc
		result string
	}{
		{"an informational response first", func(w http.ResponseWriter, r *http.Request) {
			connection = r.Header.Get("Connection")
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(http.StatusNoContent)
		}, "success"},
		{"chunks", func(w http.ResponseWriter, _ *http.Request) {
			for range 20 {
				_, _ = w.Write([]byte(strings.Repeat("x", 1000)))
				_ = http.NewResponseController(w).Flush()
			}
		}, "success"},
		{"headers without end", func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				return
			}
			defer conn.Close()
			_, err = conn.Write([]byte("HTTP/1.1 200 OK\r\n"))
			for err == nil {
				_, err = conn.Write([]byte("X-Header: " + strings.Repeat("x", 1000) + "\r\n"))
			}
		}, "network"},
		{"informational responses without end", func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				return
			}
			defer conn.Close()
			for err == nil {
				_, err = conn.Write([]byte("HTTP/1.1 103 Early Hints\r\n\r\n"))
			}
		}, "network"},
		{"closed without a response", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "network"},
	} {
		if got := probeOf(t, c.serve, nil); got.result != c.result {
			t.Errorf("%s: %+v, want %s", c.name, got, c.result)
		}
	}
	if connection != "close" {
		t.Errorf("the request has Connection: %q, want close", connection)
	}
}
