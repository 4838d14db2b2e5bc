package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/peaqnetwork/peaqos-agent/agent/config"
	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/sdk"
	"github.com/peaqnetwork/peaqos-agent/sdk/sandbox"
)

// testHook is a hook in fake time. respond decides what happens to a delivery; nil is 204.
type testHook struct {
	respond func(body string) (status int, err error)

	mu     sync.Mutex
	got    []string // bodies that were accepted
	all    []string // every attempt, with its header
	now    int
	atOnce int // the most attempts at a time
}

func (h *testHook) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	h.mu.Lock()
	h.now++
	h.atOnce = max(h.atOnce, h.now)
	h.all = append(h.all, fmt.Sprint(r.URL, r.Header, string(body)))
	h.mu.Unlock()
	code := http.StatusNoContent
	time.Sleep(time.Millisecond)
	if h.respond != nil {
		code, err = h.respond(string(body))
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now--
	if err != nil {
		return nil, err
	}
	if code < 300 {
		h.got = append(h.got, string(body))
	}
	return &http.Response{StatusCode: code, Body: http.NoBody, Header: http.Header{}, Request: r}, nil
}

func (h *testHook) accepted() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]string(nil), h.got...)
}

// withControl switches the control socket on, with one hook.
func withControl(h *testHook) func(*config.Config, *Options) {
	return func(c *config.Config, o *Options) {
		c.Control = config.Control{Enabled: true, Hooks: []string{"http://127.0.0.1:9/hook"}}
		o.Hook = h
	}
}

func (l *life) control() status.Control { return *l.status().Control }

// controlLife is an enrolled agent whose control socket is open.
func controlLife(t *testing.T, h *testHook, opts ...sandbox.Option) (l *life, machine string) {
	t.Helper()
	l = newLife(t, "demo")
	if len(opts) > 0 {
		l.server = sandbox.New(append(opts, sandbox.WithAPIKey(testAPIKey), sandbox.WithController("", testSigner))...)
		l.reopenWith(func(*config.Config, *Options) {})
	}
	machine = l.mustEnroll().MachineID
	l.reopenWith(withControl(h))
	l.start()
	time.Sleep(time.Minute)
	if c := l.control(); c.State != status.ServiceOnline {
		t.Fatalf("%+v", c)
	}
	return l, machine
}

// TestControlDelivers: every notification reaches the hook as it was sent, known or not,
// in order per purchase, and without the token.
func TestControlDelivers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &testHook{}
		l, machine := controlLife(t, h)
		defer func() { l.close() }()
		token := l.agent.beaters["main"].record.Token.Reveal()
		kinds := []string{
			"purchase.created", "purchase.payment_proof.recorded", "purchase.delivery.accessed", "purchase.delivery.started",
			"purchase.delivery.completed", "purchase.delivery.failed", "purchase.buyer.connected", "purchase.seller.ready",
			"purchase.seller.offline", "purchase.of.the.future", "elsewhere",
		}
		for i, kind := range kinds {
			l.server.Notify(machine, kind, map[string]any{"purchaseId": fmt.Sprint("p", i%3), "n": i, "new": map[string]any{"member": true}})
			time.Sleep(time.Second)
		}
		l.server.Notify(machine, "without.purchase", nil)
		time.Sleep(time.Second)
		sent := l.server.Notifications(machine)
		got := h.accepted()
		if len(got) != len(kinds)+1 || len(sent) != len(got) {
			t.Fatalf("%d sent, %d delivered", len(sent), len(got))
		}
		for i, n := range sent {
			if got[i] != string(n.Message) || !n.Acknowledged {
				t.Errorf("delivered %s for %s, acknowledged %t", got[i], n.Message, n.Acknowledged)
			}
		}
		for _, attempt := range h.all {
			if strings.Contains(attempt, string(token)) || !strings.Contains(attempt, "Peaqos-Machine-Id:["+machine+"]") {
				t.Errorf("%s", attempt)
			}
		}
		c := l.control()
		if c.Messages["queued"] != 12 || c.Queued != 0 || c.QueueFault != "" || c.Hooks[0].Deliveries["success"] != 12 {
			t.Errorf("%+v", c)
		}
		if r := status.Ready(l.agent.snapshot()); len(r.Reasons) != 0 {
			t.Errorf("%+v", r)
		}
	})
}

// TestControlRandomDisconnects: 1,000 disconnects at random times, with a hook that
// fails now and then. What the sandbox knows to have arrived reaches the hook, in order
// per purchase.
func TestControlRandomDisconnects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		random := rand.New(rand.NewPCG(1, 2))
		var mu sync.Mutex
		h := &testHook{respond: func(string) (int, error) {
			mu.Lock()
			defer mu.Unlock()
			switch random.IntN(20) {
			case 0:
				return 500, nil
			case 1:
				return 0, io.ErrUnexpectedEOF
			}
			return 200, nil
		}}
		l, machine := controlLife(t, h)
		defer func() { l.close() }()
		sequence := map[string]int{}
		for disconnects := 0; disconnects < 1000; {
			mu.Lock()
			what, purchase, wait := random.IntN(2), fmt.Sprint("p", random.IntN(5)), time.Duration(random.IntN(2000))*time.Millisecond
			mu.Unlock()
			if l.control().State != status.ServiceOnline {
				time.Sleep(controlInterval / 4)
				continue
			}
			if what == 0 {
				l.server.CloseSockets()
				disconnects++
			}
			if l.server.Notify(machine, "purchase.created", map[string]any{"purchaseId": purchase, "n": sequence[purchase]}) > 0 {
				sequence[purchase]++
			}
			time.Sleep(wait)
			if len(l.server.Notifications(machine)) > 3000 {
				t.Fatal("the sandbox forgets notifications")
			}
		}
		time.Sleep(10 * time.Minute)
		checkDelivered(t, l.server.Notifications(machine), h.accepted())
		c := l.control()
		if c.Queued != 0 || c.Messages["dropped"] != 0 || c.Connections["connected"] < 900 {
			t.Errorf("%+v", c)
		}
	})
}

// checkDelivered compares what the sandbox sent with what a hook accepted.
func checkDelivered(t *testing.T, sent []sandbox.Notification, got []string) {
	t.Helper()
	delivered, last, acknowledged := map[string]bool{}, map[string]float64{}, 0
	for _, body := range got {
		if delivered[body] {
			continue // again, after a failure of its response
		}
		delivered[body] = true
		var n struct {
			Payload struct {
				PurchaseID string  `json:"purchaseId"`
				N          float64 `json:"n"`
			} `json:"payload"`
		}
		if err := json.Unmarshal([]byte(body), &n); err != nil {
			t.Fatal(err)
		}
		if before, seen := last[n.Payload.PurchaseID]; seen && n.Payload.N <= before {
			t.Errorf("purchase %s: %v after %v", n.Payload.PurchaseID, n.Payload.N, before)
		}
		last[n.Payload.PurchaseID] = n.Payload.N
	}
	for _, n := range sent {
		if n.Acknowledged {
			acknowledged++
			if !delivered[string(n.Message)] {
				t.Errorf("acknowledged, but not delivered: %s", n.Message)
			}
		}
	}
	if acknowledged < len(sent)/3 || acknowledged == 0 {
		t.Errorf("only %d of %d were acknowledged", acknowledged, len(sent))
	}
}

// TestControlReplay: what arrives again after a reconnect is delivered once where the
// contract gives an id, and else as often as it comes.
func TestControlReplay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &testHook{}
		l, machine := controlLife(t, h, sandbox.WithNotificationReplay(10))
		defer func() { l.close() }()
		proof := map[string]any{"purchaseId": "p", "rail": "transfer", "reference": "0xabc", "paymentStatus": "verified", "deliveryStatus": "releasable"}
		l.server.Notify(machine, sdk.NotifyPaymentProofRecorded, proof)
		l.server.Notify(machine, sdk.NotifyPurchaseCreated, map[string]any{"purchaseId": "p"})
		time.Sleep(time.Second)
		l.server.CloseSockets()
		time.Sleep(2 * time.Minute)
		count := map[string]int{}
		for _, body := range h.accepted() {
			for _, kind := range []string{sdk.NotifyPaymentProofRecorded, sdk.NotifyPurchaseCreated} {
				if strings.Contains(body, kind) {
					count[kind]++
				}
			}
		}
		if count[sdk.NotifyPaymentProofRecorded] != 1 || count[sdk.NotifyPurchaseCreated] != 2 || l.control().Messages["duplicate"] != 1 {
			t.Errorf("%v, %v", count, l.control().Messages)
		}
	})
}

// TestControlQueueOverflow: with a hook that is down the queue fills up to its limit;
// what does not fit is counted and logged once, and the rest is delivered later.
func TestControlQueueOverflow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down := true
		h := &testHook{}
		h.respond = func(string) (int, error) {
			h.mu.Lock()
			defer h.mu.Unlock()
			if down {
				return 0, io.ErrUnexpectedEOF
			}
			return 200, nil
		}
		log := &logBuffer{}
		l := newLife(t, "demo")
		defer func() { l.close() }()
		machine := l.mustEnroll().MachineID
		l.reopenWith(func(c *config.Config, o *Options) { withControl(h)(c, o); o.LogTo = log })
		l.start()
		time.Sleep(time.Minute)
		for i := range maxQueued + 50 {
			l.server.Notify(machine, "purchase.created", map[string]any{"purchaseId": fmt.Sprint(i % 7), "n": i})
			time.Sleep(50 * time.Millisecond)
		}
		c := l.control()
		if c.Queued != maxQueued || c.Messages["dropped"] != 50 || !c.Dropping || c.Hooks[0].Failures == 0 {
			t.Errorf("%+v", c)
		}
		if log.count(status.CodeQueueFull) != 1 || log.count(status.CodeHookFailing) != 1 {
			t.Errorf("%s", log)
		}
		if n := len(h.all); n > 40 {
			t.Errorf("%d attempts while the hook was down", n)
		}
		r := status.Ready(l.agent.snapshot())
		if !r.Ready || len(r.Reasons) != 2 {
			t.Errorf("%+v", r)
		}
		h.mu.Lock()
		down = false
		h.mu.Unlock()
		time.Sleep(6 * time.Minute)
		if c := l.control(); c.Queued != 0 || c.Dropping || c.Hooks[0].Cause != nil {
			t.Errorf("%+v", c)
		}
		if len(h.accepted()) != maxQueued || h.atOnce > hookConcurrency || log.count(status.CodeHookRecovered) != 1 {
			t.Errorf("%d delivered, %d at once", len(h.accepted()), h.atOnce)
		}
		checkDelivered(t, l.server.Notifications(machine)[:1], h.accepted())
	})
}

// TestControlPoison: a notification that the hook rejects holds up its own purchase
// alone.
func TestControlPoison(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &testHook{respond: func(body string) (int, error) {
			if strings.Contains(body, `"poison"`) {
				return 400, nil
			}
			return 200, nil
		}}
		l, machine := controlLife(t, h)
		defer func() { l.close() }()
		l.server.Notify(machine, "purchase.created", map[string]any{"purchaseId": "poison"})
		l.server.Notify(machine, "purchase.seller.ready", map[string]any{"purchaseId": "poison"})
		l.server.Notify(machine, "purchase.created", map[string]any{"purchaseId": "good"})
		time.Sleep(time.Hour)
		if got := h.accepted(); len(got) != 1 || !strings.Contains(got[0], "good") {
			t.Errorf("%v", got)
		}
		if n := len(h.all); n < 10 || n > 30 {
			t.Errorf("%d attempts in an hour", n)
		}
		c := l.control()
		if c.Queued != 2 || status.CodeOf(c.Hooks[0].Cause) != status.CodeHookFailing || !strings.Contains(c.Hooks[0].Cause.Text, "HTTP 400") {
			t.Errorf("%+v", c)
		}
	})
}

// TestControlFollowsTheAgent: after a rotation the socket belongs to the new agent;
// after unenroll there is none.
func TestControlFollowsTheAgent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &testHook{}
		l, machine := controlLife(t, h)
		defer func() { l.close() }()
		before := l.status().AgentID
		if r := l.mustRotate(); r.AgentID == before {
			t.Fatalf("%+v", r)
		}
		time.Sleep(2 * time.Minute)
		if n := l.server.Notify(machine, "purchase.created", nil); n != 1 {
			t.Errorf("%d sockets after the rotation: %+v", n, l.control())
		}
		time.Sleep(time.Second)
		if _, err := l.agent.Unenroll(context.Background(), LeaveRequest{APIKey: sdk.NewSecret(testAPIKey)}, discard); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if n := l.server.Notify(machine, "purchase.created", nil); n != 0 || l.control().State != status.ServiceWaiting {
			t.Errorf("%d sockets after unenroll: %+v", n, l.control())
		}
	})
}

// TestControlRefused: a server that rejects the socket is asked less and less often, and
// the heartbeats continue.
func TestControlRefused(t *testing.T) {
	for name, c := range map[string]struct {
		fault        sandbox.Fault
		state        status.ServiceState
		code         status.Code
		fewest, most uint64
	}{
		"unauthorized":  {sandbox.Fault{Code: "AGENT_AUTH_INVALID"}, status.ServiceRefused, status.CodeControlRejected, 7, 15},
		"no such route": {sandbox.Fault{Status: 404}, status.ServiceFailing, status.CodeControlUnreachable, 25, 65},
		"down":          {sandbox.Fault{Drop: true}, status.ServiceFailing, status.CodeControlUnreachable, 25, 65},
		"busy":          {sandbox.Fault{Status: 503, RetryAfter: "600"}, status.ServiceFailing, status.CodeControlRetryAfter, 2, 3},
		"a redirect":    {sandbox.Fault{Redirect: "https://evil.example"}, status.ServiceFailing, status.CodeControlUnreachable, 25, 65},
		"not a socket":  {sandbox.Fault{Status: 200, Body: "{}"}, status.ServiceFailing, status.CodeControlUnreachable, 25, 65},
		"hung":          {sandbox.Fault{Latency: time.Hour}, status.ServiceFailing, status.CodeControlUnreachable, 25, 65},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLife(t, "demo")
				defer func() { l.close() }()
				log := &logBuffer{}
				l.mustEnroll()
				l.server.SetFault(onPath("/control-socket", c.fault))
				l.reopenWith(func(cfg *config.Config, o *Options) { withControl(&testHook{})(cfg, o); o.LogTo = log })
				token := string(l.agent.beaters["main"].record.Token.Reveal())
				l.start()
				time.Sleep(30 * time.Minute)
				s := l.control()
				attempts := s.Connections["failed"] + s.Connections["refused"]
				if s.State != c.state || status.CodeOf(s.Cause) != c.code || attempts < c.fewest || attempts > c.most {
					t.Errorf("%d attempts; %+v", attempts, s)
				}
				if n := log.count(c.code); n != 1 {
					t.Errorf("said %d times:\n%s", n, log)
				}
				if strings.Contains(log.String(), token) {
					t.Error("the token is in the log")
				}
				l.want(status.Online, "")
				l.server.SetFault(nil)
				time.Sleep(16 * time.Minute)
				if s := l.control(); s.State != status.ServiceOnline || s.Cause != nil {
					t.Errorf("not recovered: %+v", s)
				}
			})
		})
	}
}

// TestControlUnsteadyServer: a server that closes each socket at once is connected to
// about once a minute, not in a loop.
func TestControlUnsteadyServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &testHook{}
		l, _ := controlLife(t, h)
		defer func() { l.close() }()
		done := make(chan struct{})
		go func() {
			defer close(done)
			for range 30 * 60 {
				l.server.CloseSockets()
				time.Sleep(time.Second)
			}
		}()
		<-done
		if n := l.control().Connections["connected"]; n < 20 || n > 65 {
			t.Errorf("%d connections in half an hour", n)
		}
	})
}

// TestControlKeepsTheTokenBack: a server that sends the token in a message does not get
// it to a hook, a file or the log.
func TestControlKeepsTheTokenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &testHook{}
		l := newLife(t, "demo")
		defer func() { l.close() }()
		log := &logBuffer{}
		machine := l.mustEnroll().MachineID
		l.reopenWith(func(c *config.Config, o *Options) { withControl(h)(c, o); o.LogTo = log })
		token := string(l.agent.beaters["main"].record.Token.Reveal())
		l.start()
		time.Sleep(time.Minute)
		l.server.Notify(machine, "purchase.created", map[string]any{"purchaseId": "p", "echo": token})
		l.server.Notify(machine, token, map[string]any{"purchaseId": "p"})
		l.server.Notify(machine, "purchase.created", map[string]any{"purchaseId": "p", token: 1})
		l.server.Notify(machine, "purchase.created", map[string]any{"purchaseId": "fine"})
		time.Sleep(time.Second)
		if c := l.control(); c.Messages["rejected"] != 3 || c.Messages["queued"] != 1 {
			t.Errorf("%v", c.Messages)
		}
		if strings.Contains(fmt.Sprint(h.all), token) || strings.Contains(log.String(), token) {
			t.Error("the token got out")
		}
		view, err := json.Marshal(l.agent.View())
		if err != nil || bytes.Contains(view, []byte(token)) {
			t.Errorf("the token is in the status, %v", err)
		}
	})
}

func TestHolds(t *testing.T) {
	const secret = "tok-secret"
	for text, want := range map[string]bool{
		`{"a":"tok-secret"}`: true, `{"a":"xtok-secretx"}`: true, `{"tok-secret":1}`: true, `["tok\u002dsecret"]`: true,
		`{"\u0074ok-secret":1}`: true, `{"a":["b",{"c":"\u0074\u006fk-secret"}]}`: true,
		`{"a":"tok-secre"}`: false, `{"a":"\u0074ok"}`: false, `{}`: false, `{"a":"\ud800"}`: false,
	} {
		if got := holds([]byte(text), []byte(secret)); got != want {
			t.Errorf("%s: %t", text, got)
		}
	}
	if holds([]byte(`{}`), nil) {
		t.Error("no secret is in everything")
	}
}

func FuzzControlMessage(f *testing.F) {
	for _, text := range []string{
		`{"type":"purchase.created","payload":{"purchaseId":"p"}}`, `{"payload":7}`, `{"payload":{"purchaseId":7}}`, `[]`, `{"type":"\ud800"}`,
		`{"type":"purchase.payment_proof.recorded","payload":{"purchaseId":"p","reference":"r"}}`, "{\"type\":\"\xff\"}",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if lane := laneOf(raw); len(lane) > maxPurchaseID {
			t.Errorf("a lane of %d bytes", len(lane))
		}
		_ = keyOf(sdk.NotifyPaymentProofRecorded, raw)
		if bytes.Contains(raw, []byte("canary")) && !holds(raw, []byte("canary")) {
			t.Error("a secret was not found")
		}
	})
}

func TestPace(t *testing.T) {
	var p pace
	now, waits, total := time.Now(), 0, time.Duration(0)
	for range 2 * paceBurst {
		if wait := p.take(now, 1); wait > 0 {
			waits++
			total += wait
			now = now.Add(wait)
		}
	}
	if waits < paceBurst-1 || total < 20*time.Second {
		t.Errorf("%d of %d messages waited, %s in all", waits, 2*paceBurst, total)
	}
	if p.take(now.Add(time.Hour), 1) != 0 {
		t.Error("an hour of silence is not a burst")
	}
	large, now := pace{}, time.Now()
	for range 8 {
		if large.take(now, costOf(nil)) != 0 {
			t.Error("eight of the largest messages wait")
		}
	}
	if wait := large.take(now, costOf(nil)); wait != 3200*time.Millisecond {
		t.Errorf("the ninth waits %s", wait)
	}
}

// TestResetForgetsTheQueue: what was received for a deleted identity is not delivered.
func TestResetForgetsTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &testHook{respond: func(string) (int, error) { return 503, nil }}
		l, machine := controlLife(t, h)
		defer func() { l.close() }()
		l.server.Notify(machine, "purchase.created", map[string]any{"purchaseId": "p"})
		time.Sleep(time.Second)
		if l.control().Queued != 1 {
			t.Fatalf("%+v", l.control())
		}
		if _, err := l.agent.ResetIdentity(t.Context(), ResetRequest{Confirmed: true}, discard); err != nil {
			t.Fatal(err)
		}
		time.Sleep(30 * time.Second)
		q, err := openQueue(filepath.Join(l.cfg.Keystore.Dir, "control", "main.queue"), l.cfg.Control.Hooks)
		if err != nil || l.control().Queued != 0 || len(q.entries) != 0 {
			t.Errorf("%d are left, %+v, %v", len(q.entries), l.control(), err)
		}
		_ = q.close()
	})
}
