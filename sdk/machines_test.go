package sdk

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestGetMachine(t *testing.T) {
	c, requests := serve(t, reply{body: `{"item":` + machineJSON + `,"more":1}`})
	m, err := getMachine(c)
	if err != nil {
		t.Fatal(err)
	}
	want := &Machine{
		ID: "mach_1", DisplayName: "Rover", Status: MachineActive, OwnerID: "acct", MachineType: "rover", RuntimeProfile: "edge",
		Capabilities: []string{"gps"}, Labels: map[string]string{"site": "berlin"}, PolicyIDs: []string{}, SkillKeys: []string{},
		CreatedAt: "2026-03-01T10:00:00Z", UpdatedAt: "2026-03-01T10:00:00Z", IdentityRef: "did:peaq:42",
		Extra: ExtraFields{"colour": NewSecret(`"red"`)},
	}
	if m.Meta.Status != 200 || m.Date.IsZero() {
		t.Errorf("meta %+v", m.Meta)
	}
	m.Meta = Meta{}
	if diff := cmp.Diff(want, m); diff != "" {
		t.Error(diff)
	}
	r := (*requests)[0]
	if r.method != "GET" || r.path != "/api/v1/machines/mach_1" || r.header.Get("X-Api-Key") != "pk_canary" || r.body != "" ||
		r.header.Get("Content-Type") != "" || r.header.Get("User-Agent") != "peaqos-agent-go/"+Version {
		t.Errorf("got %+v", r)
	}
}

func TestCreateMachineSendsWhatIsSet(t *testing.T) {
	c, requests := serve(t, reply{status: 201, body: `{"item":` + machineJSON + `}`})
	in := CreateMachine{
		DisplayName: "Rover", OwnerID: "acct", MachineType: "rover", IdentityRef: Some("peaqos:machine:42"),
		IdentityProof: Some(IdentityProofInput{"ch", "0xab"}), Labels: Some(map[string]string{"b_c": "2", "a": ""}),
		SkillKeys: Some([]string{}),
	}
	if _, err := c.Machines.Create(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	want := `{"displayName":"Rover","ownerId":"acct","machineType":"rover","runtimeProfile":"","identityRef":"peaqos:machine:42",` +
		`"identityProof":{"challengeId":"ch","signature":"0xab"},"labels":{"a":"","b_c":"2"},"skillKeys":[]}`
	if got := (*requests)[0]; got.body != want || got.header.Get("Content-Type") != "application/json" {
		t.Errorf("got %s", got.body)
	}
}

func TestMachinesAllRequestsAPageWhenNeeded(t *testing.T) {
	page := func(n int, next string) reply {
		return reply{body: fmt.Sprintf(
			`{"items":[%s],"nextCursor":%s}`, strings.Replace(machineJSON, "mach_1", fmt.Sprint("mach_", n), 1),
			next,
		)}
	}
	c, requests := serve(t, page(1, `"c 1"`), page(2, `"c2"`), page(3, `null`))
	var got []string
	var asked []int
	for m, err := range c.Machines.All(t.Context(), ListOptions{Limit: Some(1)}) {
		if err != nil {
			t.Fatal(err)
		}
		got, asked = append(got, m.ID), append(asked, len(*requests))
	}
	if diff := cmp.Diff([]string{"mach_1", "mach_2", "mach_3"}, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]int{1, 2, 3}, asked); diff != "" {
		t.Error("an item was delayed until the next page: " + diff)
	}
	if q := (*requests)[1].query; q != "cursor=c+1&limit=1" {
		t.Errorf("second page asked with %q", q)
	}
	for range c.Machines.All(t.Context(), ListOptions{}) {
		break
	}
}

func TestListWhoseCursorDoesNotAdvanceEnds(t *testing.T) {
	c, _ := serve(t, reply{body: `{"items":[],"nextCursor":"same"}`})
	var last error
	for _, err := range c.Machines.All(t.Context(), ListOptions{}) {
		last = err
	}
	if !errors.Is(last, ErrMalformed) {
		t.Errorf("got %v", last)
	}
}

// TestRejectedBeforeSending: each row is rejected before anything is sent, with the field's
// wire name.
func TestRejectedBeforeSending(t *testing.T) {
	c, requests := serve(t, reply{})
	ctx := context.Background()
	proof := Some(IdentityProofInput{"c", "s"})
	beat := Heartbeat{MachineID: "m", AgentID: "a", AgentToken: NewSecret("t"), Endpoints: []HeartbeatEndpoint{{ProviderKey: "qvac"}}}
	with := func(change func(*Heartbeat)) Heartbeat {
		out := beat
		change(&out)
		return out
	}
	tests := []struct {
		field string
		err   error
	}{
		{"machineId", second(c.Machines.Get(ctx, " \t\u2003"))},
		{"machineId", second(c.Machines.Get(ctx, ".."))},
		{"limit", second(c.Machines.List(ctx, ListOptions{Limit: Some(0)}))},
		{"limit", second(c.Machines.List(ctx, ListOptions{Limit: Some(501)}))},
		{"displayName", second(c.Machines.Create(ctx, CreateMachine{OwnerID: "o"}))},
		{"ownerId", second(c.Machines.Create(ctx, CreateMachine{DisplayName: "d", OwnerID: "\x1c"}))},
		{"identityRef", second(c.Machines.Create(ctx, CreateMachine{DisplayName: "d", OwnerID: "o", IdentityProof: proof}))},
		{"identityProof", second(c.Machines.Create(ctx, CreateMachine{DisplayName: "d", OwnerID: "o", IdentityRef: Some("did:peaq:1")}))},
		{"identityProof.signature", second(c.Machines.Update(ctx, "m", UpdateMachine{IdentityProof: Some(IdentityProofInput{"c", ""})}))},
		{"identityRef", second(c.Machines.Update(ctx, "m", UpdateMachine{IdentityRef: Some("")}))},
		{"agentId", c.MachineAgents.Revoke(ctx, "m", "")},
		{"machineId", second(c.MachineAgents.Heartbeat(ctx, with(func(h *Heartbeat) { h.MachineID = "" })))},
		{"agentToken", second(c.MachineAgents.Heartbeat(ctx, with(func(h *Heartbeat) { h.AgentToken = Secret{} })))},
		{"endpoints", second(c.MachineAgents.Heartbeat(ctx, with(func(h *Heartbeat) { h.Endpoints = nil })))},
		{"providerKey", c.RuntimeEndpoints.Delete(ctx, "m", "")},
		{"endpointBaseUrl", second(c.RuntimeEndpoints.Upsert(ctx, "m", "qvac", UpsertRuntimeEndpoint{EndpointBaseURL: "ftp://h"}))},
	}
	for i, tt := range tests {
		var fault *ValidationError
		if !errors.As(tt.err, &fault) || fault.Field != tt.field {
			t.Errorf("row %d: got %v, want an error for %s", i, tt.err, tt.field)
		}
	}
	if len(*requests) != 0 {
		t.Errorf("%d requests were sent", len(*requests))
	}
}

func second[T any](_ T, err error) error { return err }

func TestIdentityRefs(t *testing.T) {
	const most = "115792089237316195423570985008687907853269984665640564039457584007913129639935"
	for ref, want := range map[string]bool{
		"did:peaq:0": true, "did:peaq:42": true, "peaqos:machine:7": true, "did:peaq:" + most: true,
		"did:peaq:" + most[:77] + "6": false, "did:peaq:01": false, "did:peaq:": false, "did:peaq:-1": false, "did:peaq:٥": false,
		"did:peaq:5\n": false, " did:peaq:5": false, "DID:PEAQ:5": false,
		"did:peaq:0x52908400098527886E0F7030069857D2E4169EE7": false, "5": false,
	} {
		if _, err := MachineNumber(ref); (err == nil) != want {
			t.Errorf("%q: %v", ref, err)
		}
	}
	c, err := New("http://h", WithLegacyIdentityRefs())
	if err != nil {
		t.Fatal(err)
	}
	if err := c.refs.check("f", "did:peaq:0x52908400098527886E0F7030069857D2E4169EE7"); err != nil {
		t.Error(err)
	}
	if err := c.refs.check("f", "did:peaq:0x5290"); err == nil {
		t.Error("half an address passed")
	}
}

func TestBaseURLs(t *testing.T) {
	for base, want := range map[string]string{
		"http://h": "http://h/api/v1/machines/a%2Fb", "http://h/": "http://h/api/v1/machines/a%2Fb",
		"https://h:8/gw/v9": "https://h:8/gw/v9/api/v1/machines/a%2Fb",
		"http://h/api/v1":   "http://h/api/v1/machines/a%2Fb", "http://h/x/api/v1/": "http://h/x/api/v1/machines/a%2Fb",
		"http://[::1]:80/a%2Fb": "http://[::1]:80/a%2Fb/api/v1/machines/a%2Fb",
	} {
		c, err := New(base)
		if err != nil {
			t.Errorf("%s: %v", base, err)
			continue
		}
		r := c.call(http.MethodGet, "/machines/{machineId}", "a/b")
		if got := c.base.at(r.decoded, r.escaped, "").String(); got != want {
			t.Errorf("%s: got %s", base, got)
		}
	}
	for _, base := range []string{
		"", "h", "ftp://h", "http://", "http:///x", "http://u:p@h", "http://h?x=1", "http://h#f", "http://h/ ",
		"http://h\\x", "http://h:99999", "://",
	} {
		_, err := New(base)
		var fault *ConfigError
		if !errors.As(err, &fault) || strings.Contains(err.Error(), "u:p") {
			t.Errorf("%q: got %v", base, err)
		}
	}
}
