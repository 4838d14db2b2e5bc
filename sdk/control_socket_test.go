package sdk_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/peaqnetwork/peaqos-agent/sdk"
)

// socketServer accepts every control socket and passes it to serve.
func socketServer(t *testing.T, serve func(r *http.Request, conn *websocket.Conn)) *sdk.Client {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.CloseNow()
		serve(r, conn)
	}))
	t.Cleanup(server.Close)
	c, err := sdk.New(server.URL+"/base/", sdk.WithAPIKey(sdk.NewSecret("pk_1")))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func agentOptions() sdk.ControlSocketOptions {
	return sdk.ControlSocketOptions{AgentID: sdk.Some("agent_1"), AgentToken: sdk.Some(sdk.NewSecret(agentToken))}
}

func TestControlSocketHandshake(t *testing.T) {
	for name, c := range map[string]struct {
		options   sdk.ControlSocketOptions
		id, token string
	}{
		"with credentials":    {agentOptions(), "agent_1", agentToken},
		"without credentials": {sdk.ControlSocketOptions{}, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			client := socketServer(t, func(r *http.Request, conn *websocket.Conn) {
				if r.URL.EscapedPath() != "/base/api/v1/machines/m%2F1/control-socket" || r.URL.RawQuery != "" {
					t.Errorf("asked %s", r.URL)
				}
				if h := r.Header; h.Get("X-Machine-Agent-Id") != c.id || h.Get("X-Machine-Agent-Token") != c.token ||
					h.Get("X-Api-Key") != "" || h.Get("Sec-Websocket-Protocol") != "" {
					t.Errorf("sent %v", h)
				}
				conn.Close(websocket.StatusNormalClosure, "")
			})
			socket, err := sdk.ConnectControlSocket(t.Context(), client, "m/1", c.options)
			if err != nil {
				t.Fatal(err)
			}
			for message, err := range socket.Messages(t.Context()) {
				t.Errorf("got %v, %v", message, err)
			}
		})
	}
}

// TestControlSocketMessages: known messages are typed, unknown ones are returned unchanged,
// and a message that cannot be read is an error that does not end the loop.
func TestControlSocketMessages(t *testing.T) {
	type step struct {
		frame string
		want  sdk.ControlMessage // nil for a ControlFrameError
	}
	steps := []step{
		{
			`{"type":"control.connected","machineId":"m","agentId":"a","createdAt":"t","later":1}`,
			&sdk.ControlConnected{MachineID: "m", AgentID: "a", CreatedAt: "t"},
		},
		{`{"type":"control.connected"}`, &sdk.ControlConnected{}},
		{`{"type":"control.ack","messageType":"hello","createdAt":"t"}`, &sdk.ControlAck{MessageType: "hello", CreatedAt: "t"}},
		{`{"type":"control.ack","messageType":null}`, &sdk.ControlAck{}},
		{
			`{"type":"control.later","x":1}`,
			&sdk.ControlUnknown{Type: "control.later", Raw: json.RawMessage(`{"type":"control.later","x":1}`)},
		},
		{`not JSON`, nil},
		{`{"type":"control.ack"`, nil},
		{`[]`, nil},
		{`{"createdAt":"t"}`, nil},
		{`{"type":7}`, nil},
		{`{"type":"control.ack","createdAt":7}`, nil},
		{`{"type":"purchase.created","payload":"text"}`, nil},
	}
	for _, name := range []string{
		"purchase.created", "purchase.payment_proof.recorded", "purchase.delivery.accessed",
		"purchase.delivery.started", "purchase.delivery.completed",
		"purchase.delivery.failed", "purchase.buyer.connected", "purchase.seller.ready", "purchase.seller.offline",
	} {
		whole := fmt.Sprintf(`{"type":%q,"payload":{"purchase_id":"p"},"createdAt":"t","other":1}`, name)
		alone := fmt.Sprintf(`{"type":%q}`, name)
		steps = append(steps, step{
			whole,
			&sdk.ControlNotification{
				Type: name, Payload: json.RawMessage(`{"purchase_id":"p"}`), CreatedAt: "t", Raw: json.RawMessage(whole),
			},
		}, step{alone, &sdk.ControlNotification{Type: name, Raw: json.RawMessage(alone)}})
	}
	client := socketServer(t, func(_ *http.Request, conn *websocket.Conn) {
		for _, step := range steps {
			if err := conn.Write(t.Context(), websocket.MessageText, []byte(step.frame)); err != nil {
				t.Error(err)
			}
		}
		conn.Write(t.Context(), websocket.MessageBinary, []byte{1})
		conn.Close(websocket.StatusNormalClosure, "")
	})
	socket, err := sdk.ConnectControlSocket(t.Context(), client, "m", agentOptions())
	if err != nil {
		t.Fatal(err)
	}
	i := 0
	for message, err := range socket.Messages(t.Context()) {
		want := step{frame: "a binary frame"}
		if i < len(steps) {
			want = steps[i]
		}
		i++
		var frame *sdk.ControlFrameError
		if want.want == nil && (!errors.As(err, &frame) || message != nil) {
			t.Errorf("%s gave %v, %v", want.frame, message, err)
		}
		if want.want != nil && (err != nil || !reflect.DeepEqual(message, want.want)) {
			t.Errorf("%s gave %+v, %v", want.frame, message, err)
		}
	}
	if i != len(steps)+1 {
		t.Errorf("%d messages came, not %d", i, len(steps)+1)
	}
}

func TestControlSocketEnds(t *testing.T) {
	for name, c := range map[string]struct {
		serve func(conn *websocket.Conn)
		good  bool
	}{
		"in order":          {func(conn *websocket.Conn) { conn.Close(websocket.StatusNormalClosure, "bye") }, true},
		"with another code": {func(conn *websocket.Conn) { conn.Close(websocket.StatusPolicyViolation, "revoked") }, false},
		"without a word":    {func(conn *websocket.Conn) { conn.CloseNow() }, false},
		"with too large a message": {func(conn *websocket.Conn) {
			conn.Write(context.Background(), websocket.MessageText, make([]byte, 2<<20))
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			client := socketServer(t, func(_ *http.Request, conn *websocket.Conn) { c.serve(conn) })
			socket, err := sdk.ConnectControlSocket(t.Context(), client, "m", agentOptions())
			if err != nil {
				t.Fatal(err)
			}
			var last error
			for _, err := range socket.Messages(t.Context()) {
				last = err
			}
			var broken *sdk.SocketError
			if errors.As(last, &broken) && (broken.CloseCode == 1008) != (name == "with another code") {
				t.Errorf("close code %d", broken.CloseCode)
			}
			if (last == nil) != c.good || (!c.good && (!errors.As(last, &broken) || broken.MachineID != "m")) {
				t.Errorf("ended with %v", last)
			}
		})
	}
}

func TestControlSocketRefused(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		body   string
		want   error
	}{
		"an envelope":          {401, `{"error":{"code":"AGENT_AUTH_INVALID","message":"no"}}`, sdk.ErrAuth},
		"a gateway":            {502, `<html>`, sdk.ErrRetryable},
		"a portal":             {302, ``, sdk.ErrNotTheAPI},
		"an ordinary response": {200, `{}`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Location", "https://portal.example/?t=canary")
				w.WriteHeader(c.status)
				io.WriteString(w, c.body)
			}))
			defer server.Close()
			client, err := sdk.New(server.URL)
			if err != nil {
				t.Fatal(err)
			}
			_, err = sdk.ConnectControlSocket(t.Context(), client, "m", agentOptions())
			var socket *sdk.SocketError
			if !errors.As(err, &socket) || socket.MachineID != "m" || (c.want != nil && !errors.Is(err, c.want)) {
				t.Errorf("got %v", err)
			}
			if text := fmt.Sprintf("%v %+v", err, err); strings.Contains(text, "canary") {
				t.Errorf("printed %s", text)
			}
		})
	}
}

func TestControlSocketArguments(t *testing.T) {
	client, err := sdk.New("http://127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		machine string
		options sdk.ControlSocketOptions
	}{
		{" ", agentOptions()},
		{"..", agentOptions()},
		{"m", sdk.ControlSocketOptions{AgentToken: sdk.Some(sdk.NewSecret("a\r\nX-Evil: 1"))}},
	} {
		_, err := sdk.ConnectControlSocket(t.Context(), client, c.machine, c.options)
		var invalid *sdk.ValidationError
		if !errors.As(err, &invalid) {
			t.Errorf("%q gave %v", c.machine, err)
		}
	}
	var socket *sdk.SocketError
	if _, err := sdk.ConnectControlSocket(t.Context(), client, "m", agentOptions()); !errors.As(err, &socket) ||
		strings.Contains(err.Error(), agentToken) {
		t.Errorf("a closed port gave %v", err)
	}
}

// TestControlSocketSendAndStop: messages are sent unchanged; canceling the context ends the
// loop.
func TestControlSocketSendAndStop(t *testing.T) {
	client := socketServer(t, func(_ *http.Request, conn *websocket.Conn) {
		kind, text, err := conn.Read(t.Context())
		if err != nil || kind != websocket.MessageText || string(text) != `{"type":"hello","a_b":1}` {
			t.Errorf("got %s, %v", text, err)
		}
		conn.Write(t.Context(), websocket.MessageText, []byte(`{"type":"control.ack","messageType":"hello"}`))
		conn.Read(t.Context()) // until the other side goes
	})
	socket, err := sdk.ConnectControlSocket(t.Context(), client, "m", agentOptions())
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{``, `[]`, `"x"`, `{`, `{}{}`} {
		if err := socket.Send(t.Context(), json.RawMessage(bad)); err == nil {
			t.Errorf("%q was sent", bad)
		}
	}
	if err := socket.Send(t.Context(), json.RawMessage(`{"type":"hello","a_b":1}`)); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	for message, err := range socket.Messages(ctx) {
		if err != nil {
			if !errors.Is(err, context.Canceled) {
				t.Errorf("ended with %v", err)
			}
			continue
		}
		if ack, ok := message.(*sdk.ControlAck); !ok || ack.MessageType != "hello" {
			t.Errorf("got %v", message)
		}
		stop()
	}
	if ctx.Err() == nil {
		t.Error("no acknowledgement was received")
	}
	socket.Close()
}

func TestControlSocketMessageLimit(t *testing.T) {
	client := socketServer(t, func(_ *http.Request, conn *websocket.Conn) {
		_ = conn.Write(t.Context(), websocket.MessageText, make([]byte, 1001))
	})
	o := agentOptions()
	o.MaxMessage = 1000
	socket, err := sdk.ConnectControlSocket(t.Context(), client, "m", o)
	if err != nil {
		t.Fatal(err)
	}
	for message, err := range socket.Messages(t.Context()) {
		var ended *sdk.SocketError
		if message != nil || !errors.As(err, &ended) {
			t.Errorf("%v, %v", message, err)
		}
	}
}
