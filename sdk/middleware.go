package sdk

import (
	"context"
	"net/http"
	"time"
)

// Exchange is what a Middleware may know of a request: enough to log, to trace
// and to count, and no secret. Credentials, query and bodies are not in it.
type Exchange struct {
	Operation string // method and path template, such as "GET /machines/{machineId}": a label of low cardinality
	Method    string
	Path      string // as sent, below the base URL, without the query
	BodyBytes int    // 0 when no body is sent
	// Header takes headers to add, such as traceparent. Headers that the client
	// sets itself cannot be replaced.
	Header http.Header
}

// Answer is what a Middleware may know of the answer.
type Answer struct {
	Status    int
	Date      time.Time // the server's clock; zero when absent
	BodyBytes int       // what was read; 0 for a stream
}

// RoundTrip performs one exchange. Its error is a *NetworkError: an answer of the
// server, whatever its status, is an Answer.
type RoundTrip func(ctx context.Context, x *Exchange) (*Answer, error)

// Middleware wraps a RoundTrip. It may time it, log it, add headers, or refuse it
// by returning an error of its own; calling next more than once sends the request
// again, which only idempotent operations stand.
type Middleware func(next RoundTrip) RoundTrip

// through runs last inside all middleware.
func (c *Client) through(ctx context.Context, x *Exchange, last RoundTrip) error {
	for i := len(c.middleware) - 1; i >= 0; i-- {
		last = c.middleware[i](last)
	}
	_, err := last(ctx, x)
	return err
}

// addHeaders copies what middleware set, except what is the client's own.
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
