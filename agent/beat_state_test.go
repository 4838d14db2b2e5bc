package agent

import (
	"strings"
	"testing"

	"github.com/peaqnetwork/peaqos-agent/agent/status"
)

// TestWhyIdleNamesEachEndpoint: each endpoint that is not published, and why; or that
// all of them have come up meanwhile.
func TestWhyIdleNamesEachEndpoint(t *testing.T) {
	l := newLife(t, "up", "down", "refused")
	defer l.close()
	b := l.agent.beaters["main"]
	l.agent.state.Update("main", func(m *status.Machine) {
		m.Endpoint("up").Up = true
		m.Endpoint("down").ProbeFault = "connection refused"
		m.Endpoint("refused").Up, m.Endpoint("refused").Refused = true, "AGENT_POLICY_DENIED"
	})
	if got, want := b.whyIdle(), "down: connection refused; refused: rejected by the orchestrator: an endpoint's provider key is not among those allowed at enrollment (AGENT_POLICY_DENIED)"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	l.agent.state.Update("main", func(m *status.Machine) {
		for i := range m.Endpoints {
			m.Endpoints[i].Up, m.Endpoints[i].Refused = true, ""
		}
	})
	if got := b.whyIdle(); strings.Contains(got, "not published") || got == "" {
		t.Errorf("every endpoint is up: %q", got)
	}
}
