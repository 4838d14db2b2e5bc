package sdk

import (
	"context"
	"encoding/json"
	"iter"
	"net/http"
)

// MarketOrdersService creates and executes orders (contract §2.14).
type MarketOrdersService struct{ c *Client }

// OrderStatus is the state of an order. The server may send other values.
type OrderStatus string

// The states of an order, in their usual sequence.
const (
	OrderCreated        OrderStatus = "created"
	OrderPaymentPending OrderStatus = "payment_pending"
	OrderReady          OrderStatus = "ready"
	OrderExecuting      OrderStatus = "executing"
	OrderDelivered      OrderStatus = "delivered"
	OrderConfirmed      OrderStatus = "confirmed"
	OrderDisputed       OrderStatus = "disputed"
	OrderCancelled      OrderStatus = "cancelled"
	OrderFailed         OrderStatus = "failed"
	OrderHandoff        OrderStatus = "handoff" // a person continues at the provider
)

// MarketOrder is one order of a service.
type MarketOrder struct {
	Meta              `json:"-"`
	ID                string `json:"id" wire:"req" onem2m:"req,nonempty"`
	MachineID         string `json:"machineId" wire:"req" onem2m:"req,nonempty"`
	AgentPairingID    string `json:"agentPairingId" wire:"req" onem2m:"req,nonempty"`
	ServiceID         string `json:"serviceId" wire:"req" onem2m:"req,nonempty"`
	SkillKey          string `json:"skillKey" wire:"req" onem2m:"opt"`
	ProviderKey       string `json:"providerKey" wire:"req" onem2m:"req" enum:"onem2m"`
	ServiceType       string `json:"serviceType" wire:"req" onem2m:"opt"`
	Operation         string `json:"operation" wire:"req" onem2m:"req" enum:"execute-action subscribe-events"`
	ExecutionMode     string `json:"executionMode" wire:"req" onem2m:"req" enum:"native"`
	IntegrationStatus string `json:"integrationStatus" wire:"req" onem2m:"req" enum:"native"`

	Status OrderStatus `json:"status" wire:"req" onem2m:"req" enum:"created ready executing delivered confirmed disputed cancelled failed"`

	Input        json.RawMessage    `json:"input" wire:"-" onem2m:"req,object"` // as ordered; nil when there is none
	Payment      RailRecommendation `json:"payment" wire:"req" onem2m:"req"`
	SearchID     string             `json:"searchId" onem2m:"optnull"`
	QuoteID      string             `json:"quoteId" onem2m:"optnull"`
	Budget       *OrderBudget       `json:"budget"`
	Handoff      *Handoff           `json:"handoff"`
	ErrorMessage string             `json:"errorMessage" onem2m:"optnull"`
	CreatedAt    string             `json:"createdAt" wire:"req" onem2m:"req"`
	UpdatedAt    string             `json:"updatedAt" wire:"req" onem2m:"req"`
	Extra        ExtraFields        `json:"-" wire:"extra"`
}

// OrderBudget is the limit of what an order may cost.
type OrderBudget struct {
	Amount   Optional[json.Number] `json:"amount,omitzero"`
	Currency string                `json:"currency"`
}

// takeInput reads the stored input from either of its wire names. An input that is not
// an object is ignored.
func (o *MarketOrder) takeInput() {
	for _, name := range []string{"inputPayload", "input"} {
		raw, ok := o.Extra[name]
		if text := raw.Reveal(); ok && text[0] == '{' {
			o.Input = json.RawMessage(text)
		}
		delete(o.Extra, name)
	}
}

// CreateMarketOrder is the request of [MarketOrdersService.Create]. Input is passed to
// the provider unchanged.
type CreateMarketOrder struct {
	MachineID           string                        `json:"machineId"`
	AgentPairingID      string                        `json:"agentPairingId"`
	ServiceID           string                        `json:"serviceId"`
	SearchID            Optional[string]              `json:"searchId,omitzero"`
	QuoteID             Optional[string]              `json:"quoteId,omitzero"`
	Operation           Optional[string]              `json:"operation,omitzero"`
	Input               json.RawMessage               `json:"input,omitzero"`
	Budget              Optional[Budget]              `json:"budget,omitzero"`
	ProviderCredentials Optional[ProviderCredentials] `json:"providerCredentials,omitzero"`
}

func (o CreateMarketOrder) check(identityRefs) error {
	return nonBlanks("machineId", o.MachineID, "agentPairingId", o.AgentPairingID, "serviceId", o.ServiceID)
}

// List returns one page of a machine's orders.
//
// GET /market/orders (contract §2.14)
func (s *MarketOrdersService) List(ctx context.Context, machineID string, o ListOptions) (*Page[MarketOrder], error) {
	r := s.c.call(http.MethodGet, "/market/orders")
	r.err = nonBlank("machineId", machineID)
	r.param("machineId", Some(machineID)).page(o)
	return listWith(ctx, r, s.c.plainOrder)
}

// All iterates over the orders of all pages.
//
// GET /market/orders (contract §2.14)
func (s *MarketOrdersService) All(ctx context.Context, machineID string, o ListOptions) iter.Seq2[MarketOrder, error] {
	return each(o, func(o ListOptions) (*Page[MarketOrder], error) { return s.List(ctx, machineID, o) })
}

// Create orders a service, with or without a quote. It is not safe to repeat: after
// ErrOutcomeUnknown, look for the order in the list before creating another.
//
// Errors: QUOTE_EXPIRED, AGENT_PAIRING_REQUIRED, AGENT_PAIRING_INACTIVE,
// AGENT_POLICY_DENIED, AGENT_SPEND_LIMIT_EXCEEDED, AGENT_DAILY_LIMIT_EXCEEDED,
// MACHINE_NOT_ACTIVE, MACHINE_NOT_ACTIVATED, NOT_FOUND, VALIDATION_ERROR.
//
// POST /market/orders (contract §2.14, §2.18)
func (s *MarketOrdersService) Create(ctx context.Context, token Secret, in CreateMarketOrder) (*MarketOrder, error) {
	return itemWith(ctx, s.c.call(http.MethodPost, "/market/orders").json(in).pairing(token), s.c.createdOrder)
}

// StoredOrder is the result of [MarketOrdersService.Get].
type StoredOrder struct {
	MarketOrder
	// Execution is the result of an executed oneM2M order, for the paired agent only;
	// nil otherwise. Its StatusCode is 0: the server does not store it.
	Execution *NativeExecution `json:"execution"`
}

// Get returns an order. With a pairing token, an executed oneM2M order includes its
// result.
//
// GET /market/orders/{orderId} (contract §2.14, §2.18)
func (s *MarketOrdersService) Get(ctx context.Context, orderID string, token Optional[Secret]) (*StoredOrder, error) {
	res, err := s.c.call(http.MethodGet, "/market/orders/{orderId}", orderID).maybePairing(token).send(ctx)
	if err != nil {
		return nil, err
	}
	var out *StoredOrder
	err = res.text(func(body string) (err error) {
		out, err = s.c.storedOrder(body, orderID, token.IsSet())
		return err
	})
	if err != nil {
		return nil, err
	}
	out.Meta = res.Meta
	return out, nil
}

// ExecuteMarketOrder is the request of [MarketOrdersService.Execute]. Input, if set,
// replaces the stored input.
type ExecuteMarketOrder struct {
	Input   json.RawMessage        `json:"input,omitzero"`
	Payment Optional[OrderPayment] `json:"payment,omitzero"`
}

// OrderPayment is the signature of an x402 payment: the one that was submitted as proof.
type OrderPayment struct {
	PaymentSignature Optional[Secret] `json:"paymentSignature,omitzero"`
}

// Execution is the result of executing an order: a *NativeExecution, run by the API, or
// a *HandoffExecution, to be completed by a person at the provider.
type Execution interface{ execution() }

// NativeExecution is an execution by the API (statusCode 200). Outcome.Status says
// whether it succeeded.
type NativeExecution struct {
	StatusCode int             `json:"statusCode" wire:"req" onem2m:"req,int"`
	Task       json.RawMessage `json:"task" onem2m:"req,object"`
	Route      json.RawMessage `json:"route" onem2m:"req,object"`
	Run        Run             `json:"run" wire:"req" onem2m:"req"`
	Outcome    Outcome         `json:"outcome" wire:"req" onem2m:"req"`
}

// HandoffExecution is an execution that continues outside the API (statusCode 202).
type HandoffExecution struct {
	StatusCode int     `json:"statusCode" wire:"req"`
	Handoff    Handoff `json:"handoff" wire:"req"`
}

func (*NativeExecution) execution()  {}
func (*HandoffExecution) execution() {}

// Run is one run of an order.
type Run struct {
	ID            string `json:"id" wire:"req" onem2m:"req,nonempty"`
	Status        string `json:"status" wire:"req" onem2m:"req" enum:"completed failed"` // completed, failed, external
	ExecutionMode string `json:"executionMode"`
	SkillKey      string `json:"skillKey"`
	ServiceID     string `json:"serviceId"`
	OutcomeID     string `json:"outcomeId"`
}

// Outcome is the result of a run. A failed one also has HTTP status 200.
type Outcome struct {
	ID            string           `json:"id" wire:"req"`
	Status        string           `json:"status" wire:"req" onem2m:"req" enum:"completed failed"` // completed, failed, external
	SkillKey      string           `json:"skillKey" wire:"req"`
	ServiceID     string           `json:"serviceId" wire:"req"`
	ExecutionMode string           `json:"executionMode" wire:"req"`
	Result        json.RawMessage  `json:"result" onem2m:"opt"`
	ErrorCode     Optional[string] `json:"errorCode,omitzero" wire:"-" onem2m:"optnull,nonempty"` // of oneM2M outcomes
	ErrorMessage  Optional[string] `json:"errorMessage,omitzero" onem2m:"optnull,nonempty"`
	ExternalRef   string           `json:"externalRef"`
}

// ExecutedOrder is the result of [MarketOrdersService.Execute]. Keep the Execution: that of a
// native order cannot be read again, and Get returns the order without it.
type ExecutedOrder struct {
	Meta      `json:"-"`
	Order     MarketOrder `json:"order"`
	Execution Execution   `json:"execution"`
}

// Execute executes an order. After ErrOutcomeUnknown, Get says whether the order was executed,
// but not with which result.
//
// Errors: PAYMENT_REQUIRED, EXECUTION_UNSUPPORTED, ORDER_CLOSED, QUOTE_EXPIRED.
//
// POST /market/orders/{orderId}/execute (contract §2.14)
func (s *MarketOrdersService) Execute(ctx context.Context, orderID string, token Secret, in ExecuteMarketOrder) (*ExecutedOrder, error) {
	res, err := s.c.call(http.MethodPost, "/market/orders/{orderId}/execute", orderID).pairing(token).json(in).send(ctx)
	if err != nil {
		return nil, err
	}
	out := &ExecutedOrder{Meta: res.Meta}
	err = res.text(func(body string) error { return s.c.executedOrder(body, orderID, false, out) })
	if err != nil {
		return nil, err
	}
	return out, nil
}
