package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
)

// cutEnroll lets the sandbox enroll and send only so many bytes of its answer,
// status line and header included.
func cutEnroll(l *lab, r *row) { cutAnswer(l, r, ofEnroll()) }

func cutRotate(l *lab, r *row) { cutAnswer(l, r, ofRotate()) }

func cutAnswer(l *lab, r *row, c change) {
	length, err := measureAnswer(l, c)
	if err != nil {
		r.broken(err)
		return
	}
	step := l.pick(16, 1)
	l.inWorlds(r, length/step+1, func(w *world, i int) (string, finding, error) {
		n := i * step
		what := fmt.Sprintf("after byte %d of %d", n, length)
		if err := c.prepare(w); err != nil {
			return what, finding{}, err
		}
		var hit atomic.Bool
		w.interpose(cutter(n, &hit, nil))
		o, err := w.verb(nil, c.args(w)...)
		w.interpose(nil)
		if err != nil {
			return what, finding{}, err
		}
		if !hit.Load() {
			return what, finding{}, fmt.Errorf("no enrollment was asked for: %s", o)
		}
		f, err := w.settle(c.acked || o.exit == 0)
		if o.exit != 0 && !strings.Contains(o.stderr, "run") {
			f.halves, f.why = f.halves+1, "the error does not say what to run: "+o.String()
		}
		return what, f, err
	})
	r.how = fmt.Sprintf("the answer to POST enrollment, %d bytes from its status line on, sent up to byte n and the connection closed", length)
	if step > 1 {
		r.how += fmt.Sprintf("; every %dth n", step)
	}
}

// measureAnswer is how long the whole answer is.
func measureAnswer(l *lab, c change) (int, error) {
	w, err := l.newWorld("")
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
	if _, err := w.verb(nil, c.args(w)...); err != nil {
		return 0, err
	}
	if length == 0 {
		return 0, fmt.Errorf("no enrollment was asked for")
	}
	return length, nil
}

// cutter cuts the answer to an enrollment after n bytes; measured hears how long
// it would have been.
func cutter(n int, hit *atomic.Bool, measured func(int)) meddler {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.Method != http.MethodPost || !strings.HasSuffix(r.URL.Path, "/agents/enrollment") {
			next.ServeHTTP(w, r)
			return
		}
		hit.Store(true)
		rec := httptest.NewRecorder()
		next.ServeHTTP(rec, r)
		answer := rec.Result()
		answer.ContentLength = int64(rec.Body.Len())
		var whole strings.Builder
		_ = answer.Write(&whole)
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
