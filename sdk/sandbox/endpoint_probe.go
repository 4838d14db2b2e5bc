package sandbox

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// The timeout of a probe in milliseconds: the default and the limits of timeoutMs.
const (
	probeWait    = 3000
	shortestWait = 100
	longestWait  = 30000
)

// probeEndpoint probes a published endpoint at its probe path and stores the result (contract
// §3.1). An expired lease stays expired.
func (s *Server) probeEndpoint(c *call) (any, error) {
	e, err := s.endpointNamed(c)
	if err != nil {
		return nil, err
	}
	if _, err := s.activeMachine(e.MachineID); err != nil {
		return nil, err
	}
	wait, sent := c.in.integer("timeoutMs", shortestWait, longestWait)
	if !sent {
		wait = probeWait
	}
	if c.in.err != nil {
		return nil, c.in.err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.r.Context()), time.Duration(wait)*time.Millisecond)
	defer cancel()
	r, err := http.NewRequestWithContext(
		ctx, http.MethodGet, strings.TrimSuffix(e.EndpointBaseURL, "/")+"/"+strings.TrimPrefix(e.ProbePath, "/"), nil,
	)
	if err != nil {
		return nil, invalid("the endpoint's address and probe path do not form a URL")
	}
	e.authorize(r)
	begun := time.Now()
	var status int
	c.unlocked(func() { status, _, err = s.fetch(r) })
	took := time.Since(begun)
	c.now = s.Now()
	if e, gone := s.endpointNamed(c); gone == nil { // the lock was released in between
		return s.probed(c, e, status, took, err), nil
	}
	return nil, notFound("the runtime endpoint")
}

// probed stores the result of a probe: a 2xx response means active, another response degraded, no
// response unreachable.
func (s *Server) probed(c *call, e *storedEndpoint, status int, took time.Duration, err error) any {
	e.LastCheckedAt = c.stamp()
	found := map[string]any{"providerKey": e.ProviderKey, "checkedAt": c.stamp(), "latencyMs": took.Milliseconds()}
	switch {
	case err != nil:
		e.Status, found["error"] = "unreachable", plainCause(err)
		delete(found, "latencyMs")
	case status < 200 || status > 299:
		e.Status, found["error"] = "degraded", fmt.Sprintf("the probe got status %d", status)
	default:
		e.Status, e.LastHealthyAt = "active", c.stamp()
	}
	found["status"] = e.statusAt(c.now)
	c.audit("runtime-endpoint.probed", "runtime-endpoint", e.ID, e.MachineID, map[string]any{"status": e.Status})
	return item(found)
}
