package main

import (
	"encoding/json"
	"strconv"

	"github.com/rogpeppe/go-internal/testscript"
)

// active are the living agents in what agents list --json has just printed.
func active(ts *testscript.TestScript) []string {
	var out struct{ Items []agentRow }
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &out))
	var ids []string
	for _, a := range out.Items {
		if a.Status == "active" {
			ids = append(ids, a.ID)
		}
	}
	return ids
}

// living N holds how many agents live.
func living(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: living N")
	}
	if ids := active(ts); strconv.Itoa(len(ids)) != args[0] {
		ts.Fatalf("living agents: %v, want %s", ids, args[0])
	}
}

// revokeLiving ends every living agent of did:peaq:42 with agents revoke.
func revokeLiving(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: revoke-living")
	}
	where := []string{"--orchestrator-url", "http://" + ts.Getenv("SANDBOX"), "--identity-ref", "did:peaq:42", "--api-key-file", "key"}
	ts.Check(ts.Exec("peaqos-agent", append([]string{"agents", "list", "--json"}, where...)...))
	for _, id := range active(ts) {
		ts.Check(ts.Exec("peaqos-agent", append([]string{"agents", "revoke", id}, where...)...))
	}
}
