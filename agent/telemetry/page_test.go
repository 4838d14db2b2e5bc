package telemetry

import (
	"html"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/agent/status/statustest"
)

func pageOf(t *testing.T, s status.Snapshot) (policy, body string) {
	t.Helper()
	w := httptest.NewRecorder()
	newPage().serve(w, status.NewView(s, "1.2.3", "/var/lib/peaqos-agent"))
	return w.Header().Get("Content-Security-Policy"), w.Body.String()
}

// TestPageTells: state, since, cause, effect and next command stand on it in
// every situation, and the two columns side by side.
func TestPageTells(t *testing.T) {
	for name, s := range statustest.Situations() {
		t.Run(name, func(t *testing.T) {
			v := status.NewView(s, "1.2.3", "/var/lib/peaqos-agent")
			_, body := pageOf(t, s)
			shown := html.UnescapeString(body)
			for _, m := range v.Machines {
				want := []string{m.State, m.Since.Format("2006-01-02T15:04:05Z"), m.Effect, m.Next, m.MachineID, m.Heartbeat.Tally()}
				if m.Cause != nil {
					want = append(want, m.Cause.Text, string(m.Cause.Code))
				}
				for _, e := range m.Endpoints {
					want = append(want, e.ProviderKey, e.BaseURL, e.Probe.Fault, e.ServerStatus, e.ServerFault, e.Left(), string(e.Refused))
				}
				for _, text := range want {
					if !strings.Contains(shown, text) {
						t.Errorf("%q is not on the page", text)
					}
				}
			}
			for _, r := range v.Reasons {
				if r.Machine == "" && !strings.Contains(shown, r.Text) {
					t.Errorf("%q is not on the page", r.Text)
				}
			}
		})
	}
}

// TestPageEscapes: foreign text stays text wherever it stands.
func TestPageEscapes(t *testing.T) {
	evil := `"><script>alert(1)</script><img src=x onerror=alert(2)>{{.}}`
	_, body := pageOf(t, statustest.SnapshotOf(func(s *status.Snapshot, m *status.Machine) {
		m.Name, m.State, m.Cause = evil, status.State(evil), &status.Cause{Code: status.Code(evil), Text: evil}
		m.MachineID, m.AgentID, m.IdentityRef, m.Origin = evil, evil, evil, evil
		s.Process.ListenerFault, s.Process.Listener = evil, evil
		m.Endpoints[0] = statustest.Down(m.Endpoints[0])
		m.Endpoints[0].ProviderKey, m.Endpoints[0].BaseURL, m.Endpoints[0].ProbeFault = evil, evil, evil
		m.Endpoints[0].ServerStatus, m.Endpoints[0].ServerFault = evil, evil
	}))
	if n := strings.Count(body, "<script"); n != 1 {
		t.Errorf("%d script elements", n)
	}
	if strings.Contains(body, "<img") || strings.Contains(body, `class="">`) {
		t.Error("markup got through")
	}
	if !strings.Contains(body, "&lt;script&gt;alert(1)") {
		t.Error("the text itself is gone")
	}
}

// TestPageIsSelfContained: nothing is fetched but the page itself, and its own
// script and style carry a nonce that no other answer has.
func TestPageIsSelfContained(t *testing.T) {
	policy, body := pageOf(t, statustest.Situations()["degraded"])
	for _, found := range regexp.MustCompile(`(?i)(?:src|href|action|url)\s*[=(]\s*["']?([^"' )>]*)`).FindAllStringSubmatch(body, -1) {
		if found[1] != "data:," {
			t.Errorf("the page refers to %q", found[1])
		}
	}
	if strings.Contains(body, " style=") || regexp.MustCompile(` on[a-z]+=`).MatchString(body) {
		t.Error("inline style or handler, which the policy refuses")
	}
	nonce := regexp.MustCompile(`script-src 'nonce-([\w-]{22})'`).FindStringSubmatch(policy)
	if nonce == nil || strings.Count(body, `nonce="`+nonce[1]+`"`) != 2 {
		t.Fatalf("policy %q does not fit the page", policy)
	}
	if next, _ := pageOf(t, statustest.Situations()["degraded"]); next == policy {
		t.Error("the nonce is used twice")
	}
	for _, part := range []string{`<noscript><meta http-equiv="refresh"`, `name="viewport"`, "prefers-color-scheme: dark", `lang="en"`} {
		if !strings.Contains(body, part) {
			t.Errorf("no %s", part)
		}
	}
}

func TestPageOverHTTP(t *testing.T) {
	s := newService(t, "127.0.0.1:0").serve()
	s.live()
	got := s.get("/")
	if got.status != 200 || got.header.Get("Content-Type") != "text/html; charset=utf-8" || !strings.Contains(got.body, "ready, online") {
		t.Errorf("%d %v", got.status, got.header)
	}
	if policy := got.header.Values("Content-Security-Policy"); len(policy) != 1 || !strings.Contains(policy[0], "script-src 'nonce-") {
		t.Errorf("policy %q", policy)
	}
}
