package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// earlierAgents gives the machine a history of revoked agents, listed before the present
// one, in pages of several sizes, and lets entries appear and disappear between pages:
// enroll --force and rotate revoke their predecessor all the same.
func earlierAgents(h *harness, r *row) {
	type try struct {
		earlier, size, moved int
		args                 func(*world) []string
	}
	force := func(w *world) []string { return append(w.enrollArgs(), "--force") }
	var all []try
	for _, earlier := range []int{0, 99, 100, 101, 1000} {
		for _, size := range []int{1, 7, 100, 500} {
			for _, moved := range []int{-1, 0, 1} {
				if earlier == 1000 && size < 100 && !h.whole {
					continue
				}
				all = append(all, try{earlier, size, moved, force}, try{earlier, size, moved, (*world).rotateArgs})
			}
		}
	}
	h.inWorlds(r, len(all), func(w *world, i int) (attempt, error) {
		t := all[i]
		a := attempt{what: fmt.Sprintf("%s with %d earlier agents in pages of %d, %+d between pages", t.args(w)[0], t.earlier, t.size, t.moved)}
		if _, err := w.enroll(); err != nil {
			return a, err
		}
		var pages atomic.Int64
		w.interpose(w.history(t.earlier, t.size, t.moved, &pages))
		o, err := w.runCommand(nil, t.args(w)...)
		w.interpose(nil)
		if err != nil {
			return a, err
		}
		a.landed = pages.Load() > int64(t.earlier/t.size)
		if o.Exit != 0 || len(w.active()) != 1 {
			a.orphans, a.why = max(0, len(w.active())-1), fmt.Sprintf("%d active agents; %s", len(w.active()), o)
			a.halves++
		}
		after, err := w.settle(true)
		if a.good() {
			a.finding = after
		}
		return a, err
	})
	r.how = "0, 99, 100, 101 and 1,000 revoked agents listed before the present one, in pages of 1, 7, 100 and 500 by offset; " +
		"between two pages an entry appears, disappears, or neither; enroll --force and rotate each leave one active agent"
}

// history lists earlier agents before those of the sandbox. The list moves by moved
// entries after the first page.
func (w *world) history(earlier, size, moved int, pages *atomic.Int64) interceptor {
	return func(rw http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.Method != http.MethodGet || !strings.HasSuffix(r.URL.Path, "/agents") {
			next.ServeHTTP(rw, r)
			return
		}
		n := earlier
		if pages.Add(1) > 1 {
			n = max(0, earlier+moved)
		}
		machine := strings.Split(r.URL.Path, "/")[4]
		var items []any
		for i := range n {
			items = append(items, agentItem(fmt.Sprintf("magt_earlier%d", n-i), machine, fmt.Sprintf("old#aaaa%04d", i), "revoked"))
		}
		for _, a := range w.sandbox.Agents(machine) {
			items = append(items, agentItem(a.ID, machine, a.Label, a.Status))
		}
		limit, err := strconv.Atoi(r.URL.Query().Get("limit"))
		if err != nil {
			limit = 100
		}
		offset, _ := strconv.Atoi(r.URL.Query().Get("cursor"))
		begin := min(offset, len(items))
		end := min(begin+min(limit, size), len(items))
		body := map[string]any{"items": append([]any{}, items[begin:end]...), "nextCursor": nil}
		if end < len(items) {
			body["nextCursor"] = strconv.Itoa(end)
		}
		rw.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(rw).Encode(body)
	}
}

func agentItem(id, machine, label, state string) map[string]any {
	now := time.Now().UTC().Format(time.RFC3339)
	return map[string]any{"id": id, "machineId": machine, "label": label, "status": state, "createdAt": now, "updatedAt": now}
}

// surplus sends each response of enroll and of rotate twice on one connection, with a
// megabyte after it, or with a body that is longer or shorter than was announced. No
// secret may be printed, and no token may be lost.
func surplus(h *harness, r *row) {
	forms := []string{"twice", "a megabyte too long", "longer than announced", "shorter than announced", "as a chunk without an end"}
	commands := []change{ofEnroll(), ofRotate()}
	requests := h.pick(2, 4) // a rotation has no more
	h.inWorlds(r, len(forms)*len(commands)*requests, func(w *world, i int) (attempt, error) {
		form, c, n := forms[i%len(forms)], commands[i/len(forms)%2], int64(i/len(forms)/2)
		a := attempt{what: fmt.Sprintf("response %d of a command, %s", n+1, form)}
		if err := c.prepare(w); err != nil {
			return a, err
		}
		watch := newCage()
		var seen atomic.Int64
		var hit atomic.Bool
		w.interpose(func(rw http.ResponseWriter, req *http.Request, next http.Handler) {
			if strings.HasSuffix(req.URL.Path, "/agents/enrollment") {
				watch.keepToken(next)(rw, req, form, seen.Add(1)-1 == n, &hit)
				return
			}
			misshapen(rw, req, next, form, seen.Add(1)-1 == n, &hit, nil)
		})
		o, err := w.runCommand(nil, c.args(w)...)
		w.interpose(nil)
		if err != nil {
			return a, err
		}
		a.landed = hit.Load()
		watch.look("standard output of "+c.args(w)[0], []byte(o.Stdout))
		watch.look("standard error of "+c.args(w)[0], []byte(o.Stderr))
		a.finding = watch.finding()
		after, err := w.settle(c.acked || o.Exit == 0)
		if a.good() {
			a.finding = after
		}
		return a, err
	})
	r.how = fmt.Sprintf("each of the first %d responses of enroll and rotate in %d forms: %s", requests, len(forms), strings.Join(forms, ", "))
}

// keepToken notes the token of an enrollment, so that it is searched for, and passes the
// response on in its form.
func (c *cage) keepToken(next http.Handler) func(http.ResponseWriter, *http.Request, string, bool, *atomic.Bool) {
	return func(rw http.ResponseWriter, r *http.Request, form string, now bool, hit *atomic.Bool) {
		misshapen(rw, r, next, form, now, hit, func(body []byte) {
			var response struct {
				Item struct{ AgentToken string }
			}
			if json.Unmarshal(body, &response) == nil && response.Item.AgentToken != "" {
				c.add(response.Item.AgentToken, "a token")
			}
		})
	}
}

// misshapen writes the sandbox's response in a form that HTTP does not allow.
func misshapen(rw http.ResponseWriter, r *http.Request, next http.Handler, form string, now bool, hit *atomic.Bool, look func([]byte)) {
	rec := httptest.NewRecorder()
	next.ServeHTTP(rec, r)
	body := rec.Body.Bytes()
	if look != nil {
		look(body)
	}
	if !now {
		for k, v := range rec.Header() {
			rw.Header()[k] = v
		}
		rw.WriteHeader(rec.Code)
		_, _ = rw.Write(body)
		return
	}
	conn, _, err := rw.(http.Hijacker).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	defer conn.Close()
	hit.Store(true)
	announce := func(n int) string {
		return fmt.Sprintf("HTTP/1.1 %d X\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", rec.Code, n)
	}
	text := announce(len(body)) + string(body)
	switch form {
	case "twice":
		text += text
	case "a megabyte too long":
		text = announce(len(body)+1<<20) + string(body) + strings.Repeat(" ", 1<<20)
	case "longer than announced":
		text += string(body)
	case "shorter than announced":
		text = announce(len(body)+10) + string(body)
	default:
		text = fmt.Sprintf("HTTP/1.1 %d X\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n", rec.Code, len(body), body)
	}
	_, _ = conn.Write([]byte(text))
}
