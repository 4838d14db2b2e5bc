package sdk

import (
	"context"
	"net/http"
	"strings"
	"time"
)

// Request is what a Middleware sees of a request: enough to log, trace and count it.
// It holds no secret: no credentials, query or body.
type Request struct {
	Operation string // method and path template, such as "GET /machines/{machineId}": a label of low cardinality
	Method    string
	Path      string // as sent, after the host, without the query
	BodyBytes int    // 0 when no body is sent
	// Header is for headers to add, such as traceparent. Headers that the client sets
	// itself cannot be replaced.
	Header http.Header
}

// Response is what a Middleware sees of a response.
type Response struct {
	Status    int
	Date      time.Time // the server's clock; zero when absent
	BodyBytes int       // bytes read; 0 for a stream
	// RetryAfter is how long the server asks to wait; unset if it does not ask.
	RetryAfter Optional[time.Duration]
}

// RoundTrip sends one request. It returns a Response for every HTTP status; its error
// is a *NetworkError.
type RoundTrip func(ctx context.Context, r *Request) (*Response, error)

// Middleware wraps a RoundTrip. It may time or log the request, add headers, or reject
// it by returning its own error. Calling next again sends the request again, which is
// safe for idempotent operations only.
type Middleware func(next RoundTrip) RoundTrip

// errNoResponse means that middleware neither sent the request nor returned an error, or
// dropped the error of the request: there is nothing to return to the caller.
var errNoResponse = &ConfigError{"middleware", "returned no error, but no response was received"}

// through runs last inside all middleware.
func (c *Client) through(ctx context.Context, x *Request, last RoundTrip) error {
	if len(c.middleware) > 0 {
		core := last
		last = func(ctx context.Context, x *Request) (*Response, error) {
			if ctx == nil || x == nil {
				return nil, &ConfigError{"middleware", "must pass on the context and the request"}
			}
			return core(ctx, x)
		}
	}
	for i := len(c.middleware) - 1; i >= 0; i-- {
		if last = c.middleware[i](last); last == nil {
			return &ConfigError{"middleware", "must return a function"}
		}
	}
	_, err := last(ctx, x)
	return err
}

// addHeaders copies the headers that middleware set, except the client's own. Errors:
// *ConfigError for one that cannot be sent.
func addHeaders(to, from http.Header) error {
	for name, values := range from {
		switch name := http.CanonicalHeaderKey(name); name {
		case headerAPIKey, headerPairingToken, headerAgentID, headerAgentToken, "Authorization", "Content-Type", "Content-Length",
			"Host", "Accept", "Last-Event-Id", "Transfer-Encoding", "Connection":
		default:
			if why := badHeader(name, values); why != "" {
				return &ConfigError{"middleware", why}
			}
			to[name] = values
		}
	}
	return nil
}

// badHeader says why a header cannot be sent, or "".
func badHeader(name string, values []string) string {
	token := func(r rune) bool {
		return r > ' ' && r < 0x7f && !strings.ContainsRune(`()<>@,;:\"/[]?={}`, r)
	}
	if name == "" || strings.ContainsFunc(name, func(r rune) bool { return !token(r) }) {
		return "set a header whose name is invalid"
	}
	for _, value := range values {
		if why := unsendable(value); why != "" {
			return "set a header " + name + " that " + why
		}
	}
	return ""
}
