package sdk

import (
	"context"
	"net/http"
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
}

// RoundTrip sends one request. It returns a Response for every HTTP status; its error
// is a *NetworkError.
type RoundTrip func(ctx context.Context, r *Request) (*Response, error)

// Middleware wraps a RoundTrip. It may time or log the request, add headers, or reject
// it by returning its own error. Calling next again sends the request again, which is
// safe for idempotent operations only.
type Middleware func(next RoundTrip) RoundTrip

// through runs last inside all middleware.
func (c *Client) through(ctx context.Context, x *Request, last RoundTrip) error {
	for i := len(c.middleware) - 1; i >= 0; i-- {
		last = c.middleware[i](last)
	}
	_, err := last(ctx, x)
	return err
}

// addHeaders copies the headers that middleware set, except the client's own.
func addHeaders(to, from http.Header) {
	for name, values := range from {
		switch name := http.CanonicalHeaderKey(name); name {
		case headerAPIKey, headerPairingToken, headerAgentID, headerAgentToken, "Authorization", "Content-Type", "Content-Length",
			"Host", "Accept", "Last-Event-Id", "Transfer-Encoding", "Connection":
		default:
			to[name] = values
		}
	}
}
