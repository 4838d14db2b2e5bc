package sandbox_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/peaqnetwork/peaqos-agent/sdk/sandbox"
)

func TestScriptFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "bad-monday.json")
	load := func(text string) (sandbox.Script, error) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return sandbox.LoadScenario(file)
	}
	got, err := load(`{
	  "name": "bad monday", "description": "d", "seed": 3, "repeat": "10m",
	  "rules": [{"method": "POST", "path": "/machines/*/agents/**", "from": "1m", "until": "2m30s",
	             "skip": 1, "every": 2, "limit": 3, "chance": 0.5,
	    "fault": {"latency": "1s", "jitter": "200ms", "status": 429, "code": "RATE_LIMITED", "retryAfterDate": "20s", "header": {"a": "b"}}}],
	  "steps": [{"at": "5s", "do": "lease-max", "value": "30s"}]}`)
	if err != nil {
		t.Fatal(err)
	}
	want := sandbox.Script{
		Name: "bad monday", Description: "d", Seed: 3, Repeat: 10 * time.Minute,
		Rules: []sandbox.Rule{{
			Method: "POST", Path: "/machines/*/agents/**", From: time.Minute, Until: 150 * time.Second, Skip: 1, Every: 2, Limit: 3, Chance: .5,
			Fault: sandbox.Fault{
				Latency: time.Second, Jitter: 200 * time.Millisecond, Status: 429, Code: "RATE_LIMITED",
				RetryAfterDate: 20 * time.Second, Header: map[string]string{"a": "b"},
			},
		}},
		Steps: []sandbox.Step{{At: 5 * time.Second, Do: "lease-max", Value: 30 * time.Second}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, bad := range []string{
		"", "null x", "[]", `{"rulez": []}`, `{"repeat": 10}`, `{"repeat": "10"}`, `{} {}`,
		`{"rules": [{"fault": {"latenzy": "1s"}}]}`, `{"rules": [{"chance": 2}]}`, `{"rules": [{"chance": -1}]}`,
		`{"rules": [{"path": "["}]}`, `{"rules": [{"fault": {"status": 100}}]}`, `{"rules": [{"fault": {"status": 600}}]}`,
		`{"rules": [{"fault": {"code": "MADE_UP"}}]}`, `{"steps": [{"do": ""}]}`, `{"steps": [{"do": "restart restart"}]}`,
	} {
		if s, err := load(bad); err == nil || !strings.HasPrefix(err.Error(), "sandbox: ") {
			t.Errorf("%s was read as %+v (%v)", bad, s, err)
		}
	}
	if _, err := sandbox.LoadScenario(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("a file that is not there was read")
	}
}

func FuzzScript(f *testing.F) {
	for _, name := range sandbox.ScenarioNames() {
		script, _ := sandbox.Scenario(name)
		text, err := sandbox.WriteScript(script)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte(`{"rules":[{"fault":{}}],"steps":[{"do":"restart"}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		script, err := sandbox.ParseScript(text)
		if err != nil {
			return
		}
		written, err := sandbox.WriteScript(script)
		if err != nil {
			t.Fatal(err)
		}
		again, err := sandbox.ParseScript(written)
		if diff := cmp.Diff(script, again, cmpopts.EquateEmpty()); err != nil || diff != "" {
			t.Errorf("written and read again (%v):\n%s", err, diff)
		}
		s := sandbox.New()
		defer s.Close()
		if err := s.Play(script); err != nil {
			t.Errorf("read, but not played: %v", err)
		}
	})
}

func TestScenarioNames(t *testing.T) {
	for _, want := range []string{"storm", "portal", "clock", "revoked", "lost-enrollment", "flaky", "sockets"} {
		script, err := sandbox.Scenario(want)
		if err != nil || script.Name != want || len(script.Description) < 150 || strings.Contains(script.Description, "\n") {
			t.Errorf("%s: %v, described as %q", want, err, script.Description)
		}
	}
	if len(sandbox.ScenarioNames()) != 7 {
		t.Errorf("scenarios %v: this test must know all", sandbox.ScenarioNames())
	}
	if _, err := sandbox.Scenario("calm"); err == nil || !strings.Contains(err.Error(), "storm") {
		t.Errorf("an unknown name gives %v, want one that lists the names", err)
	}
}

// TestRuleMatches checks, step by step, which of ten calls a rule selects.
func TestRuleMatches(t *testing.T) {
	for _, c := range []struct {
		name string
		rule sandbox.Rule
		want string // per second: x fault, . none
	}{
		{"all", sandbox.Rule{}, "xxxxxxxxxx"},
		{"another method", sandbox.Rule{Method: "POST"}, ".........."},
		{"method in small letters", sandbox.Rule{Method: "get"}, "xxxxxxxxxx"},
		{"path", sandbox.Rule{Path: "/health"}, "xxxxxxxxxx"},
		{"another path", sandbox.Rule{Path: "/machines"}, ".........."},
		{"any one segment", sandbox.Rule{Path: "/*"}, "xxxxxxxxxx"},
		{"two segments", sandbox.Rule{Path: "/*/*"}, ".........."},
		{"the rest", sandbox.Rule{Path: "/**"}, "xxxxxxxxxx"},
		{"the rest of another", sandbox.Rule{Path: "/machines/**"}, ".........."},
		{"everything", sandbox.Rule{Path: "**"}, "xxxxxxxxxx"},
		{"from", sandbox.Rule{From: 3 * time.Second}, "...xxxxxxx"},
		{"until", sandbox.Rule{Until: 3 * time.Second}, "xxx......."},
		{"skip", sandbox.Rule{Skip: 2}, "..xxxxxxxx"},
		{"every third", sandbox.Rule{Every: 3}, "..x..x..x."},
		{"limit", sandbox.Rule{Limit: 2}, "xx........"},
		{"skip, every, limit", sandbox.Rule{Skip: 1, Every: 2, Limit: 3}, "..x.x.x..."},
	} {
		synctest.Test(t, func(t *testing.T) {
			c.rule.Fault = sandbox.Fault{Status: 500}
			r := newHarness(t, sandbox.WithScenario(sandbox.Script{Name: "one", Rules: []sandbox.Rule{c.rule}}))
			if got := r.tenSeconds(); got != c.want {
				t.Errorf("%s: %s, want %s", c.name, got, c.want)
			}
		})
	}
}

// tenSeconds makes a call once a second and writes down the results.
func (r *harness) tenSeconds() string {
	out := ""
	for range 10 {
		switch v := r.look(r.request("GET", "/health", nil)); {
		case v.good(200):
			out += "."
		default:
			out += "x"
		}
		time.Sleep(time.Second)
	}
	return out
}

func TestRunScript(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fault := sandbox.Fault{Status: 500}
		script := sandbox.Script{Name: "p", Repeat: 5 * time.Second, Rules: []sandbox.Rule{{Limit: 1, Fault: fault}, {Skip: 3, Fault: fault}}}
		r := newHarness(t, sandbox.WithScenario(script))
		// Each period starts over; if two rules select a call, the first applies.
		if got := r.tenSeconds(); got != "x...xx...x" {
			t.Errorf("two periods: %s", got)
		}
		if r.s.Playing().Name != "p" {
			t.Errorf("playing %+v", r.s.Playing())
		}
		// A fault from code takes precedence over the script; nil leaves it to the script.
		r.s.SetFault(func(req *http.Request) *sandbox.Fault { return &sandbox.Fault{} })
		if got := r.tenSeconds(); got != ".........." {
			t.Errorf("with a fault of nothing: %s", got)
		}
		r.s.SetFault(func(*http.Request) *sandbox.Fault { return nil })
		if got := r.tenSeconds(); got != "x...xx...x" {
			t.Errorf("with no word: %s", got)
		}
		if err := r.s.Play(sandbox.Script{}); err != nil || r.s.Playing().Name != "" {
			t.Errorf("after the end: %+v (%v)", r.s.Playing(), err)
		}
		if got := r.tenSeconds(); got != ".........." {
			t.Errorf("after the end: %s", got)
		}
		if err := r.s.Play(sandbox.Script{Rules: []sandbox.Rule{{Chance: 7}}}); err == nil {
			t.Error("chance 7 was accepted")
		}
	})
}

func TestRandomNumbersAreSeeded(t *testing.T) {
	throw := func(seed uint64) (out string) {
		synctest.Test(t, func(t *testing.T) {
			r := newHarness(
				t,
				sandbox.WithScenario(sandbox.Script{Seed: seed, Rules: []sandbox.Rule{{Chance: .5, Fault: sandbox.Fault{Status: 500}}}}),
			)
			for range 10 {
				out += r.tenSeconds()
			}
		})
		return out
	}
	first := throw(1)
	if first != throw(1) || first == throw(2) {
		t.Error("the same seed must give the same play, another one another")
	}
	if n := strings.Count(first, "x"); n < 30 || n > 70 {
		t.Errorf("of 100 calls %d got the fault, want about half", n)
	}
}

func TestSteps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		at := func(s int, do string, value time.Duration) sandbox.Step {
			return sandbox.Step{At: time.Duration(s) * time.Second, Do: do, Value: value}
		}
		r := newHarness(t)
		a := r.enroll(r.machine())
		lease := func() float64 { return r.beat(a.beat()).ok(200).at("item.leaseTtlSeconds").(float64) }
		err := r.s.Play(sandbox.Script{Steps: []sandbox.Step{ // in any order
			at(40, "restart-empty", 0), at(10, "lease-max", 5*time.Second), at(20, "lease-max", 0), at(30, "revoke-agents", 0),
			at(25, "clock", time.Hour), at(26, "restart", 0), at(27, "close-sockets", 0), at(27, "flood-sockets", 0), at(28, "clock", 0),
			at(29, "pause-pairings", 0),
		}})
		if err != nil {
			t.Fatal(err)
		}
		if got := lease(); got != 90 {
			t.Errorf("before: %v s", got)
		}
		time.Sleep(10 * time.Second)
		if got := lease(); got != 5 {
			t.Errorf("shortened: %v s", got)
		}
		time.Sleep(10 * time.Second)
		if got := lease(); got != 90 {
			t.Errorf("long again: %v s", got)
		}
		time.Sleep(5 * time.Second)
		if got, err := time.Parse(time.RFC3339, r.beat(a.beat()).ok(200).str("item.observedAt")); err != nil || time.Until(got) != time.Hour {
			t.Errorf("with the clock an hour ahead: %v", got)
		}
		time.Sleep(5 * time.Second) // past restart, close-sockets, clock and pause-pairings
		r.beat(a.beat()).fails("AGENT_PAIRING_INACTIVE")
		if r.s.Agents("")[0].Status != "revoked" {
			t.Error("the agent is not revoked")
		}
		time.Sleep(10 * time.Second)
		r.beat(a.beat()).fails("NOT_FOUND")
		// TestRegistryDown and TestContestedEndpoint do the other four.
		if len(sandbox.Steps()) != 8+4 {
			t.Errorf("steps %v: a test must do each", sandbox.Steps())
		}
	})
}
