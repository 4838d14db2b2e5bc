package sandbox_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestManualEndpoint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHarness(t)
		m := r.machine()
		path := "/machines/" + m + "/runtime-endpoints"
		a := r.call("PUT", path+"/CAM", object{"endpointBaseUrl": " https://user:pw@cam.local:8443/a/b?c=d#e "}).ok(201)
		now := time.Now().UTC().Format("2006-01-02T15:04:05.000Z")
		if diff := cmp.Diff(object{
			"id": a.str("item.id"), "machineId": m, "providerKey": "cam", "label": "CAM runtime",
			"endpointBaseUrl": "https://cam.local:8443", "source": "manual",
			"authType": "none", "hasAuthToken": false, "networkScope": "loopback", "probePath": "/health", "status": "active",
			"createdAt": now, "updatedAt": now,
		}, a.at("item")); diff != "" {
			t.Errorf("made as (-want +got):\n%s", diff)
		}
		r.call("PUT", path+"/cam", object{
			"endpointBaseUrl": "http://cam", "label": "Front", "authType": "api-key", "authToken": "s3cret", "modelAlias": "x",
			"networkScope": "vpn", "probePath": "/up", "status": "degraded",
		}).ok(200)
		// A member that is absent or null in a PUT keeps its stored value.
		b := r.call("PUT", path+"/cam", object{"endpointBaseUrl": "http://cam", "label": nil}).ok(200)
		for member, want := range map[string]any{
			"label": "Front", "authType": "api-key", "hasAuthToken": true, "modelAlias": "x", "networkScope": "vpn",
			"probePath": "/up", "status": "degraded", "id": a.str("item.id"), "authToken": nil,
		} {
			if got := b.at("item." + member); got != want {
				t.Errorf("%s = %v, want %v", member, got, want)
			}
		}
		if got := r.get(path + "/Cam").ok(200); got.str("item.providerKey") != "cam" {
			t.Errorf("read as %s", got.text)
		}
		r.call("DELETE", path+"/CAM", nil).ok(204)
		r.call("DELETE", path+"/cam", nil).fails("NOT_FOUND")
		if got := r.call("PUT", path+"/qvac", object{"endpointBaseUrl": "http://h"}).ok(201).str("item.probePath"); got != "/v1/models" {
			t.Errorf("probe path of qvac: %s", got)
		}
	})
}

func TestPutEndpointRefusals(t *testing.T) {
	r := newHarness(t)
	m := r.machine()
	for _, bad := range []object{
		{},
		{"endpointBaseUrl": nil},
		{"endpointBaseUrl": ""},
		{"endpointBaseUrl": " "},
		{"endpointBaseUrl": 1},
		{"endpointBaseUrl": "cam.local"},
		{"endpointBaseUrl": "ftp://h"},
		{"endpointBaseUrl": "http://:80"},
		{"endpointBaseUrl": "http://h:port"},
		{"endpointBaseUrl": "http://h", "status": "asleep"},
		{"endpointBaseUrl": "http://h", "authType": "basic"},
		{"endpointBaseUrl": "http://h", "networkScope": ""},
		{"endpointBaseUrl": "http://h", "leaseExpiresAt": "tomorrow"},
		{"endpointBaseUrl": "http://h", "label": 1},
	} {
		r.call("PUT", "/machines/"+m+"/runtime-endpoints/cam", bad).fails("VALIDATION_ERROR")
	}
	if n := len(r.s.Endpoints(m)); n != 0 {
		t.Errorf("rejected calls left %d endpoints", n)
	}
	r.call("PATCH", "/machines/"+m, object{"status": "blocked"}).ok(200)
	r.call("PUT", "/machines/"+m+"/runtime-endpoints/cam", object{"endpointBaseUrl": "http://h"}).fails("MACHINE_NOT_ACTIVE")
	r.get("/machines/" + m + "/runtime-endpoints").ok(200)
	r.call("PATCH", "/machines/"+m, object{"status": "degraded"}).ok(200)
	r.call("PUT", "/machines/"+m+"/runtime-endpoints/cam", object{"endpointBaseUrl": "http://h"}).ok(201)
}

// TestManualOverAgent: a PUT takes over an agent's endpoint until its next heartbeat.
func TestManualOverAgent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHarness(t)
		a := r.enroll(r.machine())
		path := "/machines/" + a.machine + "/runtime-endpoints/qvac"
		r.beat(a.beat()).ok(200)
		put := r.call("PUT", path, object{"endpointBaseUrl": "http://h"}).ok(200)
		if put.str("item.source") != "manual" || put.at("item.agentId") != nil || put.at("item.leaseExpiresAt") != nil {
			t.Errorf("taken over as %s", put.text)
		}
		time.Sleep(time.Hour)
		if got := r.get(path).str("item.status"); got != "active" {
			t.Errorf("without a lease it reads %s after an hour", got)
		}
		r.beat(a.beat()).ok(200)
		if got := r.get(path).ok(200); got.str("item.source") != "agent" || got.str("item.agentId") != a.id ||
			got.str("item.endpointBaseUrl") != "http://127.0.0.1:11434" {
			t.Errorf("after the heartbeat: %s", got.text)
		}
		// A PUT may also set a lease.
		r.call("PUT", path, object{"endpointBaseUrl": "http://h", "leaseExpiresAt": time.Now().Add(time.Minute).Format(time.RFC3339)}).ok(200)
		time.Sleep(time.Minute)
		if got := r.get(path).str("item.status"); got != "unreachable" {
			t.Errorf("past a lease by hand: %s", got)
		}
	})
}

func TestProbe(t *testing.T) {
	status, auth := http.StatusOK, ""
	machine := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if auth = r.Header.Get("Authorization"); r.URL.Path != "/v1/models" || r.Method != http.MethodGet {
			t.Errorf("probed by %s %s", r.Method, r.URL)
		}
		w.WriteHeader(status)
	}))
	r := newHarness(t)
	id := r.machine()
	path := "/machines/" + id + "/runtime-endpoints/qvac"
	r.call("PUT", path, object{"endpointBaseUrl": machine.URL, "authType": "bearer", "authToken": "rt"}).ok(201)
	a := r.post(path+"/probe", object{"timeoutMs": 2000}).ok(200)
	if a.str("item.providerKey") != "qvac" || a.str("item.status") != "active" || a.at("item.latencyMs") == nil ||
		a.at("item.error") != nil || auth != "Bearer rt" {
		t.Errorf("healthy: %s (%s)", a.text, auth)
	}
	if e := r.get(path).ok(200); e.str("item.lastHealthyAt") != a.str("item.checkedAt") {
		t.Errorf("endpoint %s", e.text)
	}
	status = http.StatusInternalServerError
	if a = r.post(path+"/probe", nil).ok(200); a.str("item.status") != "degraded" || a.at("item.error") == nil ||
		r.get(path).str("item.status") != "degraded" {
		t.Errorf("unhealthy: %s", a.text)
	}
	machine.Close()
	if a = r.post(path+"/probe", object{}).ok(200); a.str("item.status") != "unreachable" ||
		a.at("item.latencyMs") != nil || strings.Contains(a.text, "127.0.0.1") {
		t.Errorf("away: %s", a.text)
	}
	for _, wait := range []any{99, 30001, 1.5, "1000"} {
		r.post(path+"/probe", object{"timeoutMs": wait}).fails("VALIDATION_ERROR")
	}
	r.post("/machines/"+id+"/runtime-endpoints/none/probe", nil).fails("NOT_FOUND")
}
