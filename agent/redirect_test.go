package agent

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/sdk/sandbox"
)

// elsewhere passes requests on and counts those that go to another origin.
type elsewhere struct {
	next  http.RoundTripper
	count atomic.Int64
}

func (e *elsewhere) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Host != "127.0.0.1:1" {
		e.count.Add(1)
	}
	return e.next.RoundTrip(r)
}

// TestAnotherOriginSeesNothing: no kind of redirect sends any request to another
// origin, whichever command it is a response to: neither a body with the token nor
// anything else.
func TestAnotherOriginSeesNothing(t *testing.T) {
	for _, code := range []int{301, 302, 303, 307, 308} {
		for _, to := range []string{"http://portal.example/login", "//portal.example/", "https://127.0.0.1:1/api/v1/machine-agents/heartbeat"} {
			synctest.Test(t, func(t *testing.T) {
				l := newLife(t, "demo")
				defer func() { l.close() }()
				l.close()
				watch := &elsewhere{next: l.server.Transport()}
				l.transport = watch
				l.open()
				redirect := func(*http.Request) *sandbox.Fault { return &sandbox.Fault{Redirect: to, Status: code} }
				l.server.SetFault(redirect)
				if _, err := l.enroll(nil); err == nil {
					t.Error("enroll followed a redirect")
				}
				l.server.SetFault(nil)
				agent := l.mustEnroll().AgentID
				l.server.SetFault(redirect)
				l.start()
				if _, err := l.rotate(); err == nil {
					t.Error("rotate followed a redirect")
				}
				if _, err := l.unenroll(nil); err == nil {
					t.Error("unenroll followed a redirect")
				}
				time.Sleep(10 * time.Minute)
				l.want(status.Offline, "middlebox")
				if n := watch.count.Load(); n != 0 {
					t.Errorf("HTTP %d to %s: %d requests went elsewhere", code, to, n)
				}
				l.server.SetFault(nil)
				time.Sleep(10 * time.Minute)
				l.want(status.Online, "")
				if m := l.status(); m.AgentID != agent || strings.Contains(m.Origin, "portal") {
					t.Errorf("after it: %+v", m)
				}
			})
		}
	}
}
