package sandbox

// routes lists the operations: every path of the contract that a server can serve, once.
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
	return append(list, s.presenceRoutes()...)
}

// machineRoutes are the operations on machines: contract §2.1 to §2.5 and §2.21.
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

// pairingRoutes are contract §2.6, §2.20 and the related calls of §3.1.
func (s *Server) pairingRoutes() []route {
	const pairings = "/machines/{machine}/agent-pairings"
	return []route{
		{method: "GET", pattern: pairings, auth: authPlatform, handle: s.listPairings},
		{method: "POST", pattern: pairings, auth: authPlatform, handle: s.createPairing},
		{method: "POST", pattern: pairings + "/challenges", auth: authPlatform, handle: s.createPairingChallenge},
		{method: "PATCH", pattern: pairings + "/{pairing}", auth: authPlatform, handle: s.updatePairing},
		{method: "DELETE", pattern: pairings + "/{pairing}", auth: authPlatform, handle: s.deletePairing},
		{method: "POST", pattern: pairings + "/{pairing}/sessions", auth: authPlatform, handle: s.createSession},
		{method: "GET", pattern: pairings + "/{pairing}/spend", auth: authPlatform, handle: s.pairingSpend},
		{method: "POST", pattern: pairings + "/{pairing}/signature-proof", auth: authPlatform, handle: s.pairingProof},
		{method: "GET", pattern: "/policies", auth: authPlatform, handle: s.listPolicies},
		{method: "POST", pattern: "/policies", auth: authPlatform, handle: s.createPolicy},
		{method: "GET", pattern: "/policies/{policy}", auth: authPlatform, handle: s.getPolicy},
		{method: "PATCH", pattern: "/policies/{policy}", auth: authPlatform, handle: s.updatePolicy},
	}
}

// marketRoutes are contract §2.11 to §2.16 and the related calls of §3.1. The contract does not
// say who may make the latter: they accept the API key or a pairing token.
func (s *Server) marketRoutes() []route {
	const service, order = "/market/services/{service}", "/market/orders/{order}"
	return []route{
		{method: "GET", pattern: "/skills", auth: authPlatform, handle: s.listSkills},
		{method: "POST", pattern: "/skills/submissions", auth: authPlatform, handle: s.submitSkill},
		{method: "GET", pattern: "/skills/submissions/{submission}", auth: authPlatform, handle: s.getSubmission},
		{method: "GET", pattern: "/skills/{skill}", auth: authPlatform, handle: s.getSkill},
		{method: "GET", pattern: "/skills/{skill}/manifest", auth: authPlatform, handle: s.getManifest},
		{method: "PATCH", pattern: "/skills/{skill}/config", auth: authPlatform, handle: s.updateSkillConfig},
		{method: "GET", pattern: "/market/services", auth: authOptionalPairing, handle: s.listServices},
		{method: "GET", pattern: service, auth: authOptionalPairing, handle: s.getService},
		{method: "GET", pattern: service + "/availability", auth: authOptionalPairing, handle: s.getAvailability},
		{method: "POST", pattern: service + "/quote", auth: authOptionalPairing, handle: s.quoteService},
		{method: "POST", pattern: service + "/execute", auth: authPairing, handle: s.readService},
		{method: "POST", pattern: "/market/search", auth: authPairing, handle: s.searchMarket},
		{method: "POST", pattern: "/market/search/conversation", auth: authOptionalPairing, handle: s.converse},
		{method: "GET", pattern: "/market/searches/{search}", auth: authPlatform, handle: s.getSearch},
		{method: "GET", pattern: "/market/orders", auth: authPlatform, handle: s.listOrders},
		{method: "POST", pattern: "/market/orders", auth: authPairing, handle: s.createOrder},
		{method: "GET", pattern: order, auth: authOptionalPairing, handle: s.getOrder},
		{method: "GET", pattern: order + "/events", auth: authOptionalPairing, handle: s.listOrderEvents},
		{method: "POST", pattern: order + "/execute", auth: authPairing, handle: s.executeOrder},
		{method: "POST", pattern: order + "/confirm", auth: authPairing, handle: s.confirmOrder},
		{method: "POST", pattern: order + "/dispute", auth: authPairing, handle: s.disputeOrder},
		{method: "POST", pattern: order + "/cancel", auth: authOptionalPairing, handle: s.cancelOrder},
		{method: "POST", pattern: order + "/retry", auth: authOptionalPairing, handle: s.retryOrder},
		{method: "GET", pattern: order + "/payment", auth: authPlatform, handle: s.getPayment},
		{method: "POST", pattern: order + "/payment-intent", auth: authPairing, handle: s.createIntent},
		{method: "POST", pattern: order + "/payment-proof", auth: authPairing, handle: s.submitProof},
		{method: "POST", pattern: order + "/payment/escrow-lock", auth: authPairing, handle: s.lockEscrow},
		{method: "POST", pattern: order + "/payment/release", auth: authPairing, handle: s.releasePayment},
		{method: "POST", pattern: order + "/payment/refund", auth: authPairing, handle: s.refundPayment},
	}
}

// purchaseRoutes are contract §2.7 to §2.10.
func (s *Server) purchaseRoutes() []route {
	return []route{
		{method: "PUT", pattern: "/machines/{machine}/delivery-capabilities", auth: authPlatform, handle: s.putCapabilities},
		{method: "GET", pattern: "/payment-rails", auth: authPlatform, handle: s.listRails},
		{method: "GET", pattern: "/delivery-transports", auth: authPlatform, handle: s.listTransports},
		{method: "GET", pattern: "/machines/{machine}/control-socket", stream: s.controlSocket},
		{method: "PATCH", pattern: "/machines/{machine}/stream/listings/{listing}", auth: authPlatform, handle: s.patchListing},
		{method: "POST", pattern: "/machines/{machine}/stream/listings", auth: authPlatform, handle: s.createListing},
		{method: "GET", pattern: "/stream/listings", auth: authPlatform, handle: s.listListings},
		{method: "GET", pattern: "/stream/listings/{listing}", auth: authPlatform, handle: s.getListing},
		{method: "POST", pattern: "/purchases", auth: authPairing, handle: s.createPurchase},
		{method: "GET", pattern: "/purchases/{purchase}", auth: authPlatform, handle: s.getPurchase},
		{method: "POST", pattern: "/purchases/{purchase}/payment-intent", auth: authPairing, handle: s.createPurchaseIntent},
		{method: "POST", pattern: "/purchases/{purchase}/payment-proof", auth: authPairing, handle: s.provePurchase},
		{method: "GET", pattern: "/purchases/{purchase}/delivery", auth: authPairing, handle: s.getDelivery},
		{method: "POST", pattern: "/purchases/{purchase}/events", auth: authPlatform, handle: s.createPurchaseEvent},
		{method: "POST", pattern: "/stream/orders/{purchase}/prepare-access", auth: authPlatform, maxBody: accessBody, handle: s.prepareAccess},
	}
}

// streamOrderRoutes are the orders and delivery sessions of contract §3.3.
func (s *Server) streamOrderRoutes() []route {
	return []route{
		{method: "POST", pattern: "/stream/orders", auth: authPlatform, handle: s.createStreamOrder},
		{method: "GET", pattern: "/stream/orders/{purchase}", auth: authPlatform, handle: s.getStreamOrder},
		{method: "GET", pattern: "/machines/{machine}/stream/orders", auth: authPlatform, handle: s.listStreamOrders},
		{method: "POST", pattern: "/stream/orders/{purchase}/payment", auth: authPlatform, handle: s.payStreamOrder},
		{method: "GET", pattern: "/stream/orders/{purchase}/delivery", auth: authPlatform, handle: s.getStreamOrderDelivery},
		{method: "POST", pattern: "/stream/delivery-sessions/poll", handle: s.pollSessions},
		{method: "PATCH", pattern: "/stream/delivery-sessions/{session}", handle: s.updateSession},
	}
}

// streamSourceRoutes are the calls of a machine that records a stream (contract §3.3). Those for
// signed events are not served: neither their response nor the receipts they refer to are
// published.
func (s *Server) streamSourceRoutes() []route {
	policies := "/machines/{machine}/stream/policies"
	return []route{
		{method: "GET", pattern: policies, auth: authPlatform, handle: s.listStreamPolicies},
		{
			method: "POST", pattern: policies, auth: authPlatform,
			handle: func(c *call) (any, error) { return s.createOpaque(c, s.streamPolicies()) },
		},
		{
			method: "PATCH", pattern: policies + "/{policy}", auth: authPlatform,
			handle: func(c *call) (any, error) { return s.updateOpaque(c, s.streamPolicies()) },
		},
		{method: "POST", pattern: "/machines/{machine}/stream/signing-keys", handle: s.registerSigningKey},
		{method: "POST", pattern: "/stream/heartbeat", handle: s.streamHeartbeat},
		{method: "POST", pattern: "/stream/chunks", handle: s.publishChunk},
		{method: "POST", pattern: "/stream/buyer-access", handle: s.grantAccess},
		{method: "GET", pattern: "/stream/chunks/{chunk}/buyer-access", auth: authPlatform, handle: s.listAccess},
	}
}

// iotRoutes are contract §2.17 and §2.19.
func (s *Server) iotRoutes() []route {
	return []route{
		{method: "GET", pattern: "/machines/{machine}/iot/subscriptions", auth: authPairing, handle: s.listSubscriptions, boundPages: true},
		{method: "DELETE", pattern: "/machines/{machine}/iot/subscriptions/{subscription}", auth: authPairing, handle: s.deleteSubscription},
		{method: "GET", pattern: "/machines/{machine}/iot/events", auth: authPairing, stream: s.iotEvents},
	}
}

// extraRoutes are the calls on machines in contract §3.1. Where the contract does not say which
// credentials are needed, it is the API key.
func (s *Server) extraRoutes() []route {
	return []route{
		{method: "POST", pattern: "/machines/{machine}/ownership-challenge", auth: authPlatform, handle: s.createOwnershipChallenge},
		{method: "POST", pattern: "/machines/{machine}/ownership-proof", auth: authPlatform, handle: s.proveOwnership},
		{method: "GET", pattern: "/machines/{machine}/trust", auth: authPlatform, handle: s.getTrust},
		{method: "POST", pattern: "/machine-agents/{agent}/rotate-token", auth: authPlatform, handle: s.rotateToken},
		{method: "GET", pattern: "/machine-agents/{agent}/events", auth: authPlatform, handle: s.listAgentEvents},
		{method: "POST", pattern: "/machines/{machine}/runtime-endpoints/{provider}/probe", auth: authPlatform, handle: s.probeEndpoint},
		{method: "GET", pattern: "/events", auth: authPlatform, stream: s.eventStream},
	}
}

// graphRoutes are a machine's graph (contract §3.2). The members of nodes and edges are not
// published.
func (s *Server) graphRoutes() []route {
	graph := "/machines/{machine}/graph"
	list := []route{{method: "GET", pattern: graph, auth: authPlatform, handle: s.getGraph}}
	for path, kind := range map[string]func() opaqueKind{"/nodes": s.nodes, "/edges": s.edges} {
		one := graph + path + "/{" + kind().word + "}"
		list = append(list,
			route{
				method: "POST", pattern: graph + path, auth: authPlatform,
				handle: func(c *call) (any, error) { return s.createOpaque(c, kind()) },
			},
			route{method: "PATCH", pattern: one, auth: authPlatform, handle: func(c *call) (any, error) { return s.updateOpaque(c, kind()) }},
			route{method: "DELETE", pattern: one, auth: authPlatform, handle: func(c *call) (any, error) { return s.deleteOpaque(c, kind()) }},
		)
	}
	return list
}
