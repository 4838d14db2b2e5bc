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

// TestPageShows: the page shows state, since, cause, effect and next command in every
// situation, and of each endpoint the local probe and the server's status.
func TestPageShows(t *testing.T) {
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
				if m.Presence != nil {
					want = append(want, m.Presence.Line(), m.Control.Line())
					for _, h := range m.Control.Hooks {
						want = append(want, h.Line())
					}
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

// TestPageEscapes: text from outside is shown as text wherever it is used. No value
// is used where escaping cannot make it safe.
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
		t.Error("the text itself is missing")
	}
	for _, where := range []struct{ what, pattern string }{
		{"a script", `(?s)<script[^>]*>.*\{\{.*</script>`},
		{"a style", `(?s)<style[^>]*>[^<]*\{\{`},
		{"an attribute without quotes", `<[^>"]*=\{\{`},
		{"an attribute that is code or an address", `(?i)\s(on\w+|style|href|src|action)="[^"]*\{\{`},
		{"the name of a tag or an attribute", `<[^>"]*\{\{`},
	} {
		if m := regexp.MustCompile(where.pattern).FindString(pageSource); m != "" {
			t.Errorf("a value is in %s: %.120s", where.what, m)
		}
	}
}

// TestPageIsSelfContained: the page fetches nothing but itself, and its script and
// style have a nonce that is used once.
func TestPageIsSelfContained(t *testing.T) {
	policy, body := pageOf(t, statustest.Situations()["degraded"])
	references := regexp.MustCompile(`(?i)(?:src|href|action|url)\s*[=(]\s*["']?([^"' )>]*)`)
	for _, found := range references.FindAllStringSubmatch(body, -1) {
		if found[1] != "data:," {
			t.Errorf("the page refers to %q", found[1])
		}
	}
	if strings.Contains(body, " style=") || regexp.MustCompile(` on[a-z]+=`).MatchString(body) {
		t.Error("inline style or handler, which the policy refuses")
	}
	nonce := regexp.MustCompile(`script-src 'nonce-([\w-]{22})'`).FindStringSubmatch(policy)
	if nonce == nil || strings.Count(body, `nonce="`+nonce[1]+`"`) != 2 {
		t.Fatalf("policy %q does not match the page", policy)
	}
	if next, _ := pageOf(t, statustest.Situations()["degraded"]); next == policy {
		t.Error("the nonce is used twice")
	}
	for _, part := range []string{
		`<noscript><meta http-equiv="refresh"`, `name="viewport"`, "prefers-color-scheme: dark", `lang="en"`,
	} {
		if !strings.Contains(body, part) {
			t.Errorf("no %s", part)
		}
	}
}

// TestPageOverHTTP: the content policy with the nonce replaces the one of every
// other response.
func TestPageOverHTTP(t *testing.T) {
	s := newService(t, "127.0.0.1:0").serve()
	s.live()
	got := s.get("/")
	if got.status != 200 || got.header.Get("Content-Type") != "text/html; charset=utf-8" ||
		!strings.Contains(got.body, "ready, online") {
		t.Errorf("%d %v", got.status, got.header)
	}
	policy := got.header.Values("Content-Security-Policy")
	if len(policy) != 1 || !strings.Contains(policy[0], "script-src 'nonce-") {
		t.Errorf("policy %q", policy)
	}
}
