package sdk

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

func TestMiddlewareSeesNoSecret(t *testing.T) {
	c, requests := serve(t, reply{status: 401, body: `{"error":{"code":"AUTH_INVALID","message":"pk_canary"}}`})
	var seen []string
	WithMiddleware(func(next RoundTrip) RoundTrip {
		return func(ctx context.Context, x *Request) (*Response, error) {
			x.Header.Set("Traceparent", "00-1")
			x.Header.Set("x-api-key", "stolen")
			a, err := next(ctx, x)
			seen = append(seen, fmt.Sprintf("%+v %+v %v", x, a, err))
			return a, err
		}
	})(c)
	if _, err := c.MachineAgents.Heartbeat(
		t.Context(),
		Heartbeat{MachineID: "m", AgentID: "a", AgentToken: NewSecret("TOKEN"), Endpoints: make([]HeartbeatEndpoint, 1)},
	); !errors.Is(err, ErrAuth) {
		t.Fatal(err)
	}
	if _, err := c.Machines.List(t.Context(), ListOptions{Cursor: Some("CURSOR")}); !errors.Is(err, ErrAuth) {
		t.Fatal(err)
	}
	for _, line := range seen {
		for _, secret := range []string{"pk_canary", "TOKEN", "CURSOR"} {
			if strings.Contains(line, secret) {
				t.Errorf("%s is in %s", secret, line)
			}
		}
	}
	if len(seen) != 2 || !strings.Contains(seen[0], "POST /machine-agents/heartbeat") || !strings.Contains(seen[0], "Status:401") {
		t.Errorf("got %q", seen)
	}
	r := (*requests)[1]
	if r.header.Get("Traceparent") != "00-1" || r.header.Get("X-Api-Key") != "pk_canary" {
		t.Errorf("got %v", r.header)
	}
}

func TestMiddlewareMayReject(t *testing.T) {
	c, requests := serve(t, reply{})
	stop := errors.New("the budget is spent")
	WithMiddleware(func(RoundTrip) RoundTrip {
		return func(context.Context, *Request) (*Response, error) { return nil, stop }
	})(c)
	if _, err := getMachine(c); !errors.Is(err, stop) || len(*requests) != 0 {
		t.Errorf("got %v after %d requests", err, len(*requests))
	}
}

func TestRequestNeverGoesToAnotherHost(t *testing.T) {
	c, _ := serve(t, reply{body: `{"item":` + machineJSON + `}`})
	hc := &http.Client{Transport: c.transport, CheckRedirect: func(*http.Request, []*http.Request) error { panic("asked to redirect") }}
	WithHTTPClient(hc)(c)
	if _, err := getMachine(c); err != nil {
		t.Error(err)
	}
}
