package telemetry

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/peaqnetwork/peaqos-agent/agent/config"
	"github.com/peaqnetwork/peaqos-agent/agent/status"
)

const (
	// rebindInterval is the time between two attempts to bind an address that is in use.
	rebindInterval = 30 * time.Second
	// shutdownGrace is how long responses in progress may take when the server stops.
	shutdownGrace = 500 * time.Millisecond
	// headerTimeout is how long a request's headers may take. It is short because
	// every client is on this machine or close to it.
	headerTimeout = 2 * time.Second
	// maxConnections is far above what scrapers and people need.
	maxConnections = 64
)

// Server is the agent's one HTTP listener: /metrics, /healthz, /readyz, /status
// and the page. It only reads the state. The daemon binds it first and closes it
// last, so that it can always report why the agent is not ready. An address that
// is in use is recorded in the state and retried; nothing else waits for it.
type Server struct {
	cfg            config.Telemetry
	storeDir       string
	state          *status.Tracker
	loopTimeout    time.Duration // a loop that has not run for this long is stuck
	version        string
	sinceBoot      func() time.Duration
	log            *zap.Logger
	registry       *prometheus.Registry
	rebindInterval time.Duration
	listener       net.Listener // bound, not served yet
	inContainer    bool         // a peer at loopback may be anywhere
	web            *web         // nil: plain HTTP, without passwords
}

// New prepares a server; it binds nothing. A loop that has not run for loopTimeout
// makes /healthz fail. sinceBoot reads the boot clock, which lease ages are
// measured by.
func New(
	cfg *config.Config, state *status.Tracker, loopTimeout time.Duration, version string,
	sinceBoot func() time.Duration, log *zap.Logger,
) *Server {
	s := &Server{
		cfg: cfg.Telemetry, storeDir: cfg.Keystore.Dir, state: state, loopTimeout: loopTimeout, version: version,
		sinceBoot: sinceBoot, log: log, rebindInterval: rebindInterval,
	}
	s.registry = newRegistry(version, s.snapshot)
	state.UpdateProcess(func(p *status.Process) { p.PID = os.Getpid() })
	return s
}

// InContainer tells the server that it runs in a container, where a request over
// loopback may come through a forwarded port. /status and the page are then limited to
// requests of processes that /proc shows. Call it before Serve.
func (s *Server) InContainer() { s.inContainer = true }

func (s *Server) snapshot() status.Snapshot { return s.state.Snapshot(time.Now(), s.sinceBoot()) }

func (s *Server) view() status.View { return status.NewView(s.snapshot(), s.version, s.storeDir) }

func (s *Server) disabled() bool { return s.cfg.Listen == "" || s.cfg.Listen == "off" }

// Bind tries to bind the address and records the result in the state. It does
// nothing when the listener is switched off or bound already.
func (s *Server) Bind() {
	if s.disabled() || s.listener != nil {
		return
	}
	if s.cfg.WebConfigFile != "" && s.web == nil {
		web, err := openWeb(s.cfg, s.log)
		if err != nil {
			s.recordFailure(fmt.Errorf("telemetry.web_config_file cannot be used: %s", status.SanitizeTo(err.Error(), 400)))
			return
		}
		s.web = web
	}
	l, err := listen(s.cfg)
	if err != nil {
		s.recordFailure(err)
		return
	}
	s.listener = l
	address := l.Addr().String()
	s.state.UpdateProcess(func(p *status.Process) { p.Listener, p.ListenerFault = address, "" })
	s.log.Info("telemetry is listening", zap.String("code", string(status.CodeTelemetryListening)), zap.String("address", address))
}

// recordFailure records why there is no listener, and logs it once per reason.
func (s *Server) recordFailure(err error) {
	changed := false
	s.state.UpdateProcess(func(p *status.Process) {
		changed = p.ListenerFault != err.Error()
		p.Listener, p.ListenerFault = "", err.Error()
	})
	if changed {
		s.log.Warn("telemetry unavailable; trying again, nothing else is affected",
			zap.String("code", string(status.CodeTelemetryPort)), zap.String("why", err.Error()), zap.Duration("again_in", s.rebindInterval))
	}
}

// Serve responds to requests until the context ends, then gives responses in
// progress half a second to finish. Without a listener it tries to bind one every
// 30 s; while it has one, no timer runs. It returns at once when the listener is
// switched off.
func (s *Server) Serve(ctx context.Context) {
	if s.disabled() {
		return
	}
	for {
		if s.listener != nil {
			s.serveListener(ctx, s.listener)
			s.listener = nil
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(s.rebindInterval):
			s.Bind()
		}
	}
}

// serveListener serves one listener until the context ends or the listener fails.
func (s *Server) serveListener(ctx context.Context, l net.Listener) {
	l = newLimitedListener(l, maxConnections)
	errorLog := zap.NewStdLog(s.log)
	if s.web != nil {
		l = s.web.listener(l)
		// Anyone who connects without TLS would write a line.
		errorLog, _ = zap.NewStdLogAt(s.log, zap.DebugLevel) // fails for an unknown level only
	}
	server := &http.Server{
		Handler: s.handler(), ErrorLog: errorLog,
		ReadHeaderTimeout: headerTimeout, ReadTimeout: 10 * time.Second, WriteTimeout: 15 * time.Second,
		IdleTimeout: 90 * time.Second, MaxHeaderBytes: 8 << 10,
	}
	ctx, cancel := context.WithCancel(ctx)
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		<-ctx.Done()
		grace, done := context.WithTimeout(context.WithoutCancel(ctx), shutdownGrace)
		defer done()
		_ = server.Shutdown(grace)
		_ = server.Close()
	}()
	err := server.Serve(l)
	cancel()
	<-closed
	if !errors.Is(err, http.ErrServerClosed) {
		s.recordFailure(&listenError{Address: s.cfg.Listen, Err: err})
	}
}
