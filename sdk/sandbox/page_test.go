package sandbox_test

import (
	"net/http"
	"strings"
	"testing"
)

// TestPageEscapes: what a client sent stays text on the page.
func TestPageEscapes(t *testing.T) {
	const evil = `"><script>alert(1)</script><img src=x onerror=alert(2)>{{.}}`
	r := newRoom(t)
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
		t.Error("markup got through")
	}
	if !strings.Contains(page, "&lt;script&gt;alert(1)") {
		t.Error("the text itself is gone")
	}
}
