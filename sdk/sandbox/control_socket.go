package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/coder/websocket"
)

const (
	socketQueue   = 64               // queued messages per connection
	socketMessage = 64 << 10         // bytes of a message from the client
	socketWrite   = 10 * time.Second // timeout of one message
	socketPing    = 30 * time.Second // interval of keep-alive pings
)

// controlSocket notifies a machine's agent about its purchases (contract §2.8). Its credentials
// are in two headers of their own.
func (s *Server) controlSocket(c *call) {
	if c.r.Method != http.MethodGet || !strings.EqualFold(c.r.Header.Get("Upgrade"), "websocket") {
		c.write(nil, invalid("this route expects a WebSocket handshake"))
		return
	}
	if !canHijack(c.w) {
		c.write(nil, invalid("a WebSocket needs HTTP/1.1, which this connection does not use"))
		return
	}
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(c.r.Context()))
	defer cancel(nil)
	live, err := s.admitSocket(c, cancel)
	if err != nil {
		c.write(nil, err)
		return
	}
	defer s.release(live)
	ws, err := websocket.Accept(c.w, c.r, &websocket.AcceptOptions{CompressionMode: websocket.CompressionDisabled, InsecureSkipVerify: true})
	if err != nil {
		return // Accept has sent the response
	}
	defer func() { _ = ws.CloseNow() }()
	ws.SetReadLimit(socketMessage)
	go s.readSocket(ctx, ws, live)
	code, reason := writeSocket(ctx, ws, live)
	_ = ws.Close(code, reason)
}

// admitSocket checks the agent and registers the connection with its greeting as the first message,
// so that nothing that happens from now on is missed.
func (s *Server) admitSocket(c *call, cancel context.CancelCauseFunc) (*connection, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, err := s.machine(c.id("machine"))
	if err != nil {
		return nil, err
	}
	agentID := c.r.Header.Get("X-Machine-Agent-Id")
	if agentID == "" {
		return nil, fail("AGENT_AUTH_REQUIRED", "the agent's id and token are required (x-machine-agent-id, x-machine-agent-token)")
	}
	a, err := s.agentWith(c, m.ID, agentID, c.r.Header.Get("X-Machine-Agent-Token"))
	if err != nil {
		return nil, err
	}
	if _, err := s.activeMachine(m.ID); err != nil {
		return nil, err
	}
	live := &connection{machine: m.ID, agent: a.ID, cancel: cancel, out: make(chan outgoing, socketQueue), flood: make(chan int, 1)}
	hello, err := marshal(map[string]any{"type": "control.connected", "machineId": m.ID, "agentId": a.ID, "createdAt": c.stamp()})
	if err != nil {
		return nil, err
	}
	live.out <- outgoing{text: hello}
	for _, note := range s.live.last(m.ID, s.replay) {
		live.out <- outgoing{note.Message, note}
	}
	if !s.live.add(live) {
		return nil, errTooManyConnections()
	}
	return live, nil
}

// release removes a connection that has ended.
func (s *Server) release(live *connection) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.live.remove(live)
}

// writeSocket writes queued messages until the connection ends, and returns the close code and
// reason.
func writeSocket(ctx context.Context, ws *websocket.Conn, live *connection) (websocket.StatusCode, string) {
	ping := time.NewTicker(socketPing)
	defer ping.Stop()
	written := make(chan *sentNotification, socketQueue)
	defer close(written)
	go acknowledge(ctx, ws, written)
	write := func(text []byte) error {
		return inTime(ctx, func(ctx context.Context) error { return ws.Write(ctx, websocket.MessageText, text) })
	}
	for {
		var err error
		select {
		case <-ctx.Done():
			return closing(context.Cause(ctx))
		case message := <-live.out:
			if err = write(message.text); err == nil && message.note != nil {
				select {
				case written <- message.note:
				default: // never acknowledged, which claims nothing
				}
			}
		case n := <-live.flood:
			for i := 0; i < n && err == nil && ctx.Err() == nil; i++ {
				err = write(fmt.Appendf(nil, `{"type":"sandbox.flood","payload":{"n":%d}}`, i))
			}
		case <-ping.C:
			err = inTime(ctx, ws.Ping)
		}
		if err != nil && ctx.Err() == nil {
			return websocket.StatusGoingAway, "the connection does not accept messages"
		}
	}
}

// acknowledge sends a ping after notifications. The pong shows that the agent has read them:
// a client writes it when it asks for the next message.
func acknowledge(ctx context.Context, ws *websocket.Conn, written <-chan *sentNotification) {
	for note := range written {
		notes := []*sentNotification{note}
		for len(written) > 0 {
			notes = append(notes, <-written)
		}
		short, cancel := context.WithTimeout(ctx, socketWrite)
		err := ws.Ping(short)
		cancel()
		for _, n := range notes {
			n.acknowledged.Store(n.acknowledged.Load() || err == nil)
		}
	}
}

// Notifications returns the last notifications of a machine, oldest first; "" means all machines.
func (s *Server) Notifications(machineID string) []Notification {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Notification
	for _, n := range s.live.sent {
		if machineID == "" || n.MachineID == machineID {
			note := n.Notification
			note.Acknowledged = n.acknowledged.Load()
			out = append(out, note)
		}
	}
	return out
}

// Notify sends a notification to the control sockets of a machine and returns how many there are.
func (s *Server) Notify(machineID, kind string, payload map[string]any) int {
	b, err := json.Marshal(map[string]any{"type": kind, "payload": payload, "createdAt": Moment{s.Now()}})
	if err != nil {
		return 0
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.live.send(machineID, kind, b)
	return s.live.sockets(machineID)
}

// FloodSockets writes n messages of an unknown type to every control socket, as fast as it can.
func (s *Server) FloodSockets(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, set := range s.live.open {
		for c := range set {
			if c.flood == nil {
				continue
			}
			select {
			case c.flood <- n:
			default: // still busy with the last one
			}
		}
	}
}

// inTime runs a write with its own deadline, even if the connection is to be closed meanwhile: a
// cancelled write would tear the connection down before it can be closed properly. Only for a
// reader that is too slow the write is cancelled.
func inTime(ctx context.Context, f func(context.Context) error) error {
	short, cancel := context.WithTimeout(context.WithoutCancel(ctx), socketWrite)
	defer cancel()
	defer context.AfterFunc(ctx, func() {
		if errors.Is(context.Cause(ctx), errTooSlow) {
			cancel()
		}
	})()
	return f(short)
}

// closing returns the close code for a cause. The contract does not define any.
func closing(cause error) (websocket.StatusCode, string) {
	switch {
	case errors.Is(cause, errTooSlow), errors.Is(cause, errRevoked), errors.Is(cause, errNotJSON):
		return websocket.StatusPolicyViolation, cause.Error()
	case errors.Is(cause, errServerCloses):
		return websocket.StatusGoingAway, cause.Error()
	}
	return websocket.StatusNormalClosure, ""
}

// readSocket reads the client's messages and acknowledges each; what a client's message could mean
// is not published.
func (s *Server) readSocket(ctx context.Context, ws *websocket.Conn, live *connection) {
	for {
		// Not ctx: a cancelled read tears the connection down before it can be
		// closed properly.
		kind, b, err := ws.Read(context.WithoutCancel(ctx))
		if err != nil {
			live.cancel(err)
			return
		}
		var object map[string]any
		if kind != websocket.MessageText || json.Unmarshal(b, &object) != nil || object == nil {
			live.cancel(errNotJSON)
			continue
		}
		messageType, _ := object["type"].(string)
		ack, err := marshal(map[string]any{"type": "control.ack", "messageType": messageType, "createdAt": Moment{s.Now()}})
		if err != nil {
			live.cancel(err)
			return
		}
		select {
		case live.out <- outgoing{text: ack}:
		default:
			live.cancel(errTooSlow)
		}
	}
}

// canHijack reports whether the underlying connection can be taken over.
func canHijack(w http.ResponseWriter) bool {
	for {
		switch t := w.(type) {
		case http.Hijacker:
			return true
		case interface{ Unwrap() http.ResponseWriter }:
			w = t.Unwrap()
		default:
			return false
		}
	}
}
