package sandbox

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"
)

const (
	probeWait    = 3000  // milliseconds, when no timeoutMs was sent
	shortestWait = 100   // that may be asked for
	longestWait  = 30000 // likewise
)

// probeEndpoint looks at a published endpoint now, by its probe path, and keeps
// what it found (contract §3.1). A lapsed lease stays lapsed.
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
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(e.EndpointBaseURL, "/")+"/"+strings.TrimPrefix(e.ProbePath, "/"), nil)
	if err != nil {
		return nil, invalid("the endpoint's address and probe path make no URL")
	}
	e.authorize(r)
	begun := time.Now()
	var status int
	c.unlocked(func() { status, _, err = s.fetch(r) })
	took := time.Since(begun)
	c.now = s.Now()
	if e, gone := s.endpointNamed(c); gone == nil { // the lock was given up meanwhile
		return s.probed(c, e, status, took, err), nil
	}
	return nil, notFound("the runtime endpoint")
}

// probed writes down what a probe found: an answer of 2xx is health, another one
// is degraded, none is unreachable.
func (s *Server) probed(c *call, e *storedEndpoint, status int, took time.Duration, err error) any {
	e.LastCheckedAt = c.stamp()
	found := map[string]any{"providerKey": e.ProviderKey, "checkedAt": c.stamp(), "latencyMs": took.Milliseconds()}
	switch {
	case err != nil:
		e.Status, found["error"] = "unreachable", plainCause(err)
		delete(found, "latencyMs")
	case status < 200 || status > 299:
		e.Status, found["error"] = "degraded", fmt.Sprintf("the probe was answered with %d", status)
	default:
		e.Status, e.LastHealthyAt = "active", c.stamp()
	}
	found["status"] = e.statusAt(c.now)
	c.audit("runtime-endpoint.probed", "runtime-endpoint", e.ID, e.MachineID, map[string]any{"status": e.Status})
	return item(found)
}
