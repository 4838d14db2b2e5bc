package sandbox

import (
	"encoding/json"
	"net/http"
)

// executeOrder runs an order that is paid for or needs no payment (contract §2.14). A failed run
// is a 200 with a failed outcome.
func (s *Server) executeOrder(c *call) (any, error) {
	order, o, err := s.runnable(c)
	if err != nil {
		return nil, err
	}
	if order.Execution != nil { // a oneM2M order runs once; the client may have lost the response
		return map[string]any{"order": &order.Order, "execution": order.Execution}, nil
	}
	j := s.jobOf(order, o)
	if given := c.in.raw("input"); given != nil { // used for this run; the stored input stays
		j.input = given
	}
	if o.ExecutionMode != "native" {
		return s.handOff(c, order, o)
	}
	before := order.Status
	c.step(order, "executing", "order.executing", nil)
	r, err := s.perform(c, j)
	if order = s.st.Orders.get(j.orderID); order == nil { // removed while it ran
		return nil, notFound("the order")
	}
	if err != nil {
		c.step(order, before, "order.refused", nil)
		return nil, err
	}
	e := executionOf(j, r)
	s.recordRun(c, order, e)
	return map[string]any{"order": &order.Order, "execution": e}, nil
}

// runnable returns the order if it may run now.
func (s *Server) runnable(c *call) (*storedOrder, *offer, error) {
	order, err := s.orderNamed(c)
	if err != nil {
		return nil, nil, err
	}
	m, err := s.activeMachine(order.MachineID)
	if err != nil {
		return nil, nil, err
	}
	o, err := s.offer(c, order.ServiceID)
	if err != nil {
		return nil, nil, err
	}
	signature := c.paymentSignature()
	given := c.in.raw("input")
	if c.in.err != nil {
		return nil, nil, c.in.err
	}
	v := viewer{m, c.pair}
	switch {
	case order.Execution != nil && given == nil:
		return order, o, nil
	case !order.waits():
		return nil, nil, fail("ORDER_CLOSED", "the order is "+order.Status)
	case given != nil && o.ProviderKey == "onem2m":
		return nil, nil, invalid("input: this order can only run with its stored input")
	case s.denialReason(v, o, order.Price) != "":
		return nil, nil, fail("AGENT_POLICY_DENIED", s.denialReason(v, o, order.Price))
	}
	if why := s.unavailableReason(c, v, o, s.jobOf(order, o).credentials); why != "" {
		return nil, nil, fail("EXECUTION_UNSUPPORTED", why)
	}
	if err := s.payByExecute(c, order, signature); err != nil {
		return nil, nil, err
	}
	return order, o, nil
}

// jobOf returns the job of an order.
func (s *Server) jobOf(order *storedOrder, o *offer) job {
	j := job{
		service: o, machineID: order.MachineID, pairingID: order.AgentPairingID, orderID: order.ID, operation: order.Operation,
		input: order.Input, credentials: map[string]bool{},
	}
	for _, provider := range order.Credentials {
		j.credentials[provider] = true
	}
	return j
}

// handOff refers the buyer to the provider: status 202, in the response and as its statusCode.
func (s *Server) handOff(c *call, order *storedOrder, o *offer) (any, error) {
	order.Handoff = o.Handoff
	order.TaskID, order.RouteID = newID("task"), newID("route")
	c.step(order, "handoff", "order.handed-off", nil)
	c.status = http.StatusAccepted
	e := execution{
		StatusCode: http.StatusAccepted, Handoff: o.Handoff,
		Task: object(map[string]any{"id": order.TaskID, "status": "handoff", "machineId": order.MachineID, "operation": order.Operation}),
		Route: object(map[string]any{
			"id": order.RouteID, "status": "external", "executionMode": o.ExecutionMode,
			"integrationStatus": o.IntegrationStatus, "handoff": o.Handoff,
		}),
	}
	return map[string]any{"order": &order.Order, "execution": &e}, nil
}

// recordRun stores the result of a run in its order.
func (s *Server) recordRun(c *call, order *storedOrder, e *execution) {
	var task, route struct {
		ID string `json:"id"`
	}
	_, _ = json.Unmarshal(e.Task, &task), json.Unmarshal(e.Route, &route)
	order.TaskID, order.RouteID, order.RunID, order.OutcomeID = task.ID, route.ID, e.Run.ID, e.Outcome.ID
	order.ErrorMessage = e.Outcome.ErrorMessage
	if order.ProviderKey == "onem2m" {
		order.Execution = e
	}
	if e.Outcome.Status == "completed" {
		c.step(order, "delivered", "order.delivered", map[string]any{"outcomeId": order.OutcomeID})
	} else {
		c.step(order, "failed", "order.failed", map[string]any{"outcomeId": order.OutcomeID, "errorMessage": order.ErrorMessage})
	}
}
