package main

import (
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/peaqnetwork/peaqos-agent/sdk"
	"github.com/peaqnetwork/peaqos-agent/sdk/eip191"
	"github.com/peaqnetwork/peaqos-agent/sdk/sandbox"
)

const want = `machine did:peaq:42 is active
heartbeat accepted, 1 endpoint published
the paired agent sees services: true
`

func TestRunInASandbox(t *testing.T) {
	t.Setenv("PEAQOS_ORCHESTRATION_URL", "")
	var out strings.Builder
	if err := run(t.Context(), &out, "did:peaq:42", ""); err != nil || out.String() != want {
		t.Errorf("%v, printed\n%s", err, out.String())
	}
}

// TestRunAgain: the second run has one machine, one active agent and the stored tokens. In the
// scenario, the responses of the first enrollments are lost.
func TestRunAgain(t *testing.T) {
	key := "0x" + strings.Repeat("11", 32)
	signer, err := eip191.NewSigner(sdk.NewSecret(key))
	if err != nil {
		t.Fatal(err)
	}
	lost, err := sandbox.Scenario("lost-enrollment")
	if err != nil {
		t.Fatal(err)
	}
	server := sandbox.New(sandbox.WithController("", signer.Address()), sandbox.WithScenario(lost))
	defer server.Close()
	web := httptest.NewServer(server)
	defer web.Close()
	for name, value := range map[string]string{
		"PEAQOS_ORCHESTRATION_URL": web.URL, "PEAQOS_PRIVATE_KEY": key, "PEAQOS_API_KEY": "", "PEAQOS_ORCH_API_KEY": "",
	} {
		t.Setenv(name, value)
	}
	dir := t.TempDir()
	for range 2 {
		var out strings.Builder
		if err := run(t.Context(), &out, "did:peaq:42", dir); err != nil || out.String() != want {
			t.Fatalf("%v, printed\n%s", err, out.String())
		}
	}
	machines := server.Machines()
	if len(machines) != 1 {
		t.Fatalf("%d machines", len(machines))
	}
	active := 0
	for _, agent := range server.Agents(machines[0].ID) {
		if agent.Status != "revoked" {
			active++
		}
	}
	if active != 1 {
		t.Errorf("%d active agents", active)
	}
	info, err := os.Stat(filepath.Join(dir, "agent"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the token's file: %v, %v", info, err)
	}
}
