package agent

import (
	"bufio"
	"io"
	standard "log"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/peaqnetwork/peaqos-agent/agent/config"
	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/sdk/sandbox"
)

// TestBytesThatNobodyAskedFor: a server sends its response twice. net/http writes the
// second one to the standard logger; the daemon's log has an event with the host only.
func TestBytesThatNobodyAskedFor(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
				response := "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 19\r\n\r\n{\"token\":\"mat_abc\"}"
				_, _ = io.WriteString(c, response+response)
			}
		}
	}()
	l := newLife(t)
	l.close()
	cfg := *l.cfg
	cfg.Orchestrator.URL = "http://" + listener.Addr().String()
	out := &syncBuffer{}
	a, err := newAgent(&cfg, Options{Version: "test", LogTo: out})
	if err != nil {
		t.Fatal(err)
	}
	before := standard.Writer()
	restore := a.takeStandardLog()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, cfg.Orchestrator.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := a.transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, res.Body)
	_ = res.Body.Close()
	for began := time.Now(); !out.contains(string(status.CodeForeignBytes)); runtime.Gosched() {
		if time.Since(began) > 10*time.Second {
			t.Fatal("no event")
		}
	}
	if !out.contains(cfg.Orchestrator.URL) || out.contains("mat_abc") || out.contains("Unsolicited") {
		t.Error("the event lacks the host, or has the foreign text")
	}
	restore()
	if standard.Writer() != before {
		t.Error("the standard logger was not given back")
	}
}

// TestReloadEndsTheWait: a server means five seconds and sends the time of day. The wait
// is at most 15 minutes, once, and a reload ends it.
func TestReloadEndsTheWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLife(t, "demo")
		defer func() { l.close() }()
		l.mustEnroll()
		l.agent.opts.Reload = func() (*config.Config, error) { return l.cfg, nil }
		absurd := &sandbox.Fault{Status: 429, Code: "RATE_LIMITED", RetryAfter: "1772366405"}
		l.server.SetFault(onPath("/heartbeat", *absurd))
		l.start()
		time.Sleep(time.Minute)
		l.want(status.Offline, status.CodeRetryAfter)
		if m := l.status(); m.RetryAfter != maxRetryAfter || time.Until(m.NextAttempt) > maxRetryAfter+time.Minute {
			t.Errorf("waits %s, until %s", m.RetryAfter, time.Until(m.NextAttempt))
		}
		l.server.SetFault(nil)
		if _, err := l.agent.reloadNow(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		l.want(status.Online, "")

		l.server.SetFault(onPath("/heartbeat", *absurd))
		time.Sleep(20 * time.Minute) // the wait was obeyed once
		if m := l.status(); m.RetryAfter != 0 || time.Until(m.NextAttempt) > 2*time.Minute {
			t.Errorf("waits again: %s, until %s", m.RetryAfter, time.Until(m.NextAttempt))
		}
	})
}

// TestNothingIsAskedOutsideTheURL: an orchestrator below a path.
func TestNothingIsAskedOutsideTheURL(t *testing.T) {
	asked := make(chan string, 10)
	transport := roundTripper(func(r *http.Request) (*http.Response, error) {
		asked <- r.URL.Path
		return &http.Response{
			StatusCode: 404, Header: http.Header{"Content-Type": {"text/html"}},
			Body: io.NopCloser(strings.NewReader("no route")), Request: r,
		}, nil
	})
	l := newLife(t)
	defer l.close()
	cfg := *l.cfg
	cfg.Orchestrator.URL += "/peaq"
	api, err := l.agent.calls(&cfg, transport)
	if err != nil {
		t.Fatal(err)
	}
	_ = api.health(t.Context())
	close(asked)
	for path := range asked {
		if !strings.HasPrefix(path, "/peaq/") {
			t.Errorf("asked for %s", path)
		}
	}
	m := status.Machine{
		Name: "main", State: status.Offline, Origin: "https://h.example", BaseURL: "https://h.example/peaq", CAFile: "/etc/ca.pem",
		Endpoints: []status.Endpoint{{ProviderKey: "demo"}}, Cause: status.NewCause(status.CodeTimeout, ""),
	}
	if got := status.NextCommand(m); got != "curl -i --cacert /etc/ca.pem https://h.example/peaq/api/v1/health" {
		t.Error(got)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
