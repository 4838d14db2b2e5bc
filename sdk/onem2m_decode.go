package sdk

import (
	"cmp"
	"encoding/json"

	"github.com/peaqnetwork/peaqos-agent/sdk/internal/wire"
)

// A response is read in the strict form if its providerKey is onem2m, or if the request was
// a typed one (contract §2.18).

// ofOneM2M reports whether the providerKey of an object is onem2m.
func (c *Client) ofOneM2M(raw string) bool {
	var probe struct {
		ProviderKey wire.Raw `json:"providerKey"`
	}
	return c.codec.Decode(raw, &probe) == nil && probe.ProviderKey == `"`+OneM2MProviderKey+`"`
}

// scopedService reads an entry of a machine's own catalogue.
func (c *Client) scopedService(raw string) (MarketService, error) {
	var out MarketService
	if !c.ofOneM2M(raw) {
		return out, c.codec.Decode(raw, &out)
	}
	return c.strictService(raw)
}

func (c *Client) strictService(raw string) (MarketService, error) {
	out := MarketService{oneM2M: true}
	return out, c.strict.Decode(raw, &out)
}

// plainOrder reads an order in its common form.
func (c *Client) plainOrder(raw string) (MarketOrder, error) {
	var out MarketOrder
	err := c.codec.Decode(raw, &out)
	out.takeInput()
	return out, err
}

// storedInput is the input of a oneM2M order, with exactly the members of its operation.
type storedInput struct {
	DeviceID   string           `json:"deviceId" wire:"req,nonempty"`
	Action     Optional[string] `json:"action,omitzero" wire:"opt"`
	CommandID  Optional[string] `json:"commandId,omitzero" wire:"opt"`
	Resource   Optional[string] `json:"resource,omitzero" wire:"opt"`
	TTLSeconds Optional[int]    `json:"ttlSeconds,omitzero" wire:"opt,int"`
	Extra      ExtraFields      `json:"-" wire:"extra"`
}

func (i *storedInput) fits(operation string) error {
	action := operation == opExecuteAction
	others := action && (i.Resource.IsSet() || i.TTLSeconds.IsSet()) || !action && (i.Action.IsSet() || i.CommandID.IsSet())
	ttl := i.TTLSeconds.Or(60)
	switch {
	case len(i.Extra) > 0 || others:
		return wire.MustBe("an object with the members of its operation, and no others")
	case action && i.Action.Value() != OneM2MOpen:
		return wire.Inside("action", wire.MustBe(OneM2MOpen))
	case action && i.CommandID.Value() == "":
		return wire.Inside("commandId", wire.MustBe("a non-empty string"))
	case !action && i.Resource.Value() == "":
		return wire.Inside("resource", wire.MustBe("a non-empty string"))
	case ttl < 60 || ttl > 3600:
		return wire.Inside("ttlSeconds", wire.MustBe("from 60 to 3600"))
	}
	return nil
}

// strictOrder reads a oneM2M order.
func (c *Client) strictOrder(raw string) (MarketOrder, *storedInput, error) {
	var out MarketOrder
	if err := c.strict.Decode(raw, &out); err != nil {
		return out, nil, err
	}
	input := new(storedInput)
	err := c.strict.Decode(string(out.Input), input)
	if err == nil {
		err = input.fits(out.Operation)
	}
	return out, input, wire.Inside("input", err)
}

// createdOrder reads the response to a plain create. A oneM2M order is checked against the
// strict form, but returned in the common one.
func (c *Client) createdOrder(raw string) (MarketOrder, error) {
	if c.ofOneM2M(raw) {
		if _, _, err := c.strictOrder(raw); err != nil {
			return MarketOrder{}, err
		}
	}
	return c.plainOrder(raw)
}

// oneM2MResult reads and checks the result of an outcome.
func (c *Client) oneM2MResult(outcome Outcome, operation string, stored *storedInput) (OneM2MResult, error) {
	completed := outcome.Status == "completed"
	if !completed && !outcome.ErrorCode.IsSet() {
		return nil, wire.Inside("errorCode", wire.MustBe("a non-empty string"))
	}
	if outcome.Result == nil {
		if completed {
			return nil, wire.Inside("result", wire.MustBe("present"))
		}
		return nil, nil
	}
	var result OneM2MResult
	switch operation {
	case opListDevices:
		result = new(OneM2MDeviceList)
	case opGetDeviceInfo:
		result = new(OneM2MDeviceInfo)
	case opGetLatestData:
		result = new(OneM2MLatestData)
	case opExecuteAction:
		result = new(OneM2MActionResult)
	case opSubscribeEvents:
		result = new(OneM2MSubscribeResult)
	default:
		return nil, wire.MustBe("of a read operation")
	}
	err := c.strict.Decode(string(outcome.Result), result)
	if err == nil {
		err = result.verify(stored, completed)
	}
	return result, wire.Inside("result", err)
}

// typedNative is an execution together with its result.
type typedNative struct {
	NativeExecution
	result OneM2MResult
}

// strictExecution reads the execution of a oneM2M operation. The status code of a stored
// one is ignored.
func (c *Client) strictExecution(raw, operation string, stored *storedInput, saved bool) (*typedNative, error) {
	out := new(typedNative)
	if saved {
		var without savedExecution
		if err := c.strict.Decode(raw, &without); err != nil {
			return nil, err
		}
		out.NativeExecution = NativeExecution{Task: without.Task, Route: without.Route, Run: without.Run, Outcome: without.Outcome}
	} else if err := c.strict.Decode(raw, &out.NativeExecution); err != nil {
		return nil, err
	}
	result, err := c.oneM2MResult(out.Outcome, operation, stored)
	out.result = result
	return out, wire.Inside("outcome", err)
}

// directReadBody is the response to a direct read that is not of oneM2M.
type directReadBody struct {
	Execution struct {
		StatusCode int    `json:"statusCode" wire:"req,int"`
		Task       anyMap `json:"task" wire:"req"`
		Route      anyMap `json:"route" wire:"req"`
		Run        anyMap `json:"run" wire:"req"`
		Outcome    anyMap `json:"outcome" wire:"req"`
	} `json:"execution" wire:"req"`
}

// anyMap is an object whose members are ignored.
type anyMap struct{}

type directReadParts struct {
	Service   MarketService
	Execution NativeExecution
	result    OneM2MResult
}

// directRead reads the response to a direct read (contract §2.12).
func (c *Client) directRead(body, operation string, typed bool) (out directReadParts, err error) {
	var parts struct {
		Service   wire.Raw `json:"service" wire:"req"`
		Execution wire.Raw `json:"execution" wire:"req"`
	}
	if err := c.codec.Decode(body, &parts); err != nil {
		return out, err
	}
	service, execution := string(parts.Service), string(parts.Execution)
	if !typed && !c.ofOneM2M(service) {
		var shape directReadBody
		if err := c.codec.Decode(body, &shape); err != nil {
			return out, err
		}
		if shape.Execution.StatusCode != 200 {
			return out, wire.Inside("execution", wire.Inside("statusCode", wire.MustBe("200")))
		}
		err = cmp.Or(
			wire.Inside("service", c.codec.Decode(service, &out.Service)),
			wire.Inside("execution", c.codec.Decode(execution, &out.Execution)),
		)
		return out, err
	}
	if out.Service, err = c.strictService(service); err != nil {
		return out, wire.Inside("service", err)
	}
	if operation != opListDevices && operation != opGetDeviceInfo && operation != opGetLatestData {
		return out, wire.Inside("execution", wire.MustBe("of a read operation"))
	}
	native, err := c.strictExecution(execution, operation, nil, false)
	if err != nil {
		return out, wire.Inside("execution", err)
	}
	out.Execution, out.result = native.NativeExecution, native.result
	return out, nil
}

// executedOrder reads the response to an execute (contract §2.14).
func (c *Client) executedOrder(body, orderID string, typed bool, out *ExecutedOrder) error {
	var parts struct {
		Order     wire.Raw `json:"order" wire:"req"`
		Execution wire.Raw `json:"execution" wire:"req"`
	}
	if err := c.codec.Decode(body, &parts); err != nil {
		return err
	}
	order, execution := string(parts.Order), string(parts.Execution)
	if typed || c.ofOneM2M(order) {
		native, err := c.strictExecuted(order, execution, orderID, out)
		if err != nil || typed {
			out.Execution = native
			return err
		}
		if out.Order.Operation != opExecuteAction {
			out.Execution = &native.NativeExecution
			return nil
		}
	}
	kind, err := c.executionKind(execution)
	if err != nil {
		return wire.Inside("execution", err)
	}
	if out.Order, err = c.plainOrder(order); err != nil {
		return wire.Inside("order", err)
	}
	out.Execution = kind
	return wire.Inside("execution", c.codec.Decode(execution, kind))
}

func (c *Client) strictExecuted(order, execution, orderID string, out *ExecutedOrder) (*typedNative, error) {
	var input *storedInput
	var err error
	if out.Order, input, err = c.strictOrder(order); err != nil {
		return nil, wire.Inside("order", err)
	}
	if out.Order.ID != orderID {
		return nil, wire.Inside("order", wire.Inside("id", wire.MustBe("the executed orderId")))
	}
	native, err := c.strictExecution(execution, out.Order.Operation, input, false)
	return native, wire.Inside("execution", err)
}

// executionKind selects the type of an execution by its status code.
func (c *Client) executionKind(raw string) (Execution, error) {
	var shape struct {
		StatusCode int      `json:"statusCode" wire:"req,int"`
		Run        wire.Raw `json:"run"`
		Outcome    wire.Raw `json:"outcome"`
		Handoff    wire.Raw `json:"handoff"`
	}
	if err := c.codec.Decode(raw, &shape); err != nil {
		return nil, err
	}
	object := func(r wire.Raw) bool { return r != "" && r[0] == '{' }
	switch {
	case shape.StatusCode == 200 && object(shape.Run) && object(shape.Outcome):
		return new(NativeExecution), nil
	case shape.StatusCode == 202 && object(shape.Handoff):
		return new(HandoffExecution), nil
	}
	return nil, wire.MustBe("native (200, with run and outcome) or a handoff (202)")
}

// storedOrder reads the response to a get.
func (c *Client) storedOrder(body, orderID string, scoped bool) (*StoredOrder, error) {
	var envelope struct {
		Item wire.Raw `json:"item" wire:"req"`
	}
	if err := c.codec.Decode(body, &envelope); err != nil {
		return nil, err
	}
	if !scoped || !c.ofOneM2M(string(envelope.Item)) {
		order, err := c.plainOrder(string(envelope.Item))
		return &StoredOrder{MarketOrder: order}, wire.Inside("item", err)
	}
	order, execution, err := c.strictStored(body, orderID)
	out := &StoredOrder{MarketOrder: order}
	if execution != nil {
		out.Execution = &execution.NativeExecution
	}
	return out, err
}

func (c *Client) strictStored(body, orderID string) (MarketOrder, *typedNative, error) {
	var envelope struct {
		Item      wire.Raw `json:"item" wire:"req"`
		Execution wire.Raw `json:"execution" wire:"opt"`
	}
	if err := c.codec.Decode(body, &envelope); err != nil {
		return MarketOrder{}, nil, err
	}
	order, input, err := c.strictOrder(string(envelope.Item))
	switch {
	case err != nil:
		return order, nil, wire.Inside("item", err)
	case order.ID != orderID:
		return order, nil, wire.Inside("item", wire.Inside("id", wire.MustBe("the requested orderId")))
	case envelope.Execution == "":
		return order, nil, nil
	}
	native, err := c.strictExecution(string(envelope.Execution), order.Operation, input, true)
	return order, native, wire.Inside("execution", err)
}

// savedExecution is an execution as the server stores it.
type savedExecution struct {
	Task    json.RawMessage `json:"task" wire:"req,object"`
	Route   json.RawMessage `json:"route" wire:"req,object"`
	Run     Run             `json:"run" wire:"req"`
	Outcome Outcome         `json:"outcome" wire:"req"`
}

func typedExecution(e NativeExecution, result OneM2MResult) OneM2MExecution {
	return OneM2MExecution{
		StatusCode: e.StatusCode, Task: e.Task, Route: e.Route, Run: e.Run,
		Outcome: OneM2MOutcome{e.Outcome.Status, result, e.Outcome.ErrorCode.Value(), e.Outcome.ErrorMessage.Value()},
	}
}
