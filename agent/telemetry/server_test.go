package telemetry

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/peaqnetwork/peaqos-agent/agent/config"
	"github.com/peaqnetwork/peaqos-agent/agent/status"
)

// service is a real server on loopback, over a state that the test changes.
type service struct {
	*Server
	t      *testing.T
	stop   func() // ends Serve and waits for it
	boot   time.Duration
	logged chan string // messages of the log, in order
}

func newService(t *testing.T, listen string) *service {
	t.Helper()
	endpoint := config.Endpoint{ProviderKey: "qvac", BaseURL: "http://127.0.0.1:11434", NetworkScope: "loopback"}
	cfg := &config.Config{
		Machines:  []config.Machine{{Name: "main", ID: "mach_1", Endpoints: []config.Endpoint{endpoint}}},
		Keystore:  config.Keystore{Dir: "/var/lib/peaqos-agent"},
		Telemetry: config.Telemetry{Listen: listen},
	}
	s := &service{t: t, boot: time.Hour, logged: make(chan string, 100)}
	state := status.NewTracker(cfg, time.Now())
	core := zapcore.NewCore(zapcore.NewJSONEncoder(zapcore.EncoderConfig{}), zapcore.AddSync(io.Discard), zap.InfoLevel)
	log := zap.New(core, zap.Hooks(func(e zapcore.Entry) error {
		s.logged <- e.Message
		return nil
	}))
	s.Server = New(cfg, state, time.Minute, "1.2.3", func() time.Duration { return s.boot }, log)
	s.rebindInterval = 5 * time.Millisecond
	return s
}

// serve binds and serves until the test, or stop, ends it.
func (s *service) serve() *service {
	s.t.Helper()
	s.Bind()
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { s.Serve(ctx) })
	s.stop = sync.OnceFunc(func() { cancel(); wg.Wait() })
	s.t.Cleanup(s.stop)
	return s
}

func (s *service) address() string { return s.snapshot().Process.Listener }

// awaitLog waits until the server logs a message.
func (s *service) awaitLog(message string) {
	s.t.Helper()
	timeout := time.After(10 * time.Second)
	for {
		select {
		case got := <-s.logged:
			if got == message {
				return
			}
		case <-timeout:
			s.t.Fatalf("timed out waiting for the log message %q", message)
		}
	}
}

// live makes the only endpoint up and published.
func (s *service) live() {
	s.state.Update("main", func(m *status.Machine) {
		m.SetState(status.Online, nil, time.Now())
		e := &m.Endpoints[0]
		e.Up, e.Probed, e.ProbedAt, e.ProbeResult = true, true, time.Now(), "success"
		e.Published, e.AcceptedAt, e.Lease = true, s.boot, 90*time.Second
	})
}

// response is an HTTP response that was read to its end.
type response struct {
	status int
	header http.Header
	body   string
}

// do sends one request over a connection of its own; change may be nil.
func (s *service) do(method, path string, change func(*http.Request)) response {
	s.t.Helper()
	req, err := http.NewRequest(method, "http://"+s.address()+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	if change != nil {
		change(req)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
	res, err := client.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return response{res.StatusCode, res.Header, string(body)}
}

func (s *service) get(path string) response { s.t.Helper(); return s.do("GET", path, nil) }

// TestPortInUseIsRetried: a port in use is recorded in the state, and the server
// starts by itself once the port is free.
func TestPortInUseIsRetried(t *testing.T) {
	holder := hold(t, "127.0.0.1:0")
	s := newService(t, holder.Addr().String()).serve()
	if p := s.snapshot().Process; p.Listener != "" || !strings.Contains(p.ListenerFault, "taken by this process") {
		t.Fatalf("listener %q, fault %q", p.Listener, p.ListenerFault)
	}
	if r := status.Ready(s.snapshot()); r.Reasons[0].Code != "telemetry_port" {
		t.Errorf("readiness does not report it: %+v", r)
	}
	_ = holder.Close()
	s.awaitLog("telemetry is listening")
	if got := s.get("/healthz"); got.status != 200 || s.snapshot().Process.ListenerFault != "" {
		t.Errorf("%d, fault %q", got.status, s.snapshot().Process.ListenerFault)
	}
}

// TestFailedListenerIsReplaced: a listener that fails is recorded in the state and
// bound again.
func TestFailedListenerIsReplaced(t *testing.T) {
	s := newService(t, "127.0.0.1:0")
	s.Bind()
	s.awaitLog("telemetry is listening")
	_ = s.listener.Close() // as if the kernel had closed it
	s.serve()
	s.awaitLog("telemetry unavailable; trying again, nothing else is affected")
	s.awaitLog("telemetry is listening")
	if got := s.get("/healthz"); got.status != 200 {
		t.Errorf("%d", got.status)
	}
}

// TestShutdown: a connection without a request does not delay the stop, and the
// port is free afterwards.
func TestShutdown(t *testing.T) {
	s := newService(t, "127.0.0.1:0").serve()
	address := s.address()
	idle, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer idle.Close()
	began := time.Now()
	s.stop()
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("the stop took %v", took)
	}
	hold(t, address)
}

func TestListenerSwitchedOff(t *testing.T) {
	for _, listen := range []string{"", "off"} {
		s := newService(t, listen)
		s.Bind()
		s.Serve(context.Background()) // returns at once
		if p := s.snapshot().Process; p.Listener != "" || p.ListenerFault != "" {
			t.Errorf("%q: listener %q, fault %q", listen, p.Listener, p.ListenerFault)
		}
	}
}
