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
	socketQueue   = 64               // messages that may wait for a slow reader
	socketMessage = 64 << 10         // bytes that a client may send at once
	socketWrite   = 10 * time.Second // for one message
	socketPing    = 30 * time.Second // between two looks whether the other end is there
)

// controlSocket tells a machine's agent what happens to its purchases (contract
// §2.8). Its credentials come in two headers of their own.
func (s *Server) controlSocket(c *call) {
	if c.r.Method != http.MethodGet || !strings.EqualFold(c.r.Header.Get("Upgrade"), "websocket") {
		c.write(nil, invalid("this is a WebSocket: a handshake is expected"))
		return
	}
	if !canHijack(c.w) {
		c.write(nil, invalid("a WebSocket cannot be opened over this connection: it needs HTTP/1.1"))
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
		return // it has answered
	}
	defer func() { _ = ws.CloseNow() }()
	ws.SetReadLimit(socketMessage)
	go s.readSocket(ctx, ws, live)
	code, reason := writeSocket(ctx, ws, live)
	_ = ws.Close(code, reason)
}

// admitSocket checks the agent and registers the connection, with its greeting
// first in the queue: nothing that happens from now on is missed.
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
	hello, err := json.Marshal(map[string]any{"type": "control.connected", "machineId": m.ID, "agentId": a.ID, "createdAt": c.stamp()})
	if err != nil {
		return nil, err
	}
	live.out <- hello
	if !s.live.add(live) {
		return nil, invalid("the machine has as many sockets and streams open as this sandbox allows")
	}
	return live, nil
}

// release forgets a connection that has ended.
func (s *Server) release(live *connection) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.live.remove(live)
}

// speak writes what is queued until the connection ends, and says how to close it.
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
			return websocket.StatusGoingAway, "the connection does not take messages"
		}
	}
}

// inTime gives a write its time, also when the connection shall end meanwhile: one
// that is cut short tears it down before it can be closed in order. Only a reader
// that is too slow is not waited for.
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

// closing is the close code of a cause. The contract knows none.
func closing(cause error) (websocket.StatusCode, string) {
	switch {
	case errors.Is(cause, errTooSlow), errors.Is(cause, errRevoked), errors.Is(cause, errNotJSON):
		return websocket.StatusPolicyViolation, cause.Error()
	case errors.Is(cause, errServerCloses):
		return websocket.StatusGoingAway, cause.Error()
	}
	return websocket.StatusNormalClosure, ""
}

// hear reads what the client says, and acknowledges every message; what one could
// mean is not published.
func (s *Server) readSocket(ctx context.Context, ws *websocket.Conn, live *connection) {
	for {
		// Not ctx: a read that is cut short tears the connection down before it can
		// be closed in order.
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
		ack, err := json.Marshal(map[string]any{"type": "control.ack", "messageType": messageType, "createdAt": Moment{s.Now()}})
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

// canHijack says whether the connection below can be taken over.
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
