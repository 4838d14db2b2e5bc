package sdk

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gopkg.in/yaml.v3"
)

// lockedBuffer is a buffer for the global logger.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// globalLog collects what the process's global logger prints during a test.
func globalLog(t *testing.T) *lockedBuffer {
	t.Helper()
	out, before := &lockedBuffer{}, log.Writer()
	log.SetOutput(out)
	t.Cleanup(func() { log.SetOutput(before) })
	return out
}

// talker is a server that responds to each request on a connection with the bytes of say, and
// reports each connection that the client closes.
func talker(t *testing.T, say func(n int, r *http.Request) string) (base string, closed chan struct{}) {
	t.Helper()
	closed = make(chan struct{}, 1000)
	base = rawServer(t, func(conn net.Conn) {
		defer func() { closed <- struct{}{} }()
		in := bufio.NewReader(conn)
		for n := 0; ; n++ {
			r, err := http.ReadRequest(in)
			if err != nil {
				return
			}
			_, _ = io.Copy(io.Discard, r.Body)
			said := say(n, r)
			if said == "" {
				return
			}
			if _, err := io.WriteString(conn, said); err != nil {
				return
			}
		}
	})
	return base, closed
}

func rawOK(body string) string {
	return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

// wrapped is a caller's own RoundTripper around that of net/http.
type wrapped struct{ inner http.RoundTripper }

func (w wrapped) RoundTrip(r *http.Request) (*http.Response, error) { return w.inner.RoundTrip(r) }

// secretCalls returns the Go calls whose response holds a secret, by the operations table.
func secretCalls(t *testing.T) map[string]bool {
	t.Helper()
	text, err := os.ReadFile("testdata/operations.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var all []struct {
		Secret string
		Calls  []struct{ Go string }
	}
	if err := yaml.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	out := map[string]bool{}
	for _, o := range all {
		for _, call := range o.Calls {
			if o.Secret == "yes" {
				out[call.Go] = true
			}
		}
	}
	if len(out) < 10 {
		t.Fatalf("only %d calls have a secret in their response", len(out))
	}
	return out
}

// TestNoSecretReachesTheGlobalLogger: net/http prints what follows a response on a kept
// connection. Every response is sent as it should be, twice, with surplus behind it, longer
// than announced and shorter, to every call whose response holds a secret: the connection is
// closed after it, and nothing is printed.
func TestNoSecretReachesTheGlobalLogger(t *testing.T) {
	body := `{"item":{"id":"a","machineId":"m","label":"l","status":"provisioned","createdAt":"c","updatedAt":"u","agentToken":"` +
		canary + `","pairingToken":"` + canary + `"},"access":[{"k":"` + canary + `"}],"items":["` + canary + `"]}`
	good := rawOK(body)
	refused := strings.Replace(rawOK(`{"error":{"code":"X","message":"`+canary+`"}}`), "200 OK", "403 Forbidden", 1)
	chunked := fmt.Sprintf("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(body), body)
	announced := fmt.Sprintf("Content-Length: %d", len(body))
	for how, said := range map[string]string{
		"once": good, "twice": good + good, "surplus": good + canary, "chunked, twice": chunked + chunked, "an error, twice": refused + refused,
		"too long":  strings.Replace(good, announced, fmt.Sprintf("Content-Length: %d", len(body)-40), 1),
		"too short": strings.Replace(good, announced, fmt.Sprintf("Content-Length: %d", len(body)+1), 1),
	} {
		for kind, transport := range map[string]func() http.RoundTripper{
			"net/http": func() http.RoundTripper { return &http.Transport{} },
			"wrapped":  func() http.RoundTripper { return wrapped{&http.Transport{}} },
			"default":  func() http.RoundTripper { return nil },
		} {
			t.Run(how+" "+kind, func(t *testing.T) {
				printed, want := globalLog(t), secretCalls(t)
				base, closed := talker(t, func(_ int, r *http.Request) string {
					if !r.Close {
						return rawOK(`{}`) // not a call with a secret
					}
					return said
				})
				limit := 10 * time.Second
				if how == "too short" {
					limit = 50 * time.Millisecond
				}
				c, err := New(base, WithHTTPClient(&http.Client{Transport: transport(), Timeout: limit}))
				if err != nil {
					t.Fatal(err)
				}
				checked := 0
				eachCall(t, c, func(name string, err error) {
					if !want[name] {
						return
					}
					var invalid *ValidationError
					if checked++; errors.As(err, &invalid) {
						t.Errorf("%s sent nothing: %v", name, err)
						return
					}
					select {
					case <-closed:
					case <-time.After(5 * time.Second):
						t.Errorf("%s: the connection was kept", name)
					}
				})
				if checked < 10 || printed.String() != "" {
					t.Errorf("%d calls; printed %q", checked, printed)
				}
			})
		}
	}
}

// TestDeliveryReachesTheWireOnce: each delivery notifies the seller, so net/http must not
// repeat it when a kept connection breaks.
func TestDeliveryReachesTheWireOnce(t *testing.T) {
	const body = `{"purchaseId":"p","delivery":{"status":"ready","mode":"p2p","transportId":"t","sessionId":"s",` +
		`"signaling":{"type":"x","channelId":"c"}},"access":[]}`
	for kind, transport := range map[string]http.RoundTripper{"net/http": &http.Transport{}, "wrapped": wrapped{&http.Transport{}}} {
		t.Run(kind, func(t *testing.T) {
			var requests, deliveries atomic.Int32
			base, _ := talker(t, func(n int, r *http.Request) string {
				requests.Add(1)
				if !strings.HasSuffix(r.URL.Path, "/delivery") {
					return rawOK(`{"item":` + machineJSON + `}`)
				}
				if deliveries.Add(1) == 2 {
					return "" // the connection breaks
				}
				return rawOK(body)
			})
			c, err := New(base, WithHTTPClient(&http.Client{Transport: transport}))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := getMachine(c); err != nil { // leaves a kept connection
				t.Fatal(err)
			}
			if _, err := c.Purchases.Delivery(t.Context(), "p", NewSecret("token")); err != nil {
				t.Fatal(err)
			}
			if _, err := getMachine(c); err != nil {
				t.Fatal(err)
			}
			if _, err := c.Purchases.Delivery(t.Context(), "p", NewSecret("token")); err == nil {
				t.Error("a delivery without a response succeeded")
			}
			if deliveries.Load() != 2 || requests.Load() != 4 {
				t.Errorf("2 deliveries took %d requests, all calls %d", deliveries.Load(), requests.Load())
			}
		})
	}
}
