package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/peaqnetwork/peaqos-agent/agent/config"
	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/keystore"
	"github.com/peaqnetwork/peaqos-agent/sdk"
	"github.com/peaqnetwork/peaqos-agent/sdk/sandbox"
)

// reopenWith opens the agent again with another configuration and other options.
func (l *life) reopenWith(change func(*config.Config, *Options)) {
	l.t.Helper()
	l.close()
	boot := time.Now()
	o := Options{
		Version: "test", Transport: l.server.Transport(), Probe: l.runtime, NoAdmin: true,
		SinceBoot: func() time.Duration { return time.Since(boot) },
	}
	if l.transport != nil {
		o.Transport = l.transport
	}
	cfg := *l.cfg
	change(&cfg, &o)
	l.cfg = &cfg
	a, err := New(l.t.Context(), l.cfg, o)
	if err != nil {
		l.t.Fatal(err)
	}
	l.agent = a
}

// withPresence switches presence on.
func withPresence(interval time.Duration) func(*config.Config, *Options) {
	return func(c *config.Config, _ *Options) {
		c.Presence = config.Presence{Enabled: true, URL: "http://127.0.0.1:1", Interval: interval}
	}
}

func (l *life) storeKey() {
	l.t.Helper()
	key, err := keystore.ParseKey([]byte(testKey))
	if err != nil {
		l.t.Fatal(err)
	}
	defer key.Wipe()
	if _, err := l.agent.PutController(l.t.Context(), key); err != nil {
		l.t.Fatal(err)
	}
}

func (l *life) presence() status.Presence { return *l.status().Presence }

// logBuffer is a log that can be read while it is written.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func (b *logBuffer) count(code status.Code) int {
	return strings.Count(b.String(), `"code":"`+string(code)+`"`)
}

// TestPresenceVectors: the golden vectors of the presence contract, §4, byte for byte.
func TestPresenceVectors(t *testing.T) {
	const publicKey = "0x044f355bdcb7cc0af728ef3cceb9615d90684bb5b2ca5f859ab0f0b704075871aa" +
		"385b6b1b8ead809ca67454d9683fcf2ba03456d6fe2c4abe2b07f0fbdbb2f1c1"
	key, err := keystore.ParseKey([]byte(testKey))
	if err != nil {
		t.Fatal(err)
	}
	signer := key.Signer()
	defer signer.Wipe()
	for _, c := range []struct {
		machineID, sentAt string
		length            int
		want              string
	}{
		{
			"42", "2026-11-23T12:00:00Z", 42,
			"0xd221dc2a33661bc0fd112be768bfb8db03f949c06564394a272676808ab18c165689eba5745bb22a80d84ef0f4d0dce5710b956a4fe431dfb2d69a9872525a951b",
		},
		{
			"42", "2026-11-23T12:00:00.000000+00:00", 54,
			"0xa30727ec1825a67bc2f568d99b5e78e137490f1c2753a08daa9d51c3eb564ff15208b1f04f09a2fbbb0460c8aa90e50905aa4d8ea3475d62b64e822da9c147451b",
		},
		{
			"did:peaq:42", "2026-11-23T12:00:00.123Z", 55,
			"0xcfe7c95b1840abeb45e269263c5318d9ad5c8c6b55f0f099ac8fcc0ae3cfeebe4ecf3d20a6c94fe8e9538d734854c26c4602ee0a7aa77dae8acfd8414c4a98291b",
		},
	} {
		message := sdk.PresenceMessage(c.machineID, c.sentAt)
		if len(message) != c.length || strings.HasSuffix(message, "\n") {
			t.Errorf("%q has %d bytes, want %d", message, len(message), c.length)
		}
		signature, public, err := signPresence(signer, message)
		if err != nil || signature != c.want || public != publicKey {
			t.Errorf("%q: signature %s, key %s, %v", message, signature, public, err)
		}
	}
}

// TestPresenceBoundsAgree: the configuration has the same bound as the SDK.
func TestPresenceBoundsAgree(t *testing.T) {
	if config.MaxPresenceInterval != sdk.PresenceMaxInterval {
		t.Errorf("%s and %s", config.MaxPresenceInterval, sdk.PresenceMaxInterval)
	}
}

// recorder keeps the bodies of presence pushes.
type recorder struct {
	next   http.RoundTripper
	mu     sync.Mutex
	bodies []string
}

func (r *recorder) sent() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.bodies...)
}

func (r *recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	if strings.HasSuffix(req.URL.Path, "/heartbeats") {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return nil, err
		}
		r.mu.Lock()
		r.bodies = append(r.bodies, string(body))
		r.mu.Unlock()
		req.Body = io.NopCloser(bytes.NewReader(body))
	}
	return r.next.RoundTrip(req)
}

// TestPresence: the machine is online while the daemon runs, with pushes of exactly the
// documented members, and nothing is pushed after a stop.
func TestPresence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLife(t, "demo")
		defer func() { l.close() }()
		r := &recorder{next: l.server.Transport()}
		l.transport = r
		l.mustEnroll()
		l.reopenWith(withPresence(time.Minute))
		l.storeKey()
		l.start()
		time.Sleep(10 * time.Minute)
		if !l.server.Online("did:peaq:42") {
			t.Errorf("offline: %+v", l.presence())
		}
		p := l.presence()
		if p.State != status.ServiceOnline || p.MachineID != "42" || p.Pushes["success"] < 9 || p.Pushes["success"] > 10 || p.Failures != 0 || !p.SkewKnown {
			t.Errorf("%+v", p)
		}
		var body map[string]any
		if err := json.Unmarshal([]byte(r.sent()[0]), &body); err != nil || len(body) != 4 {
			t.Errorf("%s: %v", r.sent()[0], err)
		}
		message := sdk.PresenceMessage(body["machineId"].(string), body["sentAt"].(string))
		if signer, err := keystore.RecoverText(message, body["signature"].(string)); err != nil || signer != testSigner {
			t.Errorf("what was signed is not what was sent: %s, %v", signer, err)
		}
		l.stop()
		l.stop = nil
		sent := len(r.sent())
		time.Sleep(4 * time.Minute)
		if len(r.sent()) != sent || l.server.Online("42") {
			t.Error("something was pushed after the stop")
		}
	})
}

// TestPresenceWithoutKey: it is said once, and the heartbeats continue. A key that is
// imported later is used.
func TestPresenceWithoutKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLife(t, "demo")
		defer func() { l.close() }()
		log := &logBuffer{}
		l.mustEnroll()
		l.reopenWith(func(c *config.Config, o *Options) {
			withPresence(time.Minute)(c, o)
			o.LogTo = log
		})
		l.start()
		time.Sleep(time.Hour)
		l.want(status.Online, "")
		if n := log.count(status.CodePresenceNoKey); n != 1 {
			t.Errorf("said %d times:\n%s", n, log)
		}
		if accepted, refused := l.server.Pushes(); accepted+refused != 0 || l.presence().State != status.ServiceWaiting {
			t.Errorf("%d pushes without a key, state %s", accepted+refused, l.presence().State)
		}
		if r := status.Ready(l.agent.snapshot()); !r.Ready || len(r.Reasons) != 1 || r.Reasons[0].Code != status.CodePresenceNoKey {
			t.Errorf("%+v", r)
		}
		l.storeKey()
		time.Sleep(90 * time.Second)
		if !l.server.Online("42") {
			t.Errorf("offline: %+v", l.presence())
		}
	})
}

// TestPresenceNeedsTheMachine: an unenrolled machine and one without a decimal identity
// push nothing.
func TestPresenceNeedsTheMachine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLife(t, "demo")
		defer func() { l.close() }()
		l.reopenWith(withPresence(time.Minute))
		l.storeKey()
		l.start()
		time.Sleep(5 * time.Minute)
		if accepted, refused := l.server.Pushes(); accepted+refused != 0 {
			t.Errorf("%d pushes of an unenrolled machine", accepted+refused)
		}
		if _, err := l.enroll(func(r *EnrollRequest) { r.IdentityRef = "did:peaq:" + testSigner }); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Minute)
		if p := l.presence(); status.CodeOf(p.Cause) != status.CodePresenceNoMachine {
			t.Errorf("%+v", p)
		}
		l.reopenWith(func(c *config.Config, o *Options) {
			withPresence(time.Minute)(c, o)
			c.Presence.MachineID = "did:peaq:" + testSigner
		})
		l.start()
		time.Sleep(2 * time.Minute)
		if p := l.presence(); p.State != status.ServiceOnline || !l.server.Online("did:peaq:"+testSigner) {
			t.Errorf("%+v", p)
		}
	})
}

// TestPresenceFailures: what each response leads to.
func TestPresenceFailures(t *testing.T) {
	accepted := `{"accepted":true,"online":true,"lastHeartbeatAt":"2026-01-01T00:00:00Z"}`
	for name, c := range map[string]struct {
		fault  sandbox.Fault
		state  status.ServiceState
		code   status.Code
		result string
		fewest uint64 // pushes in 30 minutes
		most   uint64
	}{
		"accepted false":  {sandbox.Fault{Status: 200, ContentType: "application/json", Body: strings.Replace(accepted, "true", "false", 1)}, status.ServiceRefused, status.CodePresenceNotAccepted, "refused", 5, 7},
		"string boolean":  {sandbox.Fault{Status: 200, ContentType: "application/json", Body: strings.Replace(accepted, "true", `"true"`, 1)}, status.ServiceFailing, status.CodePresenceServer, "server_error", 29, 33},
		"missing member":  {sandbox.Fault{Status: 200, ContentType: "application/json", Body: `{"accepted":true,"online":true}`}, status.ServiceFailing, status.CodePresenceServer, "server_error", 29, 33},
		"not JSON":        {sandbox.Fault{Status: 200, ContentType: "text/html", Body: `<html>`}, status.ServiceFailing, status.CodePresenceMiddlebox, "middlebox", 29, 33},
		"403":             {sandbox.Fault{Status: 403, Body: "no"}, status.ServiceRefused, status.CodePresenceRejected, "client_error", 5, 7},
		"404":             {sandbox.Fault{Status: 404}, status.ServiceRefused, status.CodePresenceRejected, "client_error", 5, 7},
		"408":             {sandbox.Fault{Status: 408}, status.ServiceFailing, status.CodePresenceServer, "server_error", 29, 33},
		"500":             {sandbox.Fault{Status: 500}, status.ServiceFailing, status.CodePresenceServer, "server_error", 29, 33},
		"429 in seconds":  {sandbox.Fault{Status: 429, RetryAfter: "600"}, status.ServiceFailing, status.CodePresenceRetryAfter, "rate_limited", 2, 3},
		"429 with a date": {sandbox.Fault{Status: 429, RetryAfterDate: 10 * time.Minute}, status.ServiceFailing, status.CodePresenceRetryAfter, "rate_limited", 2, 3},
		"429 for a day":   {sandbox.Fault{Status: 429, RetryAfter: "86400"}, status.ServiceFailing, status.CodePresenceRetryAfter, "rate_limited", 2, 2},
		"429 alone":       {sandbox.Fault{Status: 429}, status.ServiceFailing, status.CodePresenceRetryAfter, "rate_limited", 29, 31},
		"503 and wait":    {sandbox.Fault{Status: 503, RetryAfter: "600"}, status.ServiceFailing, status.CodePresenceRetryAfter, "server_error", 2, 3},
		"redirect":        {sandbox.Fault{Redirect: "https://evil.example/take"}, status.ServiceFailing, status.CodePresenceMiddlebox, "middlebox", 29, 33},
		"dropped":         {sandbox.Fault{Drop: true}, status.ServiceFailing, status.CodePresenceUnreachable, "network", 29, 33},
		"hung":            {sandbox.Fault{Latency: time.Hour}, status.ServiceFailing, status.CodePresenceUnreachable, "timeout", 29, 33},
		"flood":           {sandbox.Fault{Flood: 1 << 20}, status.ServiceFailing, status.CodePresenceServer, "server_error", 29, 33},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLife(t, "demo")
				defer func() { l.close() }()
				log := &logBuffer{}
				l.mustEnroll()
				l.reopenWith(func(cfg *config.Config, o *Options) {
					withPresence(time.Minute)(cfg, o)
					o.LogTo = log
				})
				l.storeKey()
				l.server.SetFault(onPath("/heartbeats", c.fault))
				l.start()
				time.Sleep(30 * time.Minute)
				p := l.presence()
				if p.State != c.state || status.CodeOf(p.Cause) != c.code {
					t.Errorf("state %s (%+v), want %s (%s)", p.State, p.Cause, c.state, c.code)
				}
				if n := p.Pushes[c.result]; n < c.fewest || n > c.most || int(n) != p.Failures {
					t.Errorf("%d pushes with result %s in 30 minutes, want %d to %d; %v", n, c.result, c.fewest, c.most, p.Pushes)
				}
				if n := log.count(c.code); n != 1 {
					t.Errorf("said %d times:\n%s", n, log)
				}
				if strings.Contains(log.String(), "signature") {
					t.Errorf("a signature is in the log:\n%s", log)
				}
				l.want(status.Online, "") // the heartbeats do not care
				l.server.SetFault(nil)
				time.Sleep(16 * time.Minute)
				if p := l.presence(); p.State != status.ServiceOnline || p.Cause != nil || p.Failures != 0 || !l.server.Online("42") {
					t.Errorf("not recovered: %+v", p)
				}
			})
		})
	}
}

// TestPresenceStop: a hung service does not delay a stop, and nothing is pushed when
// the stop comes while a push is signed.
func TestPresenceStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLife(t, "demo")
		defer func() { l.close() }()
		l.mustEnroll()
		l.reopenWith(withPresence(time.Second))
		l.storeKey()
		l.server.SetFault(onPath("/heartbeats", sandbox.Fault{Latency: time.Hour}))
		l.start()
		time.Sleep(time.Minute + 500*time.Millisecond)
		began := time.Now()
		l.stop()
		l.stop = nil
		if took := time.Since(began); took > 100*time.Millisecond {
			t.Errorf("the stop took %s", took)
		}
	})
	ctx, cancel := context.WithCancel(t.Context())
	client, err := sdk.NewPresence("http://127.0.0.1:1", sdk.WithHTTPClient(&http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) {
		t.Error("a push was sent after the stop")
		return nil, errors.New("no")
	})}))
	if err != nil {
		t.Fatal(err)
	}
	p := &pusher{conf: config.Presence{Interval: time.Minute}, wall: time.Now, push: client.Push, controller: func() (*keystore.Signer, error) {
		cancel()
		key, err := keystore.ParseKey([]byte(testKey))
		return key.Signer(), err
	}}
	if _, err := p.attempt(ctx, "42"); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestPresenceNeverDelaysAHeartbeat: with a presence service that hangs, each heartbeat
// leaves at its grid point.
func TestPresenceNeverDelaysAHeartbeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLife(t, "demo")
		defer func() { l.close() }()
		l.mustEnroll()
		next := l.server.Transport()
		var mu sync.Mutex
		var beats []time.Time
		l.transport = roundTrip(func(r *http.Request) (*http.Response, error) {
			if strings.HasSuffix(r.URL.Path, "/machine-agents/heartbeat") {
				mu.Lock()
				beats = append(beats, time.Now())
				mu.Unlock()
			}
			return next.RoundTrip(r)
		})
		l.reopenWith(withPresence(time.Second))
		l.storeKey()
		l.server.SetFault(onPath("/heartbeats", sandbox.Fault{Latency: time.Hour}))
		g := l.agent.beaters["main"].grid()
		l.start()
		time.Sleep(10 * time.Minute)
		mu.Lock()
		defer mu.Unlock()
		if len(beats) < 19 {
			t.Errorf("%d heartbeats in 10 minutes", len(beats))
		}
		for _, at := range beats[1:] { // the first one is sent at once, just after the enrollment
			if late := at.Sub(g.notBefore(at.Add(-time.Second))); late != 0 {
				t.Errorf("a heartbeat left %s late", late)
			}
		}
		if p := l.presence(); p.Pushes["timeout"] < 100 {
			t.Errorf("presence was not busy: %v", p.Pushes)
		}
	})
}

// TestPresenceClockStep: after the clock was set, a push with the new time follows
// within seconds, and the skew is reported.
func TestPresenceClockStep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLife(t, "demo")
		defer func() { l.close() }()
		l.mustEnroll()
		l.reopenWith(withPresence(2 * time.Minute))
		l.storeKey()
		p, err := l.agent.newPusher("main", l.server.Transport())
		if err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		off := -24 * time.Hour // a board without a battery
		p.wall = func() time.Time { mu.Lock(); defer mu.Unlock(); return time.Now().Add(off) }
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- p.run(ctx, l.agent.watchdog) }()
		defer func() { cancel(); <-done }()
		time.Sleep(3 * time.Minute)
		s := l.presence()
		if s.State != status.ServiceRefused || s.Skew.Round(time.Hour) != -24*time.Hour {
			t.Fatalf("%+v", s)
		}
		mu.Lock()
		off = 0
		mu.Unlock()
		time.Sleep(30 * time.Second) // far less than the wait after a refusal
		if s := l.presence(); s.State != status.ServiceOnline || s.Skew.Abs() > time.Second {
			t.Errorf("%+v", s)
		}
	})
}

func TestStepWatch(t *testing.T) {
	start := time.Now()
	at := func(wall, mono, boot time.Duration) (time.Time, time.Time, time.Duration) {
		return start.Add(wall).Round(0), start.Add(mono), boot
	}
	var w stepWatch
	for i, c := range []struct {
		wall, mono, boot time.Duration
		want             bool
	}{
		{0, 0, 100 * time.Hour, false},
		{20 * time.Second, 20 * time.Second, 100*time.Hour + 20*time.Second, false},
		{time.Hour, 40 * time.Second, 100*time.Hour + 40*time.Second, true},                                   // set forward
		{time.Hour + 20*time.Second, time.Minute, 100*time.Hour + time.Minute, false},                         // and stays so
		{time.Hour + 43*time.Second, 80 * time.Second, 100*time.Hour + 80*time.Second, false},                 // adjusted by 3 s
		{2 * time.Hour, 100 * time.Second, 100*time.Hour + 97*time.Minute + 40*time.Second - time.Hour, true}, // slept
	} {
		if got := w.turn(at(c.wall, c.mono, c.boot)); got != c.want {
			t.Errorf("turn %d: %t, want %t", i, got, c.want)
		}
	}
}

func TestNextPush(t *testing.T) {
	start := time.Now()
	g := grid{start, 20 * time.Second, time.Minute} // 20, 80, 140 …
	at := func(s float64) time.Time { return start.Add(time.Duration(s * float64(time.Second))) }
	for _, c := range []struct {
		name   string
		now    float64
		f      pushFailures
		random float64
		want   float64
	}{
		{"accepted", 21, pushFailures{}, 0.5, 80},
		{"one failure", 21, pushFailures{inRow: 1, kind: pushTransient}, 0, 22},
		{"one failure, at most 10 s", 21, pushFailures{inRow: 1, kind: pushTransient}, 1, 31},
		{"two", 21, pushFailures{inRow: 2, kind: pushTransient}, 1, 41},
		{"three", 21, pushFailures{inRow: 3, kind: pushTransient}, 1, 61},
		{"three, no later than the grid point", 60, pushFailures{inRow: 3, kind: pushTransient}, 1, 80},
		{"four", 21, pushFailures{inRow: 4, kind: pushTransient}, 0, 80},
		{"a hundred", 21, pushFailures{inRow: 100, kind: pushTransient}, 0, 80},
		{"asked to wait", 21, pushFailures{inRow: 1, kind: pushAsked, retryAfter: 100 * time.Second}, 0, 140},
		{"asked for a day", 21, pushFailures{inRow: 1, kind: pushAsked, retryAfter: 24 * time.Hour}, 0, 980},
		{"asked, without a time", 21, pushFailures{inRow: 1, kind: pushAsked}, 0, 80},
		{"refused", 21, pushFailures{inRow: 1, kind: pushRefused}, 0, 380},
	} {
		if got := nextPush(g, at(c.now), c.f, c.random); !got.Equal(at(c.want)) {
			t.Errorf("%s: after %s, want %v s", c.name, got.Sub(start), c.want)
		}
	}
}

// TestPresenceStaysOnlineOverAShortFault: with the longest interval, one failed push and
// its retry lie within the 180 s of the service.
func TestPresenceStaysOnlineOverAShortFault(t *testing.T) {
	start := time.Now()
	g := grid{start, 0, config.MaxPresenceInterval}
	accepted := g.after(start)
	failed := g.after(accepted).Add(pushDeadline(config.MaxPresenceInterval))
	retried := nextPush(g, failed, pushFailures{inRow: 1, kind: pushTransient}, 1)
	if gap := retried.Add(pushDeadline(config.MaxPresenceInterval)).Sub(accepted); gap >= sdk.PresenceTTL {
		t.Errorf("offline after one failure: %s between two pushes", gap)
	}
}

// TestThousandAgentsSpread: a fleet that starts at once pushes evenly.
func TestThousandAgentsSpread(t *testing.T) {
	start := time.Now()
	const agents, slots = 1000, 20
	counts := make([]int, slots)
	for i := range agents {
		number := "did:peaq:" + strings.Repeat("1", 1+i%7) + string(rune('0'+i%10)) + strings.Repeat("2", i/70)
		g := newGrid(start, number, "presence", time.Minute)
		counts[int(g.after(start).Sub(start)*slots/time.Minute)%slots]++
	}
	for slot, n := range counts {
		if n > agents/slots*2 || n < agents/slots/3 {
			t.Errorf("slot %d of %d has %d of %d agents: %v", slot, slots, n, agents, counts)
			break
		}
	}
	// A push and a heartbeat of one machine have different places.
	if newGrid(start, "mach_1", "presence", time.Minute).phase == newGrid(start, "mach_1", "agent_1", time.Minute).phase {
		t.Error("presence has the place of the heartbeat")
	}
}
