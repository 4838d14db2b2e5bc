package sandbox_test

import (
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/peaqnetwork/peaqos-agent/sdk/sandbox"
)

// seen is what a client gets from a call.
type seen struct {
	res  *http.Response // nil without a response
	body string
	err  error // of the call, or of reading the body
	took time.Duration
}

func (r *harness) look(req *http.Request) (v seen) {
	r.t.Helper()
	begun := time.Now()
	defer func() { v.took = time.Since(begun) }()
	res, err := r.client.Do(req)
	if err != nil {
		return seen{err: err}
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 9<<20)) // no client should read more
	return seen{res: res, body: string(body), err: err}
}

func (v seen) date(t *testing.T, name string) time.Time {
	t.Helper()
	at, err := http.ParseTime(v.res.Header.Get(name))
	if err != nil {
		t.Errorf("%s: %v", name, err)
	}
	return at
}

// good reports whether the response is complete and has the status.
func (v seen) good(status int) bool { return v.err == nil && v.res.StatusCode == status }

const healthy = `{"ok":true}`

// faultCases lists each kind of fault, what a client sees, and whether the server handled the
// request.
func faultCases() []struct {
	name  string
	fault sandbox.Fault
	check func(t *testing.T, v seen) bool
} {
	const html = "text/html; charset=utf-8"
	return []struct {
		name  string
		fault sandbox.Fault
		check func(t *testing.T, v seen) bool
	}{
		{"nothing", sandbox.Fault{}, func(t *testing.T, v seen) bool { return v.good(200) && v.body == healthy }},
		{"latency", sandbox.Fault{Latency: 30 * time.Millisecond}, func(t *testing.T, v seen) bool {
			return v.good(200) && v.body == healthy && v.took >= 30*time.Millisecond
		}},
		{"jitter", sandbox.Fault{Jitter: 10 * time.Millisecond}, func(t *testing.T, v seen) bool { return v.good(200) && v.body == healthy }},
		{"429 in seconds", sandbox.Fault{Status: 429, Code: "RATE_LIMITED", RetryAfter: "7"}, func(t *testing.T, v seen) bool {
			return v.good(429) && v.res.Header.Get("Retry-After") == "7" && strings.Contains(v.body, `"code":"RATE_LIMITED"`)
		}},
		{"503 with a date", sandbox.Fault{Status: 503, RetryAfterDate: 30 * time.Second}, func(t *testing.T, v seen) bool {
			return v.good(503) && v.date(t, "Retry-After").Sub(v.date(t, "Date")) == 30*time.Second
		}},
		{
			"a code alone",
			sandbox.Fault{Code: "PAYMENT_RPC_ERROR"},
			func(t *testing.T, v seen) bool { return v.good(502) && strings.Contains(v.body, "PAYMENT_RPC_ERROR") },
		},
		{"drop", sandbox.Fault{Drop: true}, func(t *testing.T, v seen) bool { return v.res == nil && v.err != nil }},
		{"lost", sandbox.Fault{Lost: true}, func(t *testing.T, v seen) bool { return v.res == nil && v.err != nil }},
		{"cut", sandbox.Fault{CutAfter: 4}, func(t *testing.T, v seen) bool {
			return v.res != nil && v.res.StatusCode == 200 && v.body == healthy[:4] && errors.Is(v.err, io.ErrUnexpectedEOF)
		}},
		{"cut after the header", sandbox.Fault{CutAfter: -1}, func(t *testing.T, v seen) bool {
			return v.res != nil && v.res.StatusCode == 200 && v.body == "" && errors.Is(v.err, io.ErrUnexpectedEOF)
		}},
		{"cut error", sandbox.Fault{CutAfter: 9, Status: 503, Code: "X"}, func(t *testing.T, v seen) bool {
			return v.res != nil && v.res.StatusCode == 503 && v.body == `{"error":` && v.err != nil
		}},
		{"slow body", sandbox.Fault{SlowBody: 3 * time.Millisecond}, func(t *testing.T, v seen) bool {
			return v.good(200) && v.body == healthy && v.took >= time.Duration(len(healthy))*3*time.Millisecond
		}},
		{
			"garbage",
			sandbox.Fault{Status: 200, Body: "\x00\xff{"},
			func(t *testing.T, v seen) bool { return v.good(200) && v.body == "\x00\xff{" },
		},
		{"empty 200", sandbox.Fault{Status: 200}, func(t *testing.T, v seen) bool { return v.good(200) && v.body == "" }},
		{
			"gzip bomb",
			sandbox.Fault{GzipBomb: 8 << 20},
			func(t *testing.T, v seen) bool { return v.good(200) && len(v.body) == 8<<20 && v.res.Uncompressed },
		},
		{"flood", sandbox.Fault{Flood: 3<<20 + 7}, func(t *testing.T, v seen) bool {
			return v.good(200) && len(v.body) == 3<<20+7 && strings.HasPrefix(v.body, `{"item":{"`) && strings.HasSuffix(v.body, `"}}`)
		}},
		{"redirect", sandbox.Fault{Redirect: "http://elsewhere.invalid/x"}, func(t *testing.T, v seen) bool {
			return v.good(302) && v.res.Header.Get("Location") == "http://elsewhere.invalid/x"
		}},
		{
			"redirect 307",
			sandbox.Fault{Redirect: "/login", Status: 307},
			func(t *testing.T, v seen) bool { return v.good(307) && v.res.Header.Get("Location") == "/login" },
		},
		{"portal", sandbox.Fault{Status: 200, ContentType: html, Body: "<html>pay"}, func(t *testing.T, v seen) bool {
			return v.good(200) && v.body == "<html>pay" && v.res.Header.Get("Content-Type") == html
		}},
		{"wrong content type", sandbox.Fault{ContentType: "text/plain"}, func(t *testing.T, v seen) bool {
			return v.good(200) && v.body == healthy && v.res.Header.Get("Content-Type") == "text/plain"
		}},
		{"date off", sandbox.Fault{Skew: -48 * time.Hour}, func(t *testing.T, v seen) bool {
			off := time.Since(v.date(t, "Date")) - 48*time.Hour
			return v.good(200) && off.Abs() < 10*time.Second
		}},
		{
			"header",
			sandbox.Fault{Header: map[string]string{"Server": "squid"}},
			func(t *testing.T, v seen) bool { return v.good(200) && v.res.Header.Get("Server") == "squid" },
		},
		{"all at once", sandbox.Fault{
			Latency: time.Millisecond, Status: 500, ContentType: html, Body: "<h1>0123456789", CutAfter: 6,
			SlowBody: time.Millisecond,
		}, func(t *testing.T, v seen) bool {
			return v.res != nil && v.res.StatusCode == 500 && v.body == "<h1>01" && v.err != nil
		}},
	}
}

func TestFaults(t *testing.T) {
	inProcessAndOverSocket(t, func(t *testing.T, open func(testing.TB, ...sandbox.Option) *harness) {
		for _, c := range faultCases() {
			t.Run(c.name, func(t *testing.T) {
				r := open(t)
				r.s.SetFault(func(*http.Request) *sandbox.Fault { return &c.fault })
				if v := r.look(r.request("GET", "/health", nil)); !c.check(t, v) {
					t.Errorf("a client sees %+v with body %.100q, error %v, after %v", v.res, v.body, v.err, v.took)
				}
				r.s.SetFault(nil)
				if v := r.look(r.request("GET", "/health", nil)); !v.good(200) || v.body != healthy {
					t.Errorf("without the fault: %q, %v", v.body, v.err)
				}
			})
		}
	})
}

// TestFaultsAndTheirEffect: a dropped request has no effect; with a lost or cut response it has its
// full effect.
func TestFaultsAndTheirEffect(t *testing.T) {
	inProcessAndOverSocket(t, func(t *testing.T, open func(testing.TB, ...sandbox.Option) *harness) {
		for _, c := range []struct {
			fault sandbox.Fault
			done  bool
		}{
			{sandbox.Fault{Drop: true}, false},
			{sandbox.Fault{Status: 503}, false},
			{sandbox.Fault{Redirect: "/x"}, false},
			{sandbox.Fault{Lost: true}, true},
			{sandbox.Fault{CutAfter: 50}, true},
			{sandbox.Fault{CutAfter: -1}, true},
			{sandbox.Fault{ContentType: "text/html"}, true},
		} {
			r := open(t)
			m := r.machine()
			r.s.SetFault(func(*http.Request) *sandbox.Fault { return &c.fault })
			v := r.look(r.request("POST", "/machines/"+m+"/agents/enrollment", object{}))
			if done := len(r.s.Agents(m)) == 1; done != c.done {
				t.Errorf("%s: the work was done: %v, want %v (%v)", c.fault.String(), done, c.done, v.err)
			}
		}
	})
}

// TestClientDisconnects: a client that gives up on a late or endless response ends the work on the
// server.
func TestClientDisconnects(t *testing.T) {
	inProcessAndOverSocket(t, func(t *testing.T, open func(testing.TB, ...sandbox.Option) *harness) {
		r := open(t)
		r.s.SetFault(func(*http.Request) *sandbox.Fault { return &sandbox.Fault{Flood: 1 << 50} })
		res, err := r.client.Do(r.request("GET", "/health", nil))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(res.Body, make([]byte, 1<<20)); err != nil {
			t.Error(err)
		}
		_ = res.Body.Close() // Close would never return if the server kept working
		r.s.SetFault(func(*http.Request) *sandbox.Fault { return &sandbox.Fault{Latency: time.Hour} })
		r.client.Timeout = 20 * time.Millisecond
		if v := r.look(r.request("GET", "/health", nil)); v.err == nil {
			t.Error("an hour's response arrived at once")
		}
	})
}

func TestServerClockIsOff(t *testing.T) {
	inProcessAndOverSocket(t, func(t *testing.T, open func(testing.TB, ...sandbox.Option) *harness) {
		r := open(t)
		a := r.enroll(r.machine())
		r.s.SetClock(-365 * 24 * time.Hour)
		beat := r.beat(a.beat()).ok(200)
		for _, stamp := range []string{beat.str("item.observedAt"), beat.str("item.endpoints.0.leaseExpiresAt")} {
			if at, err := time.Parse(time.RFC3339, stamp); err != nil || time.Since(at) < 364*24*time.Hour {
				t.Errorf("the clock of a server a year behind: %s", stamp)
			}
		}
		if date, err := http.ParseTime(beat.header.Get("Date")); err != nil || time.Since(date) < 364*24*time.Hour {
			t.Errorf("a server a year behind sends Date %s", beat.header.Get("Date"))
		}
		r.s.SetClock(0)
		if got := r.get("/machines/" + a.machine + "/runtime-endpoints").str("items.0.status"); got != "unreachable" {
			t.Errorf("a lease of last year reads %s", got)
		}
	})
}

func TestFaultNames(t *testing.T) {
	var names []string
	for _, c := range faultCases() {
		if c.fault.String() == "" {
			t.Errorf("%s has no name", c.name)
		}
		names = append(names, c.fault.String())
	}
	for _, want := range []string{"drop", "response lost", "redirect", "status 503", "flood", "cut", "slow", "altered"} {
		if !slices.Contains(names, want) {
			t.Errorf("no fault is called %q", want)
		}
	}
}
