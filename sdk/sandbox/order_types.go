package sandbox

import (
	"encoding/json"
	"slices"
)

// eventsPerOrder bounds the history of one order.
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

// storedOrder is an order with what belongs to it and travels elsewhere.
type storedOrder struct {
	Order
	Price       float64      `json:"price"`    // to be paid
	Currency    string       `json:"currency"` // of the price
	Spent       float64      `json:"spent"`    // what the limits counted
	Credentials []string     `json:"credentials,omitempty"`
	Record      *Payment     `json:"record,omitempty"`
	Execution   *execution   `json:"execution,omitempty"` // of the newest run, for oneM2M
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

// closed says whether nothing more can be done to an order but to pay it back.
func (o *storedOrder) closed() bool {
	return slices.Contains([]string{"confirmed", "disputed", "cancelled"}, o.Status)
}

// waits says whether an order was not begun yet.
func (o *storedOrder) waits() bool {
	return slices.Contains([]string{"created", "payment_pending", "ready"}, o.Status)
}

// step puts an order into a status, and into its history and the audit trail.
// Event types are not known: order.<what happened>.
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
