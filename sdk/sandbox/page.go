package sandbox

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"math"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

//go:embed page.html
var pageText string

// pageTemplate parses the page at its first use, so that a program that merely
// links the sandbox does not pay for it.
var pageTemplate = sync.OnceValues(func() (*template.Template, error) { return template.New("page").Parse(pageText) })

// pageRows and pageRowsEach limit the page's lists: machines and orders, and the agents and
// endpoints of each machine.
const (
	pageRows     = 200
	pageRowsEach = 20
)

// view is the data of the status page. Its fields are chosen one by one, so that nothing is shown
// by accident.
type view struct {
	Now      Moment        `json:"now"`
	Scenario string        `json:"scenario,omitempty"`
	Beats    uint64        `json:"beats"`
	Requests uint64        `json:"requests"`
	Totals   []total       `json:"totals"`
	Machines []machineView `json:"machines"`
	Orders   []orderView   `json:"orders"`
	Events   []eventView   `json:"events"`
}

type total struct {
	Name  string `json:"name"`
	Count int    `json:"count"`
}

type machineView struct {
	ID        string         `json:"id"`
	Name      string         `json:"name"`
	Status    string         `json:"status"`
	Identity  string         `json:"identity"`
	Sockets   int            `json:"sockets"`
	Agents    []agentView    `json:"agents"`
	Endpoints []endpointView `json:"endpoints"`
	More      int            `json:"more"` // number of agents and endpoints that are not shown
}

type agentView struct {
	ID       string `json:"id"`
	Label    string `json:"label"`
	Status   string `json:"status"`
	LastSeen string `json:"lastSeen"` // such as "3 s ago"
}

type endpointView struct {
	ProviderKey string `json:"providerKey"`
	URL         string `json:"url"`
	Source      string `json:"source"`
	Status      string `json:"status"`
	Lease       string `json:"lease"`   // the remaining time, in words
	Percent     int    `json:"percent"` // of the lease that remains; negative without a lease
}

type orderView struct {
	ID        string `json:"id"`
	Service   string `json:"service"`
	Operation string `json:"operation"`
	Status    string `json:"status"`
	Payment   string `json:"payment"`
	Age       string `json:"age"`
}

type eventView struct {
	Type  string `json:"type"`
	Actor string `json:"actor"`
	ID    string `json:"id"`
	Age   string `json:"age"`
}

// pageView collects the data of the page, the latest machines first.
func (s *Server) pageView() view {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.Now()
	v := view{Now: Moment{now}, Beats: s.st.Beats, Requests: s.requests.Load(), Scenario: s.Playing().Name}
	v.Machines, v.Orders, v.Events = []machineView{}, s.viewOrders(now), []eventView{}
	v.Totals = []total{
		{"machines", s.st.Machines.len()},
		{"agents", s.st.Agents.len()},
		{"endpoints", s.st.Endpoints.len()},
		{"pairings", s.st.Pairings.len()},
		{"orders", s.st.Orders.len()},
		{"open sockets", s.live.count()},
	}
	for _, r := range slices.Backward(s.st.Machines.rows) {
		if len(v.Machines) == pageRows {
			break
		}
		v.Machines = append(v.Machines, s.viewMachine(r.V, now))
	}
	for e := range s.st.Audit.latestFirst() {
		if len(v.Events) == 12 {
			break
		}
		v.Events = append(v.Events, eventView{e.Type, e.Actor, e.ResourceID, since(now, e.CreatedAt)})
	}
	return v
}

func (s *Server) viewMachine(m *Machine, now time.Time) machineView {
	v := machineView{
		ID: m.ID, Name: m.DisplayName, Status: m.Status, Identity: m.IdentityRef, Sockets: s.live.sockets(m.ID),
		Agents: []agentView{}, Endpoints: []endpointView{},
	}
	agents, endpoints := s.st.Agents.of(m.ID), s.st.Endpoints.of(m.ID)
	for _, r := range agents[max(0, len(agents)-pageRowsEach):] {
		v.Agents = append(v.Agents, agentView{r.V.ID, r.V.Label, r.V.Status, since(now, r.V.LastSeenAt)})
	}
	for _, r := range endpoints[max(0, len(endpoints)-pageRowsEach):] {
		e := endpointView{ProviderKey: r.V.ProviderKey, URL: r.V.EndpointBaseURL, Source: r.V.Source, Status: r.V.statusAt(now)}
		e.Lease, e.Percent = leaseLeft(r.V, now)
		v.Endpoints = append(v.Endpoints, e)
	}
	v.More = len(agents) + len(endpoints) - len(v.Agents) - len(v.Endpoints)
	return v
}

// viewOrders returns the latest orders. The caller holds the lock.
func (s *Server) viewOrders(now time.Time) []orderView {
	out := []orderView{}
	for _, r := range slices.Backward(s.st.Orders.rows) {
		if len(out) == pageRows {
			break
		}
		v := orderView{
			ID: r.ID, Service: r.V.ServiceID, Operation: r.V.Operation, Status: r.V.Status, Payment: "none",
			Age: since(now, r.V.CreatedAt),
		}
		if r.V.Record != nil {
			v.Payment = r.V.Record.Status
		}
		out = append(out, v)
	}
	return out
}

// leaseLeft returns the remaining time of a lease in words and in percent.
func leaseLeft(e *storedEndpoint, now time.Time) (words string, percent int) {
	left := e.LeaseExpiresAt.Sub(now)
	switch whole := e.LeaseExpiresAt.Sub(e.LastCheckedAt.Time); {
	case e.LeaseExpiresAt.IsZero():
		return "none", -1
	case left <= 0:
		return "expired", 0
	default:
		return fmt.Sprintf("%.0f s left", math.Ceil(left.Seconds())), int(math.Ceil(100 * min(1, left.Seconds()/max(whole.Seconds(), 1))))
	}
}

// since returns in words how long ago m was.
func since(now time.Time, m Moment) string {
	if m.IsZero() {
		return "never"
	}
	switch d := now.Sub(m.Time); {
	case d < time.Second:
		return "just now"
	case d < time.Minute:
		return d.Truncate(time.Second).String() + " ago"
	default:
		return d.Truncate(time.Minute).String() + " ago"
	}
}

// page serves the status page. html/template escapes every value. The page's script
// fetches the page again each second and replaces its sections, so that the template
// is the only place that says how the state is shown.
func (s *Server) page(c *call) {
	if err := c.checkBrowser(); err != nil {
		c.write(nil, err)
		return
	}
	var b bytes.Buffer
	text, err := pageTemplate()
	if err == nil {
		err = text.Execute(&b, s.pageView())
	}
	if err != nil {
		c.write(nil, err)
		return
	}
	h := c.w.Header()
	dateOf(c.w, c.now)
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-"+scriptHash(b.String())+
		"'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	c.w.WriteHeader(http.StatusOK)
	_, _ = c.w.Write(b.Bytes())
}

// scriptHash returns the digest of the text between the page's script tags, for the
// content security policy: the page's own script may run and no other. The page is
// the rendered one, because html/template removes comments from scripts.
func scriptHash(page string) string {
	_, rest, _ := strings.Cut(page, "<script>")
	script, _, _ := strings.Cut(rest, "</script>")
	sum := sha256.Sum256([]byte(script))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// pageData serves the same view as JSON, for programs.
func (s *Server) pageData(c *call) {
	if err := c.checkBrowser(); err != nil {
		c.write(nil, err)
		return
	}
	b, err := json.Marshal(s.pageView())
	c.w.Header().Set("Cache-Control", "no-store")
	c.write(b, err)
}
