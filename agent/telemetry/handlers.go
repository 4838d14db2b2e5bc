package telemetry

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.uber.org/zap"

	"github.com/peaqnetwork/peaqos-agent/agent/status"
)

// handler has the five read-only paths, behind the middleware.
func (s *Server) handler() http.Handler {
	page := newPage()
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", s.metricsHandler())
	mux.HandleFunc("GET /healthz", s.serveHealth)
	mux.HandleFunc("GET /readyz", s.serveReady)
	mux.Handle("GET /status", s.localOnly(http.HandlerFunc(s.serveStatus)))
	mux.Handle("GET /{$}", s.localOnly(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		page.serve(w, s.view())
	})))
	checked := newHostCheck(s.cfg.Listen, s.cfg.AllowedHosts, s.opensPrivate).handler(mux)
	if s.web != nil {
		checked = s.web.handler(checked)
	}
	return s.recoverPanics(securityHeaders(checked))
}

// metricsHandler renders one scrape at a time, in memory, and sends it afterwards, so
// that a client that reads slowly does not delay the next scrape. A response over
// loopback is not compressed: the buffers of gzip would be the largest part of the
// heap of an idle agent, and loopback has nothing to save.
func (s *Server) metricsHandler() http.Handler {
	opts := promhttp.HandlerOpts{ErrorLog: zap.NewStdLog(s.log), ErrorHandling: promhttp.ContinueOnError}
	compressed := promhttp.HandlerFor(s.registry, opts)
	opts.DisableCompression = true
	plain := promhttp.HandlerFor(s.registry, opts)
	var rendering sync.Mutex
	size := 0 // of the last response
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		render := compressed
		if overLoopback(r) {
			render = plain
		}
		buffered := &bufferedResponse{header: w.Header(), code: http.StatusOK}
		func() {
			rendering.Lock()
			defer rendering.Unlock()
			buffered.body.Grow(size)
			render.ServeHTTP(buffered, r)
			size = buffered.body.Len()
		}()
		w.Header().Set("Content-Length", strconv.Itoa(buffered.body.Len()))
		w.WriteHeader(buffered.code)
		_, _ = buffered.body.WriteTo(w)
	})
}

// bufferedResponse is an [http.ResponseWriter] that keeps the body.
type bufferedResponse struct {
	header http.Header
	code   int
	body   bytes.Buffer
}

func (b *bufferedResponse) Header() http.Header         { return b.header }
func (b *bufferedResponse) WriteHeader(code int)        { b.code = code }
func (b *bufferedResponse) Write(p []byte) (int, error) { return b.body.Write(p) }

// serveHealth reports whether the loops are running. Nothing about the
// orchestrator is in it, so that an outage there never makes a supervisor restart
// the agent.
func (s *Server) serveHealth(w http.ResponseWriter, _ *http.Request) {
	now := s.snapshot()
	if stuck := stuckLoops(now.Process.Turns, now.At, s.loopTimeout); len(stuck) > 0 {
		writeText(w, http.StatusServiceUnavailable, "stuck: "+strings.Join(stuck, "; ")+"\n")
		return
	}
	writeText(w, http.StatusOK, fmt.Sprintf("ok: %d loops running\n", len(now.Process.Turns)))
}

// stuckLoops describes each loop that has not run for longer than the limit, in
// alphabetical order. lastRun is by the name of the loop.
func stuckLoops(lastRun map[string]time.Time, now time.Time, limit time.Duration) []string {
	var stuck []string
	for _, loop := range slices.Sorted(maps.Keys(lastRun)) {
		if age := now.Sub(lastRun[loop]); age > limit {
			stuck = append(stuck, fmt.Sprintf("loop %s has not run for %s (limit %s)",
				loop, status.FormatDuration(age), status.FormatDuration(limit)))
		}
	}
	return stuck
}

func (s *Server) serveReady(w http.ResponseWriter, r *http.Request) {
	ready := status.Ready(s.snapshot())
	code := http.StatusOK
	if !ready.Ready {
		code = http.StatusServiceUnavailable
	}
	if !wantsText(r) {
		writeJSON(w, code, ready)
		return
	}
	text := "not ready: " + ready.State
	if ready.Ready {
		text = "ready: " + ready.State
	}
	for _, reason := range ready.Reasons {
		text += fmt.Sprintf("\n  %s: %s", reason.Code, reason.Text)
	}
	writeText(w, code, text+"\n")
}

func (s *Server) serveStatus(w http.ResponseWriter, r *http.Request) {
	if wantsText(r) {
		writeText(w, http.StatusOK, s.view().Text(status.TextOptions{All: true}))
		return
	}
	writeJSON(w, http.StatusOK, s.view())
}

// wantsText reports whether Accept names text/plain before any form of JSON.
// Without a preference the response is JSON.
func wantsText(r *http.Request) bool {
	for _, part := range strings.Split(strings.Join(r.Header.Values("Accept"), ","), ",") {
		kind, _, _ := strings.Cut(part, ";")
		switch strings.ToLower(strings.TrimSpace(kind)) {
		case "text/plain":
			return true
		case "application/json", "application/*", "text/html", "*/*":
			return false
		}
	}
	return false
}

func writeText(w http.ResponseWriter, code int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(code)
	_, _ = io.WriteString(w, text)
}

// writeJSON encodes the value before the header is written: a value that cannot be
// encoded is an error and not an empty response.
func writeJSON(w http.ResponseWriter, code int, v any) {
	body, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		writeText(w, http.StatusInternalServerError, "the response cannot be encoded\n")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_, _ = w.Write(append(body, '\n'))
}
