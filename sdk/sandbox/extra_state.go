package sandbox

import "net/http"

// extraState is what is kept for calls that no client of peaq's own makes yet.
type extraState struct {
	Owners     table[ownership] `json:"owners"`     // by machine
	GraphNodes table[graphPart] `json:"graphNodes"` // owned by the machine
	GraphEdges table[graphPart] `json:"graphEdges"`
}

func newExtraState() extraState {
	return extraState{
		Owners:     newTable[ownership](50_000, true),
		GraphNodes: newTable[graphPart](20_000, false),
		GraphEdges: newTable[graphPart](20_000, false),
	}
}

// extraRoutes are the machine's part of contract §3.1, and §3.2. Where the
// authentication is not known it is the API key.
func (s *Server) extraRoutes() []route {
	graph := "/machines/{machine}/graph"
	return []route{
		{method: http.MethodPost, pattern: "/machines/{machine}/ownership-challenge", auth: authPlatform, handle: s.createOwnershipChallenge},
		{method: http.MethodPost, pattern: "/machines/{machine}/ownership-proof", auth: authPlatform, handle: s.proveOwnership},
		{method: http.MethodGet, pattern: "/machines/{machine}/trust", auth: authPlatform, handle: s.getTrust},
		{method: http.MethodPost, pattern: "/machine-agents/{agent}/rotate-token", auth: authPlatform, handle: s.rotateToken},
		{method: http.MethodGet, pattern: "/machine-agents/{agent}/events", auth: authPlatform, handle: s.listAgentEvents},
		{method: http.MethodPost, pattern: "/machines/{machine}/runtime-endpoints/{provider}/probe", auth: authPlatform, handle: s.probeEndpoint},
		{method: http.MethodGet, pattern: "/events", auth: authPlatform, stream: s.eventStream},
		{method: http.MethodGet, pattern: graph, auth: authPlatform, handle: s.getGraph},
		{method: http.MethodPost, pattern: graph + "/nodes", auth: authPlatform, handle: s.createNode},
		{method: http.MethodPatch, pattern: graph + "/nodes/{node}", auth: authPlatform, handle: s.updateNode},
		{method: http.MethodDelete, pattern: graph + "/nodes/{node}", auth: authPlatform, handle: s.deleteNode},
		{method: http.MethodPost, pattern: graph + "/edges", auth: authPlatform, handle: s.createEdge},
		{method: http.MethodPatch, pattern: graph + "/edges/{edge}", auth: authPlatform, handle: s.updateEdge},
		{method: http.MethodDelete, pattern: graph + "/edges/{edge}", auth: authPlatform, handle: s.deleteEdge},
	}
}
