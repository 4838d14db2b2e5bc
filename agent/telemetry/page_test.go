package telemetry

import (
	"flag"
	"fmt"
	"html"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

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
				want := []string{m.State, m.Since.Format("2006-01-02T15:04:05Z"), m.Effect, m.Next, m.MachineID}
				if len(s.Machines[0].Beats) > 0 {
					want = append(want, m.Heartbeat.Tally())
				}
				if m.Cause != nil {
					want = append(want, m.Cause.Text, string(m.Cause.Code))
				}
				for _, e := range m.Endpoints {
					want = append(want, e.ProviderKey, e.BaseURL, e.Probe.Fault, e.ServerStatus, e.ServerFault, string(e.Refused))
					if e.LeaseLeft != nil {
						want = append(want, e.Left())
					}
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
		switch to := found[1]; {
		case strings.HasPrefix(to, "data:image/svg+xml,"), to == "/status", to == "/readyz", to == "/metrics":
		default:
			t.Errorf("the page refers to %q", to)
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

// TestPageShowsOnlyWhatIsKnown: what is not known has no row, no column and no dash.
func TestPageShowsOnlyWhatIsKnown(t *testing.T) {
	_, body := pageOf(t, statustest.Situations()["unenrolled"])
	body, _, _ = strings.Cut(body, "<script")
	for _, unwanted := range []string{"—", "Server status", "Lease left", "Last accepted", "Heartbeat", "Agent</dt>", "Orchestrator", "Clock skew", "Controller key", "<svg"} {
		if strings.Contains(body, unwanted) {
			t.Errorf("an unenrolled machine's page has %q", unwanted)
		}
	}
	if !strings.Contains(body, "Local probe") || !strings.Contains(body, "http://127.0.0.1:11434") {
		t.Error("the endpoint, which is known, is missing")
	}
}

// TestPageCarriesTheState: the title and the icon tell the state without the page.
func TestPageCarriesTheState(t *testing.T) {
	icons := map[string]string{}
	for name, mark := range map[string]string{
		"online": "✓", "degraded": "!", "idle": "!", "unenrolled": "!", "offline": "✗", "rejected": "✗", "revoked": "✗", "quarantined": "✗", "locked": "✗",
	} {
		_, body := pageOf(t, statustest.Situations()[name])
		if want := "<title>" + mark + " "; !strings.Contains(body, want) || !strings.Contains(body, name) {
			t.Errorf("%s: the title does not begin with %s", name, mark)
		}
		found := regexp.MustCompile(`<link rel="icon" href="([^"]*)">`).FindAllStringSubmatch(body, -1)
		if len(found) != 1 {
			t.Fatalf("%s: %d icons", name, len(found))
		}
		if other, known := icons[mark]; known && other != found[0][1] {
			t.Errorf("%s has another icon than the other states with %s", name, mark)
		}
		icons[mark] = found[0][1]
	}
	if icons["✓"] == icons["!"] || icons["!"] == icons["✗"] || icons["✓"] == icons["✗"] {
		t.Error("two kinds of states have one icon")
	}
}

// TestPageShowsThePast: the recent heartbeats are drawn, the events are listed, the
// latest first, each with its level, code and number.
func TestPageShowsThePast(t *testing.T) {
	s := statustest.SnapshotOf(func(_ *status.Snapshot, m *status.Machine) {
		for i := range 70 {
			result := "success"
			if i%10 == 0 {
				result = "rate_limited"
			}
			m.AddBeat(result, time.Duration(i)*time.Minute, time.Second)
		}
	})
	s.Events = []status.Event{
		{At: s.At.Add(-time.Minute), Level: "warn", Code: "endpoint_down", Machine: "main", Provider: "qvac", Text: "down <b>", Count: 4},
		{At: s.At.Add(-10 * time.Second), Level: "info", Code: "state_online", Machine: "main", Text: "online again", Count: 1},
	}
	_, body := pageOf(t, s)
	for _, want := range []string{
		"last 60 heartbeats: 54 accepted, 6 rate_limited", `M4 0h3v24h-3z`, `M0 14h3v10h-3z`,
		`<code>endpoint_down</code>`, "down &lt;b&gt; (4 times)", ">60 s ago<", `<b class="mark warn">warn</b>`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("the page has no %q", want)
		}
	}
	if strings.Index(body, "state_online") > strings.Index(body, "endpoint_down") {
		t.Error("the latest event is not the first")
	}
}

// TestPageOfAFleet: of a gateway with many machines, those that need attention are shown.
func TestPageOfAFleet(t *testing.T) {
	s := statustest.SnapshotOf(nil)
	for i := range 99 {
		m := s.Machines[0]
		m.Name = fmt.Sprintf("arm-%d", i)
		if i == 90 {
			m.State, m.Cause = status.Revoked, status.NewCause(status.CodeAPIAgentInactive, "")
		}
		s.Machines = append(s.Machines, m)
	}
	_, body := pageOf(t, s)
	if n := strings.Count(body, `<section class="card" aria-labelledby="machine-`); n != 60 {
		t.Errorf("%d machines are shown", n)
	}
	if !strings.Contains(body, `<h2 id="machine-0">arm-90</h2>`) || !strings.Contains(body, "40 more machines") {
		t.Error("the revoked machine is not the first, or it is not said that there are more")
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

var pagesTo = flag.String("pages", "", "write the page of every example state to this directory, for check/browser-pages.sh")

// TestPageOfEveryState: every example state, with a past, makes a whole page. The check
// looks at what a real agent cannot easily be brought into.
func TestPageOfEveryState(t *testing.T) {
	for name, s := range statustest.Situations() {
		for i := range s.Machines {
			s.Machines[i].Beats = map[string]uint64{}
			for beat := range 40 {
				result := "success"
				if beat%9 == 4 {
					result = "timeout"
				}
				s.Machines[i].AddBeat(result, statustest.Boot-time.Duration(40-beat)*30*time.Second, time.Second)
			}
		}
		s.Events = []status.Event{
			{At: s.At.Add(-time.Hour), Level: "info", Code: status.CodeStarted, Text: "started", Count: 1},
			{At: s.At.Add(-time.Minute), Level: "error", Code: "state_" + status.Code(s.Machines[0].State), Machine: s.Machines[0].Name, Text: status.Summary(s), Count: 2},
		}
		_, body := pageOf(t, s)
		before, script, _ := strings.Cut(body, "<script")
		_, after, found := strings.Cut(script, "</script>")
		if !found || !strings.HasSuffix(body, "</html>\n") {
			t.Errorf("%s: the page ends in %q", name, body[max(0, len(body)-40):])
		}
		if *pagesTo == "" {
			continue
		}
		// Without its script, which has no server to ask.
		if err := os.WriteFile(filepath.Join(*pagesTo, name+".html"), []byte(before+after), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
