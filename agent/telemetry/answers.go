package telemetry

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/peaqnetwork/peaqos-agent/agent/status"
)

// serveHealth says whether the loops turn: nothing of the orchestrator, so that
// an outage there never makes a supervisor restart us.
func (t *Server) serveHealth(w http.ResponseWriter, _ *http.Request) {
	s := t.snapshot()
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if stuck := stuckLoops(s.Process.Turns, s.At, t.stuckAfter); len(stuck) > 0 {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, "stuck: "+strings.Join(stuck, "; ")+"\n")
		return
	}
	_, _ = fmt.Fprintf(w, "ok: %d loops turn\n", len(s.Process.Turns))
}

// stuckLoops names each loop whose last turn is older than the bound.
func stuckLoops(turns map[string]time.Time, now time.Time, bound time.Duration) []string {
	var stuck []string
	for _, loop := range slices.Sorted(maps.Keys(turns)) {
		if age := now.Sub(turns[loop]); age > bound {
			stuck = append(stuck, fmt.Sprintf("loop %s last turned %s ago, more than %s", loop, status.FormatDuration(age), status.FormatDuration(bound)))
		}
	}
	return stuck
}

func (t *Server) serveReady(w http.ResponseWriter, r *http.Request) {
	ready := status.Ready(t.snapshot())
	status := http.StatusOK
	if !ready.Ready {
		status = http.StatusServiceUnavailable
	}
	if !wantsText(r) {
		writeJSON(w, status, ready)
		return
	}
	text := "not ready: " + ready.State
	if ready.Ready {
		text = "ready: " + ready.State
	}
	for _, reason := range ready.Reasons {
		text += fmt.Sprintf("\n  %s: %s", reason.Code, reason.Text)
	}
	writeText(w, status, text+"\n")
}

func (t *Server) serveStatus(w http.ResponseWriter, r *http.Request) {
	if wantsText(r) {
		writeText(w, http.StatusOK, t.view().Text())
		return
	}
	writeJSON(w, http.StatusOK, t.view())
}

// wantsText: JSON is the form for everyone who did not ask for plain text, the
// first of the two that Accept names.
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

func writeText(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text)
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	_ = e.Encode(v)
}
