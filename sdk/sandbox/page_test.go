package sandbox_test

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/peaqnetwork/peaqos-agent/sdk/sandbox"
)

// TestPageEscapes: text from clients is shown as text.
func TestPageEscapes(t *testing.T) {
	const evil = `"><script>alert(1)</script><img src=x onerror=alert(2)>{{.}}`
	r := newHarness(t)
	m := r.machine()
	r.call("PATCH", "/machines/"+m, object{"displayName": evil}).ok(200)
	c := r.enroll(m)
	r.beat(c.beat(entry(evil, "http://127.0.0.1:9"))).ok(200)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.url+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	page := r.do(req).text
	if n := strings.Count(page, "<script"); n != 1 {
		t.Errorf("%d script elements", n)
	}
	if strings.Contains(page, "<img") {
		t.Error("unescaped markup")
	}
	if !strings.Contains(page, "&lt;script&gt;alert(1)") {
		t.Error("the text is missing")
	}
}

// front requests a path at the root.
func (r *harness) front(path string) reply {
	r.t.Helper()
	req := r.request("GET", "", nil)
	req.URL.Path = path
	req.Header.Del("X-Api-Key") // people do not have one
	return r.do(req)
}

// TestPageWithoutItsScript: the served HTML contains everything that the page shows.
func TestPageWithoutItsScript(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHarness(t, sandbox.WithScenario(sandbox.Script{Name: "drizzle", Steps: []sandbox.Step{{At: time.Hour, Do: "restart"}}}))
		empty := r.front("/").ok(200)
		for _, want := range []string{"No machine is registered yet", "No orders yet", "No events yet", "drizzle", "server time 20"} {
			if !strings.Contains(empty.text, want) {
				t.Errorf("the empty page does not contain %q", want)
			}
		}
		m := r.post("/machines", with(r.draft("did:peaq:1"), "displayName", `<script>alert("x")</script>`)).ok(201).str("item.id")
		r.call("PATCH", "/machines/"+m, object{"status": "active"}).ok(200)
		a := r.enroll(m)
		r.beat(with(a.beat(entry("cam", "http://10.0.0.5:80")), "leaseTtlSeconds", 100)).ok(200)
		r.call("PUT", "/machines/"+m+"/runtime-endpoints/hand", object{"endpointBaseUrl": "http://10.0.0.6"}).ok(201)
		order := strings.TrimPrefix(r.places(r.pair(m, nil), freeService), "/market/orders/")
		time.Sleep(70 * time.Second)
		page := r.front("/").ok(200)
		for _, want := range []string{
			m, a.id, "did:peaq:1", "http://10.0.0.5:80", "30 s left", "width:30%", "1m0s ago", "http://10.0.0.6", "none",
			"&lt;script&gt;alert", "machine-agent.enrolled", order, freeService, "get-price", ">created<",
		} {
			if !strings.Contains(page.text, want) {
				t.Errorf("the page does not contain %q", want)
			}
		}
		if strings.Contains(page.text, "<script>alert") || strings.Contains(page.text, a.token) {
			t.Error("the page runs a machine's name, or shows a token")
		}
		time.Sleep(30 * time.Second)
		live := r.front("/live.json").ok(200)
		if live.str("machines.0.endpoints.0.lease") != "expired" ||
			live.str("machines.0.endpoints.0.status") != "unreachable" || live.at("machines.0.endpoints.1.percent") != -1.0 ||
			live.at("beats") != 1.0 {
			t.Errorf("live: %s", live.text)
		}
	})
}

// TestPagePolicy: only the page's own script may run.
func TestPagePolicy(t *testing.T) {
	page := newHarness(t).front("/").ok(200)
	script := regexp.MustCompile(`(?s)<script>(.*?)</script>`).FindAllStringSubmatch(page.text, -1)
	if len(script) != 1 {
		t.Fatalf("%d scripts", len(script))
	}
	sum := sha256.Sum256([]byte(script[0][1]))
	if want := "script-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"; !strings.Contains(
		page.header.Get("Content-Security-Policy"), want,
	) {
		t.Errorf("the policy %s does not allow the page's script", page.header.Get("Content-Security-Policy"))
	}
	if strings.Contains(page.text, "innerHTML") || page.header.Get("X-Content-Type-Options") != "nosniff" ||
		page.header.Get("Cache-Control") != "no-store" {
		t.Errorf("headers %v", page.header)
	}
}

func TestPageIsBounded(t *testing.T) {
	r := newHarness(t)
	for range 210 {
		r.register()
	}
	m := r.machine()
	a := r.enroll(m)
	for i := range 30 {
		r.enroll(m)
		r.beat(a.beat(entry(fmt.Sprint("p", i), "http://h"))).ok(200)
	}
	page := r.front("/").ok(200)
	if n := strings.Count(page.text, `<section class="machine">`); n != 200 {
		t.Errorf("%d machines on the page, want 200", n)
	}
	if !strings.Contains(page.text, "and 21 older agents and endpoints") || !strings.Contains(page.text, ">p29<") ||
		strings.Contains(page.text, ">p9<") {
		t.Error("a machine with many agents and endpoints shows the latest 20 of each")
	}
}
