package agent

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
	"time"

	"github.com/peaqnetwork/peaqos-agent/agent/config"
	"github.com/peaqnetwork/peaqos-agent/agent/connect"
	"github.com/peaqnetwork/peaqos-agent/agent/ownname"
)

// probeDialer makes the connections of one endpoint's probes. Every address is checked
// when it is dialled, after the name was resolved.
type probeDialer struct {
	scope  string
	ours   bool // the endpoint is published under this scope, so the machine's own names belong to it
	budget time.Duration
	caFile string
	roots  *connect.RootsFile // nil: the system's
	avahi  string             // the socket of the system's mDNS service
	isOwn  func(name string) bool
	own    func() []netip.Addr
}

func newProbeDialer(e config.Endpoint, budget time.Duration) *probeDialer {
	d := &probeDialer{
		scope: e.NetworkScope, ours: true, budget: budget, avahi: "/run/avahi-daemon/socket", isOwn: ownname.Is, own: ownname.Addresses,
	}
	if e.ProbeURL != "" {
		d.scope, d.ours = config.ScopeNearby, false
	}
	if e.CAFile != "" {
		d.caFile, d.roots = e.CAFile, connect.NewRootsFile(e.CAFile)
	}
	return d
}

// blockedError is a connection that the endpoint's scope does not allow.
type blockedError struct{ addr netip.Addr }

func (e *blockedError) Error() string {
	return fmt.Sprintf("address %s is outside the endpoint's network_scope", e.addr)
}

// dial connects to host:port. Two kinds of names that the system's own tools resolve
// need help: the machine's own name, which resolves to loopback or not at all, and
// names in .local, which are resolved by mDNS.
func (d *probeDialer) dial(ctx context.Context, network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, d.budget)
	defer cancel()
	c, err := d.connect(ctx, network, address, false)
	if err == nil {
		return c, nil
	}
	host, port, splitErr := net.SplitHostPort(address)
	if _, literal := netip.ParseAddr(host); splitErr != nil || literal == nil {
		return nil, err
	}
	var unresolved *net.DNSError
	var blocked *blockedError
	failed := errors.As(err, &unresolved)
	loopback := errors.As(err, &blocked) && blocked.addr.IsLoopback()
	switch {
	case d.ours && (failed || loopback) && d.isOwn(host):
		return d.dialOwn(ctx, network, address, loopback, port, err)
	case failed && isMDNS(host):
		for _, a := range d.askAvahi(ctx, host) {
			c, other := d.connect(ctx, network, net.JoinHostPort(a, port), false)
			if other == nil {
				return c, nil
			}
			err = other
		}
	}
	return nil, err
}

// dialOwn connects to a name of this machine: where the system says it is, if that is
// loopback, then at the addresses at which others reach it.
func (d *probeDialer) dialOwn(ctx context.Context, network, address string, loopback bool, port string, err error) (net.Conn, error) {
	if loopback {
		var c net.Conn
		if c, err = d.connect(ctx, network, address, true); err == nil {
			return c, nil
		}
	}
	for _, a := range d.own() {
		if !config.AddressAllowed(d.scope, a) {
			continue
		}
		c, other := d.connect(ctx, network, net.JoinHostPort(a.String(), port), false)
		if other == nil {
			return c, nil
		}
	}
	return nil, err
}

// connect makes one TCP connection to an address that the scope allows, or to loopback
// when the name is ours.
func (d *probeDialer) connect(ctx context.Context, network, address string, ours bool) (net.Conn, error) {
	dialer := &net.Dialer{KeepAlive: -1, Control: func(_, address string, _ syscall.RawConn) error {
		return checkDial(d.scope, ours, address)
	}}
	return dialer.DialContext(ctx, network, address)
}

// checkDial decides, on the resolved address, whether a probe may go there.
// Link-local (and with it the metadata service), multicast and the unspecified
// address are never dialled. ours says that the name is the machine's own, which
// may be at loopback.
func checkDial(scope string, ours bool, address string) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("address %.64q cannot be checked", address)
	}
	a := ap.Addr().Unmap().WithZone("")
	if !config.AddressAllowed(scope, a) && !(ours && a.IsLoopback()) {
		return &blockedError{a}
	}
	return nil
}

// isMDNS reports whether a name belongs to multicast DNS.
func isMDNS(host string) bool {
	return strings.HasSuffix(strings.TrimSuffix(strings.ToLower(host), "."), ".local")
}

// askAvahi asks the system's mDNS service for the addresses of a name, in the protocol
// of its socket, which is also what the system's resolver uses. Without the service
// there are none.
func (d *probeDialer) askAvahi(ctx context.Context, host string) []string {
	var out []string
	for _, command := range []string{"RESOLVE-HOSTNAME-IPV4", "RESOLVE-HOSTNAME-IPV6"} {
		var dialer net.Dialer
		c, err := dialer.DialContext(ctx, "unix", d.avahi)
		if err != nil {
			return out
		}
		if deadline, ok := ctx.Deadline(); ok {
			_ = c.SetDeadline(time.Now().Add(time.Until(deadline) / 2)) // leave time to connect
		}
		_, err = fmt.Fprintf(c, "%s %s\n", command, host)
		line := ""
		if err == nil {
			line, err = bufio.NewReader(io.LimitReader(c, 512)).ReadString('\n')
		}
		_ = c.Close()
		// "+ INTERFACE PROTOCOL NAME ADDRESS", or "-CODE TEXT".
		fields := strings.Fields(line)
		if err != nil || len(fields) != 5 || fields[0] != "+" {
			continue
		}
		if _, err := netip.ParseAddr(fields[4]); err == nil {
			return append(out, fields[4])
		}
	}
	return out
}

// tlsNameKey is the context's key of the name that the certificate must have, when that
// is not the host that is dialled.
type tlsNameKey struct{}

// dialTLS connects and verifies the runtime's certificate. The CA file is read here, so
// that one that was replaced or mounted late is used.
func (d *probeDialer) dialTLS(ctx context.Context, network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, d.budget)
	defer cancel()
	name, _ := ctx.Value(tlsNameKey{}).(string)
	if name == "" {
		name = (&url.URL{Host: address}).Hostname()
	}
	conf := &tls.Config{ServerName: name, MinVersion: tls.VersionTLS12}
	if d.roots != nil {
		pool, err := d.roots.Pool()
		if err != nil {
			return nil, &connect.FileError{Key: "ca_file", Path: d.caFile, Err: err}
		}
		conf.RootCAs = pool
	}
	c, err := d.dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	t := tls.Client(c, conf)
	if err := t.HandshakeContext(ctx); err != nil {
		_ = c.Close()
		return nil, &handshakeError{err}
	}
	return t, nil
}
