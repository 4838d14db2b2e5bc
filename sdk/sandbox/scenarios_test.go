package sandbox_test

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/peaqnetwork/peaqos-agent/sdk/sandbox"
)

// play runs a named scenario.
func play(t testing.TB, name string) sandbox.Option {
	t.Helper()
	script, err := sandbox.Scenario(name)
	if err != nil {
		t.Fatal(err)
	}
	return sandbox.WithScenario(script)
}

func TestStormScenario(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHarness(t, play(t, "storm"))
		start := time.Now()
		for period := range 2 {
			begun := start.Add(time.Duration(period) * 10 * time.Minute)
			counts := map[string]int{}
			for time.Since(begun) < 10*time.Minute {
				at := time.Since(begun)
				v := r.look(r.request("GET", "/machines", nil))
				switch {
				case at < time.Minute && v.res != nil:
					t.Fatalf("period %d: an response after %v", period, at)
				case at < time.Minute:
					counts["dropped"]++
				case v.err != nil:
					t.Fatalf("period %d: %v after %v", period, v.err, at)
				case at > 3*time.Minute && (!v.good(200) || v.took > 0):
					t.Fatalf("period %d: %d after %v, %v slow", period, v.res.StatusCode, at, v.took)
				case v.good(503) && v.res.Header.Get("Retry-After") == "20":
					counts["503"]++
				case v.good(429) && v.date(t, "Retry-After").Sub(v.date(t, "Date")) == 30*time.Second:
					counts["429"]++
				case v.good(200) && at < 3*time.Minute && v.took >= 200*time.Millisecond && v.took < 2200*time.Millisecond:
					counts["slow"]++
				case v.good(200):
					counts["good"]++
				default:
					t.Fatalf("period %d: %d after %v", period, v.res.StatusCode, at)
				}
				time.Sleep(time.Second)
			}
			for _, kind := range []string{"dropped", "503", "429", "slow", "good"} {
				if counts[kind] < 5 {
					t.Errorf("period %d: %v", period, counts)
				}
			}
		}
	})
}

func TestPortalScenario(t *testing.T) {
	inProcessAndOverSocket(t, func(t *testing.T, open func(testing.TB, ...sandbox.Option) *harness) {
		r := open(t, play(t, "portal"))
		pages, redirects := 0, 0
		for range 6 {
			switch v := r.look(r.request("GET", "/machines", nil)); {
			case v.good(200) && strings.Contains(v.body, "<form") && strings.HasPrefix(v.res.Header.Get("Content-Type"), "text/html"):
				pages++
			case v.good(302) && v.res.Header.Get("Location") == "http://portal.invalid/login":
				redirects++
			default:
				t.Errorf("%+v %v", v.res, v.err)
			}
		}
		if pages != 3 || redirects != 3 || r.s.Requests() != 0 {
			t.Errorf("%d pages, %d redirects, %d requests came through", pages, redirects, r.s.Requests())
		}
	})
}

func TestClockScenario(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHarness(t, play(t, "clock"))
		for _, off := range []time.Duration{36 * time.Hour, -2 * 365 * 24 * time.Hour, 0, 36 * time.Hour} {
			v := r.look(r.request("POST", "/machine-identity/challenges", object{"identityRef": "did:peaq:1"}))
			if got := time.Until(v.date(t, "Date")); (got - off).Abs() > time.Second {
				t.Errorf("the date is off by %v, want %v", got, off)
			}
			time.Sleep(5 * time.Minute)
		}
	})
}

func TestRevokedScenario(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHarness(t)
		a := r.enroll(r.machine())
		script, _ := sandbox.Scenario("revoked")
		if err := r.s.Play(script); err != nil {
			t.Fatal(err)
		}
		r.beat(a.beat()).ok(200)
		time.Sleep(30 * time.Second)
		r.beat(a.beat()).fails("AGENT_PAIRING_INACTIVE")
		again := r.enroll(a.machine)
		time.Sleep(4 * time.Minute)
		r.beat(again.beat()).ok(200)
		time.Sleep(time.Minute)
		r.beat(again.beat()).fails("AGENT_PAIRING_INACTIVE")
	})
}

func TestLostEnrollmentScenario(t *testing.T) {
	inProcessAndOverSocket(t, func(t *testing.T, open func(testing.TB, ...sandbox.Option) *harness) {
		r := open(t, play(t, "lost-enrollment"))
		m := r.machine()
		enroll := func() seen { return r.look(r.request("POST", "/machines/"+m+"/agents/enrollment", object{})) }
		if v := enroll(); v.res != nil || v.err == nil || len(r.s.Agents(m)) != 1 {
			t.Errorf("the first: %+v, %v, %d agents", v.res, v.err, len(r.s.Agents(m)))
		}
		if v := enroll(); v.res == nil || v.err == nil || len(v.body) != 120 || len(r.s.Agents(m)) != 2 {
			t.Errorf("the second: %q, %v, %d agents", v.body, v.err, len(r.s.Agents(m)))
		}
		r.beat(r.enroll(m).beat()).ok(200)
	})
}

func TestFlakyScenario(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHarness(t)
		a := r.enroll(r.machine())
		script, _ := sandbox.Scenario("flaky")
		if err := r.s.Play(script); err != nil {
			t.Fatal(err)
		}
		const beats = 1_000
		counts := map[string]int{}
		for range beats {
			v := r.look(r.request("POST", "/machine-agents/heartbeat", with(a.beat(), "leaseTtlSeconds", 60)))
			switch {
			case v.res == nil:
				counts["no response"]++
			case v.err != nil:
				counts["cut"]++
			case v.res.StatusCode == http.StatusTemporaryRedirect:
				counts["redirect"]++
			case v.res.StatusCode == 502, v.res.StatusCode == 503:
				counts["5xx"]++
			case len(v.body) > 1<<20:
				counts["flood"]++
			case !strings.HasPrefix(v.res.Header.Get("Content-Type"), "application/json"):
				counts["type"]++
			case !strings.Contains(v.body, `"leaseTtlSeconds":30`):
				counts["garbage"]++
			case v.took > 0:
				counts["late"]++
			default:
				counts["good"]++
			}
		}
		if counts["good"]+counts["late"] < beats*6/10 || counts["good"] > beats*8/10 {
			t.Errorf("%v of %d", counts, beats)
		}
		for _, kind := range []string{"no response", "cut", "redirect", "5xx", "flood", "type", "garbage", "late"} {
			if counts[kind] == 0 {
				t.Errorf("no %s in %v", kind, counts)
			}
		}
	})
}
