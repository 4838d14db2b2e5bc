package sandbox

import "net/http"

// extraState is what is kept for calls that no client of peaq's own makes yet.
type extraState struct {
	Owners         table[ownership]   `json:"owners"`     // by machine
	GraphNodes     table[keptObject]  `json:"graphNodes"` // owned by the machine
	GraphEdges     table[keptObject]  `json:"graphEdges"`
	StreamPolicies table[keptObject]  `json:"streamPolicies"`
	ChunkAccess    table[accessEntry] `json:"chunkAccess"` // owned by the chunk
}

func newExtraState() extraState {
	return extraState{
		Owners:         newTable[ownership](50_000, true),
		GraphNodes:     newTable[keptObject](5_000, false),
		GraphEdges:     newTable[keptObject](5_000, false),
		StreamPolicies: newTable[keptObject](5_000, false),
		ChunkAccess:    newTable[accessEntry](10_000, true),
	}
}

// extraRoutes are the machine's part of contract §3.1. Where the authentication is
// not known it is the API key.
func (s *Server) extraRoutes() []route {
	return []route{
		{method: http.MethodPost, pattern: "/machines/{machine}/ownership-challenge", auth: authPlatform, handle: s.createOwnershipChallenge},
		{method: http.MethodPost, pattern: "/machines/{machine}/ownership-proof", auth: authPlatform, handle: s.proveOwnership},
		{method: http.MethodGet, pattern: "/machines/{machine}/trust", auth: authPlatform, handle: s.getTrust},
		{method: http.MethodPost, pattern: "/machine-agents/{agent}/rotate-token", auth: authPlatform, handle: s.rotateToken},
		{method: http.MethodGet, pattern: "/machine-agents/{agent}/events", auth: authPlatform, handle: s.listAgentEvents},
		{method: http.MethodPost, pattern: "/machines/{machine}/runtime-endpoints/{provider}/probe", auth: authPlatform, handle: s.probeEndpoint},
		{method: http.MethodGet, pattern: "/events", auth: authPlatform, stream: s.eventStream},
	}
}
