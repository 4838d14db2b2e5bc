package agent

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/peaqnetwork/peaqos-agent/agent/config"
	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/sdk"
)

// newTransport is how the daemon connects to the orchestrator: HTTP/1.1 over one
// persistent connection, TLS 1.2 and newer, resumed sessions, and no TCP keep-alive
// probes, which would cost a mobile link more than the heartbeats do. The proxy is
// set by the usual environment variables.
func newTransport(o config.Orchestrator) (*http.Transport, error) {
	roots, err := rootsWith(o.CAFile)
	if err != nil {
		return nil, err
	}
	dialer := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: -1}
	return &http.Transport{
		Proxy: http.ProxyFromEnvironment,
		OnProxyConnectResponse: func(_ context.Context, _ *url.URL, _ *http.Request, res *http.Response) error {
			if res.StatusCode != http.StatusOK {
				return &proxyRefusal{res.StatusCode}
			}
			return nil
		},
		DialContext:         dialer.DialContext,
		TLSHandshakeTimeout: 10 * time.Second,
		TLSClientConfig: &tls.Config{
			MinVersion: tls.VersionTLS12, RootCAs: roots, ClientSessionCache: tls.NewLRUClientSessionCache(4),
		},
		TLSNextProto:           map[string]func(string, *tls.Conn) http.RoundTripper{}, // HTTP/1.1 only
		DisableCompression:     true,                                                   // responses are small
		MaxIdleConns:           2,
		IdleConnTimeout:        2 * config.MaxInterval,
		MaxResponseHeaderBytes: 64 << 10,
	}, nil
}

// proxyRefusal is a proxy's response to CONNECT, when that is not 200.
type proxyRefusal struct{ status int }

func (e *proxyRefusal) Error() string {
	return fmt.Sprintf("the proxy refused the connection: HTTP %d", e.status)
}

// callLimit bounds one call of a command or of enroll.auto; a heartbeat has a shorter
// limit.
const callLimit = time.Minute

// rootsWith returns the system's CA certificates and those of one more file; nil means
// the system's only.
func rootsWith(caFile string) (*x509.CertPool, error) {
	if caFile == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(caFile)
	if err != nil {
		return nil, status.NewProblem(status.CodeCAFile, err.Error())
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, status.NewProblem(status.CodeCAFile, caFile+" contains no certificate")
	}
	return pool, nil
}

// api makes a client of the configured orchestrator that counts what it sends;
// key may be zero, as the daemon's always is.
func (a *Agent) api(cfg *config.Config, transport http.RoundTripper, key sdk.Secret) (*sdk.Client, error) {
	return newClient(cfg, transport, a.opts.Version, key, sdk.WithMiddleware(countRequests(a.state)))
}

// NewClient makes a client of the configured orchestrator for a command that needs no
// store. It connects as the daemon does.
func NewClient(cfg *config.Config, version string, key sdk.Secret) (*sdk.Client, error) {
	transport, err := newTransport(cfg.Orchestrator)
	if err != nil {
		return nil, err
	}
	return newClient(cfg, transport, version, key)
}

func newClient(cfg *config.Config, transport http.RoundTripper, version string, key sdk.Secret, more ...sdk.Option) (*sdk.Client, error) {
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

// calls returns the daemon's operations, without an API key: it has none.
func (a *Agent) calls(cfg *config.Config, transport http.RoundTripper) (calls, error) {
	client, err := a.api(cfg, transport, sdk.Secret{})
	if err != nil {
		return calls{}, err
	}
	return calls{client.MachineAgents.Heartbeat, client.Observability.Health}, nil
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
