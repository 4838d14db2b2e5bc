package sandbox

// confirmOrder accepts a delivered order. A held payment can then be released.
func (s *Server) confirmOrder(c *call) (any, error) {
	o, err := s.orderNamed(c)
	switch {
	case err != nil:
		return nil, err
	case o.closed():
		return nil, fail("ORDER_CLOSED", "the order is "+o.Status)
	case o.Status != "delivered":
		return nil, fail("ORDER_NOT_DELIVERED", "the order is "+o.Status+", not delivered")
	}
	c.step(o, "confirmed", "order.confirmed", nil)
	if o.Record != nil && o.Record.Status == "held" {
		c.payStep(o, "release_pending", "payment.release-pending")
	}
	return withPayment(o, nil), nil
}

// disputeOrder disputes a delivery; a held payment is frozen. A failed order and one that was
// handed off can also be disputed, because they may be paid.
func (s *Server) disputeOrder(c *call) (any, error) {
	o, err := s.orderNamed(c)
	if err != nil {
		return nil, err
	}
	reason, evidence := c.in.required("reason"), c.in.raw("evidence")
	switch {
	case c.in.err != nil:
		return nil, c.in.err
	case o.closed():
		return nil, fail("ORDER_CLOSED", "the order is "+o.Status)
	case o.waits() || o.Status == "executing":
		return nil, fail("ORDER_NOT_DELIVERED", "the order is "+o.Status+", not delivered")
	}
	if evidence == nil {
		evidence = []byte("{}")
	}
	o.Dispute = &dispute{
		ID: newID("disp"), OrderID: o.ID, MachineID: o.MachineID, Status: "open", Reason: reason, Evidence: evidence,
		CreatedAt: c.stamp(), UpdatedAt: c.stamp(),
	}
	c.step(o, "disputed", "order.disputed", map[string]any{"disputeId": o.Dispute.ID})
	if o.Record != nil && o.Record.Status == "held" {
		c.payStep(o, "frozen", "payment.frozen")
	}
	return withPayment(o, o.Dispute), nil
}

// withPayment returns the response of confirm and dispute.
func withPayment(o *storedOrder, d *dispute) any {
	return struct {
		Order   *Order   `json:"order"`
		Payment *Payment `json:"payment,omitempty"`
		Dispute *dispute `json:"dispute,omitempty"`
	}{&o.Order, o.Record, d}
}

// cancelOrder cancels an order before it runs, or after it failed. Its amount is given back to the
// limits unless it is paid: a held payment counts until it is refunded. The response is not published: an item with
// the order.
func (s *Server) cancelOrder(c *call) (any, error) {
	o, err := s.orderNamed(c)
	if err != nil {
		return nil, err
	}
	reason := c.in.text("reason")
	switch {
	case c.in.err != nil:
		return nil, c.in.err
	case !o.waits() && o.Status != "failed":
		return nil, fail("ORDER_CLOSED", "the order is "+o.Status)
	}
	if o.Record == nil || o.Record.Status == "intent_created" || o.Record.Status == "not_required" {
		s.giveBack(o)
	}
	c.step(o, "cancelled", "order.cancelled", map[string]any{"reason": reason})
	return item(&o.Order), nil
}

// giveBack takes an order out of its pairing's spending.
func (s *Server) giveBack(o *storedOrder) {
	if p := s.st.Pairings.get(o.AgentPairingID); p != nil {
		p.giveBack(o)
	}
}

// retryOrder makes a failed order ready to run again. The response is not published: an item with
// the order.
func (s *Server) retryOrder(c *call) (any, error) {
	o, err := s.orderNamed(c)
	if err != nil {
		return nil, err
	}
	reason := c.in.text("reason")
	switch {
	case c.in.err != nil:
		return nil, c.in.err
	case o.Status != "failed":
		return nil, fail("ORDER_CLOSED", "the order is "+o.Status+", not failed")
	}
	o.ErrorMessage, o.Execution = "", nil
	c.step(o, "ready", "order.retried", map[string]any{"reason": reason})
	return item(&o.Order), nil
}
