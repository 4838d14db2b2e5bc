package sandbox

import (
	"context"
	"encoding/json"
	"errors"
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
	live := &connection{machine: m.ID, agent: a.ID, cancel: cancel, out: make(chan []byte, socketQueue)}
	hello, err := marshal(map[string]any{"type": "control.connected", "machineId": m.ID, "agentId": a.ID, "createdAt": c.stamp()})
	if err != nil {
		return nil, err
	}
	live.out <- hello
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
	for {
		var err error
		select {
		case <-ctx.Done():
			return closing(context.Cause(ctx))
		case message := <-live.out:
			err = inTime(ctx, func(ctx context.Context) error { return ws.Write(ctx, websocket.MessageText, message) })
		case <-ping.C:
			err = inTime(ctx, ws.Ping)
		}
		if err != nil && ctx.Err() == nil {
			return websocket.StatusGoingAway, "the connection does not accept messages"
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
		case live.out <- ack:
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
