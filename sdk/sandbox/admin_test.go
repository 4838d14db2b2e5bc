package sandbox_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// callAdmin makes a call to the admin interface.
func (r *harness) callAdmin(method, path string, body any, header ...string) reply {
	r.t.Helper()
	req := r.request(method, "", body, header...)
	req.URL.Path = path
	w := httptest.NewRecorder()
	if req.Body == nil {
		req.Body = http.NoBody
	}
	r.adminHandler().ServeHTTP(w, req)
	res := w.Result()
	client := &harness{t: r.t, client: &http.Client{Transport: cannedResponse{res}}}
	return client.do(req)
}

// cannedResponse is a transport that always returns the same response.
type cannedResponse struct{ res *http.Response }

func (a cannedResponse) RoundTrip(*http.Request) (*http.Response, error) { return a.res, nil }

func (r *harness) adminHandler() http.Handler {
	if r.adminSide == nil {
		r.adminSide = r.s.Admin()
	}
	return r.adminSide
}

func TestAdminScript(t *testing.T) {
	r := newHarness(t)
	for name, description := range r.callAdmin("GET", "/scenarios", nil).ok(200).body {
		if len(description.(string)) < 100 {
			t.Errorf("%s is described as %v", name, description)
		}
		if got := r.callAdmin("PUT", "/script", object{"name": name}).ok(200); got.str("description") != description {
			t.Errorf("%s is played as %s", name, got.text)
		}
		if got := r.callAdmin("GET", "/script", nil).ok(200).str("name"); got != name || r.s.Playing().Name != name {
			t.Errorf("%s is played, want %s", got, name)
		}
	}
	r.callAdmin("DELETE", "/script", nil).ok(204)
	if got := r.callAdmin("GET", "/script", nil).ok(200).text; strings.TrimSpace(got) != "{}" {
		t.Errorf("after the end: %s", got)
	}
	r.callAdmin(
		"PUT", "/script",
		object{"name": "mine", "rules": []object{{"path": "/machines", "fault": object{"status": 418, "body": "tea"}}}},
	).ok(200)
	if got := r.get("/machines"); got.status != 418 || got.text != "tea" {
		t.Errorf("a custom script: %d %s", got.status, got.text)
	}
	for _, bad := range []any{nil, "{", object{}, object{"name": "calm"}, object{"rulez": 1}, object{"steps": []object{{"do": "dance"}}}} {
		r.callAdmin("PUT", "/script", bad).fails("VALIDATION_ERROR")
	}
}

func TestAdminFault(t *testing.T) {
	r := newHarness(t)
	if got := r.callAdmin("GET", "/fault", nil).ok(200).text; strings.TrimSpace(got) != "{}" {
		t.Errorf("before: %s", got)
	}
	r.callAdmin(
		"PUT", "/fault",
		object{"method": "GET", "path": "/machines", "limit": 2, "fault": object{"code": "PAYMENT_NOT_MINED", "retryAfter": "5"}},
	).ok(200)
	if got := r.callAdmin("GET", "/fault", nil).ok(200); got.str("fault.code") != "PAYMENT_NOT_MINED" || got.at("limit") != 2.0 {
		t.Errorf("it reads %s", got.text)
	}
	r.get("/health").ok(200)
	r.get("/machines").fails("PAYMENT_NOT_MINED")
	r.get("/machines").fails("PAYMENT_NOT_MINED")
	r.get("/machines").ok(200)
	r.callAdmin("PUT", "/fault", object{"fault": object{"status": 503}}).ok(200)
	r.get("/health").ok(503)
	r.callAdmin("DELETE", "/fault", nil).ok(204)
	r.get("/health").ok(200)
	for _, bad := range []any{
		nil, "[]",
		object{"fault": object{"status": 42}},
		object{"fault": object{"latency": 5}},
		object{"status": 503},
		object{"path": "[", "fault": object{}},
	} {
		r.callAdmin("PUT", "/fault", bad).fails("VALIDATION_ERROR")
	}
}

func TestAdminSteps(t *testing.T) {
	r := newHarness(t)
	a, b := r.enroll(r.machine()), r.enroll(r.machine())
	r.callAdmin("POST", "/steps", object{"do": "lease-max", "value": "7s"}).ok(204)
	r.callAdmin("POST", "/steps", object{"do": "clock", "value": "-24h"}).ok(204)
	beat := r.beat(a.beat()).ok(200)
	if at, err := time.Parse(time.RFC3339, beat.str("item.observedAt")); err != nil || time.Since(at) < 23*time.Hour ||
		beat.at("item.leaseTtlSeconds") != 7.0 {
		t.Errorf("after the steps: %s", beat.text)
	}
	state := r.callAdmin("GET", "/state", nil).ok(200)
	if state.str("clockOff") != "-24h0m0s" || state.str("leaseMax") != "7s" || state.at("beats") != 1.0 ||
		len(state.at("machines").([]any)) != 2 || len(state.at("agents").([]any)) != 2 ||
		len(state.at("endpoints").([]any)) != 1 {
		t.Errorf("state %s", state.text)
	}
	if strings.Contains(state.text, a.token) || strings.Contains(strings.ToLower(state.text), "tokenhash") {
		t.Error("the state contains a secret")
	}
	r.callAdmin("POST", "/steps", object{"do": "clock"}).ok(204)
	r.callAdmin("DELETE", "/agents/"+a.id, nil).ok(204)
	r.callAdmin("DELETE", "/agents/magt_x", nil).fails("NOT_FOUND")
	r.beat(a.beat()).fails("AGENT_PAIRING_INACTIVE")
	r.beat(b.beat()).ok(200)
	r.callAdmin("POST", "/steps", object{"do": "revoke-agents"}).ok(204)
	r.beat(b.beat()).fails("AGENT_PAIRING_INACTIVE")
	r.callAdmin("POST", "/steps", object{"do": "restart-empty"}).ok(204)
	r.get("/machines/" + a.machine).fails("NOT_FOUND")
	for _, bad := range []any{nil, object{}, object{"do": "dance"}, object{"do": "clock", "value": 5}, object{"do": "clock", "when": "now"}} {
		r.callAdmin("POST", "/steps", bad).fails("VALIDATION_ERROR")
	}
}

// TestAdminRejectsWebPages: a page in a browser on the sandbox's computer could reach loopback.
func TestAdminRejectsWebPages(t *testing.T) {
	r := newHarness(t)
	for _, header := range [][]string{{"Origin", "http://evil.example"}, {"Origin", "null"}, {"Sec-Fetch-Site", "cross-site"}} {
		if a := r.callAdmin("POST", "/steps", object{"do": "restart-empty"}, header...); a.status != 403 || a.code() != "FORBIDDEN" {
			t.Errorf("%v: %d %s", header, a.status, a.text)
		}
	}
	r.callAdmin("GET", "/nothing", nil).fails("NOT_FOUND")
	r.callAdmin("PATCH", "/script", nil).fails("NOT_FOUND")
	index := r.callAdmin("GET", "/", nil).ok(200)
	for _, route := range index.at("routes").([]any) {
		method, path, _ := strings.Cut(route.(string), " ")
		if a := r.callAdmin(method, strings.Replace(path, "ID", "x", 1), nil); strings.Contains(a.text, "unknown route") {
			t.Errorf("%s is documented but missing", route)
		}
	}
}
