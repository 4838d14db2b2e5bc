package sandbox_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/peaqnetwork/peaqos-agent/sdk/sandbox"
)

const canary = "CANARY-7d1f"

// captureLogs returns what the standard logger and standard error receive from now on.
func captureLogs(t *testing.T) func() string {
	t.Helper()
	var logged bytes.Buffer
	log.SetOutput(&logged)
	t.Cleanup(func() { log.SetOutput(os.Stderr) })
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	stderr := os.Stderr
	os.Stderr = w
	return func() string {
		os.Stderr = stderr
		_ = w.Close()
		text, _ := io.ReadAll(r)
		return string(text) + logged.String()
	}
}

// misbehavingRuntime answers each connection with raw text; before decides whether it speaks first.
func misbehavingRuntime(t *testing.T, first bool, text string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				in := bufio.NewReader(c)
				if first {
					_, _ = io.WriteString(c, text)
				}
				for {
					_ = c.SetReadDeadline(time.Now().Add(200 * time.Millisecond)) // then it closes
					r, err := http.ReadRequest(in)
					if err != nil {
						return
					}
					_, _ = io.Copy(io.Discard, r.Body)
					if _, err := io.WriteString(c, text); err != nil {
						return
					}
				}
			}()
		}
	}()
	return "http://" + l.Addr().String()
}

// TestNothingFromTheWireIsLogged: what a runtime or a client sends is printed nowhere, even if it
// comes unasked, twice, or is too long or too short.
func TestNothingFromTheWireIsLogged(t *testing.T) {
	body := `{"data":"` + canary + `"}`
	ok := func(length int) string {
		return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-C: %s\r\nContent-Length: %d\r\n\r\n%s", canary, length, body)
	}
	printed := captureLogs(t)
	r := newSocketHarness(t)
	p := r.pair(r.machine(), nil)
	for name, text := range map[string]string{
		"as it should be": ok(len(body)),
		"twice":           ok(len(body)) + ok(len(body)),
		"too long":        ok(len(body)-5) + body,
		"too short":       ok(len(body) + 50),
		"not HTTP":        canary + "\r\n\r\n" + canary,
		"informational":   "HTTP/1.1 103 " + canary + "\r\nX: y\r\n\r\n" + ok(len(body)),
	} {
		for _, first := range []bool{false, true} {
			base := misbehavingRuntime(t, first, text)
			endpoint := object{"endpointBaseUrl": base, "probePath": "/v1/models"}
			r.call("PUT", "/machines/"+p.machine+"/runtime-endpoints/qvac", endpoint)
			for range 3 {
				if a := r.post("/machines/"+p.machine+"/runtime-endpoints/qvac/probe", object{}).ok(200); strings.Contains(a.text, canary) {
					t.Errorf("%s: the probe returns %s", name, a.text)
				}
			}
			id := p.made("svc_qvac_inference", "input", object{"messages": []object{{"role": "user", "content": "hi"}}})
			endpoint["status"] = "active"
			r.call("PUT", "/machines/"+p.machine+"/runtime-endpoints/qvac", endpoint).ok(200)
			if a := p.onOrder(id, "execute", object{}).ok(200); name == "as it should be" && !first && a.str("order.status") != "delivered" {
				t.Errorf("%s: %s", name, a.text)
			}
		}
	}
	// Clients that send nonsense, over plain HTTP and over TLS.
	certificate := tls.Config{MinVersion: tls.VersionTLS12}
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	secure := tls.NewListener(mustListen(t), &certificate)
	for _, l := range []net.Listener{plain, secure} {
		for _, server := range []*http.Server{r.s.HTTPServer(), r.s.AdminServer()} {
			go func() { _ = server.Serve(l) }()
			t.Cleanup(func() { _ = server.Close() })
		}
		for _, text := range []string{
			canary, "GET /" + canary + " HTTP/9.9\r\n\r\n", "POST /api/v1/machines HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n" + canary,
			"GET / HTTP/1.1\r\nHost: x\r\n" + canary + "\r\n\r\n", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz" + canary,
		} {
			c, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.WriteString(c, text+"\r\n\r\n")
			_ = c.(*net.TCPConn).CloseWrite()
			_, _ = io.Copy(io.Discard, c)
			_ = c.Close()
		}
	}
	if text := printed(); text != "" {
		t.Errorf("it printed %q", text)
	}
}

func mustListen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// TestWithoutLoopbackCalls: a server for other computers does not call its own, and says so.
func TestWithoutLoopbackCalls(t *testing.T) {
	base := misbehavingRuntime(t, false, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	probe := func(opts ...sandbox.Option) reply {
		r := newSocketHarness(t, opts...)
		m := r.machine()
		r.call("PUT", "/machines/"+m+"/runtime-endpoints/x", object{"endpointBaseUrl": base}).ok(201)
		return r.post("/machines/"+m+"/runtime-endpoints/x/probe", object{}).ok(200)
	}
	if a := probe(); a.str("item.status") != "active" {
		t.Errorf("by default: %s", a.text)
	}
	a := probe(sandbox.WithoutLoopbackCalls())
	if a.str("item.status") != "unreachable" || !strings.Contains(a.str("item.error"), "loopback") {
		t.Errorf("without: %s", a.text)
	}
}
