package sandbox_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/peaqnetwork/peaqos-agent/sdk/sandbox"
)

// callAdmin makes a call to the admin interface.
func (r *harness) callAdmin(method, path string, body any, header ...string) reply {
	r.t.Helper()
	req := r.request(method, "", body, header...)
	req.URL.Path, req.Host = path, "127.0.0.1:8788"
	if r.host != "" {
		req.Host = r.host
	}
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

// TestAdminTeaches: each body that GET / shows works as it is, and each error names what would work.
func TestAdminTeaches(t *testing.T) {
	r := newHarness(t)
	index := r.callAdmin("GET", "/", nil).ok(200)
	for route, body := range index.at("bodies").(object) {
		method, path, _ := strings.Cut(route, " ")
		a := r.callAdmin(method, path, body)
		if a.status >= 400 && route != "PUT /contested" { // no such machine
			t.Errorf("%s %v: %d %s", route, body, a.status, a.text)
		}
		for _, wrong := range []any{object{"status": 503}, object{"storm": 1}, "restart", nil} {
			text, _ := json.Marshal(body)
			var shown object
			message := r.callAdmin(method, path, wrong).ok(400).str("error.message")
			_, example, _ := strings.Cut(message, "for example ")
			if json.Unmarshal([]byte(example), &shown); len(shown) != len(body.(object)) {
				t.Errorf("%s %v: %q does not show %s", route, wrong, message, text)
			}
		}
	}
	if text := r.callAdmin("PUT", "/fault", object{"status": 503}).text; !strings.Contains(text, "method, path, from, until") {
		t.Errorf("the members are not listed: %s", text)
	}
	if n := len(index.at("bodies").(object)); n != 4 {
		t.Errorf("%d bodies", n)
	}
	if text := index.text; !strings.Contains(text, `-X PUT http://127.0.0.1:8788/fault -d '{`) || !strings.Contains(text, `"shift"`) {
		t.Errorf("the index is %s", text)
	}
}

// TestForeignHosts: a web page that rebinds its own name to this computer reads nothing.
func TestForeignHosts(t *testing.T) {
	r := newSocketHarness(t, sandbox.WithHosts("robot.lan"))
	for host, want := range map[string]int{
		"127.0.0.1:8787": 200, "localhost": 200, "LOCALHOST:1": 200, "[::1]:8787": 200, "::1": 200, "192.168.1.4": 200, "robot.lan:80": 200,
		"evil.example": 421, "evil.example:8787": 421, "localhost.evil.example": 421, "127.0.0.1.evil.example": 421, "sandbox": 421,
	} {
		r.host = host
		for _, path := range []string{"/", "/live.json", "/metrics"} {
			req := r.request("GET", "", nil)
			req.URL.Path, req.Host = path, host
			if a := r.do(req); a.status != want || strings.Contains(a.text, "machines") != (want == 200) {
				t.Errorf("%s at %s: %d", path, host, a.status)
			}
		}
		for _, path := range []string{"/", "/state"} {
			if a := r.callAdmin("GET", path, nil); a.status != want {
				t.Errorf("admin %s at %s: %d", path, host, a.status)
			}
		}
	}
}

// TestOpenAPIAtForeignHosts: without a key, a rebound web page cannot use the API either.
func TestOpenAPIAtForeignHosts(t *testing.T) {
	for _, c := range []struct {
		s    *sandbox.Server
		host string
		want int
	}{
		{sandbox.New(), "evil.example", 421},
		{sandbox.New(), "127.0.0.1:8787", 200},
		{sandbox.New(), "localhost:8787", 200},
		{sandbox.New(sandbox.WithHosts("robot.lan")), "robot.lan", 200},
		{sandbox.New(sandbox.WithAPIKey("k")), "orchestrator.example", 401}, // behind a proxy: the key decides
	} {
		req := httptest.NewRequest("GET", "/api/v1/machines", nil)
		req.Host = c.host
		w := httptest.NewRecorder()
		if c.s.HTTPServer().Handler.ServeHTTP(w, req); w.Code != c.want {
			t.Errorf("at %s: %d, want %d", c.host, w.Code, c.want)
		}
	}
}

// TestPageFromAnotherComputer needs the API key, if there is one.
func TestPageFromAnotherComputer(t *testing.T) {
	keyed, open := newHarness(t), newHarness(t)
	open.s = sandbox.New()
	get := func(s *sandbox.Server, from string, header ...string) int {
		req := httptest.NewRequest("GET", "/live.json", nil)
		req.Host, req.RemoteAddr = "192.168.1.4", from
		for i := 0; i < len(header); i += 2 {
			req.Header.Set(header[i], header[i+1])
		}
		w := httptest.NewRecorder()
		s.ServeHTTP(w, req)
		return w.Code
	}
	basic := func(password string) []string {
		req := httptest.NewRequest("GET", "/", nil)
		req.SetBasicAuth("me", password)
		return []string{"Authorization", req.Header.Get("Authorization")}
	}
	for _, c := range []struct {
		s      *sandbox.Server
		from   string
		header []string
		want   int
	}{
		{keyed.s, "127.0.0.1:5", nil, 200},
		{keyed.s, "[::1]:5", nil, 200},
		{keyed.s, "192.168.1.9:5", nil, 401},
		{keyed.s, "192.168.1.9:5", []string{"X-Api-Key", testAPIKey}, 200},
		{keyed.s, "192.168.1.9:5", []string{"X-Api-Key", "no"}, 401},
		{keyed.s, "192.168.1.9:5", basic(testAPIKey), 200},
		{keyed.s, "192.168.1.9:5", basic("no"), 401},
		{open.s, "192.168.1.9:5", nil, 200},
	} {
		if got := get(c.s, c.from, c.header...); got != c.want {
			t.Errorf("from %s with %v: %d, want %d", c.from, c.header, got, c.want)
		}
	}
}

// TestContestedEndpoint: an endpoint can be shown as another agent published it.
func TestContestedEndpoint(t *testing.T) {
	r := newHarness(t)
	a := r.enroll(r.machine())
	r.beat(a.beat()).ok(200)
	const other = "http://192.0.2.7:1"
	body := object{"machineId": a.machine, "providerKey": "qvac", "endpointBaseUrl": other, "agentId": "magt_x"}
	r.callAdmin("PUT", "/contested", with(body, "providerKey", "none")).fails("NOT_FOUND")
	r.callAdmin("PUT", "/contested", with(body, "endpointBaseUrl", nil)).fails("VALIDATION_ERROR")
	check := func(what, url string, agent any) {
		t.Helper()
		beat := r.beat(a.beat()).ok(200)
		var inBeat any
		if agent != a.id {
			inBeat = agent
		}
		list := r.get("/machines/" + a.machine + "/runtime-endpoints").ok(200)
		if beat.str("item.endpoints.0.endpointBaseUrl") != url || beat.at("item.endpoints.0.agentId") != inBeat ||
			list.str("items.0.endpointBaseUrl") != url || list.at("items.0.agentId") != agent {
			t.Errorf("%s: %s\n%s", what, beat.text, list.text)
		}
	}
	r.callAdmin("PUT", "/contested", body).ok(204)
	check("contested", other, "magt_x")
	r.callAdmin("DELETE", "/contested", nil).ok(204)
	check("settled", "http://127.0.0.1:11434", a.id)
	r.callAdmin("POST", "/steps", object{"do": "contest-endpoints"}).ok(204)
	check("by a step", "http://192.0.2.1:11434", "magt_another")
	r.callAdmin("POST", "/steps", object{"do": "settle-endpoints"}).ok(204)
	check("settled", "http://127.0.0.1:11434", a.id)
	if !r.s.SetContested(a.machine, "QVAC", other, "") || r.s.SetContested(a.machine, "x", other, "") {
		t.Error("SetContested")
	}
	check("without an agent", other, a.id)
}
