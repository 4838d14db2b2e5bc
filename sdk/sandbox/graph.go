package sandbox

import "net/http"

// graphRoutes are a machine's graph (contract §3.2). What nodes and edges consist
// of is not published.
func (s *Server) graphRoutes() []route {
	graph := "/machines/{machine}/graph"
	list := []route{{method: http.MethodGet, pattern: graph, auth: authPlatform, handle: s.getGraph}}
	for path, kind := range map[string]func() keptKind{"/nodes": s.nodes, "/edges": s.edges} {
		one := graph + path + "/{" + kind().word + "}"
		list = append(list,
			route{method: http.MethodPost, pattern: graph + path, auth: authPlatform, handle: func(c *call) (any, error) { return s.createKept(c, kind()) }},
			route{method: http.MethodPatch, pattern: one, auth: authPlatform, handle: func(c *call) (any, error) { return s.updateKept(c, kind()) }},
			route{method: http.MethodDelete, pattern: one, auth: authPlatform, handle: func(c *call) (any, error) { return s.deleteKept(c, kind()) }},
		)
	}
	return list
}

// nodes and edges look their tables up at each call: a restart may replace them.
func (s *Server) nodes() keptKind {
	return keptKind{&s.st.GraphNodes, "gnode", "node", "graph-node", checkPart}
}

func (s *Server) edges() keptKind {
	return keptKind{&s.st.GraphEdges, "gedge", "edge", "graph-edge", checkPart}
}

// checkPart looks at the two members that are known.
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
	all := func(k keptKind) []any {
		out := []any{}
		for _, r := range k.table.of(m.ID) {
			out = append(out, r.V.shown(m.ID))
		}
		return out
	}
	return item(map[string]any{"machineId": m.ID, "nodes": all(s.nodes()), "edges": all(s.edges())}), nil
}
