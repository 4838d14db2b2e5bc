package sdk

import (
	"cmp"
	"context"
	"net/http"
)

// OneM2MService reads and controls devices behind a oneM2M gateway, with typed requests
// and results (contract §2.18). The same calls with raw JSON are MarketServices.Execute,
// MarketOrders.Create and MarketOrders.Execute. The contract is a draft.
type OneM2MService struct{ c *Client }

// Constants of oneM2M services.
const (
	OneM2MProviderKey   = "onem2m"
	OneM2MServiceType   = "device.control"
	OneM2MDeviceProfile = "peaqos.onem2m.device.v1"
	OneM2MOpen          = "OPEN" // the only action
)

// The operations of oneM2M services: three direct reads, two orders.
const (
	opListDevices     = "list-devices"
	opGetDeviceInfo   = "get-device-info"
	opGetLatestData   = "get-latest-data"
	opExecuteAction   = "execute-action"
	opSubscribeEvents = "subscribe-events"
)

// OneM2MReadInput is the input of a read operation; its type selects the operation. It is
// a [OneM2MListDevices], [OneM2MGetDeviceInfo] or [OneM2MGetLatestData].
type OneM2MReadInput interface {
	readOperation() string
	checkInput() error
}

// OneM2MListDevices lists devices, page by page.
type OneM2MListDevices struct {
	Limit  Optional[int]    `json:"limit,omitzero"` // 1 to 500
	Cursor Optional[string] `json:"cursor,omitzero"`
}

// OneM2MGetDeviceInfo describes one device.
type OneM2MGetDeviceInfo struct {
	DeviceID string `json:"deviceId"`
}

// OneM2MGetLatestData reads the latest sample of a resource. Resource is a logical name,
// never a path.
type OneM2MGetLatestData struct {
	DeviceID string `json:"deviceId"`
	Resource string `json:"resource"`
}

func (OneM2MListDevices) readOperation() string   { return opListDevices }
func (OneM2MGetDeviceInfo) readOperation() string { return opGetDeviceInfo }
func (OneM2MGetLatestData) readOperation() string { return opGetLatestData }

func (i OneM2MListDevices) checkInput() error {
	if limit, ok := i.Limit.Get(); ok && (limit < 1 || limit > 500) {
		return &ValidationError{"input.limit", "integer between 1 and 500"}
	}
	if cursor, ok := i.Cursor.Get(); ok {
		return nonBlank("input.cursor", cursor)
	}
	return nil
}

func (i OneM2MGetDeviceInfo) checkInput() error { return nonBlank("input.deviceId", i.DeviceID) }

func (i OneM2MGetLatestData) checkInput() error {
	return cmp.Or(nonBlank("input.deviceId", i.DeviceID), checkResource(i.Resource))
}

func checkResource(name string) error {
	if !logicalName(name, "._-") {
		return &ValidationError{"input.resource", "a logical resource name of 1 to 128 characters, not a path"}
	}
	return nil
}

// logicalName reports whether s is a letter or digit, followed by up to 127 letters,
// digits or characters of others.
func logicalName(s, others string) bool {
	if s == "" || len(s) > 128 {
		return false
	}
	for i, c := range []byte(s) {
		alnum := c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		other := false
		for j := range len(others) {
			other = other || others[j] == c
		}
		if !alnum && (i == 0 || !other) {
			return false
		}
	}
	return true
}

// OneM2MRead is the request of [OneM2MService.Read].
type OneM2MRead struct {
	MachineID      string
	AgentPairingID string
	Input          OneM2MReadInput
}

type oneM2MReadBody struct {
	MachineID      string          `json:"machineId"`
	AgentPairingID string          `json:"agentPairingId"`
	Operation      string          `json:"operation"`
	Input          OneM2MReadInput `json:"input"`
}

func (b oneM2MReadBody) check(identityRefs) error {
	if b.Input == nil {
		return &ValidationError{"input", "an input of a read operation"}
	}
	return cmp.Or(nonBlanks("machineId", b.MachineID, "agentPairingId", b.AgentPairingID), b.Input.checkInput())
}

// OneM2MReadResult is the result of [OneM2MService.Read].
type OneM2MReadResult struct {
	Meta      `json:"-"`
	Service   MarketService   `json:"service"`
	Execution OneM2MExecution `json:"execution"`
}

// Read executes a direct read. It is free and creates no order.
//
// Errors, and codes of a failed outcome: ONEM2M_CSE_UNAVAILABLE,
// ONEM2M_PROTOCOL_ERROR, ONEM2M_TIMEOUT.
//
// POST /market/services/{serviceId}/execute (contract §2.12, §2.18)
func (s *OneM2MService) Read(ctx context.Context, serviceID string, token Secret, in OneM2MRead) (*OneM2MReadResult, error) {
	body := oneM2MReadBody{in.MachineID, in.AgentPairingID, "", in.Input}
	if in.Input != nil {
		body.Operation = in.Input.readOperation()
	}
	res, err := s.c.call(http.MethodPost, "/market/services/{serviceId}/execute", serviceID).pairing(token).json(body).send(ctx)
	if err != nil {
		return nil, err
	}
	out := &OneM2MReadResult{Meta: res.Meta}
	err = res.text(func(text string) error {
		read, err := s.c.directRead(text, body.Operation, true)
		if err == nil {
			out.Service, out.Execution = read.Service, typedExecution(read.Execution, read.result)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// OneM2MOrderInput is the input of an order operation; its type selects the operation. It
// is a [OneM2MExecuteAction] or [OneM2MSubscribeEvents].
type OneM2MOrderInput interface {
	orderOperation() string
	checkInput() error
}

// OneM2MExecuteAction makes a device perform an action. Repeating a CommandID with the same
// input returns the saved result; with another input it is a conflict.
type OneM2MExecuteAction struct {
	DeviceID  string `json:"deviceId"`
	Action    string `json:"action"` // must be set, to OneM2MOpen, the only action
	CommandID string `json:"commandId"`
}

// OneM2MSubscribeEvents subscribes to a resource. [IoTService.Events] streams the events.
type OneM2MSubscribeEvents struct {
	DeviceID   string        `json:"deviceId"`
	Resource   string        `json:"resource"`
	TTLSeconds Optional[int] `json:"ttlSeconds,omitzero"` // 60 to 3600; the server's default is 1800
}

func (OneM2MExecuteAction) orderOperation() string   { return opExecuteAction }
func (OneM2MSubscribeEvents) orderOperation() string { return opSubscribeEvents }

func (i OneM2MExecuteAction) checkInput() error {
	switch {
	case i.Action != OneM2MOpen:
		return &ValidationError{"input.action", `"OPEN"`}
	case !logicalName(i.CommandID, "._:-"):
		return &ValidationError{"input.commandId", "1 to 128 characters matching [A-Za-z0-9][A-Za-z0-9._:-]*"}
	}
	return nonBlank("input.deviceId", i.DeviceID)
}

func (i OneM2MSubscribeEvents) checkInput() error {
	if err := nonBlanks("input.deviceId", i.DeviceID, "input.resource", i.Resource); err != nil {
		return err
	}
	if ttl, ok := i.TTLSeconds.Get(); ok && (ttl < 60 || ttl > 3600) {
		return &ValidationError{"input.ttlSeconds", "integer between 60 and 3600"}
	}
	return nil
}

// OneM2MOrder is the request of [OneM2MService.CreateOrder].
type OneM2MOrder struct {
	MachineID      string
	AgentPairingID string
	ServiceID      string
	Input          OneM2MOrderInput
	SearchID       Optional[string]
	QuoteID        Optional[string]
}

type oneM2MOrderBody struct {
	MachineID      string           `json:"machineId"`
	AgentPairingID string           `json:"agentPairingId"`
	ServiceID      string           `json:"serviceId"`
	Operation      string           `json:"operation"`
	Input          OneM2MOrderInput `json:"input"`
	SearchID       Optional[string] `json:"searchId,omitzero"`
	QuoteID        Optional[string] `json:"quoteId,omitzero"`
}

func (b oneM2MOrderBody) check(identityRefs) error {
	if b.Input == nil {
		return &ValidationError{"input", "an input of an order operation"}
	}
	err := cmp.Or(b.Input.checkInput(), nonBlanks("machineId", b.MachineID, "agentPairingId", b.AgentPairingID, "serviceId", b.ServiceID))
	if id, ok := b.SearchID.Get(); ok && err == nil {
		err = nonBlank("searchId", id)
	}
	if id, ok := b.QuoteID.Get(); ok && err == nil {
		err = nonBlank("quoteId", id)
	}
	return err
}

// CreateOrder orders an action or a subscription. It takes effect with ExecuteOrder.
//
// Errors: ONEM2M_COMMAND_CONFLICT (the CommandID was used with another input), and those of [MarketOrdersService.Create].
//
// POST /market/orders (contract §2.14, §2.18)
func (s *OneM2MService) CreateOrder(ctx context.Context, token Secret, in OneM2MOrder) (*MarketOrder, error) {
	body := oneM2MOrderBody{in.MachineID, in.AgentPairingID, in.ServiceID, "", in.Input, in.SearchID, in.QuoteID}
	if in.Input != nil {
		body.Operation = in.Input.orderOperation()
	}
	return itemWith(ctx, s.c.call(http.MethodPost, "/market/orders").json(body).pairing(token), func(raw string) (MarketOrder, error) {
		order, _, err := s.c.strictOrder(raw)
		return order, err
	})
}

// OneM2MExecutedOrder is the result of [OneM2MService.ExecuteOrder].
type OneM2MExecutedOrder struct {
	Meta      `json:"-"`
	Order     MarketOrder     `json:"order"`
	Execution OneM2MExecution `json:"execution"`
}

// ExecuteOrder executes an order with its stored input. A failed outcome also has HTTP
// status 200: only Execution.Applied reports that the device performed the action. After
// ONEM2M_SUBMISSION_UNKNOWN, check GetOrder before trying again.
//
// Codes of a failed outcome: ONEM2M_ACTION_REJECTED, ONEM2M_ACTION_TIMEOUT,
// ONEM2M_SUBMISSION_UNKNOWN. Errors, and codes of a failed outcome:
// ONEM2M_CSE_UNAVAILABLE, ONEM2M_PROTOCOL_ERROR, ONEM2M_TIMEOUT.
//
// POST /market/orders/{orderId}/execute (contract §2.14)
func (s *OneM2MService) ExecuteOrder(ctx context.Context, orderID string, token Secret) (*OneM2MExecutedOrder, error) {
	res, err := s.c.call(http.MethodPost, "/market/orders/{orderId}/execute", orderID).pairing(token).json(struct{}{}).send(ctx)
	if err != nil {
		return nil, err
	}
	var out ExecutedOrder
	err = res.text(func(body string) error { return s.c.executedOrder(body, orderID, true, &out) })
	if err != nil {
		return nil, err
	}
	native := out.Execution.(*typedNative)
	return &OneM2MExecutedOrder{res.Meta, out.Order, typedExecution(native.NativeExecution, native.result)}, nil
}

// OneM2MStoredOrder is the result of [OneM2MService.GetOrder].
type OneM2MStoredOrder struct {
	Order     MarketOrder      `json:"order"`
	Execution *OneM2MExecution `json:"execution"` // nil until executed
}

// GetOrder returns an order and, once executed, its result.
//
// GET /market/orders/{orderId} (contract §2.14, §2.18)
func (s *OneM2MService) GetOrder(ctx context.Context, orderID string, token Secret) (*OneM2MStoredOrder, error) {
	res, err := s.c.call(http.MethodGet, "/market/orders/{orderId}", orderID).pairing(token).send(ctx)
	if err != nil {
		return nil, err
	}
	out := new(OneM2MStoredOrder)
	err = res.text(func(body string) error {
		order, execution, err := s.c.strictStored(body, orderID)
		out.Order = order
		if execution != nil {
			out.Execution = new(typedExecution(execution.NativeExecution, execution.result))
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	out.Order.Meta = res.Meta
	return out, nil
}
