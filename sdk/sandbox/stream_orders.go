package sandbox

import "slices"

// streamOrder returns a purchase in the representation of a stream order (contract §2.10). A
// stream order is the older form of a purchase: the same thing, without a pairing and with a single
// call for the payment (§3.3).
func (p *storedPurchase) streamOrder() any {
	status := p.Status
	switch {
	case p.closed():
	case p.Prepared:
		status = "access_ready"
	case p.Payment.Status == "verified":
		status = "paid"
	default:
		status = "payment_pending"
	}
	payment := map[string]any{"status": p.Payment.Status}
	if p.Payment.Reference != "" {
		payment["reference"], payment["recordedAt"] = p.Payment.Reference, p.Payment.RecordedAt
	}
	return map[string]any{
		"id": p.ID, "listingId": p.Resource.ListingID, "machineId": p.SellerID, "buyerId": p.Buyer.ID, "chunkIds": p.ChunkIDs,
		"amount":   p.Price.Amount,
		"currency": p.Price.Currency, "status": status, "payment": payment,
		"accessGrantIds": append([]string{}, p.GrantIDs...), "deliverySessionId": p.Delivery.SessionID,
	}
}

func (s *Server) createStreamOrder(c *call) (any, error) {
	in, p := c.in, newPurchase(c)
	p.Resource = purchaseResource{Type: "stream.listing", ListingID: in.required("listingId")}
	p.Buyer = purchaseBuyer{ID: in.required("buyerId"), PublicKey: buyerKey{"x25519", in.required("buyerPublicKeyHex")}}
	if ids, sent := in.texts("chunkIds"); sent && len(ids) > 0 {
		p.Resource.Selection = &purchaseSelection{ChunkIDs: ids}
	}
	if in.err != nil {
		return nil, in.err
	}
	if err := s.reserve(c, p, deliveryPreference{}); err != nil {
		return nil, err
	}
	return c.created(p.streamOrder())
}

func (s *Server) getStreamOrder(c *call) (any, error) {
	p, err := s.purchaseNamed(c)
	if err != nil {
		return nil, err
	}
	return item(p.streamOrder()), nil
}

func (s *Server) listStreamOrders(c *call) (any, error) {
	m, err := s.machine(c.id("machine"))
	if err != nil {
		return nil, err
	}
	return pageOf(c, s.st.Purchases.of(m.ID), nil, func(p *storedPurchase) any { return p.streamOrder() })
}

// payStreamOrder records a payment. Repeating the same reference changes nothing.
func (s *Server) payStreamOrder(c *call) (any, error) {
	p, err := s.purchaseNamed(c)
	if err != nil {
		return nil, err
	}
	reference := c.in.required("paymentReference")
	c.in.any("proof")
	if c.in.err != nil {
		return nil, c.in.err
	}
	proof := purchaseProof{
		id: fingerprint("reference", reference), rail: railTransfer, reference: reference,
		receipt: purchaseReceipt{VerifiedAt: c.stamp(), Status: "recorded"},
	}
	done, err := p.settled(proof.id)
	if err != nil {
		return nil, err
	}
	if !done {
		s.recordPayment(c, p, &proof)
	}
	return item(p.streamOrder()), nil
}

func (s *Server) getStreamOrderDelivery(c *call) (any, error) {
	p, err := s.purchaseNamed(c)
	if err != nil {
		return nil, err
	}
	if p.Buyer.ID != c.r.URL.Query().Get("buyerId") {
		return nil, notFound("an order of this buyer")
	}
	return s.showDelivery(c, p)
}

// deliveryStates lists the statuses of a delivery.
func deliveryStates() []string {
	return []string{"requested", "ready", "active", "completed", "failed"}
}

// pollSessions lists the deliveries that wait for the machine.
func (s *Server) pollSessions(c *call) (any, error) {
	a, err := c.authenticate()
	if err != nil {
		return nil, err
	}
	wanted, sent := c.in.texts("statuses")
	if !sent || len(wanted) == 0 {
		wanted = []string{"requested"}
	}
	if c.in.err != nil {
		return nil, c.in.err
	}
	keep := func(p *storedPurchase) bool { return p.Session != nil && slices.Contains(wanted, p.Session.Status) }
	return pageOf(c, s.st.Purchases.of(a.MachineID), keep, func(p *storedPurchase) any { return p.Session })
}

// updateSession sets the seller's status of a delivery.
func (s *Server) updateSession(c *call) (any, error) {
	a, err := c.authenticate()
	if err != nil {
		return nil, err
	}
	status, address, message := c.in.choice("status", deliveryStates()...), c.in.text("deliveryUrl"), c.in.text("message")
	if c.in.err != nil {
		return nil, c.in.err
	}
	rows := s.st.Purchases.of(a.MachineID)
	i := slices.IndexFunc(rows, func(r *row[storedPurchase]) bool { return r.V.Session != nil && r.V.Session.ID == c.id("session") })
	if i < 0 {
		return nil, notFound("the delivery session")
	}
	p := rows[i].V
	if p.closed() {
		return nil, fail("ORDER_CLOSED", "the purchase is "+p.Status)
	}
	p.deliver(c, status)
	switch status {
	case "active", "completed", "failed":
		p.Status = status
	}
	if address != "" {
		p.Session.Delivery.URL = address
	}
	if message != "" {
		p.Session.Delivery.Message = message
	}
	c.audit("delivery-session.updated", "purchase", p.ID, p.SellerID, map[string]any{"status": status})
	return item(p.Session), nil
}
