package sandbox

import "time"

// created is implemented by what a replica that is behind may not know yet (see Fault.Lag).
type created interface{ born() Moment }

func (m *Machine) born() Moment        { return m.CreatedAt }
func (a *storedAgent) born() Moment    { return a.CreatedAt }
func (e *storedEndpoint) born() Moment { return e.CreatedAt }
func (p *storedPairing) born() Moment  { return p.CreatedAt }
func (o *storedOrder) born() Moment    { return o.CreatedAt }
func (p *storedPurchase) born() Moment { return p.CreatedAt }
func (e *storedEvent) born() Moment    { return e.CreatedAt }

// knows reports whether something that happened at m is known to the replica that serves the call.
func (c *call) knows(m Moment) bool {
	lag := c.imposed().Lag
	return lag == 0 || !m.After(c.now.Add(-lag))
}

// sees reports whether the replica that serves the call knows v.
func (c *call) sees(v any) bool {
	b, ok := v.(created)
	return !ok || c.knows(b.born())
}

// checkReplica rejects a call whose path names something that the replica does not know yet.
func (c *call) checkReplica() error {
	if c.imposed().Lag == 0 {
		return nil
	}
	for name, id := range c.values {
		var v created
		switch name {
		case "machine":
			if m := c.s.st.Machines.get(id); m != nil {
				v = m
			}
		case "agent":
			if a := c.s.st.Agents.get(id); a != nil {
				v = a
			}
		case "pairing":
			if p := c.s.st.Pairings.get(id); p != nil {
				v = p
			}
		case "order":
			if o := c.s.st.Orders.get(id); o != nil {
				v = o
			}
		case "purchase":
			if p := c.s.st.Purchases.get(id); p != nil {
				v = p
			}
		}
		if v != nil && !c.sees(v) {
			return notFound("the " + name)
		}
	}
	return nil
}

// asKnown returns an order as the replica that serves the call knows it.
func (c *call) asKnown(o *storedOrder) *Order {
	if c.imposed().Lag == 0 {
		return &o.Order
	}
	known := o.Order
	known.UpdatedAt = o.CreatedAt
	for _, e := range o.Events {
		if status, ok := e.Payload["status"].(string); ok && c.knows(e.CreatedAt) {
			known.Status, known.UpdatedAt = status, e.CreatedAt
		}
	}
	return &known
}

// knownPayment returns an order's payment as the replica that serves the call knows it; nil if it
// does not know one.
func (c *call) knownPayment(o *storedOrder) *Payment {
	p := o.Record
	switch {
	case p == nil || !c.knows(p.CreatedAt):
		return nil
	case p.Proof != nil && !c.knows(p.Proof.VerifiedAt):
		known := *p
		known.Status, known.Proof, known.UpdatedAt = "intent_created", nil, p.CreatedAt
		return &known
	}
	return p
}

// longestLag limits Fault.Lag.
const longestLag = time.Hour
