package sandbox

import "encoding/json"

// purchaseEvent is progress that buyer or seller reported.
type purchaseEvent struct {
	ID         string          `json:"id"`
	PurchaseID string          `json:"purchaseId"`
	Type       string          `json:"type"`
	CreatedAt  Moment          `json:"createdAt"`
	Actor      eventActor      `json:"actor"`
	Payload    json.RawMessage `json:"payload,omitempty"`
}

type eventActor struct {
	Type      string `json:"type,omitempty"`
	ID        string `json:"id,omitempty"`
	MachineID string `json:"machineId,omitempty"`
	AgentID   string `json:"agentId,omitempty"`
}

// createPurchaseEvent takes a report, moves the purchase and tells both sides.
func (s *Server) createPurchaseEvent(c *call) (any, error) {
	p, err := s.openPurchase(c)
	if err != nil {
		return nil, err
	}
	in := c.in
	e := &purchaseEvent{
		ID: newID("pev"), PurchaseID: p.ID, CreatedAt: c.stamp(), Payload: in.raw("payload"),
		Type: in.choice("type", "delivery.started", "delivery.completed", "delivery.failed", "buyer.connected", "seller.ready", "seller.offline"),
	}
	if o := in.object("actor"); o != nil {
		e.Actor = eventActor{Type: o.text("type"), ID: o.text("id"), MachineID: o.text("machineId"), AgentID: o.text("agentId")}
		in.join(o)
	} else {
		in.fault("actor", "must be an object")
	}
	if in.err != nil {
		return nil, in.err
	}
	if err := p.move(c, e.Type); err != nil {
		return nil, err
	}
	s.st.PurchaseEvents.add(s.next(), e.ID, p.ID, e)
	c.audit("purchase."+e.Type, "purchase", p.ID, p.SellerID, nil)
	s.tell(c, p, "purchase."+e.Type, map[string]any{"purchaseId": p.ID})
	return c.created(map[string]any{"id": e.ID, "purchaseId": e.PurchaseID, "type": e.Type, "createdAt": e.CreatedAt})
}

// move is what an event does to a purchase. A delivery cannot get anywhere before
// the seller has prepared access.
func (p *storedPurchase) move(c *call, event string) error {
	switch event {
	case "delivery.started", "delivery.completed", "buyer.connected":
		if p.GrantIDs == nil {
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

// tell sends a notification to the control sockets of the seller and, when the
// buyer is a machine, to the buyer's.
func (s *Server) tell(c *call, p *storedPurchase, kind string, payload map[string]any) {
	b, err := json.Marshal(map[string]any{"type": kind, "payload": payload, "createdAt": c.stamp()})
	if err != nil {
		return // nothing of it can fail to be written
	}
	s.live.send(p.SellerID, b)
	if p.Buyer.MachineID != "" && p.Buyer.MachineID != p.SellerID {
		s.live.send(p.Buyer.MachineID, b)
	}
}
