package agent

import (
	"context"
	"crypto/tls"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/peaqnetwork/peaqos-agent/agent/config"
	"github.com/peaqnetwork/peaqos-agent/agent/connect"
	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/sdk"
)

// Reach is how far this machine came on its way to the orchestrator, with one request for
// its health.
type Reach struct {
	// Stage is where the request ended; connect.StageResponse when there was a response.
	Stage   connect.Stage
	Unsent  bool          // the request could not even begin: a file or a proxy variable
	Cause   *status.Cause // nil: the orchestrator is available
	Host    string        // of the URL, with its port
	Address string        // that the connection went to; the proxy's when there is one
	Proxy   string        // host and port; empty without one
	TLS     string        // the version; empty without TLS
	// Skew is by how much our clock is ahead of the orchestrator's, in whole seconds.
	Skew      time.Duration
	SkewKnown bool
	// ClockSynced reports whether the system says that its clock is synchronized; nil when
	// it says nothing.
	ClockSynced *bool
}

// AskHealth asks the orchestrator for its health as the daemon does, without credentials,
// and reports how far the request came. It makes one connection and keeps none.
func AskHealth(ctx context.Context, cfg *config.Config, version string) Reach {
	var out Reach
	synced, known := clockSynced()
	if known {
		out.ClockSynced = &synced
	}
	transport := newTransport(cfg, zap.NewNop())
	defer transport.CloseIdleConnections()
	if u, err := url.Parse(cfg.Orchestrator.URL); err == nil {
		out.Host, out.Proxy = transport.Route(u)
	}
	seen := &datedTransport{RoundTripper: transport}
	client, err := newClient(cfg, seen, version, sdk.Secret{})
	if err != nil {
		out.Unsent, out.Cause = true, status.NewCause(status.CodeOrchestratorURL, status.Sanitize(err.Error()))
		return out
	}
	began := time.Now()
	err = health(seen.traced(ctx), client, seen, cfg.Orchestrator.URL)
	ended := time.Now()
	v := judgeHealth(err, ended).withClock(known && synced)
	out.Stage, out.Cause = connect.StageResponse, v.cause
	var date time.Time
	out.Address, out.TLS, date = seen.result()
	place := placeOf(err)
	switch {
	case v.kind == accepted:
		if !date.IsZero() {
			out.Skew, out.SkewKnown = skewOf(began, ended, date), true
		}
	case place != nil:
		out.Stage = place.Stage
	case v.cause != nil && isUnsent(v.cause.Code):
		out.Unsent = true
	}
	return out
}

// isUnsent reports whether a request with this cause never left.
func isUnsent(code status.Code) bool {
	return code == status.CodeCAFile || code == status.CodeClientCertFile || code == status.CodeProxyVariable
}

// datedTransport keeps what the last connection and response tell about the other side.
type datedTransport struct {
	http.RoundTripper

	mu      sync.Mutex // a request may be sent in two attempts at once
	address string
	version string // of TLS
	date    time.Time
}

// RoundTrip notes the Date of the response.
func (d *datedTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := d.RoundTripper.RoundTrip(req)
	if err == nil {
		date, _ := http.ParseTime(res.Header.Get("Date"))
		d.note(func() { d.date = date })
	}
	return res, err
}

// traced returns a context whose requests note the connection that they use.
func (d *datedTransport) traced(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) {
			d.note(func() { d.address = info.Conn.RemoteAddr().String() })
		},
		TLSHandshakeDone: func(state tls.ConnectionState, err error) {
			if err == nil {
				d.note(func() { d.version = tls.VersionName(state.Version) })
			}
		},
	})
}

func (d *datedTransport) note(f func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f()
}

func (d *datedTransport) result() (address, version string, date time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.address, d.version, d.date
}
