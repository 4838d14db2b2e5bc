package agent

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/sdk"
	"github.com/peaqnetwork/peaqos-agent/sdk/sandbox"
)

// TestRequestsAreCounted: the SDK's operations are named by strings here, so each one
// must be counted under its own name.
func TestRequestsAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLife(t, "demo")
		l.mustEnroll()
		l.start()
		time.Sleep(time.Minute)
		l.server.SetFault(always(&sandbox.Fault{Drop: true}))
		time.Sleep(30 * time.Second) // one interval, whatever the phase
		l.server.SetFault(always(&sandbox.Fault{Status: 503}))
		time.Sleep(30 * time.Second)
		l.close()
		got := l.agent.snapshot().Process
		for _, want := range []struct {
			operation, code string
			count           uint64
		}{
			{"challenge", "2xx", 1}, {"enroll", "2xx", 1}, {"heartbeat", "2xx", 3}, {"heartbeat", "error", 1}, {"heartbeat", "5xx", 1},
		} {
			if n := got.Requests[status.RequestKind{Operation: want.operation, Code: want.code}]; n != want.count {
				t.Errorf("%s %s: %d requests, want %d", want.operation, want.code, n, want.count)
			}
		}
		if got.Requests[status.RequestKind{Operation: "other", Code: "2xx"}] == 0 {
			t.Error("registering the machine is not counted")
		}
		if h := got.RequestDuration["heartbeat"]; h == nil || h.Count != 5 {
			t.Errorf("five heartbeats were sent, the histogram has %+v", h)
		}
	})
}

func TestCodeOf(t *testing.T) {
	for status, want := range map[int]string{0: "error", 199: "error", 200: "2xx", 204: "2xx", 307: "3xx", 404: "4xx", 599: "5xx", 600: "error"} {
		if got := codeOf(&sdk.Response{Status: status}); got != want {
			t.Errorf("HTTP %d is %s, want %s", status, got, want)
		}
	}
	if got := codeOf(nil); got != "error" {
		t.Errorf("no response is %s", got)
	}
}
