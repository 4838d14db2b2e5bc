package sandbox

import (
	"slices"
	"time"
)

// lookAtOrders are the newest orders, for the page; the caller holds the lock.
func (s *Server) lookAtOrders(now time.Time) []orderView {
	out := []orderView{}
	for _, r := range slices.Backward(s.st.Orders.rows) {
		if len(out) == pageRows {
			break
		}
		v := orderView{ID: r.ID, Service: r.V.ServiceID, Operation: r.V.Operation, Status: r.V.Status, Payment: "none", Age: since(now, r.V.CreatedAt)}
		if r.V.Record != nil {
			v.Payment = r.V.Record.Status
		}
		out = append(out, v)
	}
	return out
}

func (s *Server) orderCount() int { return s.st.Orders.len() }

// Orders are a machine's orders, oldest first; "" for those of every machine. They
// are copies.
func (s *Server) Orders(machineID string) []Order {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Order
	for _, r := range ownedOrAll(&s.st.Orders, machineID) {
		o := r.V.Order
		o.Input = slices.Clone(o.Input)
		out = append(out, o)
	}
	return out
}
