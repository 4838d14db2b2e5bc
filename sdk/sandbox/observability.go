package sandbox

import (
	"fmt"
	"net/http"
)

func (s *Server) health(*call) (any, error) { return map[string]bool{"ok": true}, nil }

// readiness responds with 200 in both cases: clients would take a 503 without the error envelope
// for a malformed response (contract §2.21).
func (s *Server) readiness(*call) (any, error) {
	type check struct {
		Name    string `json:"name"`
		Status  string `json:"status"`
		Message string `json:"message,omitempty"`
	}
	status, state := "ready", check{Name: "state", Status: "pass"}
	if err := s.save.lastError(); err != nil {
		status, state.Status, state.Message = "not_ready", "fail", err.Error()
	}
	return map[string]any{"status": status, "checks": []check{{Name: "orchestrator", Status: "pass"}, state}}, nil
}

// metrics serves a few figures in the Prometheus text format. They need no key, so that,
// as for the page, a browser must use a known host.
func (s *Server) metrics(c *call) {
	if !s.knowsHost(c.r) {
		c.write(nil, errUnknownHost())
		return
	}
	s.mu.Lock()
	st := &s.st
	figures := []struct {
		name, kind string
		value      uint64
	}{
		{"requests_total", "counter", s.requests.Load()},
		{"heartbeats_total", "counter", st.Beats},
		{"snake_case_entries_total", "counter", s.snakeCase},
		{"machines", "gauge", uint64(st.Machines.len())},
		{"agents", "gauge", uint64(st.Agents.len())},
		{"runtime_endpoints", "gauge", uint64(st.Endpoints.len())},
		{"pairings", "gauge", uint64(st.Pairings.len())},
		{"orders", "gauge", uint64(st.Orders.len())},
		{"control_sockets", "gauge", uint64(s.live.count())},
	}
	s.mu.Unlock()
	dateOf(c.w, c.now)
	c.w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	c.w.WriteHeader(http.StatusOK)
	for _, f := range figures {
		_, _ = fmt.Fprintf(c.w, "# TYPE peaqos_sandbox_%s %s\npeaqos_sandbox_%s %d\n", f.name, f.kind, f.name, f.value)
	}
}
