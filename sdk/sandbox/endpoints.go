package sandbox

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// endpointsPerMachine limits the runtime endpoints of one machine.
const endpointsPerMachine = 200

// Endpoint is a published runtime endpoint (contract §2.5).
type Endpoint struct {
	ID              string `json:"id"`
	MachineID       string `json:"machineId"`
	ProviderKey     string `json:"providerKey"`
	Label           string `json:"label"`
	EndpointBaseURL string `json:"endpointBaseUrl"`
	Source          string `json:"source"`
	AuthType        string `json:"authType"`
	HasAuthToken    bool   `json:"hasAuthToken"`
	NetworkScope    string `json:"networkScope"`
	ProbePath       string `json:"probePath"`
	Status          string `json:"status"`
	CreatedAt       Moment `json:"createdAt"`
	UpdatedAt       Moment `json:"updatedAt"`
	AgentID         string `json:"agentId,omitempty"`
	ModelAlias      string `json:"modelAlias,omitempty"`
	LeaseExpiresAt  Moment `json:"leaseExpiresAt,omitzero"`
	LastCheckedAt   Moment `json:"lastCheckedAt,omitzero"`
	LastHealthyAt   Moment `json:"lastHealthyAt,omitzero"`
}

// storedEndpoint is an endpoint with what is never sent to clients: its token, which is needed to
// call it, and the status set by a test.
type storedEndpoint struct {
	Endpoint
	AuthToken   string `json:"authToken,omitempty"`
	Verdict     string `json:"verdict,omitempty"` // overrides Status
	HealthError string `json:"healthError,omitempty"`
	// What is shown instead of the own base URL and agent, if set (see Server.SetContested).
	OtherURL   string `json:"otherUrl,omitempty"`
	OtherAgent string `json:"otherAgent,omitempty"`
}

func (e *storedEndpoint) contest(baseURL, agentID string) {
	if e.OtherURL, e.OtherAgent = baseURL, agentID; baseURL == "" {
		e.OtherAgent = ""
	}
}

// statusAt returns the status at a time: after the end of its lease an endpoint is unreachable.
func (e *storedEndpoint) statusAt(now time.Time) string {
	switch {
	case !e.LeaseExpiresAt.IsZero() && !now.Before(e.LeaseExpiresAt.Time):
		return "unreachable"
	case e.Verdict != "":
		return e.Verdict
	}
	return e.Status
}

// at returns the endpoint with its status at a time.
func (e *storedEndpoint) at(now time.Time) Endpoint {
	shown := e.Endpoint
	shown.Status = e.statusAt(now)
	shown.EndpointBaseURL, shown.AgentID = cmp.Or(e.OtherURL, e.EndpointBaseURL), cmp.Or(e.OtherAgent, e.AgentID)
	return shown
}

// endpointUpdate holds the values of an endpoint in a heartbeat or PUT; nil keeps the stored value.
type endpointUpdate struct {
	providerKey, origin                                             string
	label, authType, authToken, modelAlias, networkScope, probePath *string
}

// check validates the values and sets the origin.
func (u *endpointUpdate) check(path, baseURL string) error {
	if strings.TrimSpace(u.providerKey) == "" || len(u.providerKey) > 256 {
		return invalid(path + "providerKey must be a non-empty string of at most 256 bytes")
	}
	parsed, err := url.Parse(strings.TrimSpace(baseURL))
	if err != nil || (parsed.Scheme != "http" && parsed.Scheme != "https") || parsed.Hostname() == "" || len(baseURL) > 2048 {
		return invalid(path + "endpointBaseUrl is not an http or https URL")
	}
	u.origin = parsed.Scheme + "://" + parsed.Host // path, query and user are dropped
	for _, p := range []struct {
		name    string
		value   *string
		allowed []string
	}{
		{"authType", u.authType, []string{"none", "api-key", "bearer"}},
		{"networkScope", u.networkScope, []string{"loopback", "lan", "vpn", "public"}},
		{"label", u.label, nil},
		{"authToken", u.authToken, nil},
		{"modelAlias", u.modelAlias, nil},
		{"probePath", u.probePath, nil},
	} {
		switch {
		case p.value == nil:
		case p.allowed != nil && !slices.Contains(p.allowed, *p.value):
			return invalid(path + p.name + " must be one of " + strings.Join(p.allowed, ", "))
		case len(*p.value) > maxText:
			return invalid(fmt.Sprintf("%s%s is longer than %d bytes", path, p.name, maxText))
		}
	}
	return nil
}

// endpoint returns the stored endpoint of a provider key, or nil.
func (s *Server) endpoint(machineID, providerKey string) *storedEndpoint {
	for _, r := range s.st.Endpoints.of(machineID) {
		if r.V.ProviderKey == providerKey {
			return r.V
		}
	}
	return nil
}

// upsert finds or creates an endpoint and applies the update.
func (s *Server) upsert(c *call, machineID string, u *endpointUpdate) (e *storedEndpoint, isNew bool, err error) {
	if e = s.endpoint(machineID, u.providerKey); e == nil {
		isNew = true
		e = &storedEndpoint{Endpoint: Endpoint{
			ID: newID("rte"), MachineID: machineID, ProviderKey: u.providerKey, Label: strings.ToUpper(u.providerKey) + " runtime", AuthType: "none",
			NetworkScope: "loopback", ProbePath: "/health", Status: "active", CreatedAt: c.stamp(),
		}}
		if u.providerKey == "qvac" {
			e.ProbePath = "/v1/models"
		}
		if len(s.st.Endpoints.of(machineID)) >= endpointsPerMachine || !s.st.Endpoints.add(s.next(), e.ID, machineID, e) {
			return nil, false, errEndpointsFull()
		}
	}
	for _, p := range []struct {
		to   *string
		from *string
	}{
		{&e.Label, u.label},
		{&e.AuthType, u.authType},
		{&e.AuthToken, u.authToken},
		{&e.ModelAlias, u.modelAlias},
		{&e.NetworkScope, u.networkScope},
		{&e.ProbePath, u.probePath},
	} {
		if p.from != nil {
			*p.to = *p.from
		}
	}
	e.HasAuthToken = e.AuthToken != ""
	e.EndpointBaseURL, e.UpdatedAt = u.origin, c.stamp()
	return e, isNew, nil
}

func errEndpointsFull() error {
	return invalid("the machine has reached the limit of runtime endpoints: delete some")
}

// roomForEndpoints reports whether all endpoints of a heartbeat can be stored.
func (s *Server) roomForEndpoints(machineID string, updates []endpointUpdate) bool {
	added := map[string]bool{}
	for i := range updates {
		if key := updates[i].providerKey; s.endpoint(machineID, key) == nil {
			added[key] = true
		}
	}
	return len(added) == 0 || (len(s.st.Endpoints.of(machineID))+len(added) <= endpointsPerMachine && s.st.Endpoints.free() >= len(added))
}

// publish stores an endpoint of a heartbeat: it belongs to the agent and is active, as the agent
// says, until the lease ends.
func (s *Server) publish(c *call, a *storedAgent, u *endpointUpdate, until Moment) (*storedEndpoint, error) {
	e, isNew, err := s.upsert(c, a.MachineID, u)
	if err != nil {
		return nil, err
	}
	if isNew || e.AgentID != a.ID {
		c.audit("runtime-endpoint.published", "runtime-endpoint", e.ID, a.MachineID, map[string]any{"providerKey": e.ProviderKey})
	}
	e.Source, e.AgentID, e.Status, e.LeaseExpiresAt = "agent", a.ID, "active", until
	e.LastCheckedAt, e.LastHealthyAt = c.stamp(), c.stamp()
	return e, nil
}

func (s *Server) listEndpoints(c *call) (any, error) {
	m, err := s.machine(c.id("machine"))
	if err != nil {
		return nil, err
	}
	return pageOf(c, s.st.Endpoints.of(m.ID), nil, func(e *storedEndpoint) any { return e.at(c.now) })
}

// endpointNamed returns the endpoint named in the path.
func (s *Server) endpointNamed(c *call) (*storedEndpoint, error) {
	m, err := s.machine(c.id("machine"))
	if err != nil {
		return nil, err
	}
	if e := s.endpoint(m.ID, strings.ToLower(c.id("provider"))); e != nil {
		return e, nil
	}
	return nil, notFound("the runtime endpoint")
}

func (s *Server) getEndpoint(c *call) (any, error) {
	e, err := s.endpointNamed(c)
	if err != nil {
		return nil, err
	}
	return item(e.at(c.now)), nil
}

func (s *Server) putEndpoint(c *call) (any, error) {
	m, err := s.activeMachine(c.id("machine"))
	if err != nil {
		return nil, err
	}
	in := c.in
	u := endpointUpdate{providerKey: strings.ToLower(c.id("provider"))}
	for _, p := range []struct {
		to   **string
		name string
	}{
		{&u.label, "label"},
		{&u.authType, "authType"},
		{&u.authToken, "authToken"},
		{&u.modelAlias, "modelAlias"},
		{&u.networkScope, "networkScope"},
		{&u.probePath, "probePath"},
	} {
		if in.has(p.name) {
			*p.to = new(in.text(p.name))
		}
	}
	base := in.required("endpointBaseUrl")
	status := in.oneOf("status", "active", "degraded", "unreachable")
	var lease Moment
	if sent := in.text("leaseExpiresAt"); sent != "" {
		var ok bool
		if lease, ok = parseMoment(sent); !ok {
			in.fault("leaseExpiresAt", "is not an RFC 3339 time")
		}
	}
	if in.err != nil {
		return nil, in.err
	}
	if err := u.check("", base); err != nil {
		return nil, err
	}
	e, isNew, err := s.upsert(c, m.ID, &u)
	if err != nil {
		return nil, err
	}
	e.Source, e.AgentID, e.LeaseExpiresAt, e.Verdict, e.HealthError = "manual", "", lease, "", ""
	if status != "" {
		e.Status = status
	}
	if isNew {
		c.status = http.StatusCreated
	}
	c.audit("runtime-endpoint.upserted", "runtime-endpoint", e.ID, m.ID, map[string]any{"providerKey": e.ProviderKey})
	return item(e.at(c.now)), nil
}

func (s *Server) deleteEndpoint(c *call) (any, error) {
	e, err := s.endpointNamed(c)
	if err != nil {
		return nil, err
	}
	s.st.Endpoints.remove(e.ID)
	c.audit("runtime-endpoint.deleted", "runtime-endpoint", e.ID, e.MachineID, map[string]any{"providerKey": e.ProviderKey})
	return nil, nil
}
