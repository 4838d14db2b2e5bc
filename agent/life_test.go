package agent

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/peaqnetwork/peaqos-agent/agent/config"
	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/keystore"
	"github.com/peaqnetwork/peaqos-agent/sdk"
	"github.com/peaqnetwork/peaqos-agent/sdk/sandbox"
)

const (
	testKey    = "0x1111111111111111111111111111111111111111111111111111111111111111"
	testAPIKey = "platform-key"
)

// runtimeSwitch is a runtime in fake time: it responds while it is on.
type runtimeSwitch struct{ off atomic.Bool }

func (r *runtimeSwitch) RoundTrip(req *http.Request) (*http.Response, error) {
	if r.off.Load() {
		return nil, errors.New("connection refused")
	}
	return &http.Response{StatusCode: 200, Body: http.NoBody, Header: http.Header{}, Request: req}, nil
}

// life is one agent against one sandbox, without sockets.
type life struct {
	t       *testing.T
	server  *sandbox.Server
	runtime *runtimeSwitch
	cfg     *config.Config
	agent   *Agent
	stop    func()

	hostRoot  string
	apiKey    func() (sdk.Secret, error)
	transport http.RoundTripper // to the server; nil is its own
	admin     bool              // with the socket
	logTo     io.Writer
}

// newLife sets up a sandbox, an agent with its store, and endpoints with the given keys.
func newLife(t *testing.T, providers ...string) *life {
	t.Helper()
	l := &life{t: t, runtime: &runtimeSwitch{}}
	l.server = sandbox.New(sandbox.WithAPIKey(testAPIKey), sandbox.WithController("", testSigner))
	env := []string{"PEAQOS_AGENT_ORCHESTRATOR_URL=http://127.0.0.1:1", "PEAQOS_AGENT_KEYSTORE_DIR=" + t.TempDir(), "PEAQOS_AGENT_KEYSTORE_VOLATILE=true"}
	cfg, err := config.Load(config.Source{Env: env, Flags: map[string]string{}})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range providers {
		cfg.Machines[0].Endpoints = append(cfg.Machines[0].Endpoints, config.Endpoint{
			ProviderKey: p, BaseURL: "http://127.0.0.1:9", ProbePath: "/health", AuthType: "none", NetworkScope: "loopback",
		})
	}
	cfg.Telemetry.Listen = ""
	l.cfg = cfg
	l.open()
	return l
}

func (l *life) open() {
	l.t.Helper()
	boot := time.Now()
	transport := l.transport
	if transport == nil {
		transport = l.server.Transport()
	}
	a, err := New(l.t.Context(), l.cfg, Options{
		Version: "test", LogTo: l.logTo, Transport: transport, Probe: l.runtime, NoAdmin: !l.admin, HostRoot: l.hostRoot, APIKey: l.apiKey,
		SinceBoot: func() time.Duration { return time.Since(boot) },
	})
	if err != nil {
		l.t.Fatal(err)
	}
	l.agent = a
}

// start runs the daemon until close.
func (l *life) start() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- l.agent.run(ctx) }()
	l.stop = func() {
		cancel()
		if err := <-done; err != nil {
			l.t.Errorf("Run ended with %v", err)
		}
	}
}

func (l *life) close() {
	if l.stop != nil {
		l.stop()
		l.stop = nil
	}
	if err := l.agent.Close(); err != nil {
		l.t.Error(err)
	}
}

func (l *life) enroll(change func(*EnrollRequest)) (EnrollResult, error) {
	key, err := keystore.ParseKey([]byte(testKey))
	if err != nil {
		l.t.Fatal(err)
	}
	req := EnrollRequest{IdentityRef: "did:peaq:42", APIKey: sdk.NewSecret(testAPIKey), Controller: key}
	if change != nil {
		change(&req)
	}
	return l.agent.Enroll(context.Background(), req, func(string) {})
}

func (l *life) mustEnroll() EnrollResult {
	l.t.Helper()
	r, err := l.enroll(nil)
	if err != nil {
		l.t.Fatal(err)
	}
	return r
}

func (l *life) status() status.Machine { return l.agent.snapshot().Machines[0] }

func (l *life) want(c status.State, cause status.Code) {
	l.t.Helper()
	if m := l.status(); m.State != c || status.CodeOf(m.Cause) != cause {
		l.t.Errorf("state %s (%+v), want %s (%s)", m.State, m.Cause, c, cause)
	}
}

// activeAgents are the agents that the server has not revoked.
func (l *life) activeAgents() []sandbox.Agent {
	var out []sandbox.Agent
	for _, a := range l.server.Agents("") {
		if a.Status != "revoked" {
			out = append(out, a)
		}
	}
	return out
}

// always makes every request fail in one way.
func always(f *sandbox.Fault) func(*http.Request) *sandbox.Fault {
	return func(*http.Request) *sandbox.Fault { return f }
}

// TestWeek is a week of an agent with an outage of an hour in the middle: every
// heartbeat is counted.
func TestWeek(t *testing.T) {
	real := time.Now()
	synctest.Test(t, func(t *testing.T) {
		l := newLife(t, "demo")
		l.mustEnroll()
		l.start()
		const every, day = 30 * time.Second, 24 * time.Hour
		begin := l.server.Beats()

		time.Sleep(3 * day)
		l.want(status.Online, "")
		if got, want := l.server.Beats()-begin, uint64(3*day/every); got != want {
			t.Errorf("%d beats in three days, want %d", got, want)
		}
		var tried atomic.Uint64
		l.server.SetFault(func(r *http.Request) *sandbox.Fault { tried.Add(1); return &sandbox.Fault{Drop: true} })
		before := l.server.Beats()
		time.Sleep(time.Hour)
		l.want(status.Offline, "network")
		if l.server.Beats() != before {
			t.Error("a beat was accepted during the outage")
		}
		// Two attempts at the steady rate, then every second grid point.
		if n := tried.Load(); n < 60 || n > 62 {
			t.Errorf("%d attempts in an hour of outage, want 61: at most half the steady load", n)
		}
		l.server.SetFault(nil)
		back := time.Now()
		for l.server.Beats() == before {
			time.Sleep(time.Second)
		}
		if gone := time.Since(back); gone > 2*every {
			t.Errorf("back after %s, want at most two intervals", gone)
		}
		after := l.server.Beats()
		time.Sleep(4*day - time.Hour)
		if got, want := l.server.Beats()-after, uint64((4*day-time.Hour)/every); got != want {
			t.Errorf("%d beats after the outage, want %d", got, want)
		}
		l.want(status.Online, "")
		if writes := l.agent.snapshot().Process.KeystoreWrites["success"]; writes > 16 {
			t.Errorf("%d writes in a week: an outage changes nothing on disk", writes)
		}
		l.close()
	})
	t.Logf("a week took %s", time.Since(real).Round(time.Millisecond))
}

// TestEndpointLife: an endpoint that is down is omitted and its lease expires; when it
// is up again it is published within seconds.
func TestEndpointLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLife(t, "demo")
		r := l.mustEnroll()
		if !r.Changed || !r.Live || r.LeaseExpiresAt == nil {
			t.Fatalf("enroll: %+v", r)
		}
		l.start()
		time.Sleep(5 * time.Minute)
		l.want(status.Online, "")
		if !status.Ready(l.agent.snapshot()).Ready {
			t.Error("online but not ready")
		}
		l.runtime.off.Store(true)
		before := l.server.Beats()
		time.Sleep(20 * time.Second)
		if ready := status.Ready(l.agent.snapshot()); ready.Ready || len(ready.Reasons) == 0 {
			t.Errorf("the runtime is down: %+v", ready)
		}
		time.Sleep(3 * time.Minute)
		if l.server.Beats() != before {
			t.Error("a heartbeat named an endpoint that does not respond")
		}
		l.want(status.Idle, "nothing_up")
		if e := l.server.Endpoints(r.MachineID)[0]; e.Status != "unreachable" {
			t.Errorf("the lease should have expired, the endpoint is %s", e.Status)
		}
		l.runtime.off.Store(false)
		time.Sleep(11 * time.Second)
		if l.server.Beats() == before {
			t.Error("the runtime is up again, but was not published within seconds")
		}
		l.want(status.Online, "")
		l.close()
	})
}

// TestResponseTable: each row of the response table, made by the sandbox.
func TestResponseTable(t *testing.T) {
	api := func(status int, code string) *sandbox.Fault { return &sandbox.Fault{Status: status, Code: code} }
	for _, c := range []struct {
		name  string
		fault *sandbox.Fault
		after time.Duration
		state status.State
		cause string
	}{
		{"connection closed", &sandbox.Fault{Drop: true}, time.Minute, status.Offline, "network"},
		{"no response in time", &sandbox.Fault{Latency: time.Hour}, time.Minute, status.Offline, "timeout"},
		{"HTTP 500", api(500, "INTERNAL"), time.Minute, status.Offline, "server_error"},
		{"HTTP 502 of a gateway", &sandbox.Fault{Status: 502, ContentType: "text/html", Body: "<html>bad gateway</html>"}, time.Minute, status.Offline, "gateway"},
		{"HTTP 511", &sandbox.Fault{Status: 511, ContentType: "text/html", Body: "<html>log in</html>"}, time.Minute, status.Offline, "middlebox"},
		{"HTTP 408", &sandbox.Fault{Status: 408}, time.Minute, status.Offline, "server_error"},
		{"malformed success", &sandbox.Fault{Status: 200, ContentType: "application/json", Body: `{"item":{}}`}, time.Minute, status.Offline, "malformed_response"},
		{"redirect", &sandbox.Fault{Redirect: "https://portal.example/login?token=x"}, time.Minute, status.Offline, "middlebox"},
		{"portal page", &sandbox.Fault{Status: 200, ContentType: "text/html", Body: "<html>log in</html>"}, time.Minute, status.Offline, "middlebox"},
		{"403 of a proxy", &sandbox.Fault{Status: 403, ContentType: "text/html", Body: "no"}, time.Minute, status.Offline, "middlebox"},
		{"429", &sandbox.Fault{Status: 429, Code: "RATE_LIMITED", RetryAfter: "120"}, time.Minute, status.Offline, "retry_after"},
		{"429 without a wait", &sandbox.Fault{Status: 429, Code: "RATE_LIMITED", RetryAfter: "2.5"}, time.Minute, status.Offline, "rate_limited"},
		{"503 with a hint", &sandbox.Fault{Status: 503, Code: "BUSY", RetryAfter: "120"}, time.Minute, status.Offline, "retry_after"},
		{"token refused, at first", api(401, "AGENT_AUTH_INVALID"), 40 * time.Second, status.Offline, "AGENT_AUTH_INVALID"},
		{"token refused", api(401, "AGENT_AUTH_INVALID"), 3 * time.Minute, status.Rejected, "AGENT_AUTH_INVALID"},
		{"not found", api(404, "NOT_FOUND"), 3 * time.Minute, status.Rejected, "NOT_FOUND"},
		{"revoked", api(403, "AGENT_PAIRING_INACTIVE"), 3 * time.Minute, status.Revoked, "AGENT_PAIRING_INACTIVE"},
		{"machine not active", api(409, "MACHINE_NOT_ACTIVE"), time.Minute, status.Offline, "MACHINE_NOT_ACTIVE"},
		{"an unknown code", api(418, "TEAPOT"), time.Minute, status.Offline, "TEAPOT"},
	} {
		t.Run(strings.ReplaceAll(c.name, " ", "-"), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLife(t, "demo")
				first := l.mustEnroll()
				l.server.SetFault(func(r *http.Request) *sandbox.Fault {
					if strings.HasSuffix(r.URL.Path, "/heartbeat") {
						return c.fault
					}
					return nil
				})
				l.start()
				time.Sleep(c.after)
				l.want(c.state, status.Code(c.cause))
				l.server.SetFault(nil)
				time.Sleep(time.Hour + 2*time.Minute) // the longest wait is an hour
				l.want(status.Online, "")
				if record, err := l.agent.store.Agent("main"); err != nil || record.AgentID != first.AgentID {
					t.Errorf("the token was not kept: %v", err)
				}
				l.close()
			})
		})
	}
}

// TestRefusedEndpointIsOmitted: the policy refuses one of two endpoints; the other one
// stays published.
func TestRefusedEndpointIsOmitted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLife(t, "good", "bad")
		l.cfg.Machines[0].AllowedProviderKeys = []string{"good"}
		l.agent.beaters["main"].machine.AllowedProviderKeys = []string{"good"}
		r := l.mustEnroll()
		l.start()
		time.Sleep(5 * time.Minute)
		l.want(status.Degraded, "endpoint_missing")
		endpoints := l.server.Endpoints(r.MachineID)
		if len(endpoints) != 1 || endpoints[0].ProviderKey != "good" || endpoints[0].Status != "active" {
			t.Errorf("the server has %+v, want only the good endpoint, active", endpoints)
		}
		machine := l.status()
		if e := machine.Endpoint("bad"); e.Refused != "AGENT_POLICY_DENIED" {
			t.Errorf("the refused endpoint is not named: %+v", e)
		}
		// It is retried once an hour, which does not affect the other one.
		for range 3 * 60 {
			time.Sleep(time.Minute)
			if e := l.server.Endpoints(r.MachineID); len(e) != 1 || e[0].Status != "active" {
				t.Fatalf("the server has %+v after %s", e, time.Since(l.status().LastSuccess))
			}
		}
		l.want(status.Degraded, "endpoint_missing")
		if m := l.status(); m.Failures != 0 || m.Beats["client_error"] != 5 {
			t.Errorf("%d failures in a row, beats %v: want the refused one tried hourly", m.Failures, m.Beats)
		}
		l.close()
	})
}

// bodyOf reads a request's body and puts it back.
func bodyOf(r *http.Request) string {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return ""
	}
	r.Body = io.NopCloser(bytes.NewReader(b))
	return string(b)
}
