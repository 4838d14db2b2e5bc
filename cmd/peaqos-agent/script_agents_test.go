package main

import (
	"encoding/json"
	"strconv"

	"github.com/rogpeppe/go-internal/testscript"
)

// active returns the active agents in what agents list --json has just printed.
func active(ts *testscript.TestScript) []string {
	var out struct{ Items []agentRow }
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &out))
	var ids []string
	for _, a := range out.Items {
		if a.Status == "active" {
			ids = append(ids, a.AgentID)
		}
	}
	return ids
}

// activeAgents implements active-agents N: it fails unless N agents are active.
func activeAgents(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: active-agents N")
	}
	if ids := active(ts); strconv.Itoa(len(ids)) != args[0] {
		ts.Fatalf("active agents: %v, want %s", ids, args[0])
	}
}

// revokeActive implements revoke-active: agents revoke for every active agent of
// did:peaq:42.
func revokeActive(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: revoke-active")
	}
	where := []string{"--orchestrator-url", "http://" + ts.Getenv("SANDBOX"), "--identity-ref", "did:peaq:42", "--api-key-file", "key"}
	ts.Check(ts.Exec("peaqos-agent", append([]string{"agents", "list", "--json"}, where...)...))
	for _, id := range active(ts) {
		ts.Check(ts.Exec("peaqos-agent", append([]string{"agents", "revoke", id, "--json"}, where...)...))
	}
}
