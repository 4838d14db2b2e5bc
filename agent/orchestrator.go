package agent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	standard "log"
	"mime"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/peaqnetwork/peaqos-agent/agent/config"
	"github.com/peaqnetwork/peaqos-agent/agent/connect"
	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/keystore"
	"github.com/peaqnetwork/peaqos-agent/sdk"
)

// newTransport is how the daemon connects to the orchestrator. It opens no file and no
// connection yet: what is missing is the result of the first request. log receives what
// the transport learns.
func newTransport(cfg *config.Config, log *zap.Logger) *connect.Transport {
	o := cfg.Orchestrator
	return connect.New(connect.Options{
		CAFile: o.CAFile, ClientCertFile: o.ClientCertFile, ClientKeyFile: o.ClientKeyFile, ReadSecret: keystore.ReadSecretFile,
		SmallHello: cfg.Network.Metered, MaxIdle: 2 * config.MaxInterval,
		Notify: func(e connect.Event) { logConnection(log, e) },
	})
}

// logConnection logs what the transport learned.
func logConnection(log *zap.Logger, e connect.Event) {
	host := zap.String("host", e.Host)
	switch e.Kind {
	case connect.FilesRead:
		logEvent(log.Info, status.CodeTrustRead, host)
	case connect.FilesKept:
		log.Error(status.Lookup(status.CodeTrustKept).What+": "+status.Sanitize(e.Err.Error()), code(status.CodeTrustKept), host)
	case connect.SmallHello:
		logEvent(log.Warn, status.CodeSmallHello, host)
	case connect.ReuseLimit:
		logEvent(log.Info, status.CodeReuseLimit, host, zap.String("after", e.Limit.Round(time.Second).String()))
	}
}

// takeStandardLog makes the process's standard logger drop its text until the returned
// function is called: net/http writes foreign bytes to it, which may hold a secret. One
// event with the host takes its place. Only the connection to the orchestrator is kept
// open, so such bytes come from its host.
func (a *Agent) takeStandardLog() (restore func()) {
	previous, flags := standard.Writer(), standard.Flags()
	standard.SetFlags(0)
	standard.SetOutput(writerFunc(func(text []byte) {
		if bytes.Contains(text, []byte("Unsolicited response received on idle HTTP channel")) {
			logEvent(a.log.Warn, status.CodeForeignBytes, zap.String("host", a.origin))
			return
		}
		logEvent(a.log.Warn, status.CodeLibraryLog)
	}))
	return func() {
		standard.SetOutput(previous)
		standard.SetFlags(flags)
	}
}

// writerFunc is a function as a writer that takes everything.
type writerFunc func([]byte)

func (f writerFunc) Write(b []byte) (int, error) {
	f(b)
	return len(b), nil
}

// callLimit bounds one call of a command or of enroll.auto; a heartbeat has a shorter
// limit.
const callLimit = time.Minute

// api makes a client of the configured orchestrator that counts what it sends;
// key may be zero, as the daemon's always is.
func (a *Agent) api(cfg *config.Config, transport http.RoundTripper, key sdk.Secret) (*sdk.Client, error) {
	return newClient(cfg, transport, a.opts.Version, key, sdk.WithMiddleware(countRequests(a.state)))
}

// NewClient makes a client of the configured orchestrator for a command that needs no
// store. It connects as the daemon does.
func NewClient(cfg *config.Config, version string, key sdk.Secret) (*sdk.Client, error) {
	return newClient(cfg, newTransport(cfg, zap.NewNop()), version, key)
}

func newClient(cfg *config.Config, transport http.RoundTripper, version string, key sdk.Secret, more ...sdk.Option) (*sdk.Client, error) {
	if own, ok := transport.(interface{ Once() http.RoundTripper }); ok && !key.IsZero() {
		transport = own.Once() // responses to a command may hold a token
	}
	opts := append(more, sdk.WithHTTPClient(&http.Client{Transport: transport, Timeout: callLimit}), sdk.WithUserAgent("peaqos-agent/"+version),
		sdk.WithMaxBody(1<<20)) // a page of 500 agents is a tenth of it
	if !key.IsZero() {
		opts = append(opts, sdk.WithAPIKey(key))
	}
	if cfg.Orchestrator.IdentityRefs != "decimal" {
		opts = append(opts, sdk.WithLegacyIdentityRefs())
	}
	return sdk.New(cfg.Orchestrator.URL, opts...)
}

// trustedForSigning refuses an origin whose responses could be altered on the network:
// what is to be signed comes over verified TLS, or from this machine.
func trustedForSigning(origin string) error {
	u, err := url.Parse(origin)
	if err == nil && (u.Scheme == "https" || config.IsLoopbackHost(u.Hostname())) {
		return nil
	}
	return fmt.Errorf("%w: the challenge would come over plain http from %s, where it could be altered on the way", errRefused, origin)
}

// calls are the two operations of the API that the daemon uses.
type calls struct {
	heartbeat func(context.Context, sdk.Heartbeat) (*sdk.HeartbeatResult, error)
	health    func(context.Context) error
}

// calls returns the daemon's operations, without an API key: it has none. A heartbeat
// is idempotent, so one whose connection was dead may be sent again.
func (a *Agent) calls(cfg *config.Config, transport http.RoundTripper) (calls, error) {
	client, err := a.api(cfg, transport, sdk.Secret{})
	if err != nil {
		return calls{}, err
	}
	return calls{
		heartbeat: func(ctx context.Context, beat sdk.Heartbeat) (*sdk.HeartbeatResult, error) {
			return client.MachineAgents.Heartbeat(connect.Repeatable(ctx), beat)
		},
		health: func(ctx context.Context) error {
			return health(connect.Repeatable(ctx), client, transport, cfg.Orchestrator.URL)
		},
	}, nil
}

// health asks the orchestrator whether it is available. The API reference puts the
// path at the root, its clients below the API's prefix (contract §1.1): so a 404 there
// is followed by a request to the root, which is the base URL with its path.
func health(ctx context.Context, client *sdk.Client, transport http.RoundTripper, base string) error {
	err := client.Observability.Health(ctx)
	var api *sdk.APIError
	if errors.As(err, &api) && api.StatusCode == http.StatusNotFound && healthAtRoot(ctx, transport, base) {
		return nil
	}
	return err
}

// healthAtRoot reports whether GET /health of the base URL answers 2xx in JSON.
func healthAtRoot(ctx context.Context, transport http.RoundTripper, base string) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/health", nil)
	if err != nil {
		return false
	}
	res, err := transport.RoundTrip(req) // follows no redirect
	if err != nil {
		return false
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, probeBody)) // so that the connection can be reused
	kind, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
	return res.StatusCode >= 200 && res.StatusCode <= 299 && kind == "application/json"
}

// originOf returns the scheme://host[:port] of a base URL, in lower case and without a
// default port: a record is bound to it.
func originOf(base string) (string, error) {
	u, err := url.Parse(base)
	if err != nil || u.Host == "" {
		return "", errors.New("not a URL with a host")
	}
	host, port := strings.ToLower(u.Hostname()), u.Port()
	if (u.Scheme == "https" && port == "443") || (u.Scheme == "http" && port == "80") {
		port = ""
	}
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if port != "" {
		host += ":" + port
	}
	return fmt.Sprintf("%s://%s", strings.ToLower(u.Scheme), host), nil
}

// defaultRuntimeProfile is linux-docker in a container and linux-native elsewhere.
func defaultRuntimeProfile() string {
	for _, f := range []string{"/.dockerenv", "/run/.containerenv"} {
		if _, err := os.Stat(f); err == nil {
			return "linux-docker"
		}
	}
	if os.Getenv("KUBERNETES_SERVICE_HOST") != "" {
		return "linux-docker"
	}
	return "linux-native"
}
