package telemetry

import (
	"bytes"
	"crypto/rand"
	_ "embed"
	"encoding/base64"
	"html/template"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/peaqnetwork/peaqos-agent/agent/status"
)

//go:embed page.html
var pageSource string

// page is the small live page for people on /. It shows the same view as /status.
// It is rendered on the server only: its script fetches the page again and applies
// what changed, and without scripts the browser reloads it.
type page struct {
	// parse runs once, at the first request, because most devices never get one.
	parse func() (*template.Template, error)
}

func newPage() *page {
	return &page{parse: sync.OnceValues(func() (*template.Template, error) {
		return template.New("page").Funcs(template.FuncMap{
			"clock":   func(t time.Time) string { return t.Format(time.RFC3339) },
			"ago":     status.FormatSeconds,
			"tone":    toneOf,
			"running": func(s *float64) bool { return s != nil && *s > 0 },
		}).Parse(pageSource)
	})}
}

// serve writes the page with a nonce of its own, which the content policy names.
func (p *page) serve(w http.ResponseWriter, v status.View) {
	tmpl, err := p.parse()
	if err != nil {
		panic(err) // the page is part of the program
	}
	raw := make([]byte, 16)
	_, _ = rand.Read(raw) // never fails
	nonce := base64.RawURLEncoding.EncodeToString(raw)
	var out bytes.Buffer
	if err := tmpl.Execute(&out, newPageView(v, nonce)); err != nil {
		panic(err)
	}
	w.Header().Set("Content-Security-Policy", contentPolicy(nonce))
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = out.WriteTo(w)
}

// maxCards is how many machines the page shows. A browser renders thousands slowly, and
// the page is fetched again every two seconds.
const maxCards = 60

// pageView is a view as the page shows it: only what is known, and times as ages.
type pageView struct {
	status.View
	Nonce, Mark string
	Cards       []card
}

type card struct {
	status.MachineView
	For       string // how long the machine has been in its state; empty: unknown
	Published bool   // the orchestrator's part of the endpoint table has something in it
	Beats     *beatBar
	Rows      []row
}

// row is a line of the details. At, unless nil, is the time that the value is an age of.
type row struct {
	Name, Value string
	At          *time.Time
	Code        status.Code
}

func newPageView(v status.View, nonce string) pageView {
	out := pageView{View: v, Nonce: nonce, Mark: markOf(toneOf(v.State))}
	machines := v.Machines
	if len(machines) > maxCards {
		machines = slices.Clone(machines)
		slices.SortStableFunc(machines, func(a, b status.MachineView) int { return rank(a) - rank(b) })
		machines = machines[:maxCards]
	}
	for _, m := range machines {
		c := card{MachineView: m, Beats: newBeatBar(m.Heartbeat.Recent), Rows: rowsOf(m, v.At)}
		if m.Since != nil {
			c.For = status.FormatDuration(max(v.At.Sub(*m.Since), 0))
		}
		for _, e := range m.Endpoints {
			c.Published = c.Published || e.ServerStatus != "" || e.LeaseLeft != nil || e.Refused != ""
		}
		out.Cards = append(out.Cards, c)
	}
	return out
}

// Hidden is the number of machines that are not shown.
func (v pageView) Hidden() int { return len(v.Machines) - len(v.Cards) }

// rank puts the machines that somebody should look at first.
func rank(m status.MachineView) int {
	return slices.Index([]string{"bad", "warn", "good"}, toneOf(m.State))
}

// toneOf is the color of a state. It is never the only thing that tells states apart.
func toneOf(state string) string {
	switch status.State(state) {
	case status.Online:
		return "good"
	case status.Degraded, status.Idle, status.Unenrolled:
		return "warn"
	}
	return "bad"
}

// markOf begins the page's title, where there is no color.
func markOf(tone string) string {
	switch tone {
	case "good":
		return "✓"
	case "warn":
		return "!"
	}
	return "✗"
}

// rowsOf are the details of a machine that are known.
func rowsOf(m status.MachineView, at time.Time) []row {
	var rows []row
	add := func(r row) {
		if r.Value != "" {
			rows = append(rows, r)
		}
	}
	h := m.Heartbeat
	if m.Rotation != nil {
		add(row{Name: "Rotation", Value: m.Rotation.Text, Code: m.Rotation.Code})
	}
	if h.IntervalSeconds != nil && h.LeaseTTLSeconds != nil {
		add(row{Name: "Heartbeat", Value: h.Pace()})
	}
	if h.LastSuccess != nil && h.LastSuccessAgeSeconds != nil {
		add(row{Name: "Last accepted", Value: status.FormatSeconds(*h.LastSuccessAgeSeconds) + " ago", At: h.LastSuccess})
	}
	if h.NextAttempt != nil {
		text := "in " + status.FormatDuration(max(h.NextAttempt.Sub(at), 0))
		if h.RetryAfterSeconds > 0 {
			text += ", the orchestrator asked for " + status.FormatSeconds(h.RetryAfterSeconds)
		}
		add(row{Name: "Next attempt", Value: text, At: h.NextAttempt})
	}
	for _, n := range h.Counts {
		if n > 0 {
			add(row{Name: "Heartbeats sent", Value: h.Tally()})
			break
		}
	}
	add(row{Name: "Machine", Value: m.MachineID})
	add(row{Name: "Agent", Value: m.AgentID})
	add(row{Name: "Identity", Value: m.IdentityRef})
	add(row{Name: "Orchestrator", Value: m.Orchestrator})
	if m.ClockSkewSeconds != nil {
		add(row{Name: "Clock skew", Value: status.FormatSkew(m.ClockSkewSeconds)})
	}
	switch {
	case m.ControllerKeyOnDevice:
		add(row{Name: "Controller key", Value: "on this device"})
	case m.AgentID != "":
		add(row{Name: "Controller key", Value: "not on this device"})
	}
	if m.Presence != nil {
		add(row{Name: "Presence", Value: m.Presence.Line()})
	}
	if m.Control != nil {
		add(row{Name: "Control socket", Value: m.Control.Line()})
		for _, hook := range m.Control.Hooks {
			add(row{Name: "Hook", Value: hook.Line()})
		}
	}
	return rows
}
