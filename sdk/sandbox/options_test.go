package sandbox_test

import (
	"strings"
	"testing"
	"time"

	"github.com/peaqnetwork/peaqos-agent/sdk/sandbox"
)

func TestOptionRefusals(t *testing.T) {
	address := addressOf(otherKey)
	for _, c := range []struct {
		name string
		opt  sandbox.Option
		want string // in the error; "" = accepted
	}{
		{"empty key", sandbox.WithAPIKey(""), "must not be empty"},
		{"no address", sandbox.WithController("", "0x12"), "not an address"},
		{"address without 0x", sandbox.WithController("", address[2:]), "not an address"},
		{"address form", sandbox.WithController("did:peaq:"+address, address), "not a decimal identity"},
		{"leading zero", sandbox.WithController("did:peaq:07", address), "not a decimal identity"},
		{"bare number", sandbox.WithController("7", address), "not a decimal identity"},
		{"alias", sandbox.WithController("peaqos:machine:7", address), ""},
		{"lease 0", sandbox.WithLeaseMax(0), "longest lease"},
		{"lease too long", sandbox.WithLeaseMax(24*time.Hour + 1), "longest lease"},
		{"challenge 0", sandbox.WithChallengeTTL(0), "challenge"},
		{"challenge too long", sandbox.WithChallengeTTL(25 * time.Hour), "challenge"},
		{"session below 0", sandbox.WithSessionTTL(-1), "session"},
		{"session too long", sandbox.WithSessionTTL(367 * 24 * time.Hour), "session"},
		{"quote 0", sandbox.WithQuoteTTL(0), "quote"},
		{"quote too long", sandbox.WithQuoteTTL(25 * time.Hour), "quote"},
		{"rpc without scheme", sandbox.WithRPC("", "node:8545"), "RPC"},
		{"rpc of another scheme", sandbox.WithRPC("1", "ws://node"), "RPC"},
		{"rpc without host", sandbox.WithRPC("1", "http://"), "RPC"},
		{"rpc", sandbox.WithRPC("1", "http://127.0.0.1:8545"), ""},
		{"scenario", sandbox.WithScenario(sandbox.Script{Steps: []sandbox.Step{{Do: "dance"}}}), "dance"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := sandbox.Open(c.opt)
			switch {
			case c.want == "" && err != nil:
				t.Errorf("rejected: %v", err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("error %v, want one with %q", err, c.want)
			case err == nil:
				_ = s.Close()
			}
		})
	}
	// All errors are reported at once, and New panics with them.
	defer func() {
		if err, _ := recover().(error); err == nil || strings.Count(err.Error(), "sandbox:") != 2 {
			t.Errorf("New panicked with %v", err)
		}
	}()
	sandbox.New(sandbox.WithAPIKey(""), sandbox.WithLeaseMax(0))
}

func TestOpenWithoutAKey(t *testing.T) {
	s := sandbox.New()
	defer s.Close()
	r := &harness{t: t, s: s, client: newHarness(t).client, url: "http://sandbox"}
	r.client.Transport = s.Transport()
	r.get("/machines").ok(200)
	if len(s.Events("")) != 0 || len(s.Agents("")) != 0 || s.Requests() != 1 {
		t.Errorf("a fresh server knows %d events, %d agents, %d requests", len(s.Events("")), len(s.Agents("")), s.Requests())
	}
}

func TestTwoKeys(t *testing.T) {
	r := newHarness(t, sandbox.WithAPIKey("second"))
	r.call("GET", "/machines", nil, "X-Api-Key", "second").ok(200)
	r.get("/machines").ok(200)
}
