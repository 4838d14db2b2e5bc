package sdk

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/peaqnetwork/peaqos-agent/sdk/internal/wire"
)

const (
	mcrTimeout = 10 * time.Second
	mcrMaxBody = 1 << 20
	mcrMaxWait = 5 * time.Second // before the one retry
)

// MCR is a client of the machine credit rating service: queries about machines that need
// no key (mcr contract §2). It returns whether a machine exists and is bonded; for its
// owner, query the chain (see [Chain]).
//
// A query may take 10 s, and is retried once after a failed connection, a 503 or a 429
// (after 1 s, or as long as the server asks, up to 5 s). Errors: *ValidationError,
// *NetworkError, *MCRError.
type MCR struct {
	base      string
	transport http.RoundTripper
	timeout   time.Duration
	userAgent string
	codec     *wire.Codec
}

// NewMCR makes a client of the MCR at base, such as https://mcr.peaq.xyz. Only
// WithHTTPClient and WithUserAgent have an effect. Errors: *ConfigError.
func NewMCR(base string, opts ...Option) (*MCR, error) {
	c, err := New(base, opts...)
	if err != nil {
		fault, ok := errors.AsType[*ConfigError](err)
		if ok && fault.Field == "orchestrationUrl" {
			return nil, &ConfigError{"mcrUrl", fault.Message}
		}
		return nil, err
	}
	m := &MCR{
		base: strings.TrimRight(base, "/"), transport: c.transport, timeout: c.timeout, userAgent: c.userAgent,
		codec: newCodec(false),
	}
	if m.timeout == 0 {
		m.timeout = mcrTimeout
	}
	return m, nil
}

// String is the scheme and the host.
func (m *MCR) String() string {
	u, err := url.Parse(m.base)
	if err != nil {
		return "sdk.MCR"
	}
	return "sdk.MCR(" + u.Scheme + "://" + u.Host + ")"
}

// The codes of an MCRError.
const (
	MCRInvalidRequest     = "INVALID_REQUEST"
	MCRUnauthorized       = "UNAUTHORIZED"
	MCRNotFound           = "NOT_FOUND"
	MCRHomedElsewhere     = "MACHINE_HOMED_ELSEWHERE" // the machine exists, on another chain
	MCRConflict           = "CONFLICT"
	MCRServiceUnavailable = "SERVICE_UNAVAILABLE"
	MCRServerError        = "SERVER_ERROR"
	MCRHTTPError          = "HTTP_ERROR"
	MCRBadResponse        = "BAD_RESPONSE"
)

// MCRError is an unsuccessful response from the MCR. A failed connection is a
// *NetworkError.
type MCRError struct {
	Operation     string
	Code          string // one of the codes above
	StatusCode    int
	ServerCode    string // detail.code, such as MACHINE_NOT_FOUND
	ServerMessage string
	HomeChain     Optional[int] // protocol chain ID, with MCRHomedElsewhere

	retryAfter time.Duration
	retrySet   bool
}

func (e *MCRError) Error() string {
	text := e.Operation + ": MCR: HTTP " + strconv.Itoa(e.StatusCode) + ": " + e.Code
	if e.ServerCode != "" && e.ServerCode != e.Code {
		text += ": " + wire.OneLine(e.ServerCode)
	}
	if e.ServerMessage != "" {
		text += ": " + wire.OneLine(wire.RedactText(e.ServerMessage))
	}
	return text
}

// LogValue makes slog print Error.
func (e *MCRError) LogValue() slog.Value { return slog.StringValue(e.Error()) }

// RetryAfter returns how long the server asks to wait, and whether it asked.
func (e *MCRError) RetryAfter() (time.Duration, bool) { return e.retryAfter, e.retrySet }

// Is implements errors.Is for ErrNotFound, ErrAuth, ErrForbidden, ErrRateLimited,
// ErrRetryable, ErrMalformed.
func (e *MCRError) Is(target error) bool {
	switch target {
	case ErrNotFound:
		return e.Code == MCRNotFound
	case ErrAuth:
		return e.StatusCode == http.StatusUnauthorized
	case ErrForbidden:
		return e.StatusCode == http.StatusForbidden
	case ErrRateLimited:
		return e.StatusCode == http.StatusTooManyRequests
	case ErrRetryable:
		return e.StatusCode == http.StatusServiceUnavailable || e.StatusCode == http.StatusTooManyRequests
	case ErrMalformed:
		return e.Code == MCRBadResponse
	}
	return false
}

// get fetches one document, with at most one retry (after a failed connection, a 503 or a
// 429) and without following redirects.
func (m *MCR) get(ctx context.Context, operation, path string, out any) error {
	body, err := m.once(ctx, http.MethodGet, operation, path, nil)
	if wait, again := mcrRetry(err); again {
		if err := waitToRetry(ctx, operation, wait, err); err != nil {
			return err
		}
		body, err = m.once(ctx, http.MethodGet, operation, path, nil)
	}
	if err != nil {
		return err
	}
	return m.read(operation, body, out)
}

func (m *MCR) read(operation, body string, out any) error {
	if err := m.codec.Decode(body, out); err != nil {
		fault := &MCRError{Operation: operation, Code: MCRBadResponse, StatusCode: http.StatusOK, ServerMessage: "the body is not JSON"}
		var shape *wire.ShapeError
		if errors.As(err, &shape) && wire.Valid(body) {
			fault.ServerMessage = shape.Error()
		}
		return fault
	}
	return nil
}

// mcrRetry returns how long to wait before a retry, and whether to retry.
func mcrRetry(err error) (time.Duration, bool) {
	var fault *MCRError
	var network *NetworkError
	switch {
	case errors.As(err, &fault) && fault.Is(ErrRetryable):
		wait, asked := fault.RetryAfter()
		if !asked {
			wait = time.Second
		}
		return wait, wait <= mcrMaxWait
	case errors.As(err, &network):
		return time.Second, !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded)
	}
	return 0, false
}

func (m *MCR) once(ctx context.Context, method, operation, path string, body []byte) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, m.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, m.base+path, bytes.NewReader(body))
	if err != nil {
		return "", &ConfigError{"mcrUrl", "must be a URL with http or https and a host"}
	}
	req.Header.Set("User-Agent", m.userAgent)
	if body == nil {
		req.Body = nil
	} else {
		req.Header.Set("Content-Type", "application/json")
	}
	res, sent, err := tracedRoundTrip(m.transport, req)
	if err != nil {
		return "", networkError(ctx, operation, err, sent)
	}
	defer res.Body.Close()
	text, err := readText(res.Body, mcrMaxBody, res.ContentLength)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, errTooLarge) {
		return "", networkError(ctx, operation, err, true)
	}
	if res.StatusCode == http.StatusOK && err == nil {
		return text, nil
	}
	return "", m.refusal(operation, res, text)
}

func (m *MCR) refusal(operation string, res *http.Response, text string) error {
	e := &MCRError{Operation: operation, StatusCode: res.StatusCode}
	e.retryAfter, e.retrySet = retryAfter(res.Header, dateOf(res.Header), time.Now())
	var body struct {
		Detail wire.Raw `json:"detail"`
	}
	var detail struct {
		Code    string        `json:"code"`
		Message string        `json:"message"`
		Home    Optional[int] `json:"home_protocol_chain_id"`
	}
	if m.codec.Decode(text, &body) == nil {
		if json.Unmarshal([]byte(body.Detail), &e.ServerMessage) != nil && m.codec.Decode(string(body.Detail), &detail) == nil {
			e.ServerCode, e.ServerMessage, e.HomeChain = detail.Code, detail.Message, detail.Home
		}
	}
	e.Code = mcrCode(res.StatusCode, e.ServerCode)
	return e
}

// mcrCode classifies a response (contract §2.6).
func mcrCode(status int, server string) string {
	switch {
	case status == 400:
		return MCRInvalidRequest
	case status == 401 || status == 403:
		return MCRUnauthorized
	case status == 404:
		return MCRNotFound
	case status == 409 && server == MCRHomedElsewhere:
		return MCRHomedElsewhere
	case status == 409:
		return MCRConflict
	case status == 503:
		return MCRServiceUnavailable
	case status >= 500:
		return MCRServerError
	case status < 300:
		return MCRBadResponse
	}
	return MCRHTTPError
}
