package sandbox

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

func (s *Server) listAgents(r *request) (any, error) {
	m, err := s.machine(r.PathValue("machine"))
	if err != nil {
		return nil, err
	}
	return page(r, s.agentsOf(m.ID))
}

func (s *Server) agentsOf(machineID string) []*Agent {
	out := []*Agent{}
	for _, a := range s.data.Agents {
		if a.MachineID == machineID {
			out = append(out, a)
		}
	}
	return out
}

func (s *Server) enrollAgent(r *request) (any, error) {
	m, err := s.usable(r.PathValue("machine"))
	if err != nil {
		return nil, err
	}
	a := &Agent{ID: newID("agent"), MachineID: m.ID, Label: "machine agent", AllowedProviderKeys: []string{}, Status: "provisioned", CreatedAt: stamp(r.now), UpdatedAt: stamp(r.now)}
	if r.has("label") {
		if a.Label, err = r.text("label", false); err != nil {
			return nil, err
		}
	}
	if err := r.into("allowedProviderKeys", &a.AllowedProviderKeys); err != nil {
		return nil, err
	}
	token := "pat_" + rand.Text() + rand.Text()
	a.TokenHash = sha256.Sum256([]byte(token))
	s.data.Agents = append(s.data.Agents, a)
	s.audit(r, "platform", "machine-agent.enrolled", "machine-agent", a.ID, m.ID)
	r.status = http.StatusCreated
	return item(struct {
		*Agent
		AgentToken        string `json:"agentToken"`
		ProvisioningToken string `json:"provisioningToken"`
	}{a, token, token}), nil
}

func (s *Server) revokeAgent(r *request) (any, error) {
	for _, a := range s.agentsOf(r.PathValue("machine")) {
		if a.ID == r.PathValue("agent") {
			a.Status, a.UpdatedAt = "revoked", stamp(r.now)
			s.audit(r, "platform", "machine-agent.revoked", "machine-agent", a.ID, a.MachineID)
			return nil, nil
		}
	}
	return nil, notFound("the agent")
}

// beatEntry is one endpoint of a heartbeat, in both spellings that clients send.
type beatEntry struct {
	ProviderKey     *string `json:"providerKey"`
	EndpointBaseURL *string `json:"endpointBaseUrl"`
	Label           *string `json:"label"`
	AuthType        *string `json:"authType"`
	AuthToken       *string `json:"authToken"`
	ModelAlias      *string `json:"modelAlias"`
	NetworkScope    *string `json:"networkScope"`
	ProbePath       *string `json:"probePath"`
}

// readEntry turns snake_case keys into camelCase first and says whether there were any.
func readEntry(raw json.RawMessage) (e beatEntry, snake bool, err error) {
	var m map[string]json.RawMessage
	if json.Unmarshal(raw, &m) != nil || m == nil {
		return e, false, invalid("an endpoint must be an object")
	}
	for k, v := range m {
		parts := strings.Split(k, "_")
		for i := 1; i < len(parts); i++ {
			if parts[i] != "" {
				parts[i] = strings.ToUpper(parts[i][:1]) + parts[i][1:]
			}
		}
		if camel := strings.Join(parts, ""); camel != k {
			delete(m, k)
			m[camel], snake = v, true
		}
	}
	b, err := json.Marshal(m)
	if err != nil || json.Unmarshal(b, &e) != nil {
		return e, snake, invalid("an endpoint's member has the wrong type")
	}
	return e, snake, nil
}

func (s *Server) heartbeat(r *request) (any, error) {
	a, err := s.authenticate(r)
	if err != nil {
		return nil, err
	}
	if _, err := s.usable(a.MachineID); err != nil {
		return nil, err
	}
	lease, err := s.leaseOf(r)
	if err != nil {
		return nil, err
	}
	endpoints, err := s.readBeat(r, a)
	if err != nil {
		return nil, err
	}
	results := []map[string]any{}
	for _, e := range endpoints {
		stored := s.publish(r, a, e, lease)
		results = append(results, map[string]any{
			"providerKey": stored.ProviderKey, "endpointBaseUrl": stored.EndpointBaseURL, "status": stored.Status,
			"leaseExpiresAt": stored.LeaseExpiresAt, "healthError": nil,
		})
	}
	a.Status, a.LastSeenAt, a.UpdatedAt = "active", stamp(r.now), stamp(r.now)
	s.data.Beats++
	s.changed()
	return item(map[string]any{
		"machineId": a.MachineID, "agentId": a.ID, "leaseTtlSeconds": int(lease / time.Second), "observedAt": stamp(r.now), "endpoints": results,
	}), nil
}

// authenticate finds the agent by the token in the body, or in one of the two
// headers that the reference also names.
func (s *Server) authenticate(r *request) (*Agent, error) {
	machine, err := r.text("machineId", true)
	if err != nil {
		return nil, err
	}
	id, err := r.text("agentId", true)
	if err != nil {
		return nil, err
	}
	token, err := r.text("agentToken", false)
	if err != nil {
		return nil, err
	}
	if token == "" {
		token = r.Header.Get("X-Agent-Pairing-Token")
	}
	if token == "" {
		token = strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	}
	if token == "" {
		return nil, fail(http.StatusUnauthorized, "AGENT_AUTH_REQUIRED", "the agent's token is required")
	}
	for _, a := range s.agentsOf(machine) {
		if a.ID != id {
			continue
		}
		sum := sha256.Sum256([]byte(token))
		if subtle.ConstantTimeCompare(sum[:], a.TokenHash[:]) != 1 {
			return nil, fail(http.StatusUnauthorized, "AGENT_AUTH_INVALID", "the agent's token is not valid")
		}
		if a.Status == "revoked" {
			return nil, fail(http.StatusForbidden, "AGENT_PAIRING_INACTIVE", "the agent is revoked")
		}
		return a, nil
	}
	return nil, notFound("the agent")
}

func (s *Server) leaseOf(r *request) (time.Duration, error) {
	lease := defaultLease
	if r.has("leaseTtlSeconds") {
		var seconds int
		if err := r.into("leaseTtlSeconds", &seconds); err != nil {
			return 0, err
		}
		if seconds < 1 || seconds > int(maxLease/time.Second) {
			return 0, invalid("leaseTtlSeconds must be between 1 and 86400")
		}
		lease = time.Duration(seconds) * time.Second
	}
	return min(lease, s.leaseMax), nil
}

// readBeat checks every entry before any is stored: a refused one refuses the beat.
func (s *Server) readBeat(r *request, a *Agent) ([]beatEntry, error) {
	var raw []json.RawMessage
	if err := r.into("endpoints", &raw); err != nil {
		return nil, err
	}
	if len(raw) == 0 || len(raw) > 100 {
		return nil, invalid("endpoints must hold 1 to 100 entries")
	}
	var out []beatEntry
	for _, v := range raw {
		e, snake, err := readEntry(v)
		if err != nil {
			return nil, err
		}
		if snake {
			s.data.SnakeCase++
		}
		if e.ProviderKey == nil || strings.TrimSpace(*e.ProviderKey) == "" || e.EndpointBaseURL == nil {
			return nil, invalid("an endpoint needs providerKey and endpointBaseUrl")
		}
		if _, err := originOf(*e.EndpointBaseURL); err != nil {
			return nil, err
		}
		if err := checkKinds(deref(e.AuthType), deref(e.NetworkScope)); err != nil {
			return nil, err
		}
		if len(a.AllowedProviderKeys) > 0 && !slices.Contains(a.AllowedProviderKeys, *e.ProviderKey) {
			return nil, fail(http.StatusForbidden, "AGENT_POLICY_DENIED", "the provider key is not allowed for this agent")
		}
		out = append(out, e)
	}
	return out, nil
}

// publish upserts one endpoint of a beat and gives it its lease.
func (s *Server) publish(r *request, a *Agent, in beatEntry, lease time.Duration) Endpoint {
	e := s.endpoint(r, a.MachineID, *in.ProviderKey)
	e.EndpointBaseURL, _ = originOf(*in.EndpointBaseURL)
	e.Source, e.AgentID, e.Status, e.UpdatedAt = "agent", a.ID, "active", stamp(r.now)
	e.LeaseExpiresAt, e.LastCheckedAt, e.LastHealthyAt = stamp(r.now.Add(lease)), stamp(r.now), stamp(r.now)
	for _, p := range []struct {
		to   *string
		from *string
	}{{&e.Label, in.Label}, {&e.AuthType, in.AuthType}, {&e.ModelAlias, in.ModelAlias}, {&e.NetworkScope, in.NetworkScope}, {&e.ProbePath, in.ProbePath}} {
		if p.from != nil && *p.from != "" {
			*p.to = *p.from
		}
	}
	if deref(in.AuthToken) != "" {
		e.HasAuthToken = true
	}
	return *e
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// originOf strips what the API drops from a base URL.
func originOf(raw string) (string, error) {
	u, err := url.Parse(strings.TrimSpace(raw))
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return "", invalid("endpointBaseUrl is not an http or https URL")
	}
	return u.Scheme + "://" + u.Host, nil
}

func checkKinds(authType, scope string) error {
	if !slices.Contains([]string{"", "none", "api-key", "bearer"}, authType) {
		return invalid("authType is not one of none, api-key, bearer")
	}
	if !slices.Contains([]string{"", "loopback", "lan", "vpn", "public"}, scope) {
		return invalid("networkScope is not one of loopback, lan, vpn, public")
	}
	return nil
}
