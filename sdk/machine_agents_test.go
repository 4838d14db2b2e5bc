package sdk

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const agentJSON = `{"id":"magt_1","machineId":"m","label":"l","status":"provisioned","createdAt":"c","updatedAt":"u"`

func TestEnrollReadsTheTokenFromBothNames(t *testing.T) {
	for body, want := range map[string]string{
		`,"agentToken":"A"}`: "A", `,"provisioningToken":"P"}`: "P", `,"agentToken":"A","provisioningToken":"P"}`: "A",
		`,"agentToken":null,"provisioningToken":"P"}`: "P", `,"agentToken":"","provisioningToken":"P"}`: "P",
	} {
		c, requests := serve(t, reply{status: 201, body: `{"item":` + agentJSON + body + `}`})
		agent, err := c.MachineAgents.Enroll(t.Context(), "m", EnrollMachineAgent{})
		if err != nil || agent.Token.Reveal() != want || agent.ID != "magt_1" || agent.Meta.Status != 201 {
			t.Errorf("%s: got %+v %v", body, agent, err)
		}
		if r := (*requests)[0]; r.body != "{}" || r.path != "/api/v1/machines/m/agents/enrollment" {
			t.Errorf("sent %q to %s", r.body, r.path)
		}
	}
}

func TestEnrollWithoutTokenNamesTheAgent(t *testing.T) {
	c, _ := serve(t, reply{status: 201, body: `{"item":` + agentJSON + `}}`})
	agent, err := c.MachineAgents.Enroll(t.Context(), "m", EnrollMachineAgent{Label: Some("l")})
	var missing *MissingTokenError
	if !errors.As(err, &missing) || missing.AgentID != "magt_1" || agent == nil || agent.ID != "magt_1" {
		t.Fatalf("got %+v %v", agent, err)
	}
}

func TestHeartbeat(t *testing.T) {
	c, requests := serve(t, reply{body: `{"item":{"machineId":"m","agentId":"a","leaseTtlSeconds":90.0,"observedAt":"o","endpoints":[
		{"providerKey":"qvac","endpointBaseUrl":"http://127.0.0.1:1","status":"asleep","leaseExpiresAt":"e","healthError":null}]}}`})
	beat := Heartbeat{
		MachineID: "m", AgentID: "a", AgentToken: NewSecret("TOKEN"), LeaseTTLSeconds: Some(90),
		Endpoints: []HeartbeatEndpoint{
			{
				ProviderKey: "qvac", EndpointBaseURL: "http://127.0.0.1:1", NetworkScope: Some("loopback"),
				Label: Some(""), AuthToken: Some(NewSecret("sk")),
			},
			{ProviderKey: "x", EndpointBaseURL: "y"},
		},
	}
	got, err := c.MachineAgents.Heartbeat(context.Background(), beat)
	if err != nil {
		t.Fatal(err)
	}
	if got.Date.IsZero() || got.Meta.Status != 200 {
		t.Errorf("meta %+v", got.Meta)
	}
	got.Meta = Meta{}
	want := &HeartbeatResult{
		MachineID: "m", AgentID: "a", LeaseTTLSeconds: 90, ObservedAt: "o",
		Endpoints: []EndpointResult{{ProviderKey: "qvac", EndpointBaseURL: "http://127.0.0.1:1", Status: "asleep", LeaseExpiresAt: "e"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	r := (*requests)[0]
	body := `{"machineId":"m","agentId":"a","agentToken":"TOKEN","endpoints":[{"providerKey":"qvac",` +
		`"endpointBaseUrl":"http://127.0.0.1:1","label":"",` +
		`"authToken":"sk","networkScope":"loopback"},{"providerKey":"x","endpointBaseUrl":"y"}],"leaseTtlSeconds":90}`
	if r.body != body {
		t.Errorf("sent %s", r.body)
	}
	if r.header.Get("X-Api-Key") != "" || r.header.Get("Authorization") != "" {
		t.Errorf("a heartbeat carries credentials in its headers: %v", r.header)
	}
}

// TestAgentsOfAllPages: List and All read every page.
func TestAgentsOfAllPages(t *testing.T) {
	agent := `{"id":"%s","machineId":"m","label":"l","status":"active","createdAt":"2026-01-01T00:00:00Z","updatedAt":"2026-01-01T00:00:00Z"}`
	pages := []reply{
		{body: `{"items":[` + strings.Replace(agent, "%s", "a1", 1) + `],"nextCursor":"1"}`},
		{body: `{"items":[` + strings.Replace(agent, "%s", "a2", 1) + `],"nextCursor":null}`},
	}
	c, _ := serve(t, pages...)
	if all, err := c.MachineAgents.List(t.Context(), "m"); err != nil || len(all) != 2 || all[1].ID != "a2" {
		t.Errorf("%+v, %v", all, err)
	}
	c, requests := serve(t, pages...)
	var ids []string
	for a, err := range c.MachineAgents.All(t.Context(), "m", ListOptions{Limit: Some(1)}) {
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, a.ID)
	}
	if q := (*requests)[1].query; len(ids) != 2 || q != "cursor=1&limit=1" {
		t.Errorf("%v, asked with %q", ids, q)
	}
}
