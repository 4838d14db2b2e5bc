package sandbox

import (
	"encoding/json"
	"html/template"
	"net/http"
	"time"
)

// Machines are copies of all machines, archived ones included.
func (s *Server) Machines() []Machine {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Machine
	for _, m := range s.data.Machines {
		out = append(out, *m)
	}
	return out
}

// Agents are copies of a machine's agents; "" for those of every machine.
func (s *Server) Agents(machineID string) []Agent {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Agent
	for _, a := range s.data.Agents {
		if machineID == "" || a.MachineID == machineID {
			out = append(out, *a)
		}
	}
	return out
}

// Endpoints are a machine's endpoints as they are now, lapsed leases included.
func (s *Server) Endpoints(machineID string) []Endpoint {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Endpoint
	for _, e := range s.data.Endpoints[machineID] {
		out = append(out, e.at(time.Now()))
	}
	return out
}

// Beats counts the accepted heartbeats.
func (s *Server) Beats() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.data.Beats
}

// Forget drops everything, as a server that lost its disk.
func (s *Server) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.data = newData()
}

// RevokeAgent revokes an agent behind everybody's back.
func (s *Server) RevokeAgent(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.data.Agents {
		if a.ID == id {
			a.Status = "revoked"
		}
	}
}

// page shows a person what the sandbox holds.
func (s *Server) page(w http.ResponseWriter, _ *http.Request) {
	type row struct {
		Machine   *Machine
		Agents    []*Agent
		Endpoints []Endpoint
	}
	now := time.Now()
	s.mu.Lock()
	var rows []row
	for _, m := range s.data.Machines {
		r := row{Machine: m, Agents: s.agentsOf(m.ID)}
		for _, e := range s.data.Endpoints[m.ID] {
			r.Endpoints = append(r.Endpoints, e.at(now))
		}
		rows = append(rows, r)
	}
	b, err := json.Marshal(rows) // a copy, so that the lock is not held while writing
	s.mu.Unlock()
	var shown []row
	if err != nil || json.Unmarshal(b, &shown) != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
	_ = pageTemplate().Execute(w, shown)
}

func pageTemplate() *template.Template {
	return template.Must(template.New("page").Parse(`<!doctype html><html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="2">
<meta name="viewport" content="width=device-width"><title>peaqOS sandbox</title>
<style>:root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.3rem .6rem;border-bottom:1px solid #8884}code{font-size:.9em}</style>
<h1>peaqOS sandbox</h1><p>An orchestrator stand-in, in memory. Nothing here is real.</p>
{{range .}}<h2>{{.Machine.DisplayName}} <small>{{.Machine.Status}}</small></h2><p><code>{{.Machine.ID}}</code> · {{.Machine.IdentityRef}}</p>
<table><tr><th>Agent<th>Label<th>Status<th>Last seen</tr>{{range .Agents}}<tr><td><code>{{.ID}}</code><td>{{.Label}}<td>{{.Status}}<td>{{.LastSeenAt}}</tr>{{end}}</table>
<table><tr><th>Endpoint<th>URL<th>Source<th>Status<th>Lease until</tr>{{range .Endpoints}}<tr><td>{{.ProviderKey}}<td>{{.EndpointBaseURL}}<td>{{.Source}}<td>{{.Status}}<td>{{.LeaseExpiresAt}}</tr>{{end}}</table>
{{else}}<p>No machine is registered yet.</p>{{end}}</html>`))
}
