package agent

import (
	"context"
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"runtime/metrics"
	"strings"
	"testing"
	"time"

	"github.com/peaqnetwork/peaqos-agent/agent/config"
	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/keystore"
	"github.com/peaqnetwork/peaqos-agent/sdk"
)

// TestHookOverSockets delivers over TCP and over a unix socket.
func TestHookOverSockets(t *testing.T) {
	type delivery struct{ body, machine, machineID, id, kind string }
	got := make(chan delivery, 1)
	handler := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got <- delivery{
			string(body), r.Header.Get("Peaqos-Machine"), r.Header.Get("Peaqos-Machine-Id"), r.Header.Get("Peaqos-Notification"),
			r.Header.Get("Content-Type"),
		}
	})
	tcp := httptest.NewServer(handler)
	defer tcp.Close()
	path := filepath.Join(t.TempDir(), "s")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	unix := &http.Server{Handler: handler}
	go func() { _ = unix.Serve(listener) }()
	defer unix.Close()
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(tcp.URL, "http://"))
	for _, target := range []string{tcp.URL + "/a/b", "http://localhost:" + port, "unix:" + path} {
		n := &notification{machineID: "mach_1", raw: []byte(`{"type":"x"}`)}
		if err := newHook(target, nil).post(t.Context(), "main", "1.2.3", n); err != nil {
			t.Errorf("%s: %v", target, err)
			continue
		}
		want := delivery{`{"type":"x"}`, "main", "mach_1", "", "application/json"}
		d := <-got
		if len(d.id) != 32 {
			t.Errorf("%s: id %q", target, d.id)
		}
		if d.id = ""; d != want {
			t.Errorf("%s: %+v", target, d)
		}
	}
}

// TestHookFaults: what is said of a hook that does not accept a notification.
func TestHookFaults(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a redirect was followed") }))
	defer elsewhere.Close()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/redirect":
			http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
		case "/cut":
			panic(http.ErrAbortHandler)
		case "/endless":
			for {
				if _, err := w.Write(make([]byte, 1<<16)); err != nil {
					return
				}
			}
		default:
			w.WriteHeader(500)
		}
	}))
	defer server.Close()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = closed.Close()
	private := filepath.Join(t.TempDir(), "s")
	for target, want := range map[string]deliveryError{
		server.URL:                         {"http", "HTTP 500", true},
		server.URL + "/redirect":           {"http", "HTTP 307", true},
		server.URL + "/cut":                {"network", "the connection failed", false},
		"http://" + closed.Addr().String(): {"network", "connection refused: nothing listens there", false},
		"unix:" + private:                  {"network", "there is no such socket", false},
		"http://192.0.2.1:1":               {"network", "its name does not resolve to a loopback address", false},
		"http://[fe80::1]:1":               {"network", "its name does not resolve to a loopback address", false},
	} {
		err := newHook(target, nil).post(t.Context(), "main", "1", &notification{raw: []byte("{}")})
		var fault *deliveryError
		if !errors.As(err, &fault) || *fault != want {
			t.Errorf("%s: %+v, want %+v", target, err, want)
		}
	}
	if err := newHook(server.URL+"/endless", nil).post(t.Context(), "main", "1", &notification{raw: []byte("{}")}); err != nil {
		t.Errorf("an endless response of a hook that accepted: %v", err)
	}
	slow := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // until then the server does not see that the client has left
		<-r.Context().Done()
	}))
	defer slow.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	var fault *deliveryError
	if err := newHook(slow.URL, nil).post(ctx, "main", "1", &notification{raw: []byte("{}")}); !errors.As(err, &fault) || fault.result != "timeout" {
		t.Errorf("%v", err)
	}
}

// hostileControl is a control task against a server that serves one connection after
// the other with serve, and a hook that is down.
func hostileControl(t *testing.T, serve func(net.Conn)) (*control, *logBuffer, func() status.Control) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		_, _ = fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
			acceptKey(r.Header.Get("Sec-WebSocket-Key")))
		serve(conn)
	}))
	t.Cleanup(server.Close)
	client, err := sdk.New(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(config.Source{Env: []string{
		"PEAQOS_AGENT_KEYSTORE_DIR=" + t.TempDir(), "PEAQOS_AGENT_KEYSTORE_VOLATILE=true", "PEAQOS_AGENT_CONTROL_ENABLED=true", "PEAQOS_AGENT_CONTROL_HOOKS=unix:/nowhere",
	}, Flags: map[string]string{}})
	if err != nil {
		t.Fatal(err)
	}
	state := status.NewTracker(cfg, time.Now())
	state.Update("main", func(m *status.Machine) { m.State, m.AgentID, m.MachineID = status.Online, "agent_1", "mach_1" })
	log := &logBuffer{}
	logger, _ := newLogger(config.Log{Level: "debug", Format: "json"}, log, false, logState{})
	c := &control{
		name: "main", state: state, log: logger, start: time.Now(), queue: testQueue(t, filepath.Join(t.TempDir(), "q"), "unix:/nowhere"),
		held: func() bool { return true },
		record: func() (*keystore.Agent, error) {
			return &keystore.Agent{AgentID: "agent_1", MachineID: "mach_1", Token: keystore.NewSecret("canary-token")}, nil
		},
		dial: func(ctx context.Context, r *keystore.Agent) (*sdk.ControlSocket, error) {
			return sdk.ConnectControlSocket(ctx, client, r.MachineID, sdk.ControlSocketOptions{MaxMessage: maxControlMessage})
		},
	}
	return c, log, func() status.Control { m, _ := state.Machine("main"); return *m.Control }
}

// TestHostileControlServer: whatever the server sends costs at most 4 MiB of memory and
// one line of log of each kind.
func TestHostileControlServer(t *testing.T) {
	junk := make([]byte, 1<<20)
	_, _ = rand.Read(junk)
	repeat := func(conn net.Conn, b []byte, times int) {
		for range times {
			if _, err := conn.Write(b); err != nil {
				return
			}
		}
	}
	text := func(s string) []byte { return frame(0x81, []byte(s)) }
	for name, serve := range map[string]func(net.Conn){
		"a frame of 100 MB": func(conn net.Conn) {
			repeat(conn, []byte{0x81, 127, 0, 0, 0, 0, 0x06, 0x40, 0, 0}, 1)
			repeat(conn, junk, 100)
		},
		"a frame of 2^63 bytes": func(conn net.Conn) {
			repeat(conn, []byte{0x81, 127, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, 1)
			repeat(conn, junk, 100)
		},
		"a message without end": func(conn net.Conn) {
			repeat(conn, frame(0x01, junk[:100]), 1)
			repeat(conn, frame(0x00, junk[:1000]), 100_000)
		},
		"binary": func(conn net.Conn) { repeat(conn, frame(0x82, junk[:60_000]), 300) },
		"a flood": func(conn net.Conn) {
			repeat(conn, text(`{"type":"x","payload":{"purchaseId":"`+strings.Repeat("p", 1000)+`"}}`), 700)
		},
		"a flood of large ones": func(conn net.Conn) { repeat(conn, text(`{"type":"x","a":"`+strings.Repeat("p", 60_000)+`"}`), 500) },
		"a flood of purchases": func(conn net.Conn) {
			for i := range 700 {
				repeat(conn, text(fmt.Sprintf(`{"type":"x","payload":{"purchaseId":"%d"}}`, i)), 1)
			}
		},
		"odd UTF-8": func(conn net.Conn) { repeat(conn, text("{\"type\":\"\xff\xfe\xc0\x80\"}"), 300) },
		"controls": func(conn net.Conn) {
			repeat(conn, text(`{"type":"\u0000\u001b[2J\u202e","payload":{"purchaseId":"\u2028"}}`), 300)
		},
		"deep nesting":  func(conn net.Conn) { repeat(conn, text(`{"type":"x","payload":`+strings.Repeat("[", 30_000)), 300) },
		"not JSON":      func(conn net.Conn) { repeat(conn, text(`{"type"`), 300) },
		"no frames":     func(conn net.Conn) { repeat(conn, junk, 10) },
		"pings":         func(conn net.Conn) { repeat(conn, frame(0x89, []byte("ping")), 20_000) },
		"reserved bits": func(conn net.Conn) { repeat(conn, frame(0xf1, []byte("{}")), 10) },
		"a close with the token": func(conn net.Conn) {
			repeat(conn, frame(0x88, append([]byte{0x03, 0xf0}, "canary-token\x1b[2J"...)), 1)
		},
	} {
		t.Run(name, func(t *testing.T) {
			c, log, state := hostileControl(t, serve)
			runtime.GC()
			before := liveHeap()
			peak, stop := watchHeap()
			ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
			defer cancel()
			if !c.connect(ctx) {
				t.Fatalf("%+v", state())
			}
			select {
			case err := <-c.socket.ended:
				c.lost(err)
			case <-ctx.Done():
				c.close()
			}
			stop()
			if grown := int64(peak()) - int64(before); grown > 4<<20 {
				t.Errorf("%d bytes more in use", grown)
			}
			s := state()
			if s.QueuedBytes > maxQueuedBytes || s.Queued > maxQueued {
				t.Errorf("%+v", s)
			}
			lines := map[status.Code]int{}
			for _, code := range []status.Code{status.CodeControlMessage, status.CodeQueueFull, status.CodeControlClosed, status.CodeControlConnected} {
				lines[code] = log.count(code)
				if lines[code] > 1 {
					t.Errorf("%s was said %d times", code, lines[code])
				}
			}
			if all := log.String(); len(all) > 2000 || strings.Contains(all, "canary") || strings.ContainsAny(all, "\x00\x1b\u202e") {
				t.Errorf("the log: %q", all)
			}
			if file, err := os.ReadFile(c.queue.path); err != nil || strings.Contains(string(file), "canary") || len(file) > maxQueueFile {
				t.Errorf("%d bytes in the file, %v", len(file), err)
			}
		})
	}
}

// acceptKey is the server's answer to a WebSocket handshake.
func acceptKey(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// frame is an unmasked WebSocket frame.
func frame(first byte, payload []byte) []byte {
	out := []byte{first}
	switch n := len(payload); {
	case n < 126:
		out = append(out, byte(n))
	case n < 1<<16:
		out = append(out, 126, byte(n>>8), byte(n))
	default:
		out = append(out, 127, 0, 0, 0, 0, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
	}
	return append(out, payload...)
}

// liveHeap is what the last collection kept.
func liveHeap() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// watchHeap returns the largest live heap while it watched.
func watchHeap() (peak func() uint64, stop func()) {
	var most uint64
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-quit:
				return
			case <-tick.C:
				runtime.GC()
				most = max(most, liveHeap())
			}
		}
	}()
	return func() uint64 { return most }, func() { close(quit); <-done }
}
