package sandbox

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"syscall"
	"time"
)

var (
	errForbiddenAddress = errors.New("an address that machines cannot publish")
	errLoopback         = errors.New("a loopback address, which a sandbox that serves other computers does not call")
)

const (
	outboundTime = 30 * time.Second // timeout of a whole call
	outboundBody = 256 << 10        // bytes read of a response
)

// outboundTransport returns the transport for machines' endpoints and RPC addresses. The address is
// checked when the connection is made, after name resolution, so that a name cannot resolve to
// another address in between. No proxy is used, and no connection is used twice: net/http prints what
// arrives on an idle connection to the log of the process.
func outboundTransport(loopback bool) http.RoundTripper {
	dialer := &net.Dialer{
		Timeout: 10 * time.Second,
		Control: func(_, address string, _ syscall.RawConn) error { return reachable(address, loopback) },
	}
	return &http.Transport{
		DisableKeepAlives: true, TLSHandshakeTimeout: 10 * time.Second, ResponseHeaderTimeout: outboundTime, MaxResponseHeaderBytes: 64 << 10,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := dialer.DialContext(ctx, network, address)
			return listenAfterSpeaking(conn), err
		},
		DialTLSContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := (&tls.Dialer{NetDialer: dialer, Config: &tls.Config{MinVersion: tls.VersionTLS12}}).DialContext(ctx, network, address)
			return listenAfterSpeaking(conn), err
		},
	}
}

// patientConn is a connection that reads nothing before something was written: net/http prints what a
// server sends before it was asked.
type patientConn struct {
	net.Conn
	spoken  chan struct{}
	speakIt func()
}

func listenAfterSpeaking(conn net.Conn) net.Conn {
	if conn == nil {
		return nil
	}
	spoken := make(chan struct{})
	return &patientConn{Conn: conn, spoken: spoken, speakIt: sync.OnceFunc(func() { close(spoken) })}
}

func (c *patientConn) Read(b []byte) (int, error) {
	<-c.spoken
	return c.Conn.Read(b)
}

func (c *patientConn) Write(b []byte) (int, error) {
	c.speakIt()
	return c.Conn.Write(b)
}

func (c *patientConn) Close() error {
	c.speakIt()
	return c.Conn.Close()
}

// reachable rejects addresses that no machine can publish, including the metadata addresses of
// clouds. Private addresses are normal for machines, and so is loopback unless the server must not
// call it.
func reachable(address string, loopback bool) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("the address %s cannot be read", address)
	}
	ip := at.Addr().Unmap().WithZone("")
	for _, metadata := range []string{"169.254.169.254", "100.100.100.200", "192.0.0.192", "fd00:ec2::254"} {
		if ip.String() == metadata {
			return fmt.Errorf("%s: %w", ip, errForbiddenAddress)
		}
	}
	switch {
	case ip.IsLoopback() && !loopback:
		return errLoopback
	case ip.IsLinkLocalUnicast(), ip.IsMulticast(), ip.IsUnspecified(), ip == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return fmt.Errorf("%s: %w", ip, errForbiddenAddress)
	}
	return nil
}

// fetch sends a request without following redirects and reads at most outboundBody bytes. The
// caller must not hold the lock.
func (s *Server) fetch(r *http.Request) (status int, body []byte, err error) {
	ctx, cancel := context.WithTimeout(r.Context(), outboundTime)
	defer cancel()
	res, err := s.outbound.RoundTrip(r.WithContext(ctx))
	if err != nil {
		return 0, nil, err
	}
	defer res.Body.Close()
	body, err = io.ReadAll(io.LimitReader(res.Body, outboundBody+1))
	if err == nil && len(body) > outboundBody {
		err = fmt.Errorf("the response is longer than %d bytes", outboundBody)
	}
	return res.StatusCode, body, err
}

// plainCause describes why a call failed, without addresses.
func plainCause(err error) string {
	var timeout interface{ Timeout() bool }
	var dns *net.DNSError
	var call *net.OpError
	switch {
	case errors.As(err, &timeout) && timeout.Timeout(), errors.Is(err, context.DeadlineExceeded):
		return "it timed out"
	case errors.As(err, &dns):
		return "its name cannot be resolved"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "the connection was refused"
	case errors.Is(err, errLoopback):
		return "its address is on loopback, and a sandbox that serves other computers does not call its own"
	case errors.Is(err, errForbiddenAddress):
		return "its address is not allowed"
	case errors.As(err, &call):
		return "the connection failed"
	}
	return "the call failed"
}
