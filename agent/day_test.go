package agent

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/sdk/sandbox"
)

// TestDayOfFaults is a day in which something is wrong most of the time: network,
// gateways, the orchestrator and the runtime, in random order, while links flap. Every
// change of state or cause is in the log once and at once, with the cause of the fault
// that is present, and nothing grows.
func TestDayOfFaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		faults := []struct {
			fault *sandbox.Fault
			off   bool // the runtime
			state status.State
			cause status.Code
		}{
			{nil, false, status.Online, ""},
			{&sandbox.Fault{Drop: true}, false, status.Offline, "network"},
			{&sandbox.Fault{Latency: time.Hour}, false, status.Offline, "timeout"},
			{&sandbox.Fault{Status: 500}, false, status.Offline, "gateway"},
			{&sandbox.Fault{Status: 200, ContentType: "text/html", Body: "<html>log in</html>"}, false, status.Offline, "middlebox"},
			{&sandbox.Fault{Redirect: "https://portal.example/"}, false, status.Offline, "middlebox"},
			{&sandbox.Fault{Status: 429, Code: "RATE_LIMITED", RetryAfter: "90"}, false, status.Offline, "retry_after"},
			{&sandbox.Fault{Status: 409, Code: "MACHINE_NOT_ACTIVE"}, false, status.Offline, "MACHINE_NOT_ACTIVE"},
			{nil, true, status.Idle, "nothing_up"},
		}
		var out bytes.Buffer
		l := newLife(t, "demo")
		l.close()
		l.logTo = &out
		l.open()
		l.mustEnroll()
		out.Reset()
		l.start()
		rng := rand.New(rand.NewPCG(7, 11))
		var seen []string // state and cause, as they changed
		watch := func(d time.Duration) {
			for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(500 * time.Millisecond) {
				m := l.status()
				text := ""
				if m.Cause != nil {
					text = m.Cause.Text
				}
				if now := string(m.State) + "|" + string(status.CodeOf(m.Cause)) + "|" + text; len(seen) == 0 || seen[len(seen)-1] != now {
					seen = append(seen, now)
				}
			}
		}
		var goroutines, descriptors int
		var heap uint64
		measure := func() (int, int, uint64) {
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			return runtime.NumGoroutine(), openDescriptors(t), m.HeapAlloc
		}
		begin := time.Now()
		for last := -1; time.Since(begin) < 24*time.Hour; {
			n := rng.IntN(len(faults))
			if n == last {
				continue
			}
			last = n
			c := faults[n]
			l.server.SetFault(always(c.fault))
			l.runtime.off.Store(c.off)
			if rng.IntN(2) == 0 {
				l.agent.changed()
			}
			watch(5*time.Minute + time.Duration(rng.IntN(600))*time.Second)
			l.want(c.state, c.cause)
			if goroutines == 0 && time.Since(begin) > 2*time.Hour && c.fault == nil {
				goroutines, descriptors, heap = measure()
			}
		}
		l.server.SetFault(nil)
		l.runtime.off.Store(false)
		watch(5 * time.Minute)
		g, d, h := measure()
		h -= min(h, uint64(out.Cap()))
		if g > goroutines || d > descriptors || h > heap+(1<<20) {
			t.Errorf("%d goroutines (%d), %d descriptors (%d), %d bytes on the heap (%d) after a day and after two hours",
				g, goroutines, d, descriptors, h, heap)
		}
		l.close()
		var logged []string
		for line := range strings.Lines(out.String()) {
			var e struct{ Code, Cause, Why, Msg string }
			if err := json.Unmarshal([]byte(line), &e); err != nil {
				t.Fatal(err)
			}
			if state, ok := strings.CutPrefix(e.Code, "state_"); ok {
				logged = append(logged, state+"|"+e.Cause+"|"+e.Why)
				if !strings.Contains(e.Msg, e.Why) {
					t.Errorf("the sentence %q does not have the cause", e.Msg)
				}
			}
		}
		if logged[0] != seen[0] {
			seen = seen[1:] // the state at the start was logged when it began
		}
		if diff := cmp.Diff(seen, logged); diff != "" {
			t.Errorf("states (-) and the log (+):\n%s", diff)
		}
		if len(logged) < 100 {
			t.Errorf("only %d changes in a day", len(logged))
		}
		t.Logf("%d changes of state or cause, %d bytes of log", len(logged), out.Len())
	})
}
