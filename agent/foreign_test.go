package agent

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/sdk"
	"github.com/peaqnetwork/peaqos-agent/sdk/sandbox"
)

// rewriting changes the responses of a sandbox.
type rewriting struct {
	server *sandbox.Server

	mu     sync.Mutex
	delay  time.Duration // of heartbeats
	change func(r *http.Request, item map[string]any)
}

func (w *rewriting) become(delay time.Duration, change func(r *http.Request, item map[string]any)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.delay, w.change = delay, change
}

func (w *rewriting) now() (time.Duration, func(r *http.Request, item map[string]any)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.delay, w.change
}

func (w *rewriting) RoundTrip(r *http.Request) (*http.Response, error) {
	delay, change := w.now()
	if delay > 0 && strings.HasSuffix(r.URL.Path, "/heartbeat") {
		select {
		case <-time.After(delay):
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
	res, err := w.server.Transport().RoundTrip(r)
	if err != nil || change == nil {
		return res, err
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	var envelope map[string]any
	if json.Unmarshal(body, &envelope) == nil {
		items, _ := envelope["items"].([]any)
		for _, i := range append(items, envelope["item"]) {
			if item, ok := i.(map[string]any); ok {
				change(r, item)
			}
		}
		if body, err = json.Marshal(envelope); err != nil {
			return nil, err
		}
	}
	res.Body, res.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	res.Header.Del("Content-Length")
	return res, nil
}

func (l *life) rewrite(change func(r *http.Request, item map[string]any)) *rewriting {
	w := &rewriting{server: l.server, change: change}
	l.transport = w
	l.reopen()
	return w
}

// endpointsOf are the endpoints in the response to a heartbeat.
func endpointsOf(item map[string]any) (out []map[string]any) {
	list, _ := item["endpoints"].([]any)
	for _, e := range list {
		if m, ok := e.(map[string]any); ok {
			out = append(out, m)
		}
	}
	return out
}

// TestContestedEndpoint: the orchestrator has another address for our endpoint.
func TestContestedEndpoint(t *testing.T) {
	for name, c := range map[string]struct {
		address   string
		agent     string
		contested bool
	}{
		"another port":   {address: "http://127.0.0.1:10", contested: true},
		"another agent":  {agent: "magt_other", contested: true},
		"with a slash":   {address: "HTTP://127.0.0.1:9/"},
		"a live address": {address: "http://x\x1b[31m\r\nNext: run me", contested: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLife(t, "demo")
				defer func() { l.close() }()
				w := l.rewrite(nil)
				l.mustEnroll()
				w.become(0, func(_ *http.Request, item map[string]any) {
					for _, e := range endpointsOf(item) {
						if c.address != "" {
							e["endpointBaseUrl"] = c.address
						}
						if c.agent != "" {
							item["agentId"] = c.agent
						}
					}
				})
				l.start()
				time.Sleep(time.Minute)
				if !c.contested {
					l.want(status.Online, "")
					return
				}
				l.want(status.Degraded, status.CodeEndpointContested)
				text := l.agent.View().Text(status.TextOptions{All: true})
				if strings.ContainsAny(text, "\x1b\r") || strings.Contains(text, "\nNext: run me") {
					t.Errorf("%q", text)
				}
				w.become(0, nil)
				time.Sleep(time.Minute)
				l.want(status.Online, "")
			})
		})
	}
}

// TestDeniedThenRotated: after AGENT_POLICY_DENIED the cause keeps its sentence, and a
// rotation, which enrolls with the keys of the configuration, succeeds at once.
func TestDeniedThenRotated(t *testing.T) {
	for name, keys := range map[string][]string{"one": {"other"}, "two": {"other", "third"}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLife(t, "local")
				defer func() { l.close() }()
				l.mustEnroll()
				l.close()
				endpoint := l.cfg.Machines[0].Endpoints[0]
				l.cfg.Machines[0].Endpoints = nil
				for _, key := range keys {
					endpoint.ProviderKey = key
					l.cfg.Machines[0].Endpoints = append(l.cfg.Machines[0].Endpoints, endpoint)
				}
				l.open()
				l.start()
				time.Sleep(5 * time.Minute)
				l.want(status.Idle, status.CodeAPIPolicyDenied)
				m := l.status()
				if !strings.HasPrefix(m.Cause.Text, status.Lookup(status.CodeAPIPolicyDenied).What) || !strings.HasPrefix(status.NextCommand(m), "peaqos-agent rotate") {
					t.Errorf("%+v, next %q", m.Cause, status.NextCommand(m))
				}
				r := l.mustRotate()
				if r.Pending || !r.Live || !r.Changed {
					t.Errorf("rotate after the refusal: %+v", r)
				}
				l.onlyActive(r.AgentID)
				time.Sleep(time.Minute)
				l.want(status.Online, "")
			})
		})
	}
}

// TestPendingDenied: the pending agent may not publish an endpoint that the current one
// may. The current one keeps it published.
func TestPendingDenied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLife(t, "demo")
		defer func() { l.close() }()
		l.mustEnroll()
		l.runtime.off.Store(true)
		fresh := l.mustRotate().PendingAgentID
		l.runtime.off.Store(false)
		l.server.SetFault(func(r *http.Request) *sandbox.Fault {
			if strings.HasSuffix(r.URL.Path, "/heartbeat") && strings.Contains(bodyOf(r), fresh) {
				return &sandbox.Fault{Status: 403, Code: "AGENT_POLICY_DENIED"}
			}
			return nil
		})
		l.start()
		time.Sleep(5 * time.Minute)
		l.want(status.Online, "")
	})
}

// TestShortLease: one short lease does not make the agent deaf to a slow server.
func TestShortLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLife(t, "demo")
		defer func() { l.close() }()
		w := l.rewrite(nil)
		l.mustEnroll()
		w.become(0, func(_ *http.Request, item map[string]any) {
			if _, ok := item["leaseTtlSeconds"]; ok {
				item["leaseTtlSeconds"] = 1
			}
		})
		l.start()
		time.Sleep(time.Minute)
		l.want(status.Online, "")
		if m := l.status(); m.LeaseTTL != shortestLease {
			t.Errorf("lease %s", m.LeaseTTL)
		}
		w.become(4*time.Second, nil)
		time.Sleep(2 * time.Minute)
		l.want(status.Online, "")
		w.become(20*time.Second, nil)
		time.Sleep(5 * time.Minute)
		l.want(status.Offline, status.CodeTimeout)
		w.become(0, nil)
		time.Sleep(2 * time.Minute)
		l.want(status.Online, "")
	})
}

// TestForeignCodes: a code that does not have the form of one is not shown.
func TestForeignCodes(t *testing.T) {
	for text, want := range map[string]status.Code{
		"AGENT_AUTH_INVALID": "AGENT_AUTH_INVALID", "A": "A", strings.Repeat("A", 64): status.Code(strings.Repeat("A", 64)),
		"": "unknown_code", strings.Repeat("A", 65): "unknown_code", "agent": "unknown_code", "1A": "unknown_code", "_A": "unknown_code",
		"A B": "unknown_code", "\x1b[31mX": "unknown_code", "AGENT_AUTH_\r\nNext: run me": "unknown_code", "A\u202eB": "unknown_code",
	} {
		if got := apiCode(&sdk.APIError{Code: text}); got != want {
			t.Errorf("%q is %s, want %s", text, got, want)
		}
	}
	if v := judgeAPI(&sdk.APIError{Code: "AGENT_AUTH_\x1b[31m", StatusCode: 401, Envelope: true}); v.kind != refusedOther || v.cause.Code != "unknown_code" {
		t.Errorf("%+v", v)
	}
}

// TestForeignIDs: an id that does not have the form of one is stored nowhere.
func TestForeignIDs(t *testing.T) {
	for _, id := range []string{"", ".", "..", "a/b", "../x", "\x1b[31mEVIL\r\nNext: run me", strings.Repeat("a", 129), "ä", "a b", "a\u200bb"} {
		for path, name := range map[string]string{"/enrollment": "agent", "/machines": "machine"} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					l := newLife(t, "demo")
					defer func() { l.close() }()
					l.rewrite(func(r *http.Request, item map[string]any) {
						if strings.HasSuffix(r.URL.Path, path) && r.Method == http.MethodPost {
							item["id"] = id
						}
					})
					if _, err := l.enroll(nil); Explain(err).Code != status.CodeMalformedResponse {
						t.Errorf("%q as the id of the %s: %v", id, name, err)
					}
					l.transport = nil
					l.reopen()
					if m := l.status(); m.AgentID != "" || strings.Contains(l.agent.View().Text(status.TextOptions{All: true}), "EVIL") {
						t.Errorf("stored: %+v", m)
					}
					r := l.mustEnroll()
					l.onlyActive(r.AgentID)
				})
			})
		}
	}
}

// TestForeignStatusAndTimes: what is not a status or a plausible time is not shown, and
// the status can always be encoded.
func TestForeignStatusAndTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLife(t, "demo")
		defer func() { l.close() }()
		w := l.rewrite(nil)
		l.mustEnroll()
		w.become(0, func(_ *http.Request, item map[string]any) {
			for _, e := range endpointsOf(item) {
				e["status"], e["leaseExpiresAt"] = strings.Repeat("B", 900_000), "9999-12-31T23:59:59-23:59"
				e["healthError"] = strings.Repeat("\x1b[31m", 1000)
			}
		})
		l.start()
		time.Sleep(time.Minute)
		view := l.agent.View()
		e := view.Machines[0].Endpoints[0]
		if e.ServerStatus != "unknown" || e.LeaseExpiresAt != nil || len(e.ServerFault) > 3000 {
			t.Errorf("%.200q %v %d", e.ServerStatus, e.LeaseExpiresAt, len(e.ServerFault))
		}
		if b, err := json.Marshal(view); err != nil || len(b) > 20_000 {
			t.Errorf("%d bytes, %v", len(b), err)
		}
		if text := view.Text(status.TextOptions{All: true}); len(text) > 20_000 || strings.Contains(text, "\x1b") {
			t.Errorf("%d bytes", len(text))
		}
	})
}

// TestAddressIdentity: a machine whose identity ends in an address is enrolled, found and
// kept online, however the address is written.
func TestAddressIdentity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLife(t, "demo")
		defer func() { l.close() }()
		ref := "did:peaq:" + testSigner
		l.cfg.Machines[0].IdentityRef = ref
		l.reopen()
		first, err := l.enroll(func(r *EnrollRequest) { r.IdentityRef = "" })
		if err != nil || !first.Live {
			t.Fatalf("%+v, %v", first, err)
		}
		again, err := l.enroll(func(r *EnrollRequest) { r.IdentityRef = "did:peaq:" + strings.ToLower(testSigner) })
		if err != nil || again.Changed || again.AgentID != first.AgentID {
			t.Errorf("in lower case: %+v, %v", again, err)
		}
		l.start()
		time.Sleep(time.Minute)
		l.want(status.Online, "")
		r := l.mustRotate()
		l.onlyActive(r.AgentID)
		if m := l.status(); m.Mismatch != "" {
			t.Error(m.Mismatch)
		}
	})
}
