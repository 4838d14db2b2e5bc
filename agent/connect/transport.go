package connect

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"sync"
	"time"
)

// Options say how to connect. The zero value connects with the system's roots, resolver
// and environment.
type Options struct {
	CAFile         string // more root certificates
	ClientCertFile string // both or none
	ClientKeyFile  string
	// SmallHello never sends the post-quantum key share, which makes the first packet
	// of a connection 1.2 KB larger.
	SmallHello bool
	// MaxIdle is the longest time for which an idle connection is kept.
	MaxIdle time.Duration
	// ReadSecret reads ClientKeyFile; nil reads it without checking its mode.
	ReadSecret func(path string) ([]byte, error)
	// Notify receives what is worth a line in the log. It must not block.
	Notify func(Event)

	// For tests; nil is the real thing.
	Getenv func(string) string
	Proxy  func(*http.Request) (*url.URL, error)
	Lookup func(ctx context.Context, network, host string) ([]netip.Addr, error)
	Dial   func(ctx context.Context, network, address string) (net.Conn, error)
}

// EventKind says what an [Event] is about.
type EventKind int

const (
	FilesKept  EventKind = iota // a file has changed and cannot be used; its previous content stays in use
	FilesRead                   // a file has changed and was read again
	SmallHello                  // the post-quantum key share is not sent any more on this network
	ReuseLimit                  // idle connections are not used again after Limit
)

// Event is something that the transport learned.
type Event struct {
	Kind  EventKind
	Err   error         // of FilesKept
	Limit time.Duration // of ReuseLimit
	Host  string
}

// Transport is how the agent reaches one orchestrator: HTTP/1.1, TLS 1.2 and newer,
// resumed sessions, one persistent connection, no TCP keep-alive probes, which would
// cost a mobile link more than the heartbeats do.
type Transport struct {
	o       Options
	dialer  *dialer
	choose  func(*http.Request) (*url.URL, error)
	proxies map[string]Proxies // by scheme
	reuse   reuse

	mu      sync.Mutex
	states  [3]fileState // of the files when they were read last
	fault   error        // why they cannot be used
	current *generation
	small   map[netip.Addr]bool // addresses of this machine where the large hello is lost
	noSmall time.Time           // when the small one did not help either
}

// generation is the connections that were made with one content of the files.
type generation struct {
	roots      bool                     // there is a file of roots
	client     bool                     // there is a client certificate
	kept, once map[bool]*http.Transport // by the size of the hello: true is small
	make       func(small, once bool) *http.Transport
	mu         sync.Mutex
}

// New returns a transport. It opens no connection and fails for no file: that is the
// result of the first request, see [Transport.Check].
func New(o Options) *Transport {
	if o.Getenv == nil {
		o.Getenv = os.Getenv
	}
	if o.Notify == nil {
		o.Notify = func(Event) {}
	}
	t := &Transport{o: o, dialer: newDialer(o), choose: o.Proxy, small: map[netip.Addr]bool{}}
	if t.choose == nil {
		t.choose = http.ProxyFromEnvironment
		t.proxies = map[string]Proxies{"http": ReadProxies("http", o.Getenv), "https": ReadProxies("https", o.Getenv)}
	}
	return t
}

// Check reads the files and the environment for one URL, without a connection. Its
// errors are *[FileError] and *[ProxyError].
func (t *Transport) Check(u *url.URL) error {
	if err := t.proxyFault(u); err != nil {
		return err
	}
	return t.CheckFiles()
}

// CheckFiles is the part of [Transport.Check] that needs no URL.
func (t *Transport) CheckFiles() error {
	_, err := t.o.read()
	return err
}

// proxyFault is the variable that would have to be used for a URL and cannot be.
func (t *Transport) proxyFault(u *url.URL) error {
	if p := t.proxies[u.Scheme]; p.Unusable != nil && !isLoopback(u.Hostname()) {
		return p.Unusable
	}
	return nil
}

// Route is where a request for a URL goes: its host with the port, and the host and port
// of the proxy, empty without one.
func (t *Transport) Route(u *url.URL) (host, proxy string) {
	return hostPort(u), proxyOf(&http.Request{URL: u}, t.choose)
}

// CloseIdleConnections closes the connections that are not in use.
func (t *Transport) CloseIdleConnections() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.current != nil {
		t.current.closeIdle()
	}
}

// Once returns a transport like t whose every request has a connection of its own, for
// exchanges with a one-time secret: nothing else is read from that connection, and what
// is on it is never repeated.
func (t *Transport) Once() http.RoundTripper { return once{t} }

type once struct{ t *Transport }

func (o once) RoundTrip(req *http.Request) (*http.Response, error) { return o.t.roundTrip(req, true) }

// RoundTrip sends a request. One that has [http.Request.Close] set gets a connection of
// its own; one that is marked by [Repeatable] is sent again if its connection turns out
// to be dead.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	return t.roundTrip(req, req.Close)
}

func (t *Transport) roundTrip(req *http.Request, own bool) (*http.Response, error) {
	fail := func(err error) (*http.Response, error) {
		if req.Body != nil {
			_ = req.Body.Close()
		}
		return nil, err
	}
	if err := t.proxyFault(req.URL); err != nil {
		return fail(err)
	}
	g, err := t.generation(hostPort(req.URL))
	if err != nil {
		return fail(err)
	}
	if req, err = rewindable(req); err != nil {
		return nil, err
	}
	if t.reuse.expired(time.Now()) {
		g.closeIdle()
	}
	e := &exchange{
		t: t, g: g, req: req, own: own, repeatable: !own && isRepeatable(req), small: t.o.SmallHello || t.smallHere(),
		results: make(chan attemptResult, maxAttempts),
	}
	return e.run()
}

// rewindable returns a request whose body can be read again, for a second attempt before
// the first one has sent anything.
func rewindable(req *http.Request) (*http.Request, error) {
	if req.Body == nil || req.Body == http.NoBody || req.GetBody != nil {
		return req, nil
	}
	data, err := io.ReadAll(req.Body)
	_ = req.Body.Close()
	if err != nil {
		return nil, err
	}
	req = req.WithContext(req.Context())
	req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil }
	req.Body, err = req.GetBody()
	return req, err
}

type repeatableKey struct{}

// Repeatable marks the requests of a context as idempotent: sending one twice does no
// harm.
func Repeatable(ctx context.Context) context.Context {
	return context.WithValue(ctx, repeatableKey{}, true)
}

func isRepeatable(req *http.Request) bool {
	marked, _ := req.Context().Value(repeatableKey{}).(bool)
	return marked
}

// generation returns the connections for the files as they are now. A file that has
// changed and cannot be used leaves the previous content in use.
func (t *Transport) generation(host string) (*generation, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	states := [3]fileState{stateOf(t.o.CAFile), stateOf(t.o.ClientCertFile), stateOf(t.o.ClientKeyFile)}
	if states == t.states && t.current != nil {
		return t.current, nil
	}
	if states == t.states && t.fault != nil && !isMissing(states) {
		return nil, t.fault
	}
	m, err := t.o.read()
	t.states, t.fault = states, err
	switch {
	case err != nil && t.current == nil:
		return nil, err
	case err != nil:
		t.o.Notify(Event{Kind: FilesKept, Err: err, Host: host})
		return t.current, nil
	case t.current != nil:
		t.current.closeIdle()
		t.o.Notify(Event{Kind: FilesRead, Host: host})
	}
	t.current = t.newGeneration(m)
	return t.current, nil
}

func isMissing(states [3]fileState) bool {
	return states[0].missing || states[1].missing || states[2].missing
}

func (t *Transport) newGeneration(m material) *generation {
	g := &generation{roots: m.roots != nil, client: m.client != nil, kept: map[bool]*http.Transport{}, once: map[bool]*http.Transport{}}
	sessions := tls.NewLRUClientSessionCache(4)
	g.make = func(small, once bool) *http.Transport {
		conf := &tls.Config{
			MinVersion: tls.VersionTLS12, RootCAs: m.roots, ClientSessionCache: sessions,
			GetClientCertificate: func(info *tls.CertificateRequestInfo) (*tls.Certificate, error) {
				if m.client != nil {
					return m.client, nil
				}
				p := progressOf(info.Context())
				p.mu.Lock()
				p.asked = true
				p.mu.Unlock()
				return &tls.Certificate{}, nil
			},
		}
		if small {
			conf.CurvePreferences = []tls.CurveID{tls.X25519, tls.CurveP256, tls.CurveP384, tls.CurveP521}
		}
		return &http.Transport{
			Proxy: t.choose,
			OnProxyConnectResponse: func(_ context.Context, _ *url.URL, _ *http.Request, res *http.Response) error {
				if res.StatusCode != http.StatusOK {
					return &ProxyRefusal{res.StatusCode}
				}
				return nil
			},
			DialContext:            t.dialer.dialContext,
			TLSHandshakeTimeout:    handshakeBudget,
			TLSClientConfig:        conf,
			TLSNextProto:           map[string]func(string, *tls.Conn) http.RoundTripper{}, // HTTP/1.1 only
			DisableCompression:     true,                                                   // responses are small
			DisableKeepAlives:      once,
			MaxIdleConns:           2,
			IdleConnTimeout:        t.o.MaxIdle,
			MaxResponseHeaderBytes: 64 << 10,
		}
	}
	return g
}

// handshakeBudget bounds the TLS handshake. It outlives a request with a shorter limit.
const handshakeBudget = 20 * time.Second

// transport returns the transport for a size of the hello, with kept connections or not.
func (g *generation) transport(small, once bool) *http.Transport {
	g.mu.Lock()
	defer g.mu.Unlock()
	set := g.kept
	if once {
		set = g.once
	}
	if set[small] == nil {
		set[small] = g.make(small, once)
	}
	return set[small]
}

func (g *generation) closeIdle() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, transport := range g.kept {
		transport.CloseIdleConnections()
	}
}

// hostPort is the host of a URL with its port.
func hostPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// body is a response's body whose end releases what belongs to the request.
type body struct {
	io.ReadCloser
	release func()
}

func (b *body) Close() error {
	err := b.ReadCloser.Close()
	b.release()
	return err
}

// duplex is the same for a connection that speaks another protocol now, such as a
// WebSocket.
type duplex struct {
	io.ReadWriteCloser
	release func()
}

func (d *duplex) Close() error {
	err := d.ReadWriteCloser.Close()
	d.release()
	return err
}
