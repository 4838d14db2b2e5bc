package agent

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"time"
)

// probeTransport sends a request over a plain TCP connection of its own and closes
// that with the response's body. A probe is most of what the agent does at rest, and
// net/http's transport starts three goroutines for each connection, which costs more
// than the probe itself. Everything else, TLS first, is left to that transport.
type probeTransport struct{ dialer *net.Dialer }

// probeBytes bounds what is read of a response, headers included.
const probeBytes = 64 << 10

// RoundTrip is limited by the request's context. It follows no redirect and uses no
// proxy.
func (t *probeTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	port := req.URL.Port()
	if port == "" {
		port = "80"
	}
	conn, err := t.dialer.DialContext(ctx, "tcp", net.JoinHostPort(req.URL.Hostname(), port))
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	res, err := exchangeOn(conn, req)
	if err != nil {
		stop()
		_ = conn.Close()
		return nil, err
	}
	res.Body = &probeBodyReader{Reader: res.Body, close: func() error { stop(); return conn.Close() }}
	return res, nil
}

// exchangeOn writes the request and reads the headers of its final response.
func exchangeOn(conn net.Conn, req *http.Request) (*http.Response, error) {
	closing := *req
	closing.Close = true
	if err := closing.Write(conn); err != nil {
		return nil, err
	}
	in := bufio.NewReaderSize(io.LimitReader(conn, probeBytes), 1<<10)
	for {
		res, err := http.ReadResponse(in, req)
		if err != nil || res.StatusCode >= 200 || res.StatusCode == http.StatusSwitchingProtocols {
			return res, err
		}
	}
}

// probeBodyReader is a response's body, with its connection.
type probeBodyReader struct {
	io.Reader
	close func() error
}

func (b *probeBodyReader) Close() error { return b.close() }
