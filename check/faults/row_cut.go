package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
)

// cutEnroll lets the sandbox enroll and send only the first n bytes of its response,
// status line and headers included.
func cutEnroll(h *harness, r *row) { cutResponse(h, r, ofEnroll()) }

func cutRotate(h *harness, r *row) { cutResponse(h, r, ofRotate()) }

func cutResponse(h *harness, r *row, c change) {
	length, err := measureResponse(h, c)
	if err != nil {
		r.broken(err)
		return
	}
	step := h.pick(16, 1)
	h.inWorlds(r, length/step+1, func(w *world, i int) (attempt, error) {
		n := i * step
		a := attempt{what: fmt.Sprintf("after byte %d of %d", n, length)}
		if err := c.prepare(w); err != nil {
			return a, err
		}
		var hit atomic.Bool
		w.interpose(cutter(n, &hit, nil))
		o, err := w.runCommand(nil, c.args(w)...)
		w.interpose(nil)
		if err != nil {
			return a, err
		}
		a.landed = hit.Load()
		a.finding, err = w.settle(c.acked || o.Exit == 0)
		if o.Exit != 0 && !strings.Contains(o.Stderr, "run") {
			a.halves, a.why = a.halves+1, "the error does not name the command to run: "+o.String()
		}
		return a, err
	})
	r.how = fmt.Sprintf("the response to POST enrollment, %d bytes from its status line on, "+
		"cut after byte n and the connection closed", length)
	if step > 1 {
		r.how += fmt.Sprintf("; every %dth n", step)
	}
}

// measureResponse returns the length of the whole response.
func measureResponse(h *harness, c change) (int, error) {
	w, err := h.newWorld("")
	if err != nil {
		return 0, err
	}
	defer w.close()
	if err := c.prepare(w); err != nil {
		return 0, err
	}
	var hit atomic.Bool
	length := 0
	w.interpose(cutter(0, &hit, func(n int) { length = n }))
	if _, err := w.runCommand(nil, c.args(w)...); err != nil {
		return 0, err
	}
	if length == 0 {
		return 0, fmt.Errorf("no enrollment was requested")
	}
	return length, nil
}

// cutter cuts the response to an enrollment after n bytes; measured gets the length
// of the whole response.
func cutter(n int, hit *atomic.Bool, measured func(int)) interceptor {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.Method != http.MethodPost || !strings.HasSuffix(r.URL.Path, "/agents/enrollment") {
			next.ServeHTTP(w, r)
			return
		}
		hit.Store(true)
		rec := httptest.NewRecorder()
		next.ServeHTTP(rec, r)
		response := rec.Result()
		response.ContentLength = int64(rec.Body.Len())
		var whole strings.Builder
		_ = response.Write(&whole)
		if measured != nil {
			measured(whole.Len())
		}
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		_, _ = conn.Write([]byte(whole.String()[:min(n, whole.Len())]))
		_ = conn.Close()
	}
}
