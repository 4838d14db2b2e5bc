package sandbox_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
)

// onLoopback puts a harness behind a real listener.
func (r *harness) onLoopback() {
	web := httptest.NewUnstartedServer(r.s)
	web.Config = r.s.HTTPServer()
	web.Start()
	r.t.Cleanup(web.Close)
	r.client, r.url = web.Client(), web.URL
}

// socket opens a control socket and returns the handshake's response.
func (r *harness) socket(machine string, header ...string) (*websocket.Conn, *http.Response, error) {
	h := http.Header{}
	for i := 0; i < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return websocket.Dial(
		ctx, r.url+"/api/v1/machines/"+machine+"/control-socket", &websocket.DialOptions{HTTPHeader: h, HTTPClient: r.client},
	)
}

func (r *harness) listen(agent enrolledAgent) *websocket.Conn {
	r.t.Helper()
	ws, _, err := r.socket(agent.machine, "x-machine-agent-id", agent.id, "x-machine-agent-token", agent.token)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = ws.CloseNow() })
	return ws
}

// nextMessage returns the next message of a control socket.
func nextMessage(t testing.TB, ws *websocket.Conn) object {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	kind, b, err := ws.Read(ctx)
	var message object
	if err != nil || kind != websocket.MessageText || json.Unmarshal(b, &message) != nil {
		t.Fatalf("read %v %s %v", kind, b, err)
	}
	if _, err := time.Parse(time.RFC3339, message["createdAt"].(string)); err != nil {
		t.Errorf("createdAt of %s: %v", b, err)
	}
	delete(message, "createdAt")
	return message
}

// messages reads the messages of a control socket continuously, as a seller does, after the greeting.
func (r *harness) messages(agent enrolledAgent) <-chan object {
	r.t.Helper()
	ws, out := r.listen(agent), make(chan object, 64)
	nextMessage(r.t, ws)
	go func() {
		for {
			_, b, err := ws.Read(context.Background())
			if err != nil {
				return
			}
			var message object
			_ = json.Unmarshal(b, &message)
			delete(message, "createdAt")
			out <- message
		}
	}()
	return out
}

func say(t *testing.T, ws *websocket.Conn, text string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := ws.Write(ctx, websocket.MessageText, []byte(text)); err != nil {
		t.Fatal(err)
	}
}

// closeStatus waits for the end of a socket and returns its close code.
func closeStatus(t *testing.T, ws *websocket.Conn) websocket.StatusCode {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	for {
		if _, _, err := ws.Read(ctx); err != nil {
			if ctx.Err() != nil {
				t.Fatal("the socket was not closed")
			}
			return websocket.CloseStatus(err)
		}
	}
}

func same(t *testing.T, what string, got, want any) {
	t.Helper()
	g, _ := json.Marshal(got)
	w, _ := json.Marshal(want)
	if string(g) != string(w) {
		t.Errorf("%s: %s, want %s", what, g, w)
	}
}

func (r *harness) openSockets() string {
	r.t.Helper()
	req := r.request("GET", "", nil)
	req.URL.Path = "/metrics"
	for line := range strings.Lines(r.do(req).text) {
		if count, ok := strings.CutPrefix(strings.TrimSpace(line), "peaqos_sandbox_control_sockets "); ok {
			return count
		}
	}
	r.t.Fatal("no count of sockets in the metrics")
	return ""
}

func TestControlSocket(t *testing.T) {
	r := newHarness(t)
	r.onLoopback()
	agent, listing := r.offered()
	ws := r.listen(agent)
	same(t, "greeting", nextMessage(t, ws), object{"type": "control.connected", "machineId": agent.machine, "agentId": agent.id})
	say(t, ws, `{"type":"seller.hello","x":1}`)
	same(t, "acknowledgement", nextMessage(t, ws), object{"type": "control.ack", "messageType": "seller.hello"})
	say(t, ws, `{}`)
	same(t, "acknowledgement without a type", nextMessage(t, ws), object{"type": "control.ack", "messageType": ""})

	order := r.post("/stream/orders", object{"listingId": listing, "buyerId": "b1", "buyerPublicKeyHex": "aa"}).ok(201).str("item.id")
	same(t, "notification", nextMessage(t, ws), object{"type": "purchase.created", "payload": object{"purchaseId": order}})
	r.post("/stream/orders/"+order+"/payment", object{"paymentReference": "ref-1"}).ok(200)
	same(t, "notification", nextMessage(t, ws), object{"type": "purchase.payment_proof.recorded", "payload": object{
		"purchaseId": order, "rail": "transfer", "reference": "ref-1", "paymentStatus": "verified", "deliveryStatus": "releasable",
	}})
	r.post("/stream/orders/"+order+"/prepare-access", agent.prepare()).ok(200)
	r.get("/stream/orders/" + order + "/delivery?buyerId=b1").ok(200)
	same(t, "notification", nextMessage(t, ws), object{"type": "purchase.delivery.accessed", "payload": object{"purchaseId": order}})
	for _, kind := range []string{"seller.offline", "seller.ready", "buyer.connected", "delivery.started", "delivery.completed"} {
		r.post("/purchases/"+order+"/events", object{"actor": object{}, "type": kind}).ok(201)
		same(t, "notification", nextMessage(t, ws), object{"type": "purchase." + kind, "payload": object{"purchaseId": order}})
	}
}

func TestControlSocketRefused(t *testing.T) {
	r := newHarness(t)
	r.onLoopback()
	agent := r.enroll(r.machine())
	gone := r.enroll(agent.machine)
	r.call("DELETE", "/machines/"+agent.machine+"/agents/"+gone.id, nil).ok(204)
	idle := r.enroll(r.machine())
	r.call("PATCH", "/machines/"+idle.machine, object{"status": "blocked"}).ok(200)
	for _, c := range []struct {
		what, machine, agent, token, code string
	}{
		{"no agent", agent.machine, "", agent.token, "AGENT_AUTH_REQUIRED"},
		{"no token", agent.machine, agent.id, "", "AGENT_AUTH_REQUIRED"},
		{"wrong token", agent.machine, agent.id, gone.token, "AGENT_AUTH_INVALID"},
		{"unknown agent", agent.machine, "magt_none", agent.token, "NOT_FOUND"},
		{"agent of another machine", agent.machine, idle.id, idle.token, "NOT_FOUND"},
		{"unknown machine", "mach_none", agent.id, agent.token, "NOT_FOUND"},
		{"revoked", agent.machine, gone.id, gone.token, "AGENT_PAIRING_INACTIVE"},
		{"machine not active", idle.machine, idle.id, idle.token, "MACHINE_NOT_ACTIVE"},
	} {
		t.Run(c.what, func(t *testing.T) {
			ws, res, err := r.socket(c.machine, "x-machine-agent-id", c.agent, "x-machine-agent-token", c.token)
			if err == nil {
				_ = ws.CloseNow()
				t.Fatal("it was opened")
			}
			var body object
			_ = json.NewDecoder(res.Body).Decode(&body)
			(reply{t: t, call: c.what, status: res.StatusCode, body: body}).fails(c.code)
		})
	}
	r.get("/machines/" + agent.machine + "/control-socket").fails("VALIDATION_ERROR")
}

func TestControlSocketEnds(t *testing.T) {
	const policy, away = websocket.StatusPolicyViolation, websocket.StatusGoingAway
	for _, c := range []struct {
		what string
		end  func(*testing.T, *harness, enrolledAgent, *websocket.Conn)
		code websocket.StatusCode
	}{
		{"the agent is revoked", func(_ *testing.T, r *harness, a enrolledAgent, _ *websocket.Conn) {
			r.call("DELETE", "/machines/"+a.machine+"/agents/"+a.id, nil).ok(204)
		}, policy},
		{"the machine is archived", func(_ *testing.T, r *harness, a enrolledAgent, _ *websocket.Conn) {
			r.call("DELETE", "/machines/"+a.machine, nil).ok(204)
		}, away},
		{"a restart", func(_ *testing.T, r *harness, _ enrolledAgent, _ *websocket.Conn) { r.s.Restart(true) }, away},
		{"sockets are closed", func(_ *testing.T, r *harness, _ enrolledAgent, _ *websocket.Conn) { r.s.CloseSockets() }, away},
		{"the server stops", func(_ *testing.T, r *harness, _ enrolledAgent, _ *websocket.Conn) { _ = r.s.Close() }, away},
		{"a message that is not an object", func(t *testing.T, _ *harness, _ enrolledAgent, ws *websocket.Conn) { say(t, ws, `[1]`) }, policy},
		{"a message that is not JSON", func(t *testing.T, _ *harness, _ enrolledAgent, ws *websocket.Conn) { say(t, ws, `hello`) }, policy},
		{"a message that is too long", func(t *testing.T, _ *harness, _ enrolledAgent, ws *websocket.Conn) {
			say(t, ws, `{"x":"`+strings.Repeat("y", 65<<10)+`"}`)
		}, websocket.StatusMessageTooBig},
	} {
		t.Run(c.what, func(t *testing.T) {
			r := newHarness(t)
			r.onLoopback()
			agent, other := r.enroll(r.machine()), r.enroll(r.machine())
			ws := r.listen(agent)
			nextMessage(t, ws)
			bystander := r.listen(other)
			nextMessage(t, bystander)
			c.end(t, r, agent, ws)
			if code := closeStatus(t, ws); code != c.code {
				t.Errorf("closed with %d, want %d", code, c.code)
			}
			if c.code != away {
				say(t, bystander, `{"type":"x"}`)
				nextMessage(t, bystander)
			}
		})
	}
}

func TestControlSocketSlowReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHarness(t)
		agent, listing := r.offered()
		order := r.post("/stream/orders", object{"listingId": listing, "buyerId": "b1", "buyerPublicKeyHex": "aa"}).ok(201).str("item.id")
		ws := r.listen(agent)
		event := object{"actor": object{}, "type": "seller.offline"}
		for range 64 {
			r.post("/purchases/"+order+"/events", event).ok(201)
			synctest.Wait()
		}
		if open := r.openSockets(); open != "1" {
			t.Fatalf("%s sockets are open", open)
		}
		for range 2 {
			r.post("/purchases/"+order+"/events", event).ok(201)
		}
		time.Sleep(10 * time.Second)
		if open := r.openSockets(); open != "0" {
			t.Errorf("%s sockets are open after one overflowed", open)
		}
		closeStatus(t, ws)
	})
}

func TestControlSocketStaysOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHarness(t)
		agent := r.enroll(r.machine())
		ws, dead := r.listen(agent), r.listen(agent)
		nextMessage(t, ws)
		nextMessage(t, dead)
		ctx := ws.CloseRead(t.Context()) // responds to pings; the other one does not
		time.Sleep(time.Hour)
		if open := r.openSockets(); open != "1" || ctx.Err() != nil {
			t.Errorf("%s sockets are open after an hour (%v)", open, ctx.Err())
		}
		_ = ws.Close(websocket.StatusNormalClosure, "")
		synctest.Wait()
		if open := r.openSockets(); open != "0" {
			t.Errorf("%s sockets are open after the last was closed", open)
		}
	})
}

func TestControlSocketsAreBounded(t *testing.T) {
	r := newHarness(t)
	agent := r.enroll(r.machine())
	for range 32 {
		r.listen(agent)
	}
	if _, res, err := r.socket(
		agent.machine, "x-machine-agent-id", agent.id, "x-machine-agent-token", agent.token,
	); err == nil || res.StatusCode != http.StatusTooManyRequests {
		t.Errorf("a further socket: %v", err)
	}
}

// plain is a writer that cannot be hijacked, like that of HTTP/2.
type plain struct{ http.ResponseWriter }

func TestControlSocketNeedsHTTP11(t *testing.T) {
	r := newHarness(t)
	agent := r.enroll(r.machine())
	req := r.request("GET", "/machines/"+agent.machine+"/control-socket", nil, "Upgrade", "websocket", "Connection", "Upgrade")
	req.Body = http.NoBody
	w := httptest.NewRecorder()
	r.s.ServeHTTP(plain{w}, req)
	a := reply{t: t, call: "no hijack", status: w.Code, text: w.Body.String()}
	_ = json.Unmarshal(w.Body.Bytes(), &a.body)
	a.fails("VALIDATION_ERROR")
	if !strings.Contains(a.text, "HTTP/1.1") {
		t.Errorf("it does not say why: %s", a.text)
	}
}
