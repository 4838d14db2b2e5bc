package sandbox

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"sync"
	"time"
)

// Admin returns the admin interface, for a listener of its own: it runs scenarios, injects faults
// and reports the server's state without disturbing the API's clients. It requires no key, so it
// belongs on loopback; requests from web pages are rejected.
//
//	GET    /           lists the routes and steps
//	GET    /state      the clock, limits, counts, machines, agents, endpoints, orders and latest events
//	GET    /scenarios  the named scenarios with their descriptions
//	GET    /script     the running script, {} if there is none
//	PUT    /script     starts one: {"name": "storm"}, or a whole [Script] as in a scenario file
//	DELETE /script     stops it; what its steps changed stays
//	GET    /fault      the fault that was set, {} if there is none
//	PUT    /fault      sets it: a rule as in a scenario file, {"path": "/machines/**", "limit": 3, "fault": {"status": 503}}
//	DELETE /fault      removes it
//	POST   /steps      executes one of [Steps]: {"do": "lease-max", "value": "30s"}, {"do": "clock", "value": "-36h"}, …
//	DELETE /agents/ID  revokes that agent
//
// The fault takes precedence over the script, and replaces the function of [Server.SetFault].
// Responses are JSON; errors use the API's error envelope.
func (s *Server) Admin() http.Handler {
	a := &admin{s: s}
	mux := http.NewServeMux()
	for pattern, h := range map[string]func(*http.Request) (any, error){
		"GET /{$}":            a.index,
		"GET /state":          a.state,
		"GET /scenarios":      a.scenarios,
		"GET /script":         a.script,
		"PUT /script":         a.play,
		"DELETE /script":      a.stop,
		"GET /fault":          a.fault,
		"PUT /fault":          a.setFault,
		"DELETE /fault":       a.clearFault,
		"POST /steps":         a.step,
		"DELETE /agents/{id}": a.revoke,
	} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { a.respond(w, r, h) })
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		a.respond(w, r, func(*http.Request) (any, error) {
			return nil, fail("NOT_FOUND", "unknown route; GET / lists the routes")
		})
	})
	return mux
}

// admin keeps the fault that was set.
type admin struct {
	s   *Server
	mu  sync.Mutex
	set *Rule
}

// adminBody limits the body of a request, in bytes.
const adminBody = 1 << 20

func (a *admin) respond(w http.ResponseWriter, r *http.Request, h func(*http.Request) (any, error)) {
	c := &call{s: a.s, r: r, w: w, now: time.Now().UTC(), status: http.StatusOK}
	w.Header().Set("Cache-Control", "no-store")
	if site := r.Header.Get("Sec-Fetch-Site"); r.Header.Get("Origin") != "" || (site != "" && site != "none") {
		c.write(nil, &apiError{status: http.StatusForbidden, code: "FORBIDDEN", message: "requests from web pages are not allowed"})
		return
	}
	out, err := h(r)
	if err != nil || out == nil {
		c.write(nil, err)
		return
	}
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetIndent("", "  ")
	err = e.Encode(out)
	c.write(text.Bytes(), err)
}

func (a *admin) index(*http.Request) (any, error) {
	return map[string]any{"routes": []string{
		"GET /state", "GET /scenarios", "GET /script", "PUT /script", "DELETE /script", "GET /fault", "PUT /fault",
		"DELETE /fault", "POST /steps", "DELETE /agents/ID",
	}, "steps": Steps()}, nil
}

// state reports what the server holds. It contains no secret, because none of these types encodes
// one.
func (a *admin) state(*http.Request) (any, error) {
	s := a.s
	v := s.pageView()
	counts := map[string]int{}
	for _, t := range v.Totals {
		counts[t.Name] = t.Count
	}
	s.mu.Lock()
	leaseMax := s.leaseMax
	s.mu.Unlock()
	return map[string]any{
		"now": v.Now, "clockOff": duration(s.skew.Load()), "leaseMax": duration(leaseMax), "scenario": s.Playing().Name,
		"requests": v.Requests, "beats": v.Beats, "snakeCaseEntries": s.SnakeCase(), "counts": counts,
		"machines": last(s.Machines()), "agents": last(s.Agents("")), "endpoints": last(s.Endpoints("")),
		"orders": v.Orders, "events": v.Events,
	}, nil
}

// last returns the last 1000 of all, so that a fleet fits into one response; the counts show
// whether there are more.
func last[T any](all []T) []T {
	const most = 1000
	if len(all) > most {
		return all[len(all)-most:]
	}
	return append([]T{}, all...)
}

func (a *admin) scenarios(*http.Request) (any, error) {
	out := map[string]string{}
	for _, script := range scenarios() {
		out[script.Name] = script.Description
	}
	return out, nil
}

func (a *admin) script(*http.Request) (any, error) {
	script := a.s.Playing()
	if len(script.Rules) == 0 && len(script.Steps) == 0 {
		return struct{}{}, nil
	}
	return fileOfScript(&script), nil
}

func (a *admin) play(r *http.Request) (any, error) {
	text, err := io.ReadAll(io.LimitReader(r.Body, adminBody))
	if err != nil {
		return nil, invalid("the body cannot be read")
	}
	script, err := parseScript(text)
	if err == nil && len(script.Rules) == 0 && len(script.Steps) == 0 {
		script, err = Scenario(script.Name)
	}
	if err == nil {
		err = a.s.Play(script)
	}
	if err != nil {
		return nil, invalid(err.Error())
	}
	return fileOfScript(&script), nil
}

func (a *admin) stop(*http.Request) (any, error) { return nil, a.s.Play(Script{}) }

func (a *admin) fault(*http.Request) (any, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.set == nil {
		return struct{}{}, nil
	}
	return fileOfRule(a.set), nil
}

// setFault runs a script that consists of this one rule.
func (a *admin) setFault(r *http.Request) (any, error) {
	var f ruleFile
	if err := strictly(r, &f); err != nil {
		return nil, err
	}
	script := (&scriptFile{Rules: []ruleFile{f}}).script()
	if err := script.check(); err != nil {
		return nil, invalid(err.Error())
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.set = &script.Rules[0]
	a.s.SetFault(newScriptRunner(script).fault)
	return fileOfRule(a.set), nil
}

func (a *admin) clearFault(*http.Request) (any, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.set = nil
	a.s.SetFault(nil)
	return nil, nil
}

func (a *admin) step(r *http.Request) (any, error) {
	var f stepFile
	if err := strictly(r, &f); err != nil {
		return nil, err
	}
	script := (&scriptFile{Steps: []stepFile{f}}).script()
	if err := script.check(); err != nil {
		return nil, invalid(err.Error())
	}
	a.s.do(script.Steps[0])
	return nil, nil
}

func (a *admin) revoke(r *http.Request) (any, error) {
	if !a.s.RevokeAgent(r.PathValue("id")) {
		return nil, notFound("the agent")
	}
	return nil, nil
}

// strictly decodes a body that may only contain the members of v.
func strictly(r *http.Request, v any) error {
	d := json.NewDecoder(io.LimitReader(r.Body, adminBody))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return invalid("the body is not valid: " + err.Error())
	}
	return nil
}
