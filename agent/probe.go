package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
	"time"

	"github.com/peaqnetwork/peaqos-agent/agent/config"
	"github.com/peaqnetwork/peaqos-agent/keystore"
)

const (
	probeTimeout = 3 * time.Second
	// probeBody is how much of a response is read: enough for a model list, and a
	// bound for a runtime that never stops sending.
	probeBody = 8 << 10
)

// prober checks whether one endpoint of this machine responds. A probe is a plain
// GET with a bound on everything: 3 s, no redirects, no proxy, a small body, and an
// address that is checked after name resolution, so that a name cannot be made to
// point at the cloud's metadata service.
type prober struct {
	endpoint config.Endpoint
	target   string // the URL that is requested
	client   *http.Client
}

// probeResult is what one probe found.
type probeResult struct {
	up     bool
	result string // success, http, timeout, network, blocked
	fault  string // a sentence, empty when up
	took   time.Duration
}

// newProber prepares the probe of one endpoint. A nil transport means a real
// socket; tests in fake time pass their own.
func newProber(e config.Endpoint, transport http.RoundTripper) *prober {
	base := e.ProbeURL
	scope := e.NetworkScope
	if base == "" {
		base = e.BaseURL
	} else {
		scope = config.ScopeNearby
	}
	if transport == nil {
		dialer := &net.Dialer{Timeout: probeTimeout, KeepAlive: -1, Control: func(_, address string, _ syscall.RawConn) error {
			return checkDial(scope, address)
		}}
		transport = &http.Transport{
			DialContext: dialer.DialContext, DisableKeepAlives: true, DisableCompression: true,
			MaxResponseHeaderBytes: 16 << 10, TLSHandshakeTimeout: probeTimeout,
		}
	}
	return &prober{
		endpoint: e,
		target:   strings.TrimRight(base, "/") + e.ProbePath,
		client: &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		}},
	}
}

// probe sends one probe. It never returns an error: no response is a result.
func (p *prober) probe(ctx context.Context, limit time.Duration) probeResult {
	ctx, cancel := context.WithTimeout(ctx, min(probeTimeout, limit))
	defer cancel()
	start := time.Now()
	r := p.ask(ctx)
	r.took = time.Since(start)
	r.up = r.result == "success"
	return r
}

func (p *prober) ask(ctx context.Context) probeResult {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.target, nil)
	if err != nil {
		return probeResult{result: "network", fault: "the probe address is not a URL"}
	}
	req.Header.Set("User-Agent", "peaqos-agent-probe")
	if err := p.authorize(req); err != nil {
		return probeResult{result: "http", fault: err.Error()}
	}
	res, err := p.client.Do(req)
	if err != nil {
		return faultOfDial(err)
	}
	defer res.Body.Close()
	if res.StatusCode < 200 || res.StatusCode > 299 {
		return probeResult{result: "http", fault: fmt.Sprintf("HTTP %d in response to GET %s", res.StatusCode, p.endpoint.ProbePath)}
	}
	if p.endpoint.ProviderKey == "qvac" && p.endpoint.ModelAlias != "" {
		return p.findModel(res.Body)
	}
	if _, err := io.Copy(io.Discard, io.LimitReader(res.Body, probeBody)); err != nil {
		return faultOfDial(err)
	}
	return probeResult{result: "success"}
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

// blockedError is a connection that the endpoint's scope does not allow.
type blockedError struct{ addr netip.Addr }

func (e *blockedError) Error() string {
	return fmt.Sprintf("address %s is outside the endpoint's network_scope", e.addr)
}

func faultOfDial(err error) probeResult {
	var blocked *blockedError
	var timeout interface{ Timeout() bool }
	switch {
	case errors.As(err, &blocked):
		return probeResult{result: "blocked", fault: blocked.Error()}
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return probeResult{result: "timeout", fault: "no response in time"}
	case errors.Is(err, syscall.ECONNREFUSED):
		return probeResult{result: "network", fault: "connection refused: nothing listens there"}
	}
	var dns *net.DNSError
	if errors.As(err, &dns) {
		return probeResult{result: "network", fault: "the host name cannot be resolved"}
	}
	// url.Error repeats the URL, which may be long; the cause is what helps.
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	return probeResult{result: "network", fault: fmt.Sprintf("no response: %.120q", err.Error())}
}

// checkDial decides, on the resolved address, whether a probe may go there.
// Link-local (and with it the metadata service), multicast and the unspecified
// address are never dialled.
func checkDial(scope, address string) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("address %.64q cannot be checked", address)
	}
	a := ap.Addr().Unmap().WithZone("")
	if !config.AddressAllowed(scope, a) {
		return &blockedError{a}
	}
	return nil
}

// Finding is the result of one probe of an endpoint.
type Finding struct {
	Up    bool
	Fault string // a sentence, empty when up
	Took  time.Duration
}

// CheckEndpoint probes one endpoint once, exactly as the daemon does.
func CheckEndpoint(ctx context.Context, e config.Endpoint) Finding {
	r := newProber(e, nil).probe(ctx, probeTimeout)
	return Finding{r.up, r.fault, r.took}
}
