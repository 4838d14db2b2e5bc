package sandbox_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/peaqnetwork/peaqos-agent/sdk/sandbox"
)

// pages reads all pages of a list and returns the ids.
func (r *harness) pages(path, query string) (ids []string) {
	r.t.Helper()
	cursor := ""
	for range 1000 {
		q := query
		if cursor != "" {
			q += "&cursor=" + url.QueryEscape(cursor)
		}
		a := r.get(path + "?" + q).ok(200)
		for _, it := range a.items() {
			ids = append(ids, it.(object)["id"].(string))
		}
		next, there := a.body["nextCursor"]
		if !there {
			return ids
		}
		cursor = next.(string)
	}
	r.t.Fatal("the list does not end")
	return nil
}

func TestPaging(t *testing.T) {
	for _, mode := range []string{sandbox.PagingOffset, sandbox.PagingSequence} {
		t.Run(mode, func(t *testing.T) { testPaging(t, mode) })
	}
	if _, err := sandbox.Open(sandbox.WithPaging("pages")); err == nil || !strings.Contains(err.Error(), "offset, sequence") {
		t.Errorf("an unknown paging: %v", err)
	}
}

func testPaging(t *testing.T, mode string) {
	r := newHarness(t, sandbox.WithPaging(mode))
	var made []string
	for range 7 {
		made = append(made, r.machine())
	}
	for _, limit := range []string{"1", "2", "3", "6", "7", "8", "500"} {
		if got := r.pages("/machines", "limit="+limit); !slices.Equal(got, made) {
			t.Errorf("in pages of %s: %v, want %v", limit, got, made)
		}
	}
	if got := r.pages("/machines", ""); !slices.Equal(got, made) {
		t.Errorf("without a limit: %v", got)
	}
	for _, bad := range []string{
		"limit=0", "limit=-1", "limit=501", "limit=x", "limit=", "limit=1.0", "limit=01", "limit=%2B1", "limit=+1",
		"limit=99999999999999999999", "cursor=", "cursor=x", "cursor=AAAAAAAAAAAAAAAA", "cursor=!!",
	} {
		for _, list := range []string{
			"/machines", "/machines/" + made[0] + "/agents", "/machines/" + made[0] + "/runtime-endpoints", "/audit-events",
		} {
			r.get(list + "?" + bad).fails("VALIDATION_ERROR")
		}
	}
}

func TestSequenceCursorsBelongToTheirList(t *testing.T) {
	r := newHarness(t, sandbox.WithPaging(sandbox.PagingSequence))
	first, second := r.machine(), r.machine()
	for _, m := range []string{first, second} {
		r.enroll(m)
		r.enroll(m)
	}
	cursor := r.get("/machines/" + first + "/agents?limit=1").str("nextCursor")
	r.get("/machines/" + first + "/agents?limit=5&cursor=" + cursor).ok(200) // another page size is fine
	for _, elsewhere := range []string{
		"/machines/" + second + "/agents?", "/machines?", "/machines/" + first + "/runtime-endpoints?",
		"/machines/" + first + "/agents?x=1&",
	} {
		r.get(elsewhere + "cursor=" + cursor).fails("VALIDATION_ERROR")
	}
	filtered := r.get("/audit-events?limit=1&machineId=" + first).str("nextCursor")
	r.get("/audit-events?machineId=" + first + "&cursor=" + filtered).ok(200)
	r.get("/audit-events?cursor=" + filtered).fails("VALIDATION_ERROR")
	r.get("/audit-events?machineId=" + second + "&cursor=" + filtered).fails("VALIDATION_ERROR")
}

// TestSequencePagesWhileRowsComeAndGo: rows that exist during the whole walk are seen exactly once.
func TestSequencePagesWhileRowsComeAndGo(t *testing.T) {
	r := newHarness(t, sandbox.WithPaging(sandbox.PagingSequence))
	m := r.machine()
	path := "/machines/" + m + "/runtime-endpoints"
	put := func(key string) string {
		return r.call("PUT", path+"/"+key, object{"endpointBaseUrl": "http://h"}).ok(201).str("item.id")
	}
	a, b, c := put("a"), put("b"), put("c")
	page := r.get(path + "?limit=2").ok(200)
	r.call("DELETE", path+"/a", nil).ok(204)
	r.call("DELETE", path+"/b", nil).ok(204) // the row that the cursor names
	d := put("d")
	next := r.get(path + "?cursor=" + page.str("nextCursor")).ok(200)
	got := []string{page.str("items.0.id"), page.str("items.1.id"), next.str("items.0.id"), next.str("items.1.id")}
	if want := []string{a, b, c, d}; !slices.Equal(got, want) || len(next.items()) != 2 {
		t.Errorf("walked %v, want %v", got, want)
	}
	if got, want := r.pages("/audit-events", "limit=2&machineId="+m), 8; len(got) != want {
		t.Errorf("%d events in pages of two, want %d", len(got), want)
	}
}

// offsetAt is the cursor of the published CLI's examples, for any offset.
func offsetAt(offset any) string {
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, `{"v":1,"offset":%v}`, offset))
}

func providerKeys(a reply) (keys []string) {
	a.t.Helper()
	for _, it := range a.items() {
		keys = append(keys, it.(object)["providerKey"].(string))
	}
	return keys
}

// TestOffsetPages: an item that comes or goes before the offset moves the following page.
func TestOffsetPages(t *testing.T) {
	r := newHarness(t)
	path := "/machines/" + r.machine() + "/runtime-endpoints"
	put := func(key string) {
		r.call("PUT", path+"/"+key, object{"endpointBaseUrl": "http://127.0.0.1:9"}).ok(201)
	}
	for _, key := range []string{"a", "b", "c", "d"} {
		put(key)
	}
	first := r.get(path + "?limit=2").ok(200)
	if got := first.str("nextCursor"); got != "eyJ2IjoxLCJvZmZzZXQiOjJ9" || !slices.Equal(providerKeys(first), []string{"a", "b"}) {
		t.Fatalf("the first page is %s", first.text)
	}
	r.call("DELETE", path+"/a", nil).ok(204)
	if got := providerKeys(r.get(path + "?limit=2&cursor=" + first.str("nextCursor")).ok(200)); !slices.Equal(got, []string{"d"}) {
		t.Errorf("after a removal the second page is %v", got)
	}
	for cursor, want := range map[string][]string{
		offsetAt(0): {"b", "c", "d"}, offsetAt(2): {"d"}, offsetAt(3): nil, offsetAt(1_000_000): nil,
		base64.RawURLEncoding.EncodeToString([]byte(`{ "offset": 1, "v": 1 }`)): {"c", "d"},
	} {
		a := r.get(path + "?cursor=" + cursor).ok(200)
		if got := providerKeys(a); !slices.Equal(got, want) || a.body["nextCursor"] != nil {
			t.Errorf("at %s: %s", cursor, a.text)
		}
	}
	for _, bad := range []string{
		`{"v":2,"offset":1}`, `{"offset":1}`, `{"v":1}`, `{"v":"1","offset":1}`, `{"v":1,"offset":-1}`, `{"v":1,"offset":1.5}`,
		`{"v":1,"offset":"1"}`, `{"v":1,"offset":null}`, `{"v":1,"offset":99999999999}`, `{"V":1,"offset":1}`,
		`{"v":1,"offset":1,"x":1}`, `{"v":1,"offset":1}{}`, `[]`, `null`, `7`,
	} {
		r.get(path + "?cursor=" + base64.RawURLEncoding.EncodeToString([]byte(bad))).fails("VALIDATION_ERROR")
	}
	r.get(path + "?cursor=" + offsetAt(1) + "=").fails("VALIDATION_ERROR")
}

// TestOffsetPagesEverywhere: every list that has pages is cut by offset.
func TestOffsetPagesEverywhere(t *testing.T) {
	r := newHarness(t)
	p := r.pair(r.machine(), nil)
	second := r.machine()
	for range 3 {
		r.enroll(p.machine)
		r.pair(p.machine, nil)
		r.call("PUT", fmt.Sprintf("/machines/%s/runtime-endpoints/k%d", p.machine, r.made), object{"endpointBaseUrl": "http://127.0.0.1:9"})
		r.post("/policies", object{"name": "p"})
		r.made++
		p.made("svc_location")
	}
	for _, list := range []string{
		"/machines?", "/machines/" + p.machine + "/agents?", "/machines/" + p.machine + "/agent-pairings?", "/skills?", "/market/services?",
		"/market/orders?machineId=" + p.machine + "&", "/audit-events?", "/machines/" + p.machine + "/runtime-endpoints?",
	} {
		first := r.get(list + "limit=1").ok(200)
		if got := first.at("nextCursor"); got != offsetAt(1) {
			t.Errorf("%s: the cursor is %v", list, got)
		}
	}
	r.get("/machines/" + second + "/agents?cursor=" + offsetAt(1)).ok(200) // not bound to a list
}

// TestShift: pages can be cut as if items had been inserted or removed between them.
func TestShift(t *testing.T) {
	r := newHarness(t)
	var made []string
	for range 6 {
		made = append(made, r.machine())
	}
	walk := func() []string { return r.pages("/machines", "limit=2") }
	for shift, want := range map[int][]string{
		-1: {made[0], made[1], made[3], made[4]},
		1:  {made[0], made[1], made[1], made[2], made[2], made[3], made[3], made[4], made[4], made[5]},
	} {
		r.callAdmin("PUT", "/fault", object{"method": "GET", "path": "/machines", "fault": object{"shift": shift}}).ok(200)
		if got := walk(); !slices.Equal(got, want) {
			t.Errorf("shifted by %d: %v, want %v", shift, got, want)
		}
	}
	r.callAdmin("PUT", "/fault", object{"fault": object{"shift": 1001}}).fails("VALIDATION_ERROR")
	r.callAdmin("DELETE", "/fault", nil).ok(204)
	if got := walk(); !slices.Equal(got, made) {
		t.Errorf("without the fault: %v", got)
	}
	stable := newHarness(t, sandbox.WithPaging(sandbox.PagingSequence), sandbox.WithScenario(
		sandbox.Script{Name: "shift", Rules: []sandbox.Rule{{Fault: sandbox.Fault{Shift: -1}}}}))
	ids := []string{stable.machine(), stable.machine(), stable.machine()}
	if got := stable.pages("/machines", "limit=1"); !slices.Equal(got, ids) {
		t.Errorf("pages by sequence are shifted: %v", got)
	}
}

// TestLag: a replica that is behind does not know what was created a moment ago.
func TestLag(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHarness(t)
		p := r.pair(r.machine(), nil)
		c := r.enroll(p.machine)
		time.Sleep(time.Minute)
		lag := func(on bool) {
			if r.s.SetFault(nil); on {
				r.s.SetFault(func(*http.Request) *sandbox.Fault { return &sandbox.Fault{Lag: 2 * time.Second} })
			}
		}
		order := p.made("svc_walrus_blob", blobOrder...)
		late := r.enroll(p.machine)
		lag(true)
		r.get("/market/orders/" + order).fails("NOT_FOUND")
		r.get("/market/orders/" + order + "/payment").fails("NOT_FOUND")
		r.beat(late.beat()).fails("NOT_FOUND")
		r.beat(c.beat()).ok(200)
		if n := len(r.get("/market/orders?machineId=" + p.machine).ok(200).items()); n != 0 {
			t.Errorf("%d orders are listed", n)
		}
		if n := len(r.get("/machines/" + p.machine + "/agents").ok(200).items()); n != 1 {
			t.Errorf("%d agents are listed", n)
		}
		time.Sleep(2 * time.Second)
		if got := p.status(order); got != "created" {
			t.Errorf("after the lag the order is %s", got)
		}
		r.beat(late.beat()).ok(200)
		p.onOrder(order, "payment-intent", object{}).ok(201)
		p.onOrder(order, "payment-proof", recorded()).fails("NOT_FOUND")
		if got := p.status(order); got != "created" {
			t.Errorf("right after the intent the order is %s", got)
		}
		time.Sleep(2 * time.Second)
		p.onOrder(order, "payment-proof", recorded()).ok(200)
		if got := p.get("/market/orders/" + order + "/payment").str("item.status"); got != "intent_created" {
			t.Errorf("right after the proof the payment is %s", got)
		}
		p.onOrder(order, "execute", object{}).fails("PAYMENT_REQUIRED")
		time.Sleep(2 * time.Second)
		p.onOrder(order, "execute", object{}).ok(200)
		p = p.session()
		p.probe().fails("AGENT_AUTH_INVALID")
		lag(false)
		p.probe().ok(201)
	})
}
