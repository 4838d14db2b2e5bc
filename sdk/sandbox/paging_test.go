package sandbox_test

import (
	"net/url"
	"slices"
	"testing"
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
	r := newHarness(t)
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

func TestCursorsBelongToTheirList(t *testing.T) {
	r := newHarness(t)
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

// TestPagingWhileRowsComeAndGo: rows that exist during the whole walk are seen exactly once.
func TestPagingWhileRowsComeAndGo(t *testing.T) {
	r := newHarness(t)
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
