package sandbox_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/peaqnetwork/peaqos-agent/sdk/sandbox"
)

func TestHeartbeatRefusals(t *testing.T) {
	r := newHarness(t)
	a, other := r.enroll(r.machine(), "qvac", "CAM"), r.enroll(r.machine())
	good := entry("qvac", "http://127.0.0.1:1")
	for _, c := range []struct {
		name string
		body any
		want string
	}{
		{"no machine", with(a.beat(), "machineId", nil), "VALIDATION_ERROR"},
		{"blank agent", with(a.beat(), "agentId", " "), "VALIDATION_ERROR"},
		{"token of a wrong type", with(a.beat(), "agentToken", 5), "VALIDATION_ERROR"},
		{"unknown agent", with(a.beat(), "agentId", "magt_x"), "NOT_FOUND"},
		{"unknown machine", with(a.beat(), "machineId", "mach_x"), "NOT_FOUND"},
		{"agent of another machine", with(a.beat(), "machineId", other.machine), "NOT_FOUND"},
		{"no token", with(a.beat(), "agentToken", nil), "AGENT_AUTH_REQUIRED"},
		{"blank token", with(a.beat(), "agentToken", " "), "AGENT_AUTH_REQUIRED"},
		{"wrong token", with(a.beat(), "agentToken", other.token), "AGENT_AUTH_INVALID"},
		{"no endpoints", with(a.beat(), "endpoints", nil), "VALIDATION_ERROR"},
		{"empty endpoints", with(a.beat(), "endpoints", []any{}), "VALIDATION_ERROR"},
		{"endpoints of a wrong type", with(a.beat(), "endpoints", object{}), "VALIDATION_ERROR"},
		{"a null entry", with(a.beat(), "endpoints", []any{nil}), "VALIDATION_ERROR"},
		{"an entry of a wrong type", with(a.beat(), "endpoints", []any{"qvac"}), "VALIDATION_ERROR"},
		{"an entry's member of a wrong type", a.beat(with(good, "label", 1)), "VALIDATION_ERROR"},
		{"too many entries", with(a.beat(), "endpoints", make([]object, 65)), "VALIDATION_ERROR"},
		{"no provider", a.beat(with(good, "providerKey", nil)), "VALIDATION_ERROR"},
		{"blank provider", a.beat(with(good, "providerKey", " ")), "VALIDATION_ERROR"},
		{"no URL", a.beat(with(good, "endpointBaseUrl", nil)), "VALIDATION_ERROR"},
		{"a URL without host", a.beat(entry("qvac", "http://")), "VALIDATION_ERROR"},
		{"a URL of another scheme", a.beat(entry("qvac", "ftp://h")), "VALIDATION_ERROR"},
		{"unknown auth type", a.beat(with(good, "authType", "basic")), "VALIDATION_ERROR"},
		{"unknown scope", a.beat(with(good, "networkScope", "moon")), "VALIDATION_ERROR"},
		{"a provider it may not serve", a.beat(good, entry("other", "http://h")), "AGENT_POLICY_DENIED"},
		{"lease 0", with(a.beat(), "leaseTtlSeconds", 0), "VALIDATION_ERROR"},
		{"negative lease", with(a.beat(), "leaseTtlSeconds", -1), "VALIDATION_ERROR"},
		{"lease above a day", with(a.beat(), "leaseTtlSeconds", 86401), "VALIDATION_ERROR"},
		{"half a second", with(a.beat(), "leaseTtlSeconds", 1.5), "VALIDATION_ERROR"},
		{"lease as text", with(a.beat(), "leaseTtlSeconds", "90"), "VALIDATION_ERROR"},
		{"not JSON", "{", "VALIDATION_ERROR"},
		{"not an object", "[]", "VALIDATION_ERROR"},
		{"nothing", nil, "VALIDATION_ERROR"},
		{"too long", `{"machineId":"` + strings.Repeat("x", 70<<10) + `"}`, "VALIDATION_ERROR"},
	} {
		t.Run(c.name, func(t *testing.T) { r.call("POST", "/machine-agents/heartbeat", c.body).fails(c.want) })
	}
	if n := len(r.s.Endpoints("")); n != 0 || r.s.Beats() != 0 || r.s.Agents(a.machine)[0].Status != "provisioned" {
		t.Errorf("rejected heartbeats left %d endpoints, %d heartbeats, agent %s", n, r.s.Beats(), r.s.Agents(a.machine)[0].Status)
	}
	r.beat(a.beat(good, entry("Cam", "http://h"))).ok(200) // keys are compared without case
}

func TestHeartbeatToken(t *testing.T) {
	r := newHarness(t)
	a := r.enroll(r.machine())
	r.key = "" // an agent has none
	bare := with(a.beat(), "agentToken", nil)
	r.beat(a.beat()).ok(200)
	r.call("POST", "/machine-agents/heartbeat", bare, "X-Agent-Pairing-Token", a.token).ok(200)
	r.call("POST", "/machine-agents/heartbeat", bare, "Authorization", "Bearer "+a.token).ok(200)
	r.call("POST", "/machine-agents/heartbeat", bare, "Authorization", "Bearer x").fails("AGENT_AUTH_INVALID")
}

// TestHeartbeatSpellings: the intended names, those of every Python release, null for absent, and a
// mix.
func TestHeartbeatSpellings(t *testing.T) {
	snake := object{
		"provider_key": "qvac", "endpoint_base_url": "http://10.0.0.1:8/x?y#z", "label": nil, "auth_type": "bearer", "auth_token": "s3cret",
		"model_alias": "m", "network_scope": "lan", "probe_path": nil,
	}
	camel := object{
		"providerKey": "QVAC", "endpointBaseUrl": "http://10.0.0.1:8", "authType": "bearer", "authToken": "s3cret",
		"modelAlias": "m", "networkScope": "lan", "label": nil,
	}
	for name, c := range map[string]struct {
		entry object
		snake uint64
	}{"snake": {snake, 1}, "camel": {camel, 0}, "camel wins": {with(snake, "providerKey", "qvac", "provider_key", "other"), 1}} {
		t.Run(name, func(t *testing.T) {
			r := newHarness(t)
			a := r.enroll(r.machine())
			beat := r.beat(with(a.beat(c.entry), "leaseTtlSeconds", nil)).ok(200)
			if beat.at("item.leaseTtlSeconds") != 90.0 || beat.str("item.endpoints.0.endpointBaseUrl") != "http://10.0.0.1:8" {
				t.Errorf("returned %s", beat.text)
			}
			got := r.get("/machines/" + a.machine + "/runtime-endpoints/qvac").ok(200)
			item := got.at("item").(object)
			for _, volatile := range []string{"id", "createdAt", "updatedAt", "leaseExpiresAt", "lastCheckedAt", "lastHealthyAt"} {
				if item[volatile] == nil {
					t.Errorf("no %s in %s", volatile, got.text)
				}
				delete(item, volatile)
			}
			if diff := cmp.Diff(object{
				"machineId": a.machine, "providerKey": "qvac", "label": "QVAC runtime", "endpointBaseUrl": "http://10.0.0.1:8",
				"source": "agent", "authType": "bearer",
				"hasAuthToken": true, "networkScope": "lan", "probePath": "/v1/models", "status": "active", "agentId": a.id, "modelAlias": "m",
			}, item); diff != "" {
				t.Errorf("stored as (-want +got):\n%s", diff)
			}
			if r.s.SnakeCase() != c.snake {
				t.Errorf("%d entries in the snake_case spelling, want %d", r.s.SnakeCase(), c.snake)
			}
		})
	}
}

func TestLeaseExpiresByTheClock(t *testing.T) {
	for _, c := range []struct {
		asked any
		most  time.Duration
		want  time.Duration
	}{
		{nil, 0, 90 * time.Second},
		{1, 0, time.Second},
		{86400, 0, 24 * time.Hour},
		{600, time.Minute, time.Minute},
		{30, time.Minute, 30 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := newHarness(t)
			if c.most > 0 {
				r.s.SetLeaseMax(c.most)
			}
			a := r.enroll(r.machine())
			granted := r.beat(with(a.beat(), "leaseTtlSeconds", c.asked)).ok(200)
			if got := granted.at("item.leaseTtlSeconds"); got != c.want.Seconds() {
				t.Fatalf("asked for %v, granted %v, want %v", c.asked, got, c.want)
			}
			ends, _ := time.Parse(time.RFC3339, granted.str("item.endpoints.0.leaseExpiresAt"))
			if left := time.Until(ends); left != c.want {
				t.Errorf("the lease ends in %v, want %v", left, c.want)
			}
			status := func() string {
				listed := r.get("/machines/" + a.machine + "/runtime-endpoints").str("items.0.status")
				if one := r.get("/machines/" + a.machine + "/runtime-endpoints/qvac").str("item.status"); one != listed {
					t.Errorf("listed as %s, read as %s", listed, one)
				}
				return listed
			}
			time.Sleep(c.want - time.Millisecond)
			if got := status(); got != "active" {
				t.Errorf("a moment before the end: %s", got)
			}
			time.Sleep(time.Millisecond)
			if got := status(); got != "unreachable" {
				t.Errorf("at the end: %s", got)
			}
			r.beat(a.beat()).ok(200)
			if got := status(); got != "active" {
				t.Errorf("after the next heartbeat: %s", got)
			}
		})
	}
}

// TestAWeekOfBeats is what the in-process transport is for.
func TestAWeekOfBeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHarness(t)
		a := r.enroll(r.machine())
		for range 7 * 24 * 60 {
			r.beat(a.beat()).ok(200)
			time.Sleep(time.Minute)
		}
		seen := r.s.Agents(a.machine)[0]
		if r.s.Beats() != 10_080 || time.Since(seen.LastSeenAt.Time) != time.Minute || seen.Status != "active" {
			t.Errorf("%d heartbeats, last seen %v ago, %s", r.s.Beats(), time.Since(seen.LastSeenAt.Time), seen.Status)
		}
	})
}

func TestEndpointsOfOneMachineAreBounded(t *testing.T) {
	r := newHarness(t)
	a := r.enroll(r.machine())
	for i := range 199 {
		r.beat(a.beat(entry(fmt.Sprint("p", i), "http://h"))).ok(200)
	}
	// Two more exceed the limit: neither is stored.
	r.beat(a.beat(entry("x", "http://h"), entry("y", "http://h"))).fails("VALIDATION_ERROR")
	if n := len(r.s.Endpoints(a.machine)); n != 199 {
		t.Fatalf("%d endpoints after a rejected heartbeat, want 199", n)
	}
	r.beat(a.beat(entry("p7", "http://h"), entry("x", "http://h"), entry("X", "http://h"))).ok(200)
	r.call("PUT", "/machines/"+a.machine+"/runtime-endpoints/y", object{"endpointBaseUrl": "http://h"}).fails("VALIDATION_ERROR")
	r.call("PUT", "/machines/"+a.machine+"/runtime-endpoints/x", object{"endpointBaseUrl": "http://h2"}).ok(200)
}

func TestVerdict(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHarness(t)
		a := r.enroll(r.machine())
		r.beat(a.beat()).ok(200)
		if !r.s.SetVerdict(a.machine, "QVAC", "degraded", "slow") {
			t.Fatal("no endpoint")
		}
		beat := r.beat(a.beat()).ok(200)
		if beat.str("item.endpoints.0.status") != "degraded" || beat.str("item.endpoints.0.healthError") != "slow" {
			t.Errorf("returned %s", beat.text)
		}
		time.Sleep(2 * time.Minute)
		if got := r.s.Endpoints(a.machine)[0].Status; got != "unreachable" {
			t.Errorf("with an expired lease: %s", got)
		}
		if !r.s.SetVerdict(a.machine, "qvac", "", "") || r.s.SetVerdict(a.machine, "qvac", "broken", "") || r.s.SetVerdict(
			a.machine, "cam", "active", "",
		) {
			t.Error("which verdicts are accepted")
		}
		if got := r.beat(a.beat()).ok(200).str("item.endpoints.0.status"); got != "active" {
			t.Errorf("without a verdict: %s", got)
		}
	})
}

func TestLeaseMaxOption(t *testing.T) {
	r := newHarness(t, sandbox.WithLeaseMax(1500*time.Millisecond))
	a := r.enroll(r.machine())
	if got := r.beat(a.beat()).ok(200).at("item.leaseTtlSeconds"); got != 1.0 {
		t.Errorf("granted %v s, want 1 (whole seconds)", got)
	}
}
