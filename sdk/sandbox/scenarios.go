package sandbox

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Scenario returns a named script; [ScenarioNames] lists the names.
func Scenario(name string) (Script, error) {
	all := scenarios()
	i := slices.IndexFunc(all, func(s Script) bool { return s.Name == name })
	if i < 0 {
		return Script{}, fmt.Errorf("sandbox: unknown scenario %q; valid names: %s", name, strings.Join(ScenarioNames(), ", "))
	}
	return all[i], nil
}

// ScenarioNames lists the scenarios that [Scenario] returns.
func ScenarioNames() []string {
	var names []string
	for _, s := range scenarios() {
		names = append(names, s.Name)
	}
	return names
}

const (
	portalPage = `<!doctype html><html><head><title>Hotel Wi-Fi</title></head><body><h1>Welcome</h1>` +
		`<form action="/login" method="post"><input name="voucher"><button>Connect</button></form></body></html>`
	deepJSON = 2_000 // nested brackets
)

// scenarios returns the named scripts. Each takes effect at once, because the person who
// starts one wants to see it.
func scenarios() []Script {
	const second, minute = time.Second, time.Minute
	return []Script{
		{
			Name: "storm",
			Description: "An outage and the rush after it. During the first minute of every ten all connections are closed without a " +
				"response. During the next two minutes every third request is rejected with 503 or 429, with Retry-After in " +
				"seconds or as a date, and the others are slow. A client that backs off gets through by the end of the third " +
				"minute; one that retries at once adds to the storm.",
			Seed: 1, Repeat: 10 * minute,
			Steps: []Step{{At: 0, Do: "restart"}}, Rules: stormRules(),
		},
		{
			Name: "portal",
			Description: "The machine is behind a captive portal: every other request gets status 200 with a login page in HTML, the " +
				"others are redirected to it on another host. A client must neither trust the 200 nor send its token to the " +
				"other host, and must keep its state.",
			Rules: portalRules(),
		},
		{
			Name: "clock",
			Description: "The orchestrator's clock is wrong: for five minutes it is a day and a half ahead, then for five minutes two " +
				"years behind, then right. Date headers and the ends of leases and challenges follow it. A client must schedule " +
				"by its own clock and report the skew.",
			Repeat: 15 * minute,
			Steps: []Step{
				{Do: "clock", Value: 36 * time.Hour},
				{At: 5 * minute, Do: "clock", Value: -2 * 365 * 24 * time.Hour},
				{At: 10 * minute, Do: "clock"},
			},
		},
		{
			Name: "revoked",
			Description: "An operator revokes everyone: half a minute after the start, and again every five minutes, every agent is " +
				"revoked and every pairing paused. Heartbeats fail with 403 AGENT_PAIRING_INACTIVE. A client must report it " +
				"clearly, slow down, and never delete its token.",
			Repeat: 5 * minute,
			Steps:  []Step{{At: 30 * second, Do: "revoke-agents"}, {At: 30 * second, Do: "pause-pairings"}},
		},
		{
			Name: "lost-enrollment",
			Description: "The first enrollment succeeds, but its response is lost with the one-time token: the connection closes " +
				"instead. The response to the second is cut in the middle. The third works. A client must not end up with two " +
				"active agents.",
			Rules: []Rule{
				{Method: "POST", Path: "/machines/*/agents/enrollment", Limit: 1, Fault: Fault{Lost: true}},
				{Method: "POST", Path: "/machines/*/agents/enrollment", Limit: 1, Fault: Fault{CutAfter: 120}},
			},
		},
		{
			Name: "flaky",
			Description: "An unreliable connection: about every third response is late, lost, cut, slow, malformed, of the wrong content " +
				"type, redirected, or far too large (plain or as a gzip bomb), and leases last at most 30 seconds. Most " +
				"requests still work: a client must stay online.",
			Seed:  7,
			Steps: []Step{{Do: "lease-max", Value: 30 * second}},
			Rules: flakyRules(),
		},
		{
			Name: "sockets",
			Description: "Unsteady control sockets: every minute all of them are closed twice, and once they are flooded with 10,000 " +
				"messages of a type that no client knows; every fourth handshake fails. A client must come back on its own " +
				"schedule, keep its memory bounded, and pass on every notification that it received.",
			Repeat: minute,
			Steps:  []Step{{At: 5 * second, Do: "close-sockets"}, {At: 20 * second, Do: "flood-sockets"}, {At: 40 * second, Do: "close-sockets"}},
			Rules:  []Rule{{Path: "/machines/*/control-socket", Every: 4, Fault: Fault{Status: 503, Body: "unavailable"}}},
		},
	}
}

func stormRules() []Rule {
	const second, minute = time.Second, time.Minute
	return []Rule{
		{Until: minute, Fault: Fault{Drop: true}},
		{From: minute, Until: 3 * minute, Every: 6, Fault: Fault{Status: 503, Code: "SERVICE_UNAVAILABLE", RetryAfter: "20"}},
		{From: minute, Until: 3 * minute, Every: 6, Fault: Fault{Status: 429, Code: "RATE_LIMITED", RetryAfterDate: 30 * second}},
		{From: minute, Until: 3 * minute, Fault: Fault{Latency: 200 * time.Millisecond, Jitter: 2 * second}},
	}
}

func portalRules() []Rule {
	return []Rule{
		{Every: 2, Fault: Fault{Redirect: "http://portal.invalid/login"}},
		{Fault: Fault{Status: 200, ContentType: "text/html; charset=utf-8", Body: portalPage}},
	}
}

func flakyRules() []Rule {
	json := "application/json"
	faults := []struct {
		chance float64
		fault  Fault
	}{
		{.04, Fault{Drop: true}},
		{.03, Fault{Lost: true}},
		{.03, Fault{CutAfter: 40}},
		{.03, Fault{CutAfter: -1}},
		{.03, Fault{SlowBody: 250 * time.Millisecond}},
		{.02, Fault{Status: 200, ContentType: json, Body: `{"item":{"id":7,"status":NaN}}`}},
		{.02, Fault{Status: 200, ContentType: json, Body: strings.Repeat("[", deepJSON) + strings.Repeat("]", deepJSON)}},
		{.02, Fault{Status: 200, ContentType: json, Body: `{"item":null,"item":{"id":"twice"}}`}},
		{.02, Fault{ContentType: "text/html"}},
		{.02, Fault{Status: 502, ContentType: "text/html", Body: "<html><body><h1>502 Bad Gateway</h1></body></html>"}},
		{.02, Fault{Status: 503, Code: "SERVICE_UNAVAILABLE", RetryAfter: "3"}},
		{.01, Fault{Redirect: "https://elsewhere.invalid/api/v1/machines", Status: 307}},
		{.01, Fault{GzipBomb: 64 << 20}},
		{.01, Fault{Flood: 16 << 20}},
		{.10, Fault{Latency: 100 * time.Millisecond, Jitter: 3 * time.Second}},
	}
	var rules []Rule
	for _, f := range faults {
		rules = append(rules, Rule{Chance: f.chance, Fault: f.fault})
	}
	return rules
}
