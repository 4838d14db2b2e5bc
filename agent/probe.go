package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/peaqnetwork/peaqos-agent/agent/config"
	"github.com/peaqnetwork/peaqos-agent/agent/discover"
	"github.com/peaqnetwork/peaqos-agent/keystore"
)

const (
	// probeBody is how much of a response is read: enough for a model list, and a
	// bound for a runtime that never stops sending.
	probeBody = 8 << 10
	// probeNotice is how long a body may take that only shows what a runtime is.
	probeNotice = 300 * time.Millisecond
	// probeTimeout is the budget of a probe unless endpoints[].probe_timeout sets another.
	probeTimeout = config.DefaultProbeTimeout
)

// prober checks whether one endpoint of this machine responds. A probe is a plain
// GET with a bound on everything: one budget of time, no redirects, no proxy, a small
// body, and an address that is checked after name resolution, so that a name cannot be
// made to point at the cloud's metadata service. The daemon and "endpoints check" use
// the same probe with the same budget.
type prober struct {
	endpoint config.Endpoint
	target   string        // the URL that is requested
	budget   time.Duration // for all of it
	client   *http.Client
	names    []probeName
	named    atomic.Int32 // index of the name in use

	mu      sync.Mutex
	running chan struct{} // closed when the probe that outlasts its heartbeat ends; nil when there is none
}

// probeName is how a probe names the runtime that it requests.
type probeName struct {
	host string // the Host header; empty is the target's
	tls  string // the name that the certificate must have
}

// probeResult is what one probe found.
type probeResult struct {
	up     bool
	result string // success, http, timeout, network, tls, blocked
	fault  string // a sentence, empty when up
	notice string // a sentence: it is up, but it is not what the configuration calls it
	took   time.Duration
	byName bool // the runtime may respond differently to another name
}

// newProber prepares the probe of one endpoint. A nil transport means a real
// socket; tests in fake time pass their own.
func newProber(e config.Endpoint, transport http.RoundTripper) *prober {
	p := &prober{endpoint: e, budget: e.ProbeTimeout, names: probeNames(e)}
	if p.budget == 0 {
		p.budget = probeTimeout
	}
	base := e.ProbeURL
	if base == "" {
		base = e.BaseURL
	}
	p.target = strings.TrimRight(base, "/") + e.ProbePath
	if transport == nil {
		d := newProbeDialer(e, p.budget)
		transport = &http.Transport{
			DialContext: d.dial, DialTLSContext: d.dialTLS, DisableKeepAlives: true, DisableCompression: true, MaxResponseHeaderBytes: 16 << 10,
			ReadBufferSize: 1 << 10, WriteBufferSize: 1 << 10, // a probe has a connection of its own
		}
	}
	p.client = &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}
	return p
}

// probeNames lists how the runtime may be named. Callers name the base_url, and so does a
// probe of another probe_url. A runtime that does not accept that name, because
// whatever forwards to it replaces the name, is asked by the probe_url's own.
func probeNames(e config.Endpoint) []probeName {
	base, err := url.Parse(e.BaseURL)
	if err != nil || e.ProbeURL == "" {
		return []probeName{{}}
	}
	probed, err := url.Parse(e.ProbeURL)
	if err != nil || strings.EqualFold(probed.Host, base.Host) {
		return []probeName{{}}
	}
	first := probeName{host: base.Host}
	if base.Scheme == "https" {
		first.tls = base.Hostname()
	}
	return []probeName{first, {}}
}

// probe sends one probe. It never returns an error: no response is a result.
func (p *prober) probe(ctx context.Context) probeResult {
	ctx, cancel := context.WithTimeout(ctx, p.budget)
	defer cancel()
	start := time.Now()
	r := p.askByName(ctx)
	r.took = time.Since(start)
	r.up = r.result == "success"
	return r
}

// askByName asks by the name that the runtime accepted last, then by the others if the
// name may be the reason that it did not respond well. The fault is that of the first.
func (p *prober) askByName(ctx context.Context) probeResult {
	last := int(p.named.Load())
	r := p.ask(ctx, p.names[last])
	for i := range p.names {
		if !r.byName || i == last {
			continue
		}
		if other := p.ask(ctx, p.names[i]); other.result == "success" {
			p.named.Store(int32(i))
			return other
		}
	}
	return r
}

func (p *prober) ask(ctx context.Context, name probeName) probeResult {
	if name.tls != "" {
		ctx = context.WithValue(ctx, tlsNameKey{}, name.tls)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.target, nil)
	if err != nil {
		return probeResult{result: "network", fault: "the probe address is not a URL"}
	}
	if name.host != "" {
		req.Host = name.host
	}
	req.Header.Set("User-Agent", "peaqos-agent-probe")
	if err := p.authorize(req); err != nil {
		return probeResult{result: "http", fault: err.Error()}
	}
	res, err := p.client.Do(req)
	if err != nil {
		return p.faultOfRequest(err)
	}
	defer res.Body.Close()
	if res.StatusCode < 200 || res.StatusCode > 299 {
		return p.faultOfStatus(res)
	}
	if p.endpoint.ProviderKey == "qvac" && p.endpoint.ModelAlias != "" {
		var read bytes.Buffer
		r := p.findModel(io.TeeReader(res.Body, &read))
		if r.result != "success" && ctx.Err() != nil {
			return p.faultOfRequest(ctx.Err())
		}
		r.notice = p.mismatch(res, read.Bytes())
		return r
	}
	// The head is enough: whether the body is complete is between the runtime and its callers.
	return probeResult{result: "success", notice: p.mismatch(res, p.beginning(res.Body))}
}

// beginning reads what is there of the body of a runtime that can be recognized by it.
func (p *prober) beginning(body io.ReadCloser) []byte {
	if !discover.Known(p.endpoint.ProviderKey) {
		return nil
	}
	enough := time.AfterFunc(min(probeNotice, p.budget/4), func() { _ = body.Close() })
	defer enough.Stop()
	text, _ := io.ReadAll(io.LimitReader(body, probeBody))
	return text
}

// mismatch compares the response to the probe with the provider key.
func (p *prober) mismatch(res *http.Response, body []byte) string {
	if len(body) == 0 {
		return ""
	}
	response := discover.Response{Status: res.StatusCode, Header: res.Header, Body: body}
	return discover.Mismatch(p.endpoint.ProviderKey, discover.Identify(discover.Responses{p.endpoint.ProbePath: response}))
}

// authorize adds the runtime's own secret. Which header api-key runtimes expect is
// not published anywhere; x-api-key is the usual one.
func (p *prober) authorize(req *http.Request) error {
	if p.endpoint.AuthTokenFile == "" || p.endpoint.AuthType == "none" {
		return nil
	}
	token, err := endpointToken(p.endpoint)
	if err != nil {
		return err
	}
	if p.endpoint.AuthType == "bearer" {
		req.Header.Set("Authorization", "Bearer "+token)
	} else {
		req.Header.Set("x-api-key", token)
	}
	return nil
}

// endpointToken reads the endpoint's secret from its file each time, so that a
// rotated secret is used at once and none stays in memory.
func endpointToken(e config.Endpoint) (string, error) {
	raw, err := keystore.ReadSecretFile(e.AuthTokenFile)
	if err != nil {
		return "", fmt.Errorf("the endpoint's auth_token_file cannot be used: %w", err)
	}
	token := strings.TrimSpace(string(raw))
	if token == "" || strings.ContainsFunc(token, func(r rune) bool { return r < ' ' || r > '~' }) {
		return "", errors.New("the endpoint's auth_token_file must hold one line of printable ASCII")
	}
	return token, nil
}

// findModel looks for the alias in an OpenAI-style model list. An idle model is
// loaded by the first request to it, so idle, loading and ready are all healthy; a
// model without a state is taken as ready. The list is read model by model, so that
// in a list longer than the bound the alias is found if it is in the first part.
func (p *prober) findModel(body io.Reader) probeResult {
	dec := json.NewDecoder(io.LimitReader(body, probeBody))
	if !seekArray(dec, "data") {
		return probeResult{result: "http", fault: "the response is not a model list"}
	}
	for dec.More() {
		var m struct {
			ID    string `json:"id"`
			State string `json:"state"`
		}
		if err := dec.Decode(&m); err != nil {
			fault := fmt.Sprintf("model %q is not in the first %d bytes of the model list", p.endpoint.ModelAlias, probeBody)
			return probeResult{result: "http", fault: fault}
		}
		if m.ID != p.endpoint.ModelAlias {
			continue
		}
		switch m.State {
		case "", "idle", "loading", "ready":
			return probeResult{result: "success"}
		}
		return probeResult{result: "http", fault: fmt.Sprintf("model %q is in state %.32q", m.ID, m.State)}
	}
	return probeResult{result: "http", fault: fmt.Sprintf("model %q is not listed", p.endpoint.ModelAlias)}
}

// seekArray moves the decoder past the opening bracket of the named member of the
// top-level object.
func seekArray(dec *json.Decoder, name string) bool {
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return false
	}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return false
		}
		if key == name {
			t, err := dec.Token()
			return err == nil && t == json.Delim('[')
		}
		var skipped json.RawMessage
		if dec.Decode(&skipped) != nil {
			return false
		}
	}
	return false
}

// Finding is the result of one probe of an endpoint.
type Finding struct {
	Up    bool
	Fault string // a sentence, empty when up
	// Notice is a sentence about an endpoint that is up, but is not what the configuration
	// calls it.
	Notice string
	Took   time.Duration
}

// CheckEndpoint probes one endpoint once, exactly as the daemon does.
func CheckEndpoint(ctx context.Context, e config.Endpoint) Finding {
	r := newProber(e, nil).probe(ctx)
	return Finding{r.up, r.fault, r.notice, r.took}
}
