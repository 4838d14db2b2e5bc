package sdk

import (
	"net/http"
	"testing"
)

// TestAllocations limits the heap allocations of one call, without the server's part: a
// heartbeat that allocates twice as much would matter on a board with 64 MB.
func TestAllocations(t *testing.T) {
	beats := cannedClient(t, http.StatusOK, always(beatJSON))
	refused := cannedClient(
		t, http.StatusUnauthorized,
		always(`{"error":{"code":"AGENT_AUTH_INVALID","message":"no","details":{"tries":3}}}`),
	)
	listed := cannedClient(t, http.StatusOK, benchPages())
	in := benchBeat()
	tests := []struct {
		name  string
		most  float64
		calls func() error
	}{
		{"heartbeat", 48, func() error { return second(beats.MachineAgents.Heartbeat(t.Context(), in)) }},
		{"error response", 56, func() error {
			if _, err := refused.MachineAgents.Heartbeat(t.Context(), in); err == nil {
				t.Error("no error")
			}
			return nil
		}},
		{"page of 100 machines", 100*13 + 40, func() error { return second(listed.Machines.List(t.Context(), ListOptions{})) }},
	}
	for _, tt := range tests {
		got := testing.AllocsPerRun(100, func() {
			if err := tt.calls(); err != nil {
				t.Error(err)
			}
		})
		t.Logf("%s: %.0f allocations, at most %.0f", tt.name, got, tt.most)
		if got > tt.most {
			t.Errorf("%s: %.0f allocations, more than %.0f", tt.name, got, tt.most)
		}
	}
}
