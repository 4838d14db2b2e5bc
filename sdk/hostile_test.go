package sdk

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"
)

// hostile starts a server whose response is written by hand, and a client with a limit of
// 1 MiB per response, like that of the daemon.
func hostile(t *testing.T, response http.HandlerFunc) *Client {
	t.Helper()
	server := httptest.NewServer(response)
	t.Cleanup(server.Close)
	transport := &http.Transport{MaxResponseHeaderBytes: 64 << 10}
	t.Cleanup(transport.CloseIdleConnections)
	c, err := New(server.URL, WithHTTPClient(&http.Client{Transport: transport}), WithMaxBody(1<<20))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// endless writes lead, then the same bytes until the client disconnects.
func endless(w io.Writer, lead string, chunk []byte) {
	if _, err := io.WriteString(w, lead); err != nil {
		return
	}
	for range 10 << 30 / len(chunk) { // 10 GB
		if _, err := w.Write(chunk); err != nil {
			return
		}
	}
}

// bomb is a gzip member of 1 MiB of spaces. A sequence of thousands of them is also valid.
func bomb(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(bytes.Repeat([]byte(" "), 1<<20)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// truncated announces a length, writes less and disconnects.
func truncated(length string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			panic(err)
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: "+length+"\r\n\r\n"+beatJSON)
	}
}

// TestHostileResponses has what a broken or malicious server can send in response to a
// heartbeat. Each costs at most 4 MiB, counting every byte that is allocated meanwhile, also
// by the server, and has the right code.
func TestHostileResponses(t *testing.T) {
	spaces := bytes.Repeat([]byte(" "), 64<<10)
	packed := bomb(t)
	deep := func(n int) string { return strings.Repeat(`[`, n) + strings.Repeat(`]`, n) }
	item := func(more string) string {
		return strings.Replace(beatJSON, `{"machineId"`, `{`+more+`,"machineId"`, 1)
	}
	write := func(body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) }
	}
	tests := []struct {
		name     string
		response http.HandlerFunc
		code     string // "" is a success
	}{
		{"10 GB of white space", func(w http.ResponseWriter, _ *http.Request) { endless(w, "", spaces) }, CodeInvalidResponseShape},
		{"10 GB of one string", func(w http.ResponseWriter, _ *http.Request) {
			endless(w, `{"item":{"machineId":"`, bytes.Repeat([]byte("a"), 64<<10))
		}, CodeInvalidResponseShape},
		{"10 GB of an error", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusBadRequest)
			endless(w, `{"error":{"code":"X","message":"`, spaces)
		}, CodeBadResponse},
		{"10 GB behind a redirect", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "https://elsewhere.example/x?token=secret")
			w.WriteHeader(http.StatusFound)
			endless(w, "", spaces)
		}, CodeBadResponse},
		{"a bomb of 10 GB in gzip", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			for range 10 << 10 {
				if _, err := w.Write(packed); err != nil {
					return
				}
			}
		}, CodeInvalidResponseShape},
		{"a bomb in an error", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			w.WriteHeader(http.StatusBadGateway)
			for range 10 << 10 {
				if _, err := w.Write(packed); err != nil {
					return
				}
			}
		}, CodeBadResponse},
		{"not gzip", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = io.WriteString(w, beatJSON)
		}, "network"},
		{"a length that overflows", truncated("9223372036854775807"), "network"},
		{"a length that is too large", truncated("999999999999"), "network"},
		{"nesting of 500 in an unknown member", write(item(`"x":` + deep(500))), ""},
		{"nesting of 100,000", write(item(`"x":` + deep(100_000))), CodeBadResponse},
		{"nesting of 300,000 that never closes", write(`{"item":` + strings.Repeat(`{"a":`, 150_000)), CodeBadResponse},
		{"NaN", write(strings.Replace(beatJSON, "90", "NaN", 1)), CodeBadResponse},
		{"Infinity", write(strings.Replace(beatJSON, "90", "-Infinity", 1)), CodeBadResponse},
		{"a number beyond all", write(strings.Replace(beatJSON, "90", "9"+strings.Repeat("0", 5000), 1)), CodeInvalidResponseShape},
		{"keys twice", write(item(`"machineId":"first"`)), ""},
		{"the envelope twice", write(strings.TrimSuffix(beatJSON, "}") + "," + beatJSON[1:]), ""},
		{"100,000 members nobody knows", write(item(strings.TrimSuffix(strings.Repeat(`"z":0,`, 100_000), ","))), ""},
		{
			"300,000 endpoints of nothing",
			write(strings.Replace(beatJSON, `"endpoints":[`, `"endpoints":[`+strings.Repeat(`{},`, 300_000), 1)),
			CodeInvalidResponseShape,
		},
		{"not UTF-8", write(strings.Replace(beatJSON, "qvac", "\xff\xfe", 1)), CodeBadResponse},
		{"UTF-16", write("\xff\xfe{\x00}\x00"), CodeBadResponse},
		{"a byte order mark", write("\ufeff" + beatJSON), ""},
		{"a coding that was not asked for", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "br")
			_, _ = io.WriteString(w, beatJSON)
		}, CodeInvalidResponseShape},
		{"two values", write(beatJSON + beatJSON), CodeBadResponse},
		{"a portal with 200", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			_, _ = io.WriteString(w, "<html>"+strings.Repeat("sign in ", 10_000))
		}, CodeBadResponse},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := hostile(t, tt.response)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := c.MachineAgents.Heartbeat(t.Context(), benchBeat())
			runtime.ReadMemStats(&after)
			var api *APIError
			var network *NetworkError
			switch {
			case tt.code == "":
				if err != nil {
					t.Errorf("got %v", err)
				}
			case tt.code == "network":
				if !errors.As(err, &network) || !errors.Is(err, ErrRetryable) {
					t.Errorf("got %v", err)
				}
			case !errors.As(err, &api) || api.Code != tt.code || strings.Contains(err.Error(), "secret"):
				t.Errorf("got %v, want %s", err, tt.code)
			}
			cost := after.TotalAlloc - before.TotalAlloc
			t.Logf("%d KiB", cost>>10)
			if cost > 4<<20 {
				t.Errorf("%d KiB were allocated", cost>>10)
			}
		})
	}
}

// rawServer accepts connections and passes them to talk until the test ends.
func rawServer(t *testing.T, talk func(net.Conn)) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				talk(conn)
			}()
		}
	}()
	return "http://" + listener.Addr().String()
}

// TestSlowServersEndWithTheContext: a server that sends slowly takes no more time than the
// caller allows.
func TestSlowServersEndWithTheContext(t *testing.T) {
	dribble := func(lead string) func(net.Conn) {
		return func(conn net.Conn) {
			if _, err := conn.Read(make([]byte, 4096)); err != nil { // a response before the request is invalid
				return
			}
			_, _ = io.WriteString(conn, lead)
			_, _ = io.Copy(io.Discard, conn) // holds until the client hangs up
		}
	}
	for name, lead := range map[string]string{
		"says nothing": "", "half a status line": "HTTP/1.1 2", "half a header": "HTTP/1.1 200 OK\r\nContent-Ty",
		"no body":       "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n",
		"half a body":   "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n" + beatJSON[:100],
		"a chunk":       "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"ite\r\n",
		"half an error": "HTTP/1.1 503 Busy\r\nContent-Length: 500\r\n\r\n{",
	} {
		t.Run(name, func(t *testing.T) {
			c, err := New(rawServer(t, dribble(lead)), WithHTTPClient(&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}))
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			began := time.Now()
			_, err = c.MachineAgents.Heartbeat(ctx, benchBeat())
			var api *APIError
			switch {
			case name == "half an error": // the status is what counts
				if !errors.As(err, &api) || api.StatusCode != http.StatusServiceUnavailable {
					t.Errorf("got %v", err)
				}
			case !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, ErrRetryable):
				t.Errorf("got %v", err)
			}
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
}

// TestEndlessHeaders: net/http stops reading headers at the transport's limit.
func TestEndlessHeaders(t *testing.T) {
	base := rawServer(t, func(conn net.Conn) {
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\n")
		for i := 0; ; i++ {
			if _, err := fmt.Fprintf(conn, "X-%d: %s\r\n", i, strings.Repeat("a", 1000)); err != nil {
				return
			}
		}
	})
	c, err := New(base, WithHTTPClient(&http.Client{Transport: &http.Transport{DisableKeepAlives: true, MaxResponseHeaderBytes: 64 << 10}}))
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.MachineAgents.Heartbeat(t.Context(), benchBeat())
	var network *NetworkError
	if !errors.As(err, &network) {
		t.Errorf("got %v", err)
	}
}
