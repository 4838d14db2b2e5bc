package sdk

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync/atomic"
	"time"
)

const (
	headerAPIKey       = "X-Api-Key"
	headerPairingToken = "X-Agent-Pairing-Token"
	headerAgentID      = "X-Machine-Agent-Id"
	headerAgentToken   = "X-Machine-Agent-Token"

	getTimeout    = 30 * time.Second
	changeTimeout = 60 * time.Second // POST, PUT, PATCH, DELETE

	maxBody      = 16 << 20  // a larger response is not read to its end
	maxErrorBody = 256 << 10 // likewise for an error; a larger body counts as not JSON
)

// authMode is how a call authenticates (contract §1.3).
type authMode uint8

const (
	authPlatform authMode = iota // x-api-key, if configured
	authPairing                  // x-agent-pairing-token, and x-api-key if configured
	authNone                     // nothing, or credentials inside the body
)

// call is a request that is being built. The first error stays in err and is returned by
// send, so that a resource's method is one expression.
type call struct {
	client      *Client
	method      string
	operation   string // method and path template: the call's name in errors and for middleware
	decoded     string // path, with its parameters
	escaped     string
	query       url.Values
	auth        authMode
	token       Secret // pairing token
	accept      string // media type, for streams
	lastEventID Optional[string]
	alone       bool // see ownConnection
	sent        any  // the value that body was encoded from
	body        []byte
	hasBody     bool
	err         error
}

// call starts a request. params fill the template in order.
func (c *Client) call(method, template string, params ...string) *call {
	r := &call{client: c, method: method, operation: method + " " + template}
	r.decoded, r.escaped, r.err = fillPath(template, params)
	return r
}

// ownConnection makes a call use a connection of its own, which is closed after the
// response. It is for calls whose response holds a secret, and for GET requests that have a
// side effect:
//
//   - net/http prints what follows a response on a kept connection to the process's logger,
//     which would be the secret if a proxy sends the response twice;
//   - bytes left on a kept connection can become the response to the next call;
//   - net/http repeats a GET on its own when a kept connection breaks, never on a new one.
func (r *call) ownConnection() *call {
	r.alone = true
	return r
}

// open sends no credentials in headers.
func (r *call) open() *call {
	r.auth = authNone
	return r
}

// pairing authenticates as an agent paired with a machine.
func (r *call) pairing(token Secret) *call {
	if r.err == nil {
		r.err = cmp.Or(nonBlank("pairingToken", token.Reveal()), headerValue("pairingToken", token.Reveal()))
	}
	r.auth, r.token = authPairing, token
	return r
}

// maybePairing is pairing if there is a token.
func (r *call) maybePairing(token Optional[Secret]) *call {
	if t, ok := token.Get(); ok {
		return r.pairing(t)
	}
	return r
}

// param adds a query parameter if it is set, even if it is empty.
func (r *call) param(name string, value Optional[string]) *call {
	if v, ok := value.Get(); ok {
		if r.query == nil {
			r.query = url.Values{}
		}
		r.query.Set(name, v)
	}
	return r
}

// checked is a request body that checks the requirements of the contract.
type checked interface{ check(identityRefs) error }

// json checks v and makes it the body.
func (r *call) json(v any) *call {
	if r.err == nil {
		if v, ok := v.(checked); ok {
			r.err = v.check(r.client.refs)
		}
	}
	if r.err == nil {
		r.body, r.err = encode(r.client.codec, v)
		r.sent, r.hasBody = v, true
	}
	return r
}

// success is a 2xx response whose body has been read.
type success struct {
	Meta
	operation   string
	contentType string
	body        string
	empty       bool // 204
	host        string
}

// send performs the call and returns a 2xx response, or an error.
func (r *call) send(ctx context.Context) (*success, error) {
	if r.err != nil {
		return nil, r.err
	}
	var out *success
	var refused error
	err := r.perform(ctx, r.limit(), func(res *http.Response, meta Meta) (size int, err error) {
		out, refused, size, err = r.read(res, meta)
		return size, err
	})
	switch {
	case err != nil:
		return nil, err
	case out == nil && refused == nil:
		return nil, errNoResponse
	}
	return out, refused
}

func (r *call) limit() time.Duration {
	switch {
	case r.client.timeout > 0:
		return r.client.timeout
	case r.method == http.MethodGet:
		return getTimeout
	}
	return changeTimeout
}

// perform sends the request through the middleware and passes the response to use, which
// returns how many bytes it read. limit is the timeout of the whole call, including the
// body; 0 means none but ctx.
func (r *call) perform(ctx context.Context, limit time.Duration, use func(*http.Response, Meta) (int, error)) error {
	if limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
	}
	x := &Request{
		Operation: r.operation, Method: r.method, Path: r.client.base.raw + r.escaped, BodyBytes: len(r.body),
	}
	if len(r.client.middleware) > 0 {
		x.Header = http.Header{}
	}
	return r.client.through(ctx, x, func(ctx context.Context, x *Request) (*Response, error) {
		res, err := r.roundTrip(ctx, x)
		if err != nil {
			return nil, err
		}
		defer res.Body.Close()
		res.Body = plainBody(res)
		meta := Meta{Status: res.StatusCode, Date: dateOf(res.Header)}
		wait, asked := retryAfter(res.Header, meta.Date, time.Now())
		size, err := use(res, meta)
		out := &Response{Status: meta.Status, Date: meta.Date, BodyBytes: size}
		if asked {
			out.RetryAfter = Some(wait)
		}
		return out, err
	})
}

// roundTrip sends the request once and returns the response, whose body is not read yet.
func (r *call) roundTrip(ctx context.Context, x *Request) (*http.Response, error) {
	if ctx.Err() != nil {
		return nil, &NetworkError{Operation: r.operation, Err: ctx.Err(), unsent: true}
	}
	req, err := r.request(ctx, x.Header)
	if err != nil {
		return nil, err
	}
	transport := r.client.transport
	if r.alone {
		transport = r.client.ownTransport()
		req.Close = true
		if req.Body == nil {
			req.Body = io.NopCloser(strings.NewReader("")) // net/http repeats no request with a body that it cannot read again
		}
		req.GetBody = nil
	}
	res, sent, err := tracedRoundTrip(transport, req)
	if err != nil {
		return nil, networkError(ctx, r.operation, err, sent)
	}
	return res, nil
}

// tracedRoundTrip performs one round trip. If it fails, sent is false if the request cannot
// have left: no connection was made. Only the transport of net/http says so reliably. For any
// other, the error has to show that the connection failed.
func tracedRoundTrip(transport http.RoundTripper, req *http.Request) (res *http.Response, sent bool, err error) {
	if _, ok := transport.(*http.Transport); !ok {
		res, err = transport.RoundTrip(req)
		return res, !neverConnected(err), err
	}
	connected := new(atomic.Bool)
	trace := &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { connected.Store(true) }}
	res, err = transport.RoundTrip(req.WithContext(httptrace.WithClientTrace(req.Context(), trace)))
	return res, connected.Load(), err
}

// neverConnected reports whether an error is that of a connection that was not established.
func neverConnected(err error) bool {
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		return true
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return true
	}
	_, ok := errors.AsType[*tls.CertificateVerificationError](err)
	return ok
}

// networkError keeps the cause. If the deadline or the caller ended the call, that is the
// cause, whatever error the transport returned.
func networkError(ctx context.Context, operation string, err error, sent bool) *NetworkError {
	if ctx.Err() != nil && !errors.Is(err, ctx.Err()) {
		err = errors.Join(ctx.Err(), err)
	}
	return &NetworkError{Operation: operation, Err: err, unsent: !sent}
}

func (r *call) request(ctx context.Context, extra http.Header) (*http.Request, error) {
	c := r.client
	req := (&http.Request{
		Method: r.method, URL: c.base.at(r.decoded, r.escaped, r.query.Encode()), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: make(http.Header, 8), Host: c.base.url.Host,
	}).WithContext(ctx)
	if err := addHeaders(req.Header, extra); err != nil {
		return nil, err
	}
	req.Header["User-Agent"] = []string{c.userAgent}
	if r.hasBody {
		req.Header["Content-Type"] = []string{"application/json"}
		req.ContentLength = int64(len(r.body))
		req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(r.body)), nil }
		req.Body, _ = req.GetBody()
	}
	r.streamHeaders(req.Header)
	return req, r.authenticate(req.Header)
}

func (r *call) authenticate(h http.Header) error {
	if r.auth == authNone {
		return nil
	}
	if key := r.client.apiKey; !key.IsZero() {
		if why := unsendable(key.Reveal()); why != "" { // New has checked it; one from a function may have changed
			return &ConfigError{"apiKey", why}
		}
		h[headerAPIKey] = []string{latin1(key.Reveal())}
	}
	if r.auth == authPairing {
		h[headerPairingToken] = []string{latin1(r.token.Reveal())}
	}
	return nil
}

// read classifies a response by its status and reads its body. refused is the error of an
// unsuccessful response; err is that of a body that could not be read.
func (r *call) read(res *http.Response, meta Meta) (out *success, refused error, size int, err error) {
	if res.StatusCode < 200 || res.StatusCode >= 300 {
		body, err := readText(res.Body, maxErrorBody, res.ContentLength)
		if err != nil && !errors.Is(err, errTooLarge) {
			body = "" // the status is enough
		}
		return nil, r.refusal(res, meta, body), len(body), nil
	}
	out = &success{
		Meta: meta, operation: r.operation, contentType: res.Header.Get("Content-Type"),
		empty: res.StatusCode == http.StatusNoContent, host: res.Request.URL.Host,
	}
	out.body, err = readText(res.Body, r.client.maxBody, res.ContentLength)
	switch {
	case errors.Is(err, errTooLarge):
		return nil, out.fault(CodeInvalidResponseShape, "the response is larger than the limit"), len(out.body), nil
	case isCoding(err):
		return nil, out.fault(CodeInvalidResponseShape, err.Error()), len(out.body), nil
	case err != nil:
		return nil, nil, len(out.body), networkError(res.Request.Context(), r.operation, err, true)
	}
	return out, nil, len(out.body), nil
}

var errTooLarge = errors.New("the body is too large")

// readText reads at most limit bytes without a second copy. announced is the
// Content-Length, or below 0. A body that is too large reads as empty.
func readText(body io.Reader, limit, announced int64) (string, error) {
	if announced < 0 {
		announced = 4 << 10
	}
	size := int(min(announced, limit, 1<<20)) + 1 // one more, to see the end
	b := sized(size, "")
	chunk := make([]byte, min(size, 16<<10))
	for {
		n, err := body.Read(chunk)
		if int64(b.Len()+n) > limit {
			return "", errTooLarge
		}
		if b.Len()+n > b.Cap() {
			b = sized(int(min(2*int64(b.Cap())+int64(n), limit)), b.String())
		}
		b.Write(chunk[:n])
		switch {
		case errors.Is(err, io.EOF):
			return withoutMark(b.String()), nil
		case err != nil:
			return b.String(), err
		}
	}
}

// sized returns a builder with a capacity of size bytes. A builder that grows on its own
// would use twice the memory for an endless body.
func sized(size int, text string) *strings.Builder {
	b := new(strings.Builder)
	b.Grow(size)
	b.WriteString(text)
	return b
}

// latin1 encodes a header value as Latin-1, the encoding of headers.
func latin1(s string) string {
	for i := range len(s) {
		if s[i] >= 0x80 {
			out := make([]byte, 0, len(s))
			for _, c := range s {
				out = append(out, byte(c))
			}
			return string(out)
		}
	}
	return s
}
