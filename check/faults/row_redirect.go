package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

// redirects responds to each request of enroll with a redirect of each kind, to
// another host, to the same host under another name, and to loopback: no request may
// arrive there.
func redirects(h *harness, r *row) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		r.broken(err)
		return
	}
	var arrived atomic.Int64
	elsewhere := &http.Server{ReadHeaderTimeout: 5 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		_, _ = io.Copy(io.Discard, req.Body)
		arrived.Add(1)
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte("{}"))
	})}
	go func() { _ = elsewhere.Serve(listener) }()
	defer elsewhere.Close()
	port := fmt.Sprint(listener.Addr().(*net.TCPAddr).Port)
	targets := []string{"http://127.0.0.1:" + port, "http://localhost:" + port, "//127.0.0.1:" + port}
	const requests = 6 // of an enroll that registers: list, challenge, machine, activate, enroll, beat
	codes := []int{301, 302, 303, 307, 308}
	h.inWorlds(r, len(codes)*len(targets)*requests, func(w *world, i int) (attempt, error) {
		code, target, n := codes[i%5], targets[i/5%len(targets)], int64(i/5/len(targets))
		a := attempt{what: fmt.Sprintf("%d to %s at request %d", code, target, n+1)}
		var seen atomic.Int64
		w.interpose(func(rw http.ResponseWriter, req *http.Request, next http.Handler) {
			if seen.Add(1)-1 != n {
				next.ServeHTTP(rw, req)
				return
			}
			rw.Header().Set("Location", target+req.URL.Path)
			rw.WriteHeader(code)
		})
		before := arrived.Load()
		o, err := w.runCommand(nil, w.enrollArgs()...)
		w.interpose(nil)
		if err != nil {
			return a, err
		}
		a.landed = seen.Load() > n
		a.finding, err = w.settle(o.Exit == 0)
		if n := arrived.Load() - before; n > 0 {
			a.signed, a.why = a.signed+int(n), "followed"
		}
		return a, err
	})
	r.how = fmt.Sprintf("each of %d requests of enroll redirected with each code, to %d other origins; requests that arrived there: %d",
		requests, len(targets), arrived.Load())
	// The other origin is reachable; otherwise the row would prove nothing.
	if b, err := fetch(h.ctx, targets[0]); err != nil || !strings.Contains(b, "{}") {
		r.broken(fmt.Errorf("the other origin does not respond: %w", err))
	}
}
