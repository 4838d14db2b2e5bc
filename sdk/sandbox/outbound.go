package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"
)

var errForbiddenAddress = errors.New("an address that machines cannot publish")

const (
	outboundTime = 30 * time.Second // timeout of a whole call
	outboundBody = 256 << 10        // bytes read of a response
)

// outboundTransport returns the transport for machines' endpoints and RPC addresses. The address is
// checked when the connection is made, after name resolution, so that a name cannot resolve to
// another address in between. No proxy is used.
func outboundTransport() http.RoundTripper {
	dialer := &net.Dialer{Timeout: 10 * time.Second, Control: func(_, address string, _ syscall.RawConn) error { return reachable(address) }}
	return &http.Transport{
		DialContext: dialer.DialContext, TLSHandshakeTimeout: 10 * time.Second, ResponseHeaderTimeout: outboundTime,
		MaxIdleConns: 64, MaxIdleConnsPerHost: 4, IdleConnTimeout: 30 * time.Second, MaxResponseHeaderBytes: 64 << 10,
	}
}

// reachable rejects addresses that no machine can publish, including the metadata addresses of
// clouds. Loopback and private addresses are normal for machines.
func reachable(address string) error {
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
	if ip.IsLinkLocalUnicast() || ip.IsMulticast() || ip.IsUnspecified() || ip == netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
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
	case errors.Is(err, errForbiddenAddress):
		return "its address is not allowed"
	case errors.As(err, &call):
		return "the connection failed"
	}
	return "the call failed"
}
