package sandbox

import (
	"encoding/json"
	"maps"
)

// opaquePerMachine limits the objects of one kind at one machine.
const opaquePerMachine = 500

// opaqueBytes limits the size of one object.
const opaqueBytes = 64 << 10

// opaqueObject is an object whose members are not published: it is stored as it was sent (contract
// §3.2 and §3.3).
type opaqueObject struct {
	ID        string                     `json:"id"`
	Members   map[string]json.RawMessage `json:"members"`
	CreatedAt Moment                     `json:"createdAt"`
	UpdatedAt Moment                     `json:"updatedAt"`
}

// opaqueKind describes one kind of opaque object: its table, the prefix of its ids, its name in
// messages and paths, and its name in the audit trail.
type opaqueKind struct {
	table              *table[opaqueObject]
	prefix, word, name string
	check              func(*members) error // checks the published members
}

// shown returns the object with the members that the server adds.
func (o *opaqueObject) shown(machineID string) any {
	out := map[string]any{}
	for name, v := range o.Members {
		out[name] = v
	}
	out["id"], out["machineId"], out["createdAt"], out["updatedAt"] = o.ID, machineID, o.CreatedAt, o.UpdatedAt
	return out
}

func (s *Server) createOpaque(c *call, k opaqueKind) (any, error) {
	m, err := s.activeMachine(c.id("machine"))
	if err != nil {
		return nil, err
	}
	if err := k.check(c.in); err != nil {
		return nil, err
	}
	o := &opaqueObject{ID: newID(k.prefix), Members: maps.Clone(c.in.all), CreatedAt: c.stamp(), UpdatedAt: c.stamp()}
	if len(k.table.of(m.ID)) >= opaquePerMachine || !k.table.add(s.next(), o.ID, m.ID, o) {
		return nil, invalid("the machine has reached the limit of this kind: " + k.word)
	}
	c.audit(k.name+".created", k.name, o.ID, m.ID, nil)
	return c.created(o.shown(m.ID))
}

// opaqueNamed returns the object named in the path, and its machine.
func (s *Server) opaqueNamed(c *call, k opaqueKind) (*Machine, *opaqueObject, error) {
	m, err := s.machine(c.id("machine"))
	if err != nil {
		return nil, nil, err
	}
	if r := k.table.byID[c.id(k.word)]; r != nil && r.Owner == m.ID {
		return m, r.V, nil
	}
	return nil, nil, notFound("the " + k.word)
}

// updateOpaque replaces the members that were sent; data is merged one level deep (contract §3.2).
func (s *Server) updateOpaque(c *call, k opaqueKind) (any, error) {
	m, o, err := s.opaqueNamed(c, k)
	if err != nil {
		return nil, err
	}
	if err := k.check(c.in); err != nil {
		return nil, err
	}
	next := map[string]json.RawMessage{}
	maps.Copy(next, o.Members)
	maps.Copy(next, c.in.all)
	if merged := merge(o.Members["data"], c.in.all["data"]); merged != nil {
		next["data"] = merged
	}
	size := 0
	for name, v := range next {
		size += len(name) + len(v)
	}
	if size > opaqueBytes {
		return nil, invalid("the " + k.word + " would exceed the size limit")
	}
	o.Members, o.UpdatedAt = next, c.stamp()
	c.audit(k.name+".updated", k.name, o.ID, m.ID, nil)
	return item(o.shown(m.ID)), nil
}

// merge overlays the members of sent on those of old; nil when either is not an object.
func merge(old, sent json.RawMessage) json.RawMessage {
	var a, b map[string]json.RawMessage
	if json.Unmarshal(old, &a) != nil || json.Unmarshal(sent, &b) != nil || a == nil || b == nil {
		return nil
	}
	maps.Copy(a, b)
	out, err := marshal(a)
	if err != nil {
		return nil
	}
	return out
}

func (s *Server) deleteOpaque(c *call, k opaqueKind) (any, error) {
	m, o, err := s.opaqueNamed(c, k)
	if err != nil {
		return nil, err
	}
	k.table.remove(o.ID)
	c.audit(k.name+".deleted", k.name, o.ID, m.ID, nil)
	return nil, nil
}

// nodes and edges look up their tables at each call, because a restart may replace them.
func (s *Server) nodes() opaqueKind {
	return opaqueKind{&s.st.GraphNodes, "gnode", "node", "graph-node", checkPart}
}

func (s *Server) edges() opaqueKind {
	return opaqueKind{&s.st.GraphEdges, "gedge", "edge", "graph-edge", checkPart}
}

// checkPart checks the two members that are published.
func checkPart(in *members) error {
	in.oneOf("status", "draft", "active", "blocked", "degraded")
	in.raw("data")
	return in.err
}

func (s *Server) getGraph(c *call) (any, error) {
	m, err := s.machine(c.id("machine"))
	if err != nil {
		return nil, err
	}
	all := func(k opaqueKind) []any {
		out := []any{}
		for _, r := range k.table.of(m.ID) {
			out = append(out, r.V.shown(m.ID))
		}
		return out
	}
	return item(map[string]any{"machineId": m.ID, "nodes": all(s.nodes()), "edges": all(s.edges())}), nil
}
