package telemetry

import (
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestConnectionLimit: the connection that has been unused for the longest time is
// closed for one above the limit.
func TestConnectionLimit(t *testing.T) {
	l := newLimitedListener(hold(t, "127.0.0.1:0"), 2)
	connect := func() (client net.Conn, server net.Conn) {
		t.Helper()
		client, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = client.Close() })
		if server, err = l.Accept(); err != nil {
			t.Fatal(err)
		}
		return client, server
	}
	wantOpen := func(want ...net.Conn) {
		t.Helper()
		if len(l.open) != len(want) {
			t.Errorf("%d connections open, want %d", len(l.open), len(want))
		}
		for i, c := range want {
			if _, open := l.open[c.(*limitedConn)]; !open {
				t.Errorf("connection %d was closed", i)
			}
		}
	}
	client1, server1 := connect()
	client2, server2 := connect()
	wantOpen(server1, server2)
	if _, err := client1.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := server1.Read(make([]byte, 1)); err != nil { // now the second is unused for longer
		t.Fatal(err)
	}
	client3, server3 := connect()
	wantOpen(server1, server3)
	if _, err := client2.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("the client of the closed connection reads %v", err)
	}
	if _, err := server1.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	_, server4 := connect()
	wantOpen(server1, server4)
	if _, err := client3.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("the client of the closed connection reads %v", err)
	}
	_ = server1.Close()
	_ = server1.Close() // a second time changes nothing
	wantOpen(server4)
	_, server5 := connect()
	wantOpen(server4, server5)
}

// TestHeldConnections: 200 connections that are idle, never finish their request, or
// do not read their responses keep neither /healthz nor /metrics from responding
// within a second.
func TestHeldConnections(t *testing.T) {
	const held = 200
	const metrics = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"
	for name, test := range map[string]struct {
		sent      string
		responses bool
	}{
		"idle":                 {"", false},
		"half-sent request":    {"GET /healthz HTTP/1.1\r\nHost: local", false},
		"slow reader":          {strings.Repeat(metrics, 100), true}, // more than fits into the buffers
		"idle after a request": {metrics, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newService(t, "127.0.0.1:0").serve()
			for range held {
				c, err := net.Dial("tcp", s.address())
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = c.Close() })
				_ = c.(*net.TCPConn).SetReadBuffer(4 << 10)
				if _, err := io.WriteString(c, test.sent); err != nil {
					t.Fatal(err)
				}
				if test.responses {
					if _, err := c.Read(make([]byte, 1)); err != nil { // the first response has arrived
						t.Fatal(err)
					}
				}
			}
			for _, path := range []string{"/healthz", "/metrics", "/healthz"} {
				began := time.Now()
				got := s.get(path)
				if took := time.Since(began); got.status != http.StatusOK || took > time.Second {
					t.Errorf("%s: status %d after %v", path, got.status, took)
				}
			}
		})
	}
}
