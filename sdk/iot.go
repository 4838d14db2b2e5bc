package sdk

import (
	"cmp"
	"context"
	"encoding/json"
	"iter"
	"net/http"
	"time"

	"github.com/peaqnetwork/peaqos-agent/sdk/internal/wire"
)

// IoTService lists and deletes subscriptions to device events, and streams the events
// (contract §2.17 and §2.19). A subscription is created by an order: see
// [OneM2MService.CreateOrder]. The contract is a draft.
type IoTService struct{ c *Client }

// IoTStatus is the state of a subscription.
type IoTStatus string

// The states of a subscription. Only ExpiresAt says when its lease ends.
const (
	IoTPending  IoTStatus = "pending"
	IoTActive   IoTStatus = "active"
	IoTDeleting IoTStatus = "deleting"
	IoTDeleted  IoTStatus = "deleted"
	IoTExpired  IoTStatus = "expired"
	IoTFailed   IoTStatus = "failed"
)

// IoTSubscription is a subscription to a device's events, with a lease.
type IoTSubscription struct {
	Meta           `json:"-"`
	ID             string      `json:"id" wire:"req,nonempty"`
	MachineID      string      `json:"machineId" wire:"req,nonempty"`
	AgentPairingID string      `json:"agentPairingId" wire:"req,nonempty"`
	ServiceID      string      `json:"serviceId" wire:"req,nonempty"`
	DeviceID       string      `json:"deviceId" wire:"req,nonempty"`
	Resource       string      `json:"resource" wire:"req,nonempty"`
	Status         IoTStatus   `json:"status" wire:"req" enum:"pending active deleting deleted expired failed"`
	CreatedAt      string      `json:"createdAt" wire:"req,nonempty"`
	UpdatedAt      string      `json:"updatedAt" wire:"req,nonempty"`
	ExpiresAt      string      `json:"expiresAt" wire:"req,nonempty"`
	Cleanup        IoTCleanup  `json:"cleanup" wire:"req"`
	Extra          ExtraFields `json:"-" wire:"extra"`
}

// IoTCleanup is the state of the cleanup at the device.
type IoTCleanup struct {
	Status        string           `json:"status" wire:"req" enum:"not-required pending completed failed"`
	LastAttemptAt Optional[string] `json:"lastAttemptAt,omitzero" wire:"optnull,nonempty"`
	ErrorCode     Optional[string] `json:"errorCode,omitzero" wire:"optnull,nonempty"`
	Extra         ExtraFields      `json:"-" wire:"extra"`
}

// Subscriptions returns one page of a machine's subscriptions, including ended ones. A
// cursor is valid only for the same caller and page size.
//
// GET /machines/{machineId}/iot/subscriptions (contract §2.17)
func (s *IoTService) Subscriptions(ctx context.Context, machineID string, token Secret, o ListOptions) (*Page[IoTSubscription], error) {
	r := s.c.call(http.MethodGet, "/machines/{machineId}/iot/subscriptions", machineID).pairing(token).page(o)
	if cursor, ok := o.Cursor.Get(); ok && r.err == nil {
		r.err = nonBlank("cursor", cursor)
	}
	return list[IoTSubscription](ctx, r)
}

// AllSubscriptions iterates over the subscriptions of all pages.
//
// GET /machines/{machineId}/iot/subscriptions (contract §2.17)
func (s *IoTService) AllSubscriptions(
	ctx context.Context, machineID string, token Secret, o ListOptions,
) iter.Seq2[IoTSubscription, error] {
	return each(o, func(o ListOptions) (*Page[IoTSubscription], error) { return s.Subscriptions(ctx, machineID, token, o) })
}

// DeleteSubscription ends a subscription and returns its final state: deleted or expired,
// with its cleanup completed. Any other state is an INVALID_RESPONSE_SHAPE error.
//
// DELETE /machines/{machineId}/iot/subscriptions/{subscriptionId} (contract §2.17)
func (s *IoTService) DeleteSubscription(ctx context.Context, machineID, subscriptionID string, token Secret) (*IoTSubscription, error) {
	r := s.c.call(http.MethodDelete, "/machines/{machineId}/iot/subscriptions/{subscriptionId}", machineID, subscriptionID)
	res, err := r.pairing(token).send(ctx)
	if err != nil {
		return nil, err
	}
	if res.Status != http.StatusOK {
		return nil, res.fault(CodeInvalidResponseShape, "expected HTTP 200")
	}
	out := &IoTSubscription{Meta: res.Meta}
	err = res.text(func(body string) error {
		if err := s.c.codec.Member(body, "item", out); err != nil {
			return err
		}
		if (out.Status != IoTDeleted && out.Status != IoTExpired) || out.Cleanup.Status != "completed" {
			return wire.Inside("item", wire.MustBe("deleted or expired, and cleaned up"))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// IoTEvent is one frame of the event stream: an *IoTData, *IoTSubscriptionEvent or
// *IoTStreamError.
type IoTEvent interface {
	// Event is the event type of the frame, such as iot.data.
	Event() string
	// FrameID is the value of LastEventID with which to resume after this frame; empty
	// for an *IoTStreamError.
	FrameID() string
}

// IoTData is a sample from a device.
type IoTData struct {
	EventID        string       `json:"eventId" wire:"req,nonempty"`
	MachineID      string       `json:"machineId" wire:"req,nonempty"`
	SubscriptionID string       `json:"subscriptionId" wire:"req,nonempty"`
	DeviceID       string       `json:"deviceId" wire:"req,nonempty"`
	Resource       string       `json:"resource" wire:"req,nonempty"`
	Kind           string       `json:"kind" wire:"req" enum:"notification snapshot"`
	Stale          bool         `json:"stale" wire:"req"`
	Sample         OneM2MSample `json:"sample" wire:"req"`
	CreatedAt      string       `json:"createdAt" wire:"req,nonempty"`
	Extra          ExtraFields  `json:"-" wire:"extra"`
}

// IoTSubscriptionEvent is a change of the subscription.
type IoTSubscriptionEvent struct {
	EventID      string          `json:"eventId" wire:"req,nonempty"`
	MachineID    string          `json:"machineId" wire:"req,nonempty"`
	Subscription IoTSubscription `json:"subscription" wire:"req"`
	CreatedAt    string          `json:"createdAt" wire:"req,nonempty"`
	Extra        ExtraFields     `json:"-" wire:"extra"`
}

// IoTStreamError is the last frame of a stream that the server ends with an error.
type IoTStreamError struct {
	Fault IoTFault    `json:"error" wire:"req"`
	Extra ExtraFields `json:"-" wire:"extra"`
}

// IoTFault is the reason that a stream ended. It prints as its code only: the server may
// echo secrets in the other fields.
type IoTFault struct {
	Code    string          `json:"code" wire:"req,nonempty"`
	Message string          `json:"message" wire:"req,nonempty"`
	Details json.RawMessage `json:"details"`
}

// String is the code.
func (f IoTFault) String() string { return wire.OneLine(f.Code) }

// GoString is the code.
func (f IoTFault) GoString() string { return "sdk.IoTFault(" + wire.OneLine(f.Code) + ")" }

// MarshalText is the code.
func (f IoTFault) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// Event is iot.data.
func (*IoTData) Event() string { return eventData }

// Event is iot.subscription.
func (*IoTSubscriptionEvent) Event() string { return eventSubscription }

// Event is iot.error.
func (*IoTStreamError) Event() string { return eventError }

// FrameID is the event's id.
func (e *IoTData) FrameID() string { return e.EventID }

// FrameID is the event's id.
func (e *IoTSubscriptionEvent) FrameID() string { return e.EventID }

// FrameID is empty: a stream cannot be resumed after an error.
func (*IoTStreamError) FrameID() string { return "" }

// IoTEventOptions selects the events to stream.
type IoTEventOptions struct {
	SubscriptionID Optional[string] // one subscription; all of the caller's if unset
	// LastEventID resumes after that frame. If unset, the server first sends the events
	// that it has retained. IOT_REPLAY_UNAVAILABLE (410) means: start without it.
	LastEventID Optional[string]
	// IdleTimeout is the longest time without data, 15.001 s to 300 s; 30 s if unset. The
	// server sends a heartbeat every 15 s.
	IdleTimeout Optional[time.Duration]
}

func (o IoTEventOptions) check() error {
	if id, ok := o.LastEventID.Get(); ok {
		if err := cmp.Or(nonBlank("lastEventId", id), headerText("lastEventId", id)); err != nil {
			return err
		}
	}
	if id, ok := o.SubscriptionID.Get(); ok {
		if err := nonBlank("subscriptionId", id); err != nil {
			return err
		}
	}
	if idle := o.idle(); idle < 15001*time.Millisecond || idle > 300*time.Second {
		return &ValidationError{"timeoutMs", "integer between 15001 and 300000"}
	}
	return nil
}

func (o IoTEventOptions) idle() time.Duration { return o.IdleTimeout.Or(30 * time.Second) }

// Events streams a machine's events. The stream is opened when iteration starts. It does
// not reconnect: see Listen, which does. Leaving the loop closes the stream, not the
// subscription, and so does the end of ctx.
//
// A stream that the server ends between two events ends without an error. One that breaks
// ends with a NetworkError, after every event that arrived whole.
//
// Errors: IOT_REPLAY_UNAVAILABLE (LastEventID is no longer retained: start without it).
// If the server ends the stream with an error, the last event is an *IoTStreamError.
//
// GET /machines/{machineId}/iot/events (contract §2.19)
func (s *IoTService) Events(ctx context.Context, machineID string, token Secret, o IoTEventOptions) iter.Seq2[IoTEvent, error] {
	return func(yield func(IoTEvent, error) bool) {
		r := s.c.call(
			http.MethodGet, "/machines/{machineId}/iot/events", machineID,
		).pairing(token).param("subscriptionId", o.SubscriptionID)
		if r.err == nil {
			r.err = o.check()
		}
		r.lastEventID = o.LastEventID
		done := false
		err := r.stream(ctx, o.idle(), func(f sseFrame) (bool, error) {
			event, err := s.c.iotEvent(f)
			if err != nil || event == nil {
				return err == nil, err
			}
			_, last := event.(*IoTStreamError)
			done = !yield(event, nil)
			return !done && !last, nil
		})
		if err != nil && !done {
			yield(nil, err)
		}
	}
}

const (
	eventData         = "iot.data"
	eventSubscription = "iot.subscription"
	eventError        = "iot.error"
)

// iotEvent reads one frame. It returns nil for an unknown event type.
func (c *Client) iotEvent(f sseFrame) (IoTEvent, error) {
	var event IoTEvent
	switch f.event {
	case eventData:
		event = new(IoTData)
	case eventSubscription:
		event = new(IoTSubscriptionEvent)
	case eventError:
		if f.hasID {
			return nil, wire.Inside("id", wire.MustBe("absent on an error"))
		}
		event = new(IoTStreamError)
	default:
		return nil, nil
	}
	if !wire.Valid(f.data) {
		return nil, wire.Inside("data", wire.MustBe("JSON"))
	}
	if err := c.codec.Decode(f.data, event); err != nil {
		return nil, wire.Inside("data", err)
	}
	if f.event != eventError && (f.id != event.FrameID() || f.badID) {
		return nil, wire.Inside("id", wire.MustBe("equal to data.eventId"))
	}
	return event, nil
}
