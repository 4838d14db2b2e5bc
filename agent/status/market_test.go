package status_test

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/agent/status/statustest"
	"github.com/peaqnetwork/peaqos-agent/internal/golden"
)

// listed is the machine of the situation online, as an orchestrator that agrees lists it.
func listed() status.Market {
	left := 70.0
	return status.Market{
		MachineID: "mach_1", IdentityRef: "did:peaq:42", DisplayName: "Robot 7", Orchestrator: "https://orchestration.peaq.xyz", Status: "active",
		At: statustest.Now, Reasons: []status.Reason{}, Endpoints: []status.MarketEndpoint{{
			ProviderKey: "qvac", BaseURL: "http://127.0.0.1:11434", NetworkScope: "loopback", AgentID: "agent_1", ServerStatus: "active", LeaseLeft: &left,
		}},
	}
}

// TestMarketAgrees: each way in which the orchestrator and the machine differ has its code.
func TestMarketAgrees(t *testing.T) {
	expired := -5.0
	for name, c := range map[string]struct {
		change func(k *status.Market, own *status.MachineView)
		want   string // codes
	}{
		"the same":          {func(*status.Market, *status.MachineView) {}, ""},
		"a slash more":      {func(k *status.Market, _ *status.MachineView) { k.Endpoints[0].BaseURL += "/" }, ""},
		"blocked":           {func(k *status.Market, _ *status.MachineView) { k.Status = "blocked" }, "machine_not_active"},
		"not listed":        {func(k *status.Market, _ *status.MachineView) { k.Endpoints = nil }, "market_missing"},
		"another address":   {func(k *status.Market, _ *status.MachineView) { k.Endpoints[0].BaseURL = "http://10.0.0.9:1" }, "endpoint_contested"},
		"another agent":     {func(k *status.Market, _ *status.MachineView) { k.Endpoints[0].AgentID = "agent_2" }, "endpoint_contested"},
		"set by hand":       {func(k *status.Market, _ *status.MachineView) { k.Endpoints[0].AgentID = "" }, "endpoint_contested"},
		"expired there":     {func(k *status.Market, _ *status.MachineView) { k.Endpoints[0].LeaseLeft = &expired }, "market_lease_expired"},
		"not reached there": {func(k *status.Market, _ *status.MachineView) { k.Endpoints[0].ServerStatus = "unreachable" }, "server_disagrees"},
		"down on both sides": {func(k *status.Market, own *status.MachineView) {
			k.Endpoints[0].ServerStatus, own.Endpoints[0].Up = "unreachable", false
		}, ""},
		"gone here":      {func(_ *status.Market, own *status.MachineView) { own.Endpoints[0].LeaseLeft = nil }, "market_stale"},
		"not configured": {func(_ *status.Market, own *status.MachineView) { own.Endpoints = nil }, "market_stale"},
		"gone on both ends": {func(k *status.Market, own *status.MachineView) {
			k.Endpoints[0].LeaseLeft, own.Endpoints = &expired, nil
		}, ""},
	} {
		own := status.NewView(statustest.Situations()["online"], "1.2.3", "/s").Machines[0]
		k := listed()
		c.change(&k, &own)
		k.Compare(own, func(a, b string) bool { return strings.TrimSuffix(a, "/") == strings.TrimSuffix(b, "/") })
		var codes []string
		for _, r := range k.Reasons {
			codes = append(codes, string(r.Code))
		}
		if got := strings.Join(codes, " "); got != c.want || *k.Agrees != (c.want == "") || k.Machine != "main" {
			t.Errorf("%s: %s, agrees %t, want %q", name, got, *k.Agrees, c.want)
		}
	}
}

func TestMarketText(t *testing.T) {
	own := status.NewView(statustest.Situations()["online"], "1.2.3", "/s").Machines[0]
	k := listed()
	golden.Check(t, filepath.Join("testdata", "market-desk.txt"), k.Text(status.TextOptions{}))
	left := 40.0
	k.Endpoints[0].ServerStatus = "unreachable"
	k.Endpoints = append(k.Endpoints, status.MarketEndpoint{ProviderKey: "vision", BaseURL: "http://10.0.0.9:8000", ServerStatus: "active", LeaseLeft: &left})
	k.Compare(own, func(a, b string) bool { return a == b })
	golden.Check(t, filepath.Join("testdata", "market.txt"), k.Text(status.TextOptions{Width: 110}))
	golden.Check(t, filepath.Join("testdata", "market.60.txt"), k.Text(status.TextOptions{Width: 60}))
	k.DisplayName, k.Endpoints[0].BaseURL = "a\x1b[31m", "http://b\r\n"
	if text := k.Text(status.TextOptions{}); strings.ContainsAny(text, "\x1b\r") {
		t.Errorf("a control character: %q", text)
	}
}

// TestServerDisagrees: what the orchestrator says of an endpoint that is live here is a
// reason of its own, and does not make the machine unready.
func TestServerDisagrees(t *testing.T) {
	s := statustest.Situations()["online"]
	e := &s.Machines[0].Endpoints[0]
	for _, c := range []struct {
		server string
		up     bool
		want   bool
	}{{"active", true, false}, {"", true, false}, {"unreachable", true, true}, {"degraded", true, true}, {"unreachable", false, false}} {
		e.ServerStatus, e.Up = c.server, c.up
		if got := e.Disagrees(s.SinceBoot); got != c.want {
			t.Errorf("%+v: %t", c, got)
		}
	}
	e.ServerStatus, e.ServerFault, e.Up = "unreachable", "connect ECONNREFUSED", true
	r := status.Ready(s)
	if !r.Ready || len(r.Reasons) != 1 || r.Reasons[0].Code != "server_disagrees" || !strings.Contains(r.Reasons[0].Text, "ECONNREFUSED") {
		t.Errorf("%+v", r)
	}
	if e.Disagrees(s.SinceBoot + time.Hour) {
		t.Error("an expired lease disagrees")
	}
}
