package sandbox

// createPurchaseEvent takes a report of buyer or seller, updates the purchase and notifies both.
// The actor is recorded in the audit trail; the payload is dropped.
func (s *Server) createPurchaseEvent(c *call) (any, error) {
	p, err := s.openPurchase(c)
	if err != nil {
		return nil, err
	}
	in, actor := c.in, map[string]any{}
	kind := in.choice("type", "delivery.started", "delivery.completed", "delivery.failed", "buyer.connected", "seller.ready", "seller.offline")
	if o := in.object("actor"); o != nil {
		for _, name := range []string{"type", "id", "machineId", "agentId"} {
			if v := o.text(name); v != "" {
				actor[name] = v
			}
		}
		in.join(o)
	} else {
		in.fault("actor", "must be an object")
	}
	in.raw("payload")
	if in.err != nil {
		return nil, in.err
	}
	if err := p.move(c, kind); err != nil {
		return nil, err
	}
	c.audit("purchase."+kind, "purchase", p.ID, p.SellerID, map[string]any{"actor": actor})
	s.notify(c, p, "purchase."+kind, map[string]any{"purchaseId": p.ID})
	return c.created(map[string]any{"id": newID("pev"), "purchaseId": p.ID, "type": kind, "createdAt": c.stamp()})
}

// move applies an event to a purchase. A delivery cannot progress before the seller has prepared
// access.
func (p *storedPurchase) move(c *call, event string) error {
	switch event {
	case "delivery.started", "delivery.completed", "buyer.connected":
		if !p.Prepared {
			return fail("STREAM_DELIVERY_NOT_READY", "the seller has not prepared access yet")
		}
	}
	switch event {
	case "seller.ready":
		if p.Status == "delivery_reserving" {
			p.Status = "delivery_reserved"
		}
	case "delivery.started":
		p.Status = "active"
		p.deliver(c, "active")
	case "delivery.completed":
		p.Status = "completed"
		p.deliver(c, "completed")
	case "delivery.failed":
		p.Status = "failed"
		p.deliver(c, "failed")
	}
	p.UpdatedAt = c.stamp()
	return nil
}

// notify sends a notification to the control sockets of the seller and, if the buyer is a machine,
// of the buyer.
func (s *Server) notify(c *call, p *storedPurchase, kind string, payload map[string]any) {
	b, err := marshal(map[string]any{"type": kind, "payload": payload, "createdAt": c.stamp()})
	if err != nil {
		return // cannot happen: every member can be encoded
	}
	s.live.send(p.SellerID, kind, b)
	if p.Buyer.MachineID != "" && p.Buyer.MachineID != p.SellerID {
		s.live.send(p.Buyer.MachineID, kind, b)
	}
}
