package sandbox

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// endpointsPerBeat limits the entries of one heartbeat.
const endpointsPerBeat = 64

// beatEntry is one endpoint of a heartbeat, in both spellings that clients send: the intended one
// and the snake_case of every published Python release (contract §2.4). null means absent.
type beatEntry struct {
	ProviderKey     *string `json:"providerKey"`
	EndpointBaseURL *string `json:"endpointBaseUrl"`
	Label           *string `json:"label"`
	AuthType        *string `json:"authType"`
	AuthToken       *string `json:"authToken"`
	ModelAlias      *string `json:"modelAlias"`
	NetworkScope    *string `json:"networkScope"`
	ProbePath       *string `json:"probePath"`
	snakeEntry
}

type snakeEntry struct {
	ProviderKey2     *string `json:"provider_key"`
	EndpointBaseURL2 *string `json:"endpoint_base_url"`
	AuthType2        *string `json:"auth_type"`
	AuthToken2       *string `json:"auth_token"`
	ModelAlias2      *string `json:"model_alias"`
	NetworkScope2    *string `json:"network_scope"`
	ProbePath2       *string `json:"probe_path"`
}

// mergeSpellings copies the snake_case members to the intended ones. It reports whether there were
// any.
func (e *beatEntry) mergeSpellings() (snake bool) {
	for _, p := range []struct{ to, from **string }{
		{&e.ProviderKey, &e.ProviderKey2},
		{&e.EndpointBaseURL, &e.EndpointBaseURL2},
		{&e.AuthType, &e.AuthType2},
		{&e.AuthToken, &e.AuthToken2},
		{&e.ModelAlias, &e.ModelAlias2},
		{&e.NetworkScope, &e.NetworkScope2},
		{&e.ProbePath, &e.ProbePath2},
	} {
		if *p.from == nil {
			continue
		}
		snake = true
		if *p.to == nil {
			*p.to = *p.from
		}
	}
	return snake
}

// beatResult is one endpoint in the response to a heartbeat.
type beatResult struct {
	ProviderKey     string `json:"providerKey"`
	EndpointBaseURL string `json:"endpointBaseUrl"`
	Status          string `json:"status"`
	LeaseExpiresAt  Moment `json:"leaseExpiresAt"`
	HealthError     string `json:"healthError,omitempty"`
	AgentID         string `json:"agentId,omitempty"` // only of an endpoint that another agent contests
}

func (s *Server) heartbeat(c *call) (any, error) {
	a, err := c.authenticate()
	if err != nil {
		return nil, err
	}
	if _, err := s.activeMachine(a.MachineID); err != nil {
		return nil, err
	}
	lease, err := s.grant(c)
	if err != nil {
		return nil, err
	}
	updates, err := s.readBeat(c, a)
	if err != nil {
		return nil, err
	}
	if !s.roomForEndpoints(a.MachineID, updates) {
		return nil, errEndpointsFull()
	}
	results := make([]beatResult, 0, len(updates))
	for i := range updates {
		e, err := s.publish(c, a, &updates[i], Moment{c.now.Add(lease)})
		if err != nil {
			return nil, err
		}
		results = append(results, beatResult{
			e.ProviderKey, cmp.Or(e.OtherURL, e.EndpointBaseURL), e.statusAt(c.now), e.LeaseExpiresAt, e.HealthError, e.OtherAgent,
		})
	}
	a.Status, a.LastSeenAt, a.UpdatedAt = "active", c.stamp(), c.stamp()
	s.st.Beats++
	c.saveLater = true
	c.auditBeat(a, len(results))
	return item(struct {
		MachineID       string       `json:"machineId"`
		AgentID         string       `json:"agentId"`
		LeaseTTLSeconds int          `json:"leaseTtlSeconds"`
		ObservedAt      Moment       `json:"observedAt"`
		Endpoints       []beatResult `json:"endpoints"`
	}{a.MachineID, a.ID, int(lease / time.Second), c.stamp(), results}), nil
}

// grant returns the lease of a heartbeat: the requested one, limited by the server.
func (s *Server) grant(c *call) (time.Duration, error) {
	lease := defaultLease
	if seconds, ok := c.in.integer("leaseTtlSeconds", 1, int(maxLease/time.Second)); ok {
		lease = time.Duration(seconds) * time.Second
	}
	return min(lease, s.leaseMax.Truncate(time.Second)), c.in.err
}

// readBeat checks every entry before any is stored: one invalid entry rejects the whole heartbeat.
func (s *Server) readBeat(c *call, a *storedAgent) ([]endpointUpdate, error) {
	var sent []json.RawMessage
	c.in.decode("endpoints", &sent, "an array")
	if c.in.err != nil {
		return nil, c.in.err
	}
	if len(sent) == 0 || len(sent) > endpointsPerBeat {
		return nil, invalid(fmt.Sprintf("endpoints must have 1 to %d entries", endpointsPerBeat))
	}
	out := make([]endpointUpdate, 0, len(sent))
	for i, raw := range sent {
		var e *beatEntry
		if json.Unmarshal(raw, &e) != nil || e == nil {
			return nil, invalid(fmt.Sprintf("endpoints[%d] must be an object of strings", i))
		}
		if e.mergeSpellings() {
			s.snakeCase++
		}
		u := endpointUpdate{
			label: e.Label, authType: e.AuthType, authToken: e.AuthToken, modelAlias: e.ModelAlias, networkScope: e.NetworkScope,
			probePath: e.ProbePath,
		}
		if e.ProviderKey == nil || e.EndpointBaseURL == nil {
			return nil, invalid(fmt.Sprintf("endpoints[%d] requires providerKey and endpointBaseUrl", i))
		}
		u.providerKey = strings.ToLower(*e.ProviderKey)
		if err := u.check(fmt.Sprintf("endpoints[%d].", i), *e.EndpointBaseURL); err != nil {
			return nil, err
		}
		if !mayServe(a, u.providerKey) {
			return nil, fail("AGENT_POLICY_DENIED", fmt.Sprintf("endpoints[%d]: the agent may not publish this provider key", i))
		}
		out = append(out, u)
	}
	return out, nil
}

// mayServe reports whether the agent may publish a provider key. An empty list allows all (contract
// §2.3).
func mayServe(a *storedAgent, providerKey string) bool {
	return len(a.AllowedProviderKeys) == 0 || slices.ContainsFunc(
		a.AllowedProviderKeys, func(k string) bool { return strings.EqualFold(k, providerKey) },
	)
}
