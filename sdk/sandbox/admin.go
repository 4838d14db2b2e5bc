package sandbox

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"time"
)

// Admin returns the admin interface, for a listener of its own: it runs scenarios, injects faults
// and reports the server's state without disturbing the API's clients. It requires no key, so it
// belongs on loopback; requests from web pages and with an unknown Host header (see [WithHosts]) are
// rejected.
//
//	GET    /           lists the routes, each with a body to paste, and the steps
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
//	PUT    /contested  shows an endpoint as another agent published it (see [Server.SetContested]):
//	                   {"machineId": "…", "providerKey": "qvac", "endpointBaseUrl": "http://192.0.2.1:11434", "agentId": "magt_another"}
//	DELETE /contested  ends that for all endpoints
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
		"PUT /contested":      a.contest,
		"DELETE /contested":   a.settle,
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
	if !a.s.knowsHost(r) {
		c.write(nil, errUnknownHost())
		return
	}
	out, err := h(r)
	if err != nil || out == nil {
		c.write(nil, err)
		return
	}
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err = e.Encode(out)
	c.write(text.Bytes(), err)
}

// adminBodies are bodies to paste, by route.
func adminBodies() map[string]json.RawMessage {
	return map[string]json.RawMessage{
		"PUT /script": json.RawMessage(`{"name": "storm"}`),
		"PUT /fault":  json.RawMessage(`{"method": "GET", "path": "/machines/**", "limit": 3, "fault": {"status": 503, "retryAfter": "5"}}`),
		"POST /steps": json.RawMessage(`{"do": "lease-max", "value": "30s"}`),
		"PUT /contested": json.RawMessage(fmt.Sprintf(
			`{"machineId": "mach_…", "providerKey": "qvac", "endpointBaseUrl": %q, "agentId": %q}`, contestedURL, contestedAgent,
		)),
	}
}

func (a *admin) index(r *http.Request) (any, error) {
	bodies := adminBodies()
	examples := []string{}
	for _, route := range adminRoutes() {
		method, path, _ := strings.Cut(route, " ")
		example := "curl -X " + method + " http://" + r.Host + path
		if body, ok := bodies[route]; ok {
			example += " -d '" + string(body) + "'"
		}
		examples = append(examples, example)
	}
	return map[string]any{
		"routes": adminRoutes(), "bodies": bodies, "examples": examples, "steps": Steps(), "scenarios": ScenarioNames(),
		"faultFields": fieldsOf(faultFile{}), "ruleFields": fieldsOf(ruleFile{}),
	}, nil
}

func adminRoutes() []string {
	return []string{
		"GET /state", "GET /scenarios", "GET /script", "PUT /script", "DELETE /script", "GET /fault", "PUT /fault",
		"DELETE /fault", "POST /steps", "DELETE /agents/ID", "PUT /contested", "DELETE /contested",
	}
}

// fieldsOf returns the JSON names of a struct's fields.
func fieldsOf(v any) (names []string) {
	for f := range reflect.TypeOf(v).Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		names = append(names, name)
	}
	return names
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
		return nil, invalid(err.Error() + "; for example " + string(adminBodies()["PUT /script"]))
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

// contest shows an endpoint as another agent's.
func (a *admin) contest(r *http.Request) (any, error) {
	var given struct {
		MachineID       string `json:"machineId"`
		ProviderKey     string `json:"providerKey"`
		EndpointBaseURL string `json:"endpointBaseUrl"`
		AgentID         string `json:"agentId"`
	}
	if err := strictly(r, &given); err != nil {
		return nil, err
	}
	if given.EndpointBaseURL == "" {
		return nil, invalid("endpointBaseUrl is required")
	}
	if !a.s.SetContested(given.MachineID, given.ProviderKey, given.EndpointBaseURL, given.AgentID) {
		return nil, notFound("the endpoint")
	}
	return nil, nil
}

func (a *admin) settle(*http.Request) (any, error) { a.s.contestAll(false); return nil, nil }

// strictly decodes a body that may only contain the members of v. Its errors show a body that works.
func strictly(r *http.Request, v any) error {
	d := json.NewDecoder(io.LimitReader(r.Body, adminBody))
	d.DisallowUnknownFields()
	err := d.Decode(v)
	if err == nil {
		return nil
	}
	why := "the body is not valid: " + err.Error()
	if errors.Is(err, io.EOF) {
		why = "a body is required"
	}
	if t := reflect.TypeOf(v).Elem(); t.Kind() == reflect.Struct {
		why += "; its members are " + strings.Join(fieldsOf(reflect.ValueOf(v).Elem().Interface()), ", ")
	}
	if example, ok := adminBodies()[r.Method+" "+r.URL.Path]; ok {
		why += "; for example " + string(example)
	}
	return invalid(why)
}
