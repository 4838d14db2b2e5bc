package sandbox

import (
	"net/http"
	"slices"
	"strings"
)

// endpoint finds or makes the stored endpoint of a provider key.
func (s *Server) endpoint(r *request, machineID, providerKey string) *Endpoint {
	key := strings.ToLower(providerKey)
	for _, e := range s.data.Endpoints[machineID] {
		if e.ProviderKey == key {
			return e
		}
	}
	e := &Endpoint{
		ID: newID("ep"), MachineID: machineID, ProviderKey: key, Label: strings.ToUpper(key) + " runtime", AuthType: "none",
		NetworkScope: "loopback", ProbePath: "/health", Status: "active", CreatedAt: stamp(r.now), UpdatedAt: stamp(r.now),
	}
	if key == "qvac" {
		e.ProbePath = "/v1/models"
	}
	s.data.Endpoints[machineID] = append(s.data.Endpoints[machineID], e)
	return e
}

func (s *Server) listEndpoints(r *request) (any, error) {
	m, err := s.machine(r.PathValue("machine"))
	if err != nil {
		return nil, err
	}
	out := []Endpoint{}
	for _, e := range s.data.Endpoints[m.ID] {
		out = append(out, e.at(r.now))
	}
	return page(r, out)
}

// find is the stored endpoint named by the path, and its place in the list.
func (s *Server) find(r *request) (*Endpoint, int, error) {
	m, err := s.machine(r.PathValue("machine"))
	if err != nil {
		return nil, 0, err
	}
	for i, e := range s.data.Endpoints[m.ID] {
		if e.ProviderKey == strings.ToLower(r.PathValue("provider")) {
			return e, i, nil
		}
	}
	return nil, 0, notFound("the runtime endpoint")
}

func (s *Server) getEndpoint(r *request) (any, error) {
	e, _, err := s.find(r)
	if err != nil {
		return nil, err
	}
	return item(e.at(r.now)), nil
}

func (s *Server) putEndpoint(r *request) (any, error) {
	m, err := s.usable(r.PathValue("machine"))
	if err != nil {
		return nil, err
	}
	raw, err := r.text("endpointBaseUrl", true)
	if err != nil {
		return nil, err
	}
	origin, err := originOf(raw)
	if err != nil {
		return nil, err
	}
	values := map[string]string{}
	for _, name := range []string{"label", "authType", "authToken", "modelAlias", "networkScope", "probePath", "status", "leaseExpiresAt"} {
		if values[name], err = r.text(name, false); err != nil {
			return nil, err
		}
	}
	if err := checkKinds(values["authType"], values["networkScope"]); err != nil {
		return nil, err
	}
	if !slices.Contains([]string{"", "active", "degraded", "unreachable"}, values["status"]) {
		return nil, invalid("status is not one of active, degraded, unreachable")
	}
	if strings.TrimSpace(r.PathValue("provider")) == "" {
		return nil, invalid("providerKey is required")
	}
	if _, _, err := s.find(r); err != nil {
		r.status = http.StatusCreated
	}
	e := s.endpoint(r, m.ID, r.PathValue("provider"))
	e.EndpointBaseURL, e.Source, e.AgentID, e.LeaseExpiresAt, e.UpdatedAt = origin, "manual", "", values["leaseExpiresAt"], stamp(r.now)
	for name, to := range map[string]*string{"label": &e.Label, "authType": &e.AuthType, "modelAlias": &e.ModelAlias, "networkScope": &e.NetworkScope, "probePath": &e.ProbePath, "status": &e.Status} {
		if r.has(name) {
			*to = values[name]
		}
	}
	if r.has("authToken") {
		e.HasAuthToken = values["authToken"] != ""
	}
	s.audit(r, "platform", "runtime-endpoint.upserted", "runtime-endpoint", e.ID, m.ID)
	return item(e.at(r.now)), nil
}

func (s *Server) deleteEndpoint(r *request) (any, error) {
	e, i, err := s.find(r)
	if err != nil {
		return nil, err
	}
	s.data.Endpoints[e.MachineID] = slices.Delete(s.data.Endpoints[e.MachineID], i, i+1)
	s.audit(r, "platform", "runtime-endpoint.deleted", "runtime-endpoint", e.ID, e.MachineID)
	return nil, nil
}
