package sandbox

// routes is the table of operations: every path of the contract that a server
// can serve, once.
func (s *Server) routes() []route {
	list := []route{
		{method: "GET", pattern: "/health", handle: s.health},
		{method: "GET", pattern: "/metrics", stream: s.metrics},
		{method: "GET", pattern: "/", stream: s.page},
		{method: "GET", pattern: "/live.json", stream: s.pageData},
	}
	for _, group := range [][]route{
		s.machineRoutes(),
		s.pairingRoutes(),
		s.marketRoutes(),
		s.purchaseRoutes(),
		s.streamOrderRoutes(),
		s.iotRoutes(),
		s.extraRoutes(),
		s.graphRoutes(),
		s.streamSourceRoutes(),
	} {
		for _, r := range group {
			r.pattern = prefix + r.pattern
			list = append(list, r)
		}
	}
	return list
}

// machineRoutes are the machine's side: contract §2.1 to §2.5 and §2.21.
func (s *Server) machineRoutes() []route {
	return []route{
		{method: "GET", pattern: "/health", handle: s.health},
		{method: "GET", pattern: "/readiness", handle: s.readiness},
		{method: "GET", pattern: "/audit-events", auth: authPlatform, handle: s.listAudit},
		{method: "POST", pattern: "/machine-identity/challenges", auth: authPlatform, handle: s.createIdentityChallenge},
		{method: "GET", pattern: "/machines", auth: authPlatform, handle: s.listMachines},
		{method: "POST", pattern: "/machines", auth: authPlatform, handle: s.createMachine},
		{method: "GET", pattern: "/machines/{machine}", auth: authPlatform, handle: s.getMachine},
		{method: "PATCH", pattern: "/machines/{machine}", auth: authPlatform, handle: s.updateMachine},
		{method: "DELETE", pattern: "/machines/{machine}", auth: authPlatform, handle: s.archiveMachine},
		{method: "GET", pattern: "/machines/{machine}/agents", auth: authPlatform, handle: s.listAgents},
		{method: "POST", pattern: "/machines/{machine}/agents/enrollment", auth: authPlatform, handle: s.enrollAgent},
		{method: "DELETE", pattern: "/machines/{machine}/agents/{agent}", auth: authPlatform, handle: s.revokeAgentCall},
		{method: "POST", pattern: "/machine-agents/heartbeat", handle: s.heartbeat},
		{method: "GET", pattern: "/machines/{machine}/runtime-endpoints", auth: authPlatform, handle: s.listEndpoints},
		{method: "GET", pattern: "/machines/{machine}/runtime-endpoints/{provider}", auth: authPlatform, handle: s.getEndpoint},
		{method: "PUT", pattern: "/machines/{machine}/runtime-endpoints/{provider}", auth: authPlatform, handle: s.putEndpoint},
		{method: "DELETE", pattern: "/machines/{machine}/runtime-endpoints/{provider}", auth: authPlatform, handle: s.deleteEndpoint},
	}
}
