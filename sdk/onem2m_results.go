package sdk

import (
	"encoding/json"
	"strings"
	"unicode"

	"github.com/peaqnetwork/peaqos-agent/sdk/internal/wire"
)

// OneM2MExecution is an execution with a typed result.
type OneM2MExecution struct {
	StatusCode int             `json:"statusCode"` // 0 in a stored execution
	Task       json.RawMessage `json:"task"`
	Route      json.RawMessage `json:"route"`
	Run        Run             `json:"run"`
	Outcome    OneM2MOutcome   `json:"outcome"`
}

// OneM2MOutcome is the outcome of an execution.
type OneM2MOutcome struct {
	Status       string       `json:"status"` // completed, failed
	Result       OneM2MResult `json:"result"` // nil if a failed execution has none
	ErrorCode    string       `json:"errorCode"`
	ErrorMessage string       `json:"errorMessage"`
}

// Applied reports whether an action was performed: the outcome is completed, and the
// device applied the command.
func (e *OneM2MExecution) Applied() bool {
	action, ok := e.Outcome.Result.(*OneM2MActionResult)
	return ok && e.Outcome.Status == "completed" && action.Status == "applied"
}

// OneM2MResult is the result of an operation: a *OneM2MDeviceList, *OneM2MDeviceInfo,
// *OneM2MLatestData, *OneM2MActionResult or *OneM2MSubscribeResult.
type OneM2MResult interface {
	// verify checks what tags cannot express: members that must be consistent.
	verify(stored *storedInput, completed bool) error
}

// OneM2MDevice is one device.
type OneM2MDevice struct {
	ID           string           `json:"id" wire:"req,nonempty"`
	Name         string           `json:"name" wire:"req,nonempty"`
	Location     string           `json:"location" wire:"req,nonempty"`
	Type         string           `json:"type" wire:"req" enum:"occupancy-sensor environmental-sensor smart-door"`
	Profile      string           `json:"profile" wire:"req" enum:"peaqos.onem2m.device.v1"`
	Availability string           `json:"availability" wire:"req" enum:"available unavailable unknown"`
	Resources    []OneM2MResource `json:"resources" wire:"req"`
	Actions      []OneM2MAction   `json:"actions" wire:"req"`
	Extra        ExtraFields      `json:"-" wire:"extra"`
}

// OneM2MResource is a readable resource of a device.
type OneM2MResource struct {
	Name        string          `json:"name" wire:"req,nonempty"`
	ValueSchema json.RawMessage `json:"valueSchema" wire:"req,object"`
	Units       *OneM2MUnits    `json:"units" wire:"opt"`
	Extra       ExtraFields     `json:"-" wire:"extra"`
}

// OneM2MAction is an action that a device can perform.
type OneM2MAction struct {
	Name  string      `json:"name" wire:"req" enum:"OPEN"`
	Extra ExtraFields `json:"-" wire:"extra"`
}

// OneM2MUnits are the units of a value: one for the whole value, or one for each member.
type OneM2MUnits struct {
	Whole    string
	ByMember map[string]string
}

func (u *OneM2MUnits) decodeWire(k *wire.Codec, raw string) error {
	switch raw[0] {
	case '"':
		if err := k.Decode(raw, &u.Whole); err != nil || u.Whole != "" {
			return err
		}
		return wire.MustBe("a non-empty string")
	case '{':
		return k.Decode(raw, &u.ByMember)
	}
	return wire.MustBe("a non-empty string or an object of strings")
}

func (u *OneM2MUnits) wireForm() any {
	if u.ByMember != nil {
		return u.ByMember
	}
	return u.Whole
}

// OneM2MSource is the origin of a sample.
type OneM2MSource struct {
	CSEID      string           `json:"cseId" wire:"req,nonempty"`
	ResourceID string           `json:"resourceId" wire:"req,nonempty"`
	Version    Optional[string] `json:"version,omitzero" wire:"opt,nonempty"`
	Extra      ExtraFields      `json:"-" wire:"extra"`
}

// OneM2MSample is one value of a resource. Value is any JSON; nil is null.
type OneM2MSample struct {
	DeviceID   string           `json:"deviceId" wire:"req,nonempty"`
	Resource   string           `json:"resource" wire:"req,nonempty"`
	Value      json.RawMessage  `json:"value" wire:"null"`
	ObservedAt string           `json:"observedAt" wire:"req"` // RFC 3339
	ReceivedAt string           `json:"receivedAt" wire:"req"`
	Source     OneM2MSource     `json:"source" wire:"req"`
	Units      *OneM2MUnits     `json:"units" wire:"opt"`
	CommandID  Optional[string] `json:"commandId,omitzero" wire:"optnull,nonempty"`
	Extra      ExtraFields      `json:"-" wire:"extra"`
}

// OneM2MDeviceList is one page of devices.
type OneM2MDeviceList struct {
	Items      []OneM2MDevice   `json:"items" wire:"req"`
	NextCursor Optional[string] `json:"nextCursor,omitzero" wire:"opt"`
	Extra      ExtraFields      `json:"-" wire:"extra"`
}

// OneM2MDeviceInfo describes a device.
type OneM2MDeviceInfo struct {
	Device OneM2MDevice `json:"device" wire:"req"`
	Extra  ExtraFields  `json:"-" wire:"extra"`
}

// OneM2MLatestData is the latest sample of a resource, if there is one.
type OneM2MLatestData struct {
	DeviceID     string        `json:"deviceId" wire:"req,nonempty"`
	Resource     string        `json:"resource" wire:"req,nonempty"`
	Availability string        `json:"availability" wire:"req" enum:"present empty"`
	Sample       *OneM2MSample `json:"sample" wire:"null"` // nil when empty
	Extra        ExtraFields   `json:"-" wire:"extra"`
}

// OneM2MAcknowledgement is a device's response to a command.
type OneM2MAcknowledgement struct {
	CommandID  string       `json:"commandId" wire:"req"`
	Status     string       `json:"status" wire:"req" enum:"applied rejected"`
	ObservedAt string       `json:"observedAt" wire:"req"`
	Source     OneM2MSource `json:"source" wire:"req"`
	Extra      ExtraFields  `json:"-" wire:"extra"`
}

// OneM2MActionResult is the result of an action. If it was not applied, the fields of the
// steps that were not reached are nil or empty.
type OneM2MActionResult struct {
	DeviceID        string                 `json:"deviceId" wire:"req"`
	CommandID       string                 `json:"commandId" wire:"req"`
	Action          string                 `json:"action" wire:"req"`
	Status          string                 `json:"status" wire:"req" enum:"applied rejected timed-out unknown"`
	SubmittedAt     string                 `json:"submittedAt" wire:"null"`
	ExpiresAt       string                 `json:"expiresAt" wire:"req"`
	Acknowledgement *OneM2MAcknowledgement `json:"acknowledgement" wire:"null"`
	State           *OneM2MSample          `json:"state" wire:"null"`
	Extra           ExtraFields            `json:"-" wire:"extra"`
	submitted       bool
}

// OneM2MSubscribeResult is a new subscription and the path of its events.
type OneM2MSubscribeResult struct {
	Subscription    IoTSubscription  `json:"subscription" wire:"req"`
	InitialSnapshot OneM2MLatestData `json:"initialSnapshot" wire:"req"`
	EventsEndpoint  string           `json:"eventsEndpoint" wire:"req"` // a path; not needed for IoT.Events
	Extra           ExtraFields      `json:"-" wire:"extra"`
}

func (*OneM2MDeviceList) verify(*storedInput, bool) error { return nil }
func (*OneM2MDeviceInfo) verify(*storedInput, bool) error { return nil }

func (r *OneM2MLatestData) verify(*storedInput, bool) error {
	if (r.Availability == "present") != (r.Sample != nil) {
		return wire.Inside("sample", wire.MustBe("present if availability is present, and null if it is empty"))
	}
	return nil
}

func (r *OneM2MActionResult) verify(stored *storedInput, completed bool) error {
	for _, pair := range []struct{ name, have, want string }{
		{"deviceId", r.DeviceID, stored.DeviceID},
		{"commandId", r.CommandID, stored.CommandID.Value()},
		{"action", r.Action, stored.Action.Value()},
	} {
		if pair.have != pair.want {
			return wire.Inside(pair.name, wire.MustBe("equal to the one in the order's input"))
		}
	}
	if r.Status != "applied" {
		if completed {
			return wire.Inside("status", wire.MustBe("applied, because the outcome is completed"))
		}
		if r.Acknowledgement != nil && r.Acknowledgement.CommandID != r.CommandID {
			return wire.Inside("acknowledgement", wire.Inside("commandId", wire.MustBe("equal to that of the command")))
		}
		return nil
	}
	return r.verifyApplied()
}

func (r *OneM2MActionResult) verifyApplied() error {
	switch ack, state := r.Acknowledgement, r.State; {
	case !r.submitted:
		return wire.Inside("submittedAt", wire.MustBe("a string"))
	case ack == nil || ack.Status != "applied" || ack.CommandID != r.CommandID:
		return wire.Inside("acknowledgement", wire.MustBe("for this command, with the status applied"))
	case state == nil || state.Resource != "state" || string(state.Value) != `"OPEN"`:
		return wire.Inside("state", wire.MustBe("a sample of state with the value OPEN"))
	case state.CommandID.Value() != r.CommandID || state.DeviceID != r.DeviceID:
		return wire.Inside("state", wire.MustBe("for this command and device"))
	}
	return nil
}

// decodeWire records whether submittedAt was null.
func (r *OneM2MActionResult) decodeWire(k *wire.Codec, raw string) error {
	type plain OneM2MActionResult
	if err := k.Decode(raw, (*plain)(r)); err != nil {
		return err
	}
	var probe struct {
		SubmittedAt wire.Raw `json:"submittedAt"`
	}
	err := k.Decode(raw, &probe)
	r.submitted = probe.SubmittedAt != ""
	return err
}

func (r *OneM2MSubscribeResult) verify(*storedInput, bool) error {
	s := r.Subscription
	if s.Status != IoTActive {
		return wire.Inside("subscription", wire.Inside("status", wire.MustBe("active")))
	}
	if !eventsRoute(r.EventsEndpoint) {
		return wire.Inside("eventsEndpoint", wire.MustBe("the relative event route of a subscription"))
	}
	return wire.Inside("initialSnapshot", r.InitialSnapshot.verify(nil, true))
}

// eventsRoute reports whether s is /api/v1/machines/<id>/iot/events?subscriptionId=<id>.
func eventsRoute(s string) bool {
	rest, ok1 := strings.CutPrefix(s, apiPrefix+"/machines/")
	machine, subscription, ok2 := strings.Cut(rest, "/iot/events?subscriptionId=")
	id := func(s, not string) bool {
		return s != "" && !strings.ContainsAny(s, not) && !strings.ContainsFunc(s, unicode.IsSpace)
	}
	return ok1 && ok2 && id(machine, "/?#") && id(subscription, "/?&#")
}
