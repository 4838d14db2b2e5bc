package agent

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/peaqnetwork/peaqos-agent/agent/config"
	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/sdk/sandbox"
)

// TestIdleHealth: with nothing to publish, the response of the health path decides
// between idle and offline, at either of its two paths.
func TestIdleHealth(t *testing.T) {
	const root, prefixed = "/health", "/api/v1/health"
	notFound := &sandbox.Fault{Status: 404, Code: "NOT_FOUND"}
	portal := &sandbox.Fault{Status: 404, ContentType: "text/html", Body: "<html>log in</html>"}
	page := &sandbox.Fault{Status: 200, ContentType: "text/html", Body: "<html>log in</html>"}
	for _, c := range []struct {
		name   string
		faults map[string]*sandbox.Fault
		state  status.State
		cause  string
	}{
		{"well", nil, status.Idle, "nothing_up"},
		{"only at the root", map[string]*sandbox.Fault{prefixed: notFound}, status.Idle, "nothing_up"},
		{"at the root, with a plain 404 at the prefix", map[string]*sandbox.Fault{prefixed: portal}, status.Idle, "nothing_up"},
		{"nowhere, but the API says so", map[string]*sandbox.Fault{prefixed: notFound, root: notFound}, status.Idle, "nothing_up"},
		{"nowhere, and no API", map[string]*sandbox.Fault{prefixed: portal, root: page}, status.Offline, "middlebox"},
		{"closed connections", map[string]*sandbox.Fault{prefixed: {Drop: true}, root: {Drop: true}}, status.Offline, "network"},
		{"a login page", map[string]*sandbox.Fault{prefixed: page, root: page}, status.Offline, "middlebox"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLife(t, "demo")
				l.runtime.off.Store(true)
				l.mustEnroll()
				l.server.SetFault(func(r *http.Request) *sandbox.Fault { return c.faults[r.URL.Path] })
				l.start()
				time.Sleep(2*time.Hour + 5*time.Minute)
				l.want(c.state, status.Code(c.cause))
				l.close()
			})
		})
	}
}

// TestClampedIntervalIsLogged: the interval is at most half of the lease, and the log
// reports it.
func TestClampedIntervalIsLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLife(t, "demo")
		log := &syncBuffer{}
		l.agent.beaters["main"].conf.Interval = 40 * time.Second
		l.agent.beaters["main"].log, _ = newLogger(config.Log{Level: "info", Format: "json"}, log, false, logState{})
		l.server.SetLeaseMax(20 * time.Second)
		l.mustEnroll()
		l.start()
		time.Sleep(5 * time.Minute)
		if got := l.status().Interval; got != 10*time.Second {
			t.Errorf("a heartbeat every %s, want 10 s", got)
		}
		if !log.contains("interval_clamped") {
			t.Error("the log does not report that the interval was shortened")
		}
		l.close()
	})
}

// syncBuffer is where a running agent logs to while a test reads.
type syncBuffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *syncBuffer) contains(s string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Contains(b.text.String(), s)
}
