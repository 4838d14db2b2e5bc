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
	"os"
	"slices"
	"strings"
	"sync/atomic"
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

// A socket on which no message arrives is checked with a ping after pingAfter. If there is no
// pong within pongWithin, the peer is gone.
const (
	pingAfter  = 25 * time.Second
	pongWithin = 25 * time.Second
)

// ControlSocket is a connection on which the orchestrator notifies a machine's agent of
// events (contract §2.8). Use it from one goroutine at a time, except Send and Close.
type ControlSocket struct {
	machineID             string
	conn                  *websocket.Conn
	codec                 *wire.Codec
	clean                 func(string) string // removes the agent's token from what the server sends
	closed                atomic.Bool
	pingAfter, pongWithin time.Duration
}

// SocketError is a control socket that could not be opened, or that failed. If the
// server responded to the handshake with an error, it wraps an APIError; if the connection
// failed, a NetworkError.
//
// It is ErrRetryable if connecting again may succeed: the connection was refused or dropped,
// the server is restarting or overloaded, or did not respond to a ping. It is not if the
// server objected to the client (a policy violation, a 4xx), nor if the caller's context
// was canceled, which is context.Canceled.
type SocketError struct {
	MachineID string
	Reason    string
	Err       error // the cause
	CloseCode int   // with which the server closed the socket; 0 if it did not

	retry bool // the server closed the socket for a reason that may pass
}

// Is implements errors.Is for ErrRetryable.
func (e *SocketError) Is(target error) bool { return target == ErrRetryable && e.retry }

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
// first message, a *ControlConnected. The handshake may take 30 s, and ctx limits only the
// handshake. The socket does not reconnect: after an error that is ErrRetryable, connect
// again, with a wait that grows. The credentials are sent in headers; the API key is not sent.
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
	if err := ctx.Err(); err != nil {
		return nil, &SocketError{MachineID: machineID, Reason: err.Error(), Err: &NetworkError{Operation: r.operation, Err: err, unsent: true}}
	}
	began := ctx
	ctx, cancel := context.WithTimeout(ctx, getTimeout)
	defer cancel()
	conn, res, err := websocket.Dial(ctx, c.base.at(r.decoded, r.escaped, "").String(), &websocket.DialOptions{
		HTTPHeader: header,
		HTTPClient: &http.Client{
			Transport:     c.ownTransport(),
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	})
	if err != nil {
		return nil, r.socketError(began, machineID, res, err)
	}
	conn.SetReadLimit(cmp.Or(o.MaxMessage, maxControlFrame))
	return &ControlSocket{
		machineID: machineID, conn: conn, codec: newCodec(false), clean: cleaner(r.token), pingAfter: pingAfter, pongWithin: pongWithin,
	}, nil
}

// socketError distinguishes the server's response from a connection that failed.
func (r *call) socketError(ctx context.Context, machineID string, res *http.Response, err error) error {
	fault := &SocketError{MachineID: machineID, Reason: err.Error(), Err: err}
	if res == nil {
		network := networkError(ctx, r.operation, err, !neverConnected(err))
		fault.Err = network
		return fault
	}
	if res.StatusCode == http.StatusSwitchingProtocols {
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
		fault.Err = &APIError{
			Operation: r.operation, Code: CodeBadResponse, StatusCode: meta.Status, Date: meta.Date, Message: "expected a WebSocket",
		}
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
// concerns one message, and the loop may continue; any other error is the last item, a
// *SocketError that says why the socket ended. A socket that is closed normally, by either
// end, ends without an error.
//
// When ctx ends, so does the socket: a deadline on ctx ends the socket, not only the
// wait for one message. Leaving the loop does not end it: range over Messages again to
// continue, or call Close.
//
// A socket on which nothing arrives for 25 s is checked with a ping. If the server does not
// respond within another 25 s, the last item is a SocketError that is ErrRetryable. A ping of
// the server is answered when the loop asks for the next message, so the answer shows that the
// loop has handled every message before it.
func (s *ControlSocket) Messages(ctx context.Context) iter.Seq2[ControlMessage, error] {
	return func(yield func(ControlMessage, error) bool) {
		for {
			kind, text, err := s.read(ctx)
			if err != nil {
				if !s.closed.Load() && websocket.CloseStatus(err) != websocket.StatusNormalClosure {
					yield(nil, s.ended(ctx, err))
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

// errNoPong is a timeout to errors.Is and net.Error.
var errNoPong = fmt.Errorf("no response to a ping: %w", os.ErrDeadlineExceeded)

// read reads one message, and checks with pings that the peer is still there meanwhile.
func (s *ControlSocket) read(ctx context.Context) (websocket.MessageType, []byte, error) {
	reading, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go s.ping(reading, cancel)
	kind, text, err := s.conn.Read(reading)
	if err != nil && errors.Is(context.Cause(reading), errNoPong) {
		err = errNoPong
	}
	return kind, text, err
}

// ping sends a ping whenever nothing was read for a while, until reading ends. It ends
// reading if there is no pong.
func (s *ControlSocket) ping(reading context.Context, cancel context.CancelCauseFunc) {
	timer := time.NewTimer(s.pingAfter)
	defer timer.Stop()
	for {
		select {
		case <-reading.Done():
			return
		case <-timer.C:
		}
		// A ping is not canceled with reading: that could tear a frame apart.
		limited, stop := context.WithTimeout(context.WithoutCancel(reading), s.pongWithin)
		err := s.conn.Ping(limited)
		stop()
		switch {
		case reading.Err() != nil: // a message arrived; the pong is read with the next one
			return
		case err != nil:
			cancel(errNoPong)
			return
		}
		timer.Reset(s.pingAfter)
	}
}

// ended says why a socket ended.
func (s *ControlSocket) ended(ctx context.Context, err error) error {
	closed, byPeer := errors.AsType[websocket.CloseError](err)
	switch {
	case ctx.Err() != nil:
		return &SocketError{MachineID: s.machineID, Reason: "the context ended: " + ctx.Err().Error(), Err: ctx.Err()}
	case byPeer:
		reason := fmt.Sprintf("closed by the server with %d, %s", int(closed.Code), closeMeaning(closed.Code))
		if text := s.clean(closed.Reason); text != "" {
			reason += ": " + text
		}
		return &SocketError{MachineID: s.machineID, Reason: reason, Err: err, CloseCode: int(closed.Code), retry: mayPass(closed.Code)}
	case errors.Is(err, websocket.ErrMessageTooBig):
		return &SocketError{MachineID: s.machineID, Reason: "a message is too large", Err: err}
	case errors.Is(err, errNoPong):
		return &SocketError{MachineID: s.machineID, Reason: errNoPong.Error(), Err: err, retry: true}
	}
	network := &NetworkError{Operation: "control socket", Err: err}
	return &SocketError{MachineID: s.machineID, Reason: "the connection was lost: " + s.clean(err.Error()), Err: network}
}

// cleaner returns a function that removes a secret from text.
func cleaner(s Secret) func(string) string {
	return func(text string) string {
		if secret := s.Reveal(); len(secret) >= minScrubbed {
			text = strings.ReplaceAll(text, secret, wire.Redacted)
		}
		return wire.RedactText(text)
	}
}

// mayPass reports whether connecting again may succeed after the peer closed a socket with
// this code. Codes from 4000 are the application's own; those that are used follow the HTTP
// status.
func mayPass(code websocket.StatusCode) bool {
	switch code {
	case websocket.StatusGoingAway, websocket.StatusInternalError, websocket.StatusServiceRestart, websocket.StatusTryAgainLater,
		websocket.StatusBadGateway, websocket.StatusNoStatusRcvd, websocket.StatusAbnormalClosure, 3008, 4408, 4429:
		return true
	}
	return code >= 4500 && code < 4600
}

func closeMeaning(code websocket.StatusCode) string {
	meanings := map[websocket.StatusCode]string{
		websocket.StatusGoingAway: "going away", websocket.StatusProtocolError: "protocol error",
		websocket.StatusUnsupportedData: "unsupported data", websocket.StatusNoStatusRcvd: "no reason",
		websocket.StatusInvalidFramePayloadData: "invalid data", websocket.StatusPolicyViolation: "policy violation",
		websocket.StatusMessageTooBig: "message too big", websocket.StatusMandatoryExtension: "extension missing",
		websocket.StatusInternalError: "internal error", websocket.StatusServiceRestart: "restarting",
		websocket.StatusTryAgainLater: "overloaded", websocket.StatusBadGateway: "bad gateway",
		3000: "unauthorized", 3003: "forbidden", 3008: "timeout",
	}
	if meaning, ok := meanings[code]; ok {
		return meaning
	}
	return "a code of the application"
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
// it understands is not documented. It may take 30 s. An error is a *SocketError; if ctx ends
// while the message is being sent, so does the socket.
func (s *ControlSocket) Send(ctx context.Context, message json.RawMessage) error {
	if !wire.IsObject(string(message)) {
		return &ValidationError{"message", "a JSON object"}
	}
	if err := ctx.Err(); err != nil { // nothing is sent, and the socket stays open
		return &SocketError{MachineID: s.machineID, Reason: err.Error(), Err: &NetworkError{Operation: "control socket", Err: err, unsent: true}}
	}
	limited, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if err := s.conn.Write(limited, websocket.MessageText, message); err != nil {
		fault := s.ended(ctx, err)
		if ctx.Err() != nil {
			fault.(*SocketError).Err = &NetworkError{Operation: "control socket", Err: ctx.Err()}
		}
		return fault
	}
	return nil
}

// CloseNow ends the socket without waiting for the server.
func (s *ControlSocket) CloseNow() error {
	s.closed.Store(true)
	return s.conn.CloseNow()
}

// Close closes the socket with a normal closure.
func (s *ControlSocket) Close() error {
	s.closed.Store(true)
	return s.conn.Close(websocket.StatusNormalClosure, "")
}
