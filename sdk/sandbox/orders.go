package sandbox

import (
	"encoding/json"
	"slices"
	"strings"
)

// eventsPerOrder limits the history of one order.
const eventsPerOrder = 50

// Order is a market order (contract §2.14).
type Order struct {
	ID                string          `json:"id"`
	MachineID         string          `json:"machineId"`
	AgentPairingID    string          `json:"agentPairingId"`
	ServiceID         string          `json:"serviceId"`
	SkillKey          string          `json:"skillKey"`
	ProviderKey       string          `json:"providerKey"`
	ServiceType       string          `json:"serviceType"`
	Operation         string          `json:"operation"`
	ExecutionMode     string          `json:"executionMode"`
	IntegrationStatus string          `json:"integrationStatus"`
	Status            string          `json:"status"`
	Input             json.RawMessage `json:"input"`
	Payment           RailAdvice      `json:"payment"`
	CreatedAt         Moment          `json:"createdAt"`
	UpdatedAt         Moment          `json:"updatedAt"`
	SearchID          string          `json:"searchId,omitempty"`
	QuoteID           string          `json:"quoteId,omitempty"`
	Budget            *Budget         `json:"budget,omitempty"`
	Handoff           *Handoff        `json:"handoff,omitempty"`
	ErrorMessage      string          `json:"errorMessage,omitempty"`
	TaskID            string          `json:"taskId,omitempty"`
	RouteID           string          `json:"routeId,omitempty"`
	RunID             string          `json:"runId,omitempty"`
	OutcomeID         string          `json:"outcomeId,omitempty"`
}

// storedOrder is an order with the data that other calls return.
type storedOrder struct {
	Order
	Price       float64      `json:"price"`    // amount to be paid
	Currency    string       `json:"currency"` // currency of the price
	Spent       float64      `json:"spent"`    // what the spend limits count
	Charges     []charge     `json:"charges,omitempty"`
	PaidBy      string       `json:"paidBy,omitempty"` // digest of the proof that paid
	Credentials []string     `json:"credentials,omitempty"`
	Record      *Payment     `json:"record,omitempty"`
	Execution   *execution   `json:"execution,omitempty"` // of the last run, for oneM2M
	Dispute     *dispute     `json:"dispute,omitempty"`
	Events      []orderEvent `json:"events"`
}

// dispute is a complaint about an order (contract §2.14).
type dispute struct {
	ID        string          `json:"id"`
	OrderID   string          `json:"orderId"`
	MachineID string          `json:"machineId"`
	Status    string          `json:"status"`
	Reason    string          `json:"reason"`
	Evidence  json.RawMessage `json:"evidence"`
	CreatedAt Moment          `json:"createdAt"`
	UpdatedAt Moment          `json:"updatedAt"`
}

// orderEvent is one step of an order (contract §3.1).
type orderEvent struct {
	ID        string         `json:"id"`
	OrderID   string         `json:"orderId"`
	Type      string         `json:"type"`
	Payload   map[string]any `json:"payload"`
	CreatedAt Moment         `json:"createdAt"`
}

// closed reports whether the order is finished, except for a refund.
func (o *storedOrder) closed() bool {
	return slices.Contains([]string{"confirmed", "disputed", "cancelled"}, o.Status)
}

// waits reports whether the order has not started yet.
func (o *storedOrder) waits() bool {
	return slices.Contains([]string{"created", "payment_pending", "ready"}, o.Status)
}

// step sets the status of an order and records it in its history and the audit trail. The event
// types are not published: order.<what happened>.
func (c *call) step(o *storedOrder, status, kind string, payload map[string]any) {
	o.Status, o.UpdatedAt = status, c.stamp()
	if payload == nil {
		payload = map[string]any{}
	}
	payload["status"] = status
	o.Events = append(o.Events, orderEvent{ID: newID("oevt"), OrderID: o.ID, Type: kind, Payload: payload, CreatedAt: c.stamp()})
	if n := len(o.Events); n > eventsPerOrder {
		o.Events = slices.Delete(o.Events, 0, n-eventsPerOrder)
	}
	c.audit(kind, "market-order", o.ID, o.MachineID, payload)
}

// orderRequest is the body of create (contract §2.14).
type orderRequest struct {
	serviceID, searchID, quoteID, operation string
	machineID, pairingID                    string
	input                                   json.RawMessage
	budget                                  *Budget
	credentials                             map[string]bool
}

func readOrder(in *members) (orderRequest, error) {
	r := orderRequest{
		machineID: in.required("machineId"), serviceID: in.required("serviceId"), pairingID: in.text("agentPairingId"),
		searchID: in.text("searchId"), quoteID: in.text("quoteId"), operation: in.text("operation"),
		input: in.raw("input"), budget: readBudget(in), credentials: readCredentials(in),
	}
	if r.input == nil {
		r.input = json.RawMessage("{}")
	}
	switch {
	case in.err != nil:
		return r, in.err
	case strings.TrimSpace(r.pairingID) == "":
		return r, fail("AGENT_PAIRING_REQUIRED", "agentPairingId is required: orders are made by pairings")
	}
	return r, nil
}

func (s *Server) createOrder(c *call) (any, error) {
	r, err := readOrder(c.in)
	if err == nil {
		err = c.owns(r.machineID, r.pairingID)
	}
	if err != nil {
		return nil, err
	}
	m, err := s.activeMachine(r.machineID)
	if err != nil {
		return nil, err
	}
	o, err := s.offer(c, r.serviceID)
	if err != nil {
		return nil, err
	}
	order, err := s.draftOrder(c, r, o)
	if err != nil {
		return nil, err
	}
	cost := max(order.Price, r.budget.amount())
	if why := s.denialReason(viewer{m, c.pair}, o, cost); why != "" {
		return nil, fail("AGENT_POLICY_DENIED", why)
	}
	if err := c.pair.maySpend(c.now, cost, cost); err != nil {
		return nil, err
	}
	if err := s.admit(c, s.jobOf(order, o)); err != nil {
		return nil, err
	}
	c.pair.spend(order, c.now, cost)
	s.st.Orders.add(s.next(), order.ID, m.ID, order)
	c.step(order, order.Status, "order.created", map[string]any{"serviceId": o.ID, "operation": order.Operation})
	return c.created(&order.Order)
}

// draftOrder makes an order of a request. What the request leaves out is taken from the quote or
// the service. The price is the quote's, else the service's.
func (s *Server) draftOrder(c *call, r orderRequest, o *offer) (*storedOrder, error) {
	price, operation := o.Pricing, o.Operations[0]
	q, err := s.quoteFor(c, r)
	switch {
	case err != nil:
		return nil, err
	case q != nil:
		price, operation = q.Pricing, q.Operation
	}
	if r.operation != "" {
		if q != nil && r.operation != q.Operation {
			return nil, invalid("operation differs from the quote")
		}
		operation = r.operation
	}
	if !slices.Contains(o.Operations, operation) {
		return nil, invalid("unknown operation " + operation)
	}
	order := &storedOrder{Currency: price.Currency, Order: Order{
		ID: newID("ord"), MachineID: r.machineID, AgentPairingID: r.pairingID, ServiceID: o.ID, SkillKey: o.SkillKey, ProviderKey: o.ProviderKey,
		ServiceType: o.ServiceType, Operation: operation, ExecutionMode: o.ExecutionMode, IntegrationStatus: o.IntegrationStatus,
		Status: "created", Input: r.input, Payment: o.Payment, SearchID: r.searchID, QuoteID: r.quoteID, Budget: r.budget, CreatedAt: c.stamp(),
	}}
	if price.Amount != nil {
		order.Price = *price.Amount
	}
	if !r.budget.covers(order.Price, false) {
		return nil, invalid("budget.max is less than the price")
	}
	if o.ProviderKey == "onem2m" { // free, without an intent (§2.18)
		order.Status = "ready"
	}
	for provider := range r.credentials {
		order.Credentials = append(order.Credentials, provider)
	}
	slices.Sort(order.Credentials)
	return order, nil
}

// quoteFor returns the quote that an order names; nil if it names none.
func (s *Server) quoteFor(c *call, r orderRequest) (*Quote, error) {
	if r.searchID != "" {
		if found := s.st.Searches.get(r.searchID); found == nil || found.MachineID != r.machineID {
			return nil, notFound("the search")
		}
	}
	if r.quoteID == "" {
		return nil, nil
	}
	found, q := s.quote(r.quoteID)
	switch {
	case q == nil, found.MachineID != r.machineID, found.AgentPairingID != "" && found.AgentPairingID != r.pairingID:
		return nil, notFound("the quote")
	case r.searchID != "" && found.ID != r.searchID:
		return nil, invalid("quoteId does not belong to the search in searchId")
	case q.ServiceID != r.serviceID:
		return nil, invalid("quoteId belongs to another service")
	case !c.now.Before(q.ExpiresAt.Time):
		return nil, fail("QUOTE_EXPIRED", "the quote has expired: search again")
	}
	return q, nil
}

func (s *Server) listOrders(c *call) (any, error) {
	id := c.r.URL.Query().Get("machineId")
	if strings.TrimSpace(id) == "" {
		return nil, invalid("machineId is required")
	}
	m, err := s.machine(id)
	if err != nil {
		return nil, err
	}
	return pageOf(c, s.st.Orders.of(m.ID), nil, func(o *storedOrder) any { return c.asKnown(o) })
}

// orderNamed returns the order named in the path. With a pairing token it must be the pairing's
// own.
func (s *Server) orderNamed(c *call) (*storedOrder, error) {
	o := s.st.Orders.get(c.id("order"))
	switch {
	case o == nil:
		return nil, notFound("the order")
	case c.pair != nil && c.pair.ID != o.AgentPairingID:
		return nil, fail("AGENT_AUTH_INVALID", "the order belongs to another pairing")
	}
	return o, nil
}

// getOrder adds the stored execution of a oneM2M order for its pairing (contract §2.18), without a
// statusCode.
func (s *Server) getOrder(c *call) (any, error) {
	o, err := s.orderNamed(c)
	if err != nil {
		return nil, err
	}
	if c.pair == nil || o.ProviderKey != "onem2m" || o.Execution == nil {
		return item(c.asKnown(o)), nil
	}
	saved := *o.Execution
	saved.StatusCode = 0
	return map[string]any{"item": &o.Order, "execution": &saved}, nil
}

// listOrderEvents returns all events at once: no paging is published.
func (s *Server) listOrderEvents(c *call) (any, error) {
	o, err := s.orderNamed(c)
	if err != nil {
		return nil, err
	}
	return map[string]any{"items": o.Events}, nil
}
