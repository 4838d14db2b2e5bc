package sandbox

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Scenario is a script by its name; [ScenarioNames] lists them.
func Scenario(name string) (Script, error) {
	all := scenarios()
	i := slices.IndexFunc(all, func(s Script) bool { return s.Name == name })
	if i < 0 {
		return Script{}, fmt.Errorf("sandbox: there is no scenario %q; there are %s", name, strings.Join(ScenarioNames(), ", "))
	}
	return all[i], nil
}

// ScenarioNames lists the scenarios that [Scenario] knows.
func ScenarioNames() []string {
	var names []string
	for _, s := range scenarios() {
		names = append(names, s.Name)
	}
	return names
}

const (
	portalPage = `<!doctype html><html><head><title>Hotel Wi-Fi</title></head><body><h1>Welcome</h1><form action="/login" method="post"><input name="room"><button>Connect</button></form></body></html>`
	deepJSON   = 2_000 // brackets
)

// scenarios are the named ones. Each begins at once, because a person who starts
// one wants to see it.
func scenarios() []Script {
	const second, minute = time.Second, time.Minute
	return []Script{
		{
			Name: "storm",
			Description: "An outage and the crowd after it. For the first minute of every ten no connection is answered. For two minutes after that " +
				"every third request is turned away with 503 or 429, with Retry-After in seconds or as a date, and the others are slow. " +
				"A client that comes back politely is through by the end of the third minute; one that retries at once makes its own storm.",
			Seed: 1, Repeat: 10 * minute,
			Steps: []Step{{At: 0, Do: "restart"}},
			Rules: []Rule{
				{Until: minute, Fault: Fault{Drop: true}},
				{From: minute, Until: 3 * minute, Every: 6, Fault: Fault{Status: 503, Code: "SERVICE_UNAVAILABLE", RetryAfter: "20"}},
				{From: minute, Until: 3 * minute, Every: 6, Fault: Fault{Status: 429, Code: "RATE_LIMITED", RetryAfterDate: 30 * second}},
				{From: minute, Until: 3 * minute, Fault: Fault{Latency: 200 * time.Millisecond, Jitter: 2 * second}},
			},
		},
		{
			Name: "portal",
			Description: "A captive portal has caught the machine: every other request is answered 200 with a login page in HTML, the rest are redirected " +
				"to it, to another host. A client must neither believe the 200 nor carry its token to the other host, and must keep what it has.",
			Rules: []Rule{
				{Every: 2, Fault: Fault{Redirect: "http://portal.invalid/login"}},
				{Fault: Fault{Status: 200, ContentType: "text/html; charset=utf-8", Body: portalPage}},
			},
		},
		{
			Name: "clock",
			Description: "The orchestrator's clock is wrong: for five minutes it runs a day and a half ahead, then it jumps to two years in the past, five minutes " +
				"later it is right. Date headers, lease ends and challenge ends follow it. A client must schedule by its own clock and report the skew.",
			Repeat: 15 * minute,
			Steps:  []Step{{Do: "clock", Value: 36 * time.Hour}, {At: 5 * minute, Do: "clock", Value: -2 * 365 * 24 * time.Hour}, {At: 10 * minute, Do: "clock"}},
		},
		{
			Name: "revoked",
			Description: "An operator cuts everyone off: half a minute after the start every agent is revoked and every pairing paused, and again every five minutes, " +
				"for those who enrolled meanwhile. Beats answer 403 AGENT_PAIRING_INACTIVE. A client must say so loudly, slow down, and never wipe its token.",
			Repeat: 5 * minute,
			Steps:  []Step{{At: 30 * second, Do: "revoke-agents"}, {At: 30 * second, Do: "pause-pairings"}},
		},
		{
			Name: "lost-enrollment",
			Description: "The first enrollment is done, but its answer never arrives: the connection closes instead, and with it goes a one-time token that " +
				"nobody has. The second is answered but cut in the middle. The third works. A client must not end with two living agents.",
			Rules: []Rule{
				{Method: "POST", Path: "/machines/*/agents/enrollment", Limit: 1, Fault: Fault{Lost: true}},
				{Method: "POST", Path: "/machines/*/agents/enrollment", Limit: 1, Fault: Fault{CutAfter: 120}},
			},
		},
		{
			Name: "flaky",
			Description: "A bad line and a bad day: about every third answer is late, lost, cut, slow, garbage, of the wrong content type, redirected, or far too large " +
				"(plain and as a gzip bomb), and leases are never longer than 30 seconds. Most requests still work: a client must stay online.",
			Seed:  7,
			Steps: []Step{{Do: "lease-max", Value: 30 * second}},
			Rules: flakyRules(),
		},
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
