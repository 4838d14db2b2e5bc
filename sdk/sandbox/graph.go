package sandbox

import (
	"encoding/json"
	"maps"
)

// partsPerMachine bounds the nodes, and the edges, of one machine's graph.
const partsPerMachine = 500

// partBytes bounds one of them.
const partBytes = 64 << 10

// graphPart is a node or an edge. Their members are not published, so they are
// kept as they came (contract §3.2).
type graphPart struct {
	ID        string                     `json:"id"`
	Members   map[string]json.RawMessage `json:"members"`
	CreatedAt Moment                     `json:"createdAt"`
	UpdatedAt Moment                     `json:"updatedAt"`
}

// shown is the part with what the server adds.
func (p *graphPart) shown(machineID string) any {
	out := map[string]any{}
	for name, v := range p.Members {
		out[name] = v
	}
	out["id"], out["machineId"], out["createdAt"], out["updatedAt"] = p.ID, machineID, p.CreatedAt, p.UpdatedAt
	return out
}

func (s *Server) getGraph(c *call) (any, error) {
	m, err := s.machine(c.id("machine"))
	if err != nil {
		return nil, err
	}
	all := func(rows []*row[graphPart]) []any {
		out := []any{}
		for _, r := range rows {
			out = append(out, r.V.shown(m.ID))
		}
		return out
	}
	return item(map[string]any{"machineId": m.ID, "nodes": all(s.st.GraphNodes.of(m.ID)), "edges": all(s.st.GraphEdges.of(m.ID))}), nil
}

func (s *Server) createNode(c *call) (any, error) { return s.createPart(c, &s.st.GraphNodes, "node") }
func (s *Server) createEdge(c *call) (any, error) { return s.createPart(c, &s.st.GraphEdges, "edge") }
func (s *Server) updateNode(c *call) (any, error) { return s.updatePart(c, &s.st.GraphNodes, "node") }
func (s *Server) updateEdge(c *call) (any, error) { return s.updatePart(c, &s.st.GraphEdges, "edge") }
func (s *Server) deleteNode(c *call) (any, error) { return s.deletePart(c, &s.st.GraphNodes, "node") }
func (s *Server) deleteEdge(c *call) (any, error) { return s.deletePart(c, &s.st.GraphEdges, "edge") }

// checkPart looks at the two members that are known.
func checkPart(in *members) error {
	in.oneOf("status", "draft", "active", "blocked", "degraded")
	in.raw("data")
	return in.err
}

func (s *Server) createPart(c *call, t *table[graphPart], what string) (any, error) {
	m, err := s.working(c.id("machine"))
	if err != nil {
		return nil, err
	}
	if err := checkPart(c.in); err != nil {
		return nil, err
	}
	p := &graphPart{ID: newID("g" + what), Members: maps.Clone(c.in.all), CreatedAt: c.stamp(), UpdatedAt: c.stamp()}
	if len(t.of(m.ID)) >= partsPerMachine || !t.add(s.next(), p.ID, m.ID, p) {
		return nil, invalid("the graph has as many parts as this sandbox holds")
	}
	c.audit("graph."+what+".created", "graph-"+what, p.ID, m.ID, nil)
	return c.created(p.shown(m.ID))
}

// part is the one that a path names.
func (s *Server) part(c *call, t *table[graphPart], what string) (*Machine, *graphPart, error) {
	m, err := s.machine(c.id("machine"))
	if err != nil {
		return nil, nil, err
	}
	if r := t.byID[c.id(what)]; r != nil && r.Owner == m.ID {
		return m, r.V, nil
	}
	return nil, nil, notFound("the " + what)
}

// updatePart replaces what was sent; data is merged one level deep.
func (s *Server) updatePart(c *call, t *table[graphPart], what string) (any, error) {
	m, p, err := s.part(c, t, what)
	if err != nil {
		return nil, err
	}
	if err := checkPart(c.in); err != nil {
		return nil, err
	}
	next := maps.Clone(p.Members)
	if next == nil {
		next = map[string]json.RawMessage{}
	}
	maps.Copy(next, c.in.all)
	if merged := merge(p.Members["data"], c.in.all["data"]); merged != nil {
		next["data"] = merged
	}
	size := 0
	for name, v := range next {
		size += len(name) + len(v)
	}
	if size > partBytes {
		return nil, invalid("the " + what + " would be larger than this sandbox holds")
	}
	p.Members, p.UpdatedAt = next, c.stamp()
	c.audit("graph."+what+".updated", "graph-"+what, p.ID, m.ID, nil)
	return item(p.shown(m.ID)), nil
}

// merge puts one object's members over another's; nil when one is no object.
func merge(old, sent json.RawMessage) json.RawMessage {
	var a, b map[string]json.RawMessage
	if json.Unmarshal(old, &a) != nil || json.Unmarshal(sent, &b) != nil || a == nil || b == nil {
		return nil
	}
	maps.Copy(a, b)
	out, err := json.Marshal(a)
	if err != nil {
		return nil
	}
	return out
}

func (s *Server) deletePart(c *call, t *table[graphPart], what string) (any, error) {
	m, p, err := s.part(c, t, what)
	if err != nil {
		return nil, err
	}
	t.remove(p.ID)
	c.audit("graph."+what+".deleted", "graph-"+what, p.ID, m.ID, nil)
	return nil, nil
}
