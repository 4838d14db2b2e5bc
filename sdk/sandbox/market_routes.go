package sandbox

// pairingRoutes are contract §2.6, §2.20 and what §3.1 knows of them.
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

// marketRoutes are contract §2.11 to §2.16 and what §3.1 knows of them. Who may
// make the calls of §3.1 is not known: the API key or a pairing token opens them.
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
