package sdk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// meaning is what errors.Is says about an error.
type meaning struct{ retryable, canceled, deadline, unknown bool }

func meaningOf(err error) meaning {
	return meaning{
		errors.Is(err, ErrRetryable), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded),
		errors.Is(err, ErrOutcomeUnknown),
	}
}

// refusing is an address at which nothing listens.
func refusing(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener.Close()
	return "http://" + listener.Addr().String()
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func mainDeployment(t *testing.T) Deployment {
	t.Helper()
	return must[Deployment](t)(LookupDeployment(DefaultDeployment))
}

// TestMeanings: what happened to a request, asked of every kind of connection.
func TestMeanings(t *testing.T) {
	closed := refusing(t)
	cut := rawServer(t, func(conn net.Conn) { _, _ = conn.Read(make([]byte, 4096)) })
	half := rawServer(t, func(conn net.Conn) {
		_, _ = conn.Read(make([]byte, 4096))
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
	})
	silent := rawServer(t, func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) })
	answered := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }))
	defer answered.Close()
	limited := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "5")
		w.WriteHeader(http.StatusTooManyRequests)
		_, _ = io.WriteString(w, "{}")
	}))
	defer limited.Close()
	calls := map[string]func(ctx context.Context, base string) error{
		"a read": func(ctx context.Context, base string) error {
			_, err := must[*Client](t)(New(base)).Machines.Get(ctx, "m")
			return err
		},
		"an enrollment": func(ctx context.Context, base string) error {
			_, err := must[*Client](t)(New(base)).MachineAgents.Enroll(ctx, "m", EnrollMachineAgent{})
			return err
		},
		"a stream": func(ctx context.Context, base string) (err error) {
			for _, err = range must[*Client](t)(New(base)).IoT.Events(ctx, "m", NewSecret("token-token"), IoTEventOptions{}) {
				continue
			}
			return err
		},
		"a socket": func(ctx context.Context, base string) error {
			_, err := ConnectControlSocket(ctx, must[*Client](t)(New(base)), "m", ControlSocketOptions{})
			return err
		},
		"the chain": func(ctx context.Context, base string) error {
			_, err := must[*Chain](t)(NewChain(base, mainDeployment(t))).ID(ctx)
			return err
		},
		"the MCR": func(ctx context.Context, base string) error {
			_, err := must[*MCR](t)(NewMCR(base)).Rating(ctx, "42")
			return err
		},
	}
	for name, call := range calls {
		for what, tt := range map[string]struct {
			base string
			end  func(context.Context) (context.Context, context.CancelFunc)
			want meaning
		}{
			"refused":  {closed, nil, meaning{retryable: true}},
			"cut":      {cut, nil, meaning{retryable: true, unknown: true}},
			"half":     {half, nil, meaning{retryable: true, unknown: true}},
			"answered": {answered.URL, nil, meaning{retryable: true}},
			"canceled before": {silent, func(ctx context.Context) (context.Context, context.CancelFunc) {
				ctx, cancel := context.WithCancel(ctx)
				cancel()
				return ctx, cancel
			}, meaning{canceled: true}},
			"canceled while waiting": {silent, func(ctx context.Context) (context.Context, context.CancelFunc) {
				ctx, cancel := context.WithCancel(ctx)
				time.AfterFunc(100*time.Millisecond, cancel)
				return ctx, cancel
			}, meaning{canceled: true, unknown: true}},
			"a deadline": {silent, func(ctx context.Context) (context.Context, context.CancelFunc) {
				return context.WithTimeout(ctx, 100*time.Millisecond)
			}, meaning{retryable: true, deadline: true, unknown: true}},
			"canceled in the wait of a retry": {limited.URL, func(ctx context.Context) (context.Context, context.CancelFunc) {
				ctx, cancel := context.WithCancel(ctx)
				time.AfterFunc(200*time.Millisecond, cancel)
				return ctx, cancel
			}, meaning{retryable: true}},
		} {
			ctx, cancel := t.Context(), context.CancelFunc(func() {})
			if tt.end != nil {
				ctx, cancel = tt.end(ctx)
			}
			retries := name == "the chain" || name == "the MCR"
			if retries && strings.HasPrefix(what, "canceled in") {
				tt.want = meaning{canceled: true, unknown: true}
			}
			if retries && (what == "half" || what == "cut" || what == "refused") {
				cancel()
				continue // they wait a second, and try again
			}
			if what == "half" && (name == "a stream" || name == "a socket") {
				cancel()
				continue // the status and the headers are a response of another kind
			}
			err := call(ctx, tt.base)
			cancel()
			got := meaningOf(err)
			if retries && what == "answered" {
				got, tt.want = meaning{}, meaning{} // 502 has another meaning for each
			}
			if err == nil || got != tt.want {
				t.Errorf("%s, %s: %+v, want %+v: %v", name, what, got, tt.want, err)
			}
		}
	}
}

// TestOutcomeIsKnownIfNothingWasSent: arguments and responses.
func TestOutcomeIsKnownIfNothingWasSent(t *testing.T) {
	c, _ := serve(t, reply{status: 409, body: `{"error":{"code":"X","message":"y"}}`})
	_, invalid := c.Machines.Get(t.Context(), "")
	_, refused := getMachine(c)
	_, config := New("nowhere")
	for _, err := range []error{invalid, refused, config} {
		if err == nil || meaningOf(err) != (meaning{}) {
			t.Errorf("%+v: %v", meaningOf(err), err)
		}
	}
}

// TestEndsOfASocket: which ends may pass.
func TestEndsOfASocket(t *testing.T) {
	for code, retry := range map[websocket.StatusCode]bool{
		websocket.StatusGoingAway: true, websocket.StatusInternalError: true, websocket.StatusServiceRestart: true,
		websocket.StatusTryAgainLater: true, 4408: true, 4429: true, 4500: true,
		websocket.StatusPolicyViolation: false, websocket.StatusUnsupportedData: false, 4401: false, 4403: false, 3000: false,
		websocket.StatusMessageTooBig: false, websocket.StatusProtocolError: false, 0: true,
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			conn, err := websocket.Accept(w, r, nil)
			if err != nil {
				t.Error(err)
				return
			}
			if code == 0 {
				_ = conn.CloseNow() // dropped
				return
			}
			_ = conn.Close(code, "because of "+canary)
		}))
		c := must[*Client](t)(New(server.URL))
		socket, err := ConnectControlSocket(t.Context(), c, "m", ControlSocketOptions{AgentToken: Some(NewSecret(canary))})
		if err != nil {
			t.Fatal(err)
		}
		for _, err = range socket.Messages(t.Context()) {
			continue
		}
		var fault *SocketError
		if !errors.As(err, &fault) || errors.Is(err, ErrRetryable) != retry || shows(err.Error()) {
			t.Errorf("%d: retryable is %t: %v", code, errors.Is(err, ErrRetryable), err)
		}
		server.Close()
	}
}

// TestSilentPeerIsNoticed: a peer that holds the connection and does not respond to pings.
func TestSilentPeerIsNoticed(t *testing.T) {
	for name, responds := range map[string]bool{"silent": false, "responding": true} {
		t.Run(name, func(t *testing.T) {
			done := make(chan struct{})
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				conn, err := websocket.Accept(w, r, nil)
				if err != nil {
					t.Error(err)
					return
				}
				defer conn.CloseNow()
				if responds {
					go func() { _, _, _ = conn.Read(context.Background()) }() // responds to pings
					timer := time.NewTimer(400 * time.Millisecond)
					defer timer.Stop()
					<-timer.C
					_ = conn.Write(context.Background(), websocket.MessageText, []byte(`{"type":"control.connected"}`))
				}
				<-done
			}))
			defer server.Close()
			defer close(done)
			socket, err := ConnectControlSocket(t.Context(), must[*Client](t)(New(server.URL)), "m", ControlSocketOptions{})
			if err != nil {
				t.Fatal(err)
			}
			socket.pingAfter, socket.pongWithin = 30*time.Millisecond, 100*time.Millisecond
			began := time.Now()
			for message, err := range socket.Messages(t.Context()) {
				if responds {
					if _, ok := message.(*ControlConnected); !ok || err != nil {
						t.Errorf("got %v, %v", message, err)
					}
					break
				}
				if !errors.Is(err, ErrRetryable) || time.Since(began) > 5*time.Second {
					t.Errorf("after %v: %v", time.Since(began), err)
				}
			}
			socket.Close()
		})
	}
}

// TestSocketContexts: the context of Messages ends the socket; that of Send only if it ends
// while the message is being sent. A socket that this side closed ends without an error.
func TestSocketContexts(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		for {
			if _, _, err := conn.Read(context.Background()); err != nil {
				return
			}
			_ = conn.Write(context.Background(), websocket.MessageText, []byte(`{"type":"control.ack","messageType":"x"}`))
		}
	}))
	defer server.Close()
	open := func() *ControlSocket {
		return must[*ControlSocket](t)(ConnectControlSocket(t.Context(), must[*Client](t)(New(server.URL)), "m", ControlSocketOptions{}))
	}
	socket := open()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := socket.Send(ended, json.RawMessage(`{"type":"x"}`)); meaningOf(err) != (meaning{canceled: true}) {
		t.Errorf("%+v: %v", meaningOf(err), err)
	}
	if err := socket.Send(t.Context(), json.RawMessage(`{"type":"x"}`)); err != nil {
		t.Errorf("after a send that was canceled: %v", err)
	}
	for message, err := range socket.Messages(t.Context()) {
		if _, ok := message.(*ControlAck); !ok || err != nil {
			t.Errorf("got %v, %v", message, err)
		}
		socket.Close() // the loop ends without an error
	}
	socket = open()
	limited, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	var last error
	for _, last = range socket.Messages(limited) {
		continue
	}
	if !errors.Is(last, context.DeadlineExceeded) || errors.Is(last, ErrRetryable) {
		t.Errorf("got %v", last)
	}
	if err := socket.Send(t.Context(), json.RawMessage(`{}`)); err == nil {
		t.Error("the socket outlived the context of Messages")
	}
}

// TestConfigurationIsCheckedAtOnce: what cannot be sent is rejected by New, with the character
// and its place, and never with the value.
func TestConfigurationIsCheckedAtOnce(t *testing.T) {
	for value, says := range map[string]string{
		"canary\n": "ends in a newline", "\rcanary": "begins with a carriage return", "“canary”": "begins with “",
		"can\x00ary": "contains the character U+0000", "canary…": "ends in …", "can\xffary": "contains a byte that is not UTF-8",
	} {
		for field, option := range map[string]Option{"apiKey": WithAPIKey(NewSecret(value)), "userAgent": WithUserAgent(value)} {
			_, err := New("http://127.0.0.1:9", option)
			var fault *ConfigError
			if !errors.As(err, &fault) || fault.Field != field || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "canary") ||
				errors.Is(err, ErrRetryable) {
				t.Errorf("%s %q: %v", field, value, err)
			}
		}
		t.Setenv("PEAQOS_API_KEY", "k")
		if value == "can\x00ary" {
			continue // no environment holds it
		}
		t.Setenv("PEAQOS_API_KEY", value)
		if _, err := FromEnv(); err == nil || !strings.Contains(err.Error(), "PEAQOS_API_KEY "+says) {
			t.Errorf("%q in the environment: %v", value, err)
		}
	}
	var sent string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent = r.Header.Get("X-Api-Key")
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprintf(w, `{"error":{"code":"AUTH_INVALID","message":"the API key %s is not valid: ask"}}`, sent)
	}))
	defer server.Close()
	for key, want := range map[string]string{
		" long-enough-key\t": "the API key [REDACTED] is not valid: ask", "k": "the API key k is not valid: ask",
	} {
		_, err := getMachine(must[*Client](t)(New(server.URL, WithAPIKey(NewSecret(key)))))
		if sent != strings.TrimSpace(key) || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q was sent as %q: %v", key, sent, err)
		}
	}
	c := must[*Client](t)(New(server.URL, nil, WithHTTPClient(nil), WithMiddleware(nil)))
	if _, err := getMachine(c); !errors.Is(err, ErrAuth) {
		t.Errorf("with nil options: %v", err)
	}
}

// TestMiddlewareCannotInventAResponse: it cannot make a call panic, or succeed out of nothing.
func TestMiddlewareCannotInventAResponse(t *testing.T) {
	for name, m := range map[string]Middleware{
		"responds itself": func(RoundTrip) RoundTrip {
			return func(context.Context, *Request) (*Response, error) { return &Response{Status: 200}, nil }
		},
		"returns nothing": func(RoundTrip) RoundTrip {
			return func(context.Context, *Request) (*Response, error) { return nil, nil }
		},
		"returns no function": func(RoundTrip) RoundTrip { return nil },
		"drops the error": func(next RoundTrip) RoundTrip {
			return func(ctx context.Context, r *Request) (*Response, error) {
				_, _ = next(ctx, r)
				return &Response{Status: 200}, nil
			}
		},
		"drops the request": func(next RoundTrip) RoundTrip {
			return func(ctx context.Context, _ *Request) (*Response, error) { return next(ctx, nil) }
		},
		"breaks a header": func(next RoundTrip) RoundTrip {
			return func(ctx context.Context, r *Request) (*Response, error) {
				r.Header.Set("Traceparent", "a\nb")
				return next(ctx, r)
			}
		},
	} {
		c := must[*Client](t)(New(refusing(t), WithMiddleware(m)))
		_, err := getMachine(c)
		var config *ConfigError
		if !errors.As(err, &config) || errors.Is(err, ErrRetryable) {
			t.Errorf("%s: %v", name, err)
		}
		for _, err = range c.IoT.Events(t.Context(), "m", NewSecret("token-token"), IoTEventOptions{}) {
			continue
		}
		if !errors.As(err, &config) {
			t.Errorf("%s, a stream: %v", name, err)
		}
	}
	c, _ := serve(t, reply{status: 429, header: map[string]string{"Retry-After": "7"}, body: `{}`})
	var asked Optional[time.Duration]
	WithMiddleware(func(next RoundTrip) RoundTrip {
		return func(ctx context.Context, r *Request) (*Response, error) {
			out, err := next(ctx, r)
			asked = out.RetryAfter
			return out, err
		}
	})(c)
	if _, err := getMachine(c); !errors.Is(err, ErrRateLimited) || asked != Some(7*time.Second) {
		t.Errorf("asked to wait %v: %v", asked, err)
	}
}

// TestEmptyNumberIsRejected: it is rejected before anything is sent.
func TestEmptyNumberIsRejected(t *testing.T) {
	c, requests := serve(t, reply{body: `{}`})
	_, err := c.AgentPairings.Update(t.Context(), "m", "p", UpdateAgentPairing{
		DelegationPolicy: Some(DelegationPolicy{DailySpendLimit: Some(json.Number(""))}),
	})
	var invalid *ValidationError
	if !errors.As(err, &invalid) || invalid.Field != "delegationPolicy.dailySpendLimit" || len(*requests) != 0 {
		t.Errorf("%v, %d requests", err, len(*requests))
	}
}

// TestErrorsSayWhatTheBodyWas: bodies that are not the API's.
func TestErrorsSayWhatTheBodyWas(t *testing.T) {
	for body, want := range map[string]string{
		`{"error":"invalid api key"}`:                                          "another JSON object: invalid api key",
		`{"type":"about:blank","title":"Forbidden","detail":"key is blocked"}`: "another JSON object: key is blocked",
		`{"detail":"Not authenticated"}`:                                       "another JSON object: Not authenticated",
		`{"error":{"message":"no such route"}}`:                                "another JSON object: no such route",
		`["a"]`:                                                                "other JSON", ``: "empty",
		`<!DOCTYPE html><p>`: "HTML", `<?xml version="1.0"?>`: "XML or HTML",
		"Unauthorized": "plain text", "\x00\x01": "binary data", `{"error":`: "incomplete or invalid JSON",
	} {
		c, _ := serve(t, reply{status: 401, body: body})
		if _, err := getMachine(c); !errors.Is(err, ErrAuth) || !strings.HasSuffix(err.Error(), "error envelope but "+want) {
			t.Errorf("%q: %v", body, err)
		}
	}
}
