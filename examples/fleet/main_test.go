package main

import (
	"strings"
	"testing"
)

func TestRunInASandbox(t *testing.T) {
	t.Setenv("PEAQOS_ORCHESTRATION_URL", "")
	const want = `Arm (did:peaq:40) active, 0 agents, 0 endpoints
Rover (did:peaq:41) active, 1 agent, 1 endpoint
Sensor (did:peaq:42) active, 2 agents, 1 endpoint
`
	var out strings.Builder
	if err := run(t.Context(), &out); err != nil || out.String() != want {
		t.Errorf("%v, printed\n%s", err, out.String())
	}
}
