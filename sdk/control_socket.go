package sdk

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/coder/websocket"

	"github.com/peaqnetwork/peaqos-agent/sdk/internal/wire"
)

// maxControlFrame is the maximum size of one message, in bytes. Bulk data is never sent
// over the control socket.
const maxControlFrame = 1 << 20

// ControlSocketOptions are the credentials of the machine agent that connects.
type ControlSocketOptions struct {
	AgentID    Optional[string]
	AgentToken Optional[Secret]
	// MaxMessage is the maximum size of one message, in bytes; 0 is 1 MiB. The socket
	// ends at a larger one.
	MaxMessage int64
}

// ControlSocket is a connection on which the orchestrator notifies a machine's agent of
// events (contract §2.8). Use it from one goroutine at a time, except Send, Ping and Close.
type ControlSocket struct {
	machineID string
	conn      *websocket.Conn
	codec     *wire.Codec
}

// SocketError is a control socket that could not be opened, or that failed. If the
// server responded to the handshake with an error, it wraps an APIError.
type SocketError struct {
	MachineID string
	Reason    string // may contain text of the server
	Err       error  // the cause
	CloseCode int    // with which the server closed the socket; 0 if it did not
}

func (e *SocketError) Error() string {
	return fmt.Sprintf("control socket of %s: %s", wire.OneLine(e.MachineID), wire.OneLine(e.Reason))
}

// Unwrap returns the cause.
func (e *SocketError) Unwrap() error { return e.Err }

// LogValue makes slog print Error.
func (e *SocketError) LogValue() slog.Value { return slog.StringValue(e.Error()) }

// ControlFrameError is one message that could not be read. The socket stays open.
type ControlFrameError struct{ Reason string }

func (e *ControlFrameError) Error() string { return "a control message was skipped: " + e.Reason }

// ConnectControlSocket opens the control socket of a machine. The orchestrator sends the
// first message, a *ControlConnected. The handshake may take 30 s. The socket does not
// reconnect. The credentials are sent in headers; the API key is not sent.
//
// It is a function rather than a method, so that a program that does not use it does not
// link a WebSocket library.
//
// Errors: *ValidationError, *SocketError.
//
// GET /machines/{machineId}/control-socket, as a WebSocket (contract §2.8)
func ConnectControlSocket(ctx context.Context, c *Client, machineID string, o ControlSocketOptions) (*ControlSocket, error) {
	r := c.call(http.MethodGet, "/machines/{machineId}/control-socket", machineID)
	if r.err != nil {
		return nil, r.err
	}
	r.token = o.AgentToken.Value()
	header := http.Header{}
	header.Set("User-Agent", c.userAgent)
	for name, value := range map[string]string{headerAgentID: o.AgentID.Value(), headerAgentToken: o.AgentToken.Value().Reveal()} {
		if value == "" {
			continue
		}
		if err := headerValue(name, value); err != nil {
			return nil, err
		}
		header.Set(name, latin1(value))
	}
	ctx, cancel := context.WithTimeout(ctx, getTimeout)
	defer cancel()
	conn, res, err := websocket.Dial(ctx, c.base.at(r.decoded, r.escaped, "").String(), &websocket.DialOptions{
		HTTPHeader: header,
		HTTPClient: &http.Client{
			Transport:     c.transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	})
	if err != nil {
		return nil, r.socketError(machineID, res, err)
	}
	conn.SetReadLimit(cmp.Or(o.MaxMessage, maxControlFrame))
	return &ControlSocket{machineID: machineID, conn: conn, codec: newCodec(false)}, nil
}

// socketError distinguishes the server's response from a connection that failed.
func (r *call) socketError(machineID string, res *http.Response, err error) error {
	fault := &SocketError{MachineID: machineID, Reason: err.Error(), Err: err}
	if res == nil || res.StatusCode == http.StatusSwitchingProtocols {
		return fault
	}
	body := ""
	if res.Body != nil {
		text, _ := io.ReadAll(io.LimitReader(res.Body, maxErrorBody))
		body = string(text)
	}
	meta := Meta{res.StatusCode, dateOf(res.Header)}
	if meta.Status < 300 {
		fault.Reason = fmt.Sprintf("HTTP %d, expected a WebSocket", meta.Status)
		return fault
	}
	fault.Err = r.refusal(res, meta, body)
	fault.Reason = fault.Err.Error()
	return fault
}

// ControlMessage is one message from the orchestrator: a *ControlConnected, *ControlAck,
// *ControlNotification, or *ControlUnknown for a type that this package does not know.
type ControlMessage interface{ controlMessage() }

// ControlConnected is the first message of a socket.
type ControlConnected struct {
	MachineID string `json:"machineId"`
	AgentID   string `json:"agentId"`
	CreatedAt string `json:"createdAt"`
}

// ControlAck acknowledges a message that was sent.
type ControlAck struct {
	MessageType string `json:"messageType"`
	CreatedAt   string `json:"createdAt"`
}

// ControlNotification is an event. Of the nine payloads, only that of
// purchase.payment_proof.recorded is documented: see [PaymentRecorded].
type ControlNotification struct {
	Type      string          `json:"type"`
	Payload   json.RawMessage `json:"payload" wire:"optnull,object"`
	CreatedAt string          `json:"createdAt"`
	// Raw is the whole message as it was received.
	Raw json.RawMessage `json:"-"`
}

// ControlUnknown is a message of an unknown type.
type ControlUnknown struct {
	Type string
	Raw  json.RawMessage
}

// String is the type, and the payload without the values of sensitive members.
func (n ControlNotification) String() string {
	return wire.OneLine(n.Type) + " " + string(wire.Shown(n.Payload))
}

// GoString is String.
func (n ControlNotification) GoString() string { return "sdk.ControlNotification(" + n.String() + ")" }

// LogValue makes slog print String.
func (n ControlNotification) LogValue() slog.Value { return slog.StringValue(n.String()) }

// String is the message without the values of sensitive members.
func (u ControlUnknown) String() string { return string(wire.Shown(u.Raw)) }

// GoString is String.
func (u ControlUnknown) GoString() string { return "sdk.ControlUnknown(" + u.String() + ")" }

// LogValue makes slog print String.
func (u ControlUnknown) LogValue() slog.Value { return slog.StringValue(u.String()) }

func (*ControlConnected) controlMessage()    {}
func (*ControlAck) controlMessage()          {}
func (*ControlNotification) controlMessage() {}
func (*ControlUnknown) controlMessage()      {}

// The notifications of the control socket.
const (
	NotifyPurchaseCreated      = "purchase.created"
	NotifyPaymentProofRecorded = "purchase.payment_proof.recorded"
	NotifyDeliveryAccessed     = "purchase.delivery.accessed"
	NotifyDeliveryStarted      = "purchase.delivery.started"
	NotifyDeliveryCompleted    = "purchase.delivery.completed"
	NotifyDeliveryFailed       = "purchase.delivery.failed"
	NotifyBuyerConnected       = "purchase.buyer.connected"
	NotifySellerReady          = "purchase.seller.ready"
	NotifySellerOffline        = "purchase.seller.offline"
)

func notifications() []string {
	return []string{
		NotifyPurchaseCreated, NotifyPaymentProofRecorded, NotifyDeliveryAccessed, NotifyDeliveryStarted,
		NotifyDeliveryCompleted, NotifyDeliveryFailed, NotifyBuyerConnected, NotifySellerReady, NotifySellerOffline,
	}
}

// PaymentRecorded is the payload of NotifyPaymentProofRecorded, after which the seller
// calls [PurchasesService.PrepareAccess].
type PaymentRecorded struct {
	PurchaseID     string `json:"purchaseId"`
	Rail           string `json:"rail"`
	Reference      string `json:"reference"`
	PaymentStatus  string `json:"paymentStatus"`
	DeliveryStatus string `json:"deliveryStatus"`
}

// Messages returns the messages until the socket or ctx ends. A *ControlFrameError
// concerns one message, and the loop may continue; any other error is the last item. A
// socket that is closed normally ends without an error. A ping of the orchestrator is
// answered when the loop asks for the next message, so its answer shows that the loop has
// handled everything before it.
func (s *ControlSocket) Messages(ctx context.Context) iter.Seq2[ControlMessage, error] {
	return func(yield func(ControlMessage, error) bool) {
		for {
			kind, text, err := s.conn.Read(ctx)
			if err != nil {
				if websocket.CloseStatus(err) != websocket.StatusNormalClosure {
					fault := &SocketError{MachineID: s.machineID, Reason: err.Error(), Err: cmp.Or(ctx.Err(), err)}
					fault.CloseCode = max(int(websocket.CloseStatus(err)), 0)
					yield(nil, fault)
				}
				return
			}
			var message ControlMessage
			if kind != websocket.MessageText {
				err = &ControlFrameError{"not text"}
			} else {
				message, err = controlMessage(s.codec, string(text))
			}
			if !yield(message, err) {
				return
			}
		}
	}
}

// controlMessage reads one message.
func controlMessage(k *wire.Codec, text string) (ControlMessage, error) {
	var kind struct {
		Type string `json:"type" wire:"req"`
	}
	if !wire.Valid(text) {
		return nil, &ControlFrameError{"not JSON"}
	}
	err := k.Decode(text, &kind)
	var message ControlMessage
	switch {
	case err != nil:
	case kind.Type == "control.connected":
		message = new(ControlConnected)
	case kind.Type == "control.ack":
		message = new(ControlAck)
	case slices.Contains(notifications(), kind.Type):
		message = new(ControlNotification)
	default:
		return &ControlUnknown{kind.Type, json.RawMessage(text)}, nil
	}
	if err == nil {
		err = k.Decode(text, message)
	}
	var shape *wire.ShapeError
	if errors.As(err, &shape) {
		return nil, &ControlFrameError{shape.Error()}
	}
	if n, ok := message.(*ControlNotification); ok {
		n.Raw = json.RawMessage(text)
	}
	return message, nil
}

// Send sends one JSON object. The orchestrator replies with a *ControlAck. Which messages
// it understands is not documented.
func (s *ControlSocket) Send(ctx context.Context, message json.RawMessage) error {
	if !wire.IsObject(string(message)) {
		return &ValidationError{"message", "a JSON object"}
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if err := s.conn.Write(ctx, websocket.MessageText, message); err != nil {
		return &SocketError{MachineID: s.machineID, Reason: err.Error(), Err: err}
	}
	return nil
}

// Ping checks that the orchestrator still responds. Call it while another goroutine reads
// Messages, which is where the response arrives. Errors: *SocketError.
func (s *ControlSocket) Ping(ctx context.Context) error {
	if err := s.conn.Ping(ctx); err != nil {
		return &SocketError{MachineID: s.machineID, Reason: err.Error(), Err: cmp.Or(ctx.Err(), err)}
	}
	return nil
}

// CloseNow ends the socket without waiting for the orchestrator.
func (s *ControlSocket) CloseNow() error { return s.conn.CloseNow() }

// Close closes the socket with a normal closure.
func (s *ControlSocket) Close() error { return s.conn.Close(websocket.StatusNormalClosure, "") }
