package telemetry

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.uber.org/zap"

	"github.com/peaqnetwork/peaqos-agent/agent/config"
	"github.com/peaqnetwork/peaqos-agent/agent/status"
)

const (
	// rebindEvery is how often a port that was taken is tried again.
	rebindEvery = 30 * time.Second
	// farewell is how long answers that are under way may take at the end.
	farewell = 500 * time.Millisecond
	// maxConnections is far above what scrapers and people need.
	maxConnections = 64
)

// Telemetry is the one listener: /metrics, /healthz, /readyz, /status and the
// page. It only reads the state. It is bound first and closed last, so that it
// can say why the agent is not ready; a port that is taken is told in the state
// and tried again, and stops nothing else.
type Server struct {
	cfg        config.Telemetry
	storeDir   string
	state      *status.Tracker
	stuckAfter time.Duration // a loop that has not run for this long is stuck
	version    string
	boot       func() time.Duration
	log        *zap.Logger
	registry   *prometheus.Registry
	retry      time.Duration
	listener   net.Listener // bound, and not yet served
}

// NewTelemetry prepares the listener and binds nothing yet.
func New(cfg *config.Config, state *status.Tracker, stuckAfter time.Duration, version string, boot func() time.Duration, log *zap.Logger) *Server {
	t := &Server{
		cfg: cfg.Telemetry, storeDir: cfg.Keystore.Dir, state: state, stuckAfter: stuckAfter, version: version,
		boot: boot, log: log, retry: rebindEvery,
	}
	t.registry = newRegistry(version, t.snapshot)
	state.UpdateProcess(func(a *status.Process) { a.PID = os.Getpid() })
	return t
}

func (t *Server) snapshot() status.Snapshot { return t.state.Snapshot(time.Now(), t.boot()) }

func (t *Server) view() status.View { return status.NewView(t.snapshot(), t.version, t.storeDir) }

func (t *Server) off() bool { return t.cfg.Listen == "" || t.cfg.Listen == "off" }

// Bind tries to take the address. What came of it stands in the state.
func (t *Server) Bind() {
	if t.off() || t.listener != nil {
		return
	}
	l, err := Listen(t.cfg)
	if err != nil {
		t.fault(err)
		return
	}
	t.listener = l
	address := l.Addr().String()
	t.state.UpdateProcess(func(a *status.Process) { a.Listener, a.ListenerFault = address, "" })
	t.log.Info("telemetry listens", zap.String("code", "telemetry_listening"), zap.String("address", address))
}

// fault records why there is no listener, and logs it when it is news.
func (t *Server) fault(err error) {
	news := false
	t.state.UpdateProcess(func(a *status.Process) {
		news = a.ListenerFault != err.Error()
		a.Listener, a.ListenerFault = "", err.Error()
	})
	if news {
		t.log.Warn("no telemetry; the port is tried again and nothing else waits for it",
			zap.String("code", "telemetry_port"), zap.String("why", err.Error()), zap.Duration("again_in", t.retry))
	}
}

// Serve answers until the context ends, then lets answers under way finish for
// half a second. A listener that is switched off has nothing to serve.
func (t *Server) Serve(ctx context.Context) {
	if t.off() {
		return
	}
	timer := time.NewTimer(t.retry)
	defer timer.Stop()
	for {
		if t.listener != nil {
			t.serve(ctx, t.listener)
			t.listener = nil
		}
		timer.Reset(t.retry)
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
			t.Bind()
		}
	}
}

// serve answers on one listener until the context ends or the listener breaks.
func (t *Server) serve(ctx context.Context, l net.Listener) {
	server := &http.Server{
		Handler: t.handler(), ErrorLog: zap.NewStdLog(t.log),
		ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 15 * time.Second,
		IdleTimeout: 90 * time.Second, MaxHeaderBytes: 8 << 10,
	}
	ctx, cancel := context.WithCancel(ctx)
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		<-ctx.Done()
		grace, done := context.WithTimeout(context.WithoutCancel(ctx), farewell)
		defer done()
		_ = server.Shutdown(grace)
		_ = server.Close()
	}()
	err := server.Serve(newLimitedListener(l, maxConnections))
	cancel()
	<-closed
	if !errors.Is(err, http.ErrServerClosed) {
		t.fault(&ListenError{Address: t.cfg.Listen, Err: err})
	}
}

// handler is the whole surface: five read-only paths.
func (t *Server) handler() http.Handler {
	page := newPage()
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(t.registry, promhttp.HandlerOpts{
		ErrorLog: zap.NewStdLog(t.log), ErrorHandling: promhttp.ContinueOnError, MaxRequestsInFlight: 4,
	}))
	mux.HandleFunc("GET /healthz", t.serveHealth)
	mux.HandleFunc("GET /readyz", t.serveReady)
	mux.Handle("GET /status", onlyLocal(http.HandlerFunc(t.serveStatus)))
	mux.Handle("GET /{$}", onlyLocal(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { page.serve(w, t.view()) })))
	return t.recovered(hardened(checkedHost(t.cfg.Listen, mux)))
}
