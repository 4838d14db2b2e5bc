package connect

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"
)

const (
	// dialBudget bounds the lookup and the connection together.
	dialBudget = 90 * time.Second
	// addressBudget bounds the connection to one address.
	addressBudget = 20 * time.Second
	// nextAddressAfter is how long one address holds up the next one (RFC 8305).
	nextAddressAfter = 250 * time.Millisecond
)

// dialFunc connects to one address.
type dialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// dialer connects to a host: whatever its name resolves to, in turn, without waiting
// for an address that does not respond.
type dialer struct {
	names *names
	dial  dialFunc
}

func newDialer(o Options) *dialer {
	d := &dialer{names: newNames(o.Lookup), dial: o.Dial}
	if d.dial == nil {
		d.dial = (&net.Dialer{Timeout: addressBudget, KeepAlive: -1}).DialContext
	}
	return d
}

// dialContext is the DialContext of a transport. The transport gives it a context that
// outlives the request.
func (d *dialer) dialContext(ctx context.Context, network, address string) (net.Conn, error) {
	p := progressOf(ctx)
	ctx, cancel := context.WithTimeout(ctx, dialBudget)
	defer cancel()
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if a, err := netip.ParseAddr(host); err == nil {
		p.connecting(address)
		conn, err := d.dial(ctx, network, net.JoinHostPort(a.Unmap().String(), port))
		return p.connected(conn), err
	}
	r := &race{d: d, host: host, port: port, network: network, p: p, results: make(chan dialed), stop: ctx.Done()}
	conn, err := r.run(ctx)
	return p.connected(conn), err
}

// dialed is the result of connecting to one address.
type dialed struct {
	addr netip.Addr
	conn net.Conn
	err  error
}

// race connects to the addresses of one name, one after the other with a short delay,
// and the first connection wins.
type race struct {
	d                   *dialer
	host, port, network string
	p                   *progress
	results             chan dialed
	stop                <-chan struct{} // closed when nobody receives results any more

	tried, waiting []netip.Addr
	running        int
	err            error // of the first address that failed
}

func (r *race) run(ctx context.Context) (net.Conn, error) {
	l := r.d.names.resolve(r.host)
	remembered := time.NewTimer(rememberedAfter)
	defer remembered.Stop()
	next := time.NewTimer(time.Hour)
	next.Stop()
	defer next.Stop()
	for {
		addrs, done, changed, lookupErr := l.look()
		switch started := len(r.tried) > 0; {
		case !r.add(addrs):
		case started || done:
			next.Reset(0)
		default:
			next.Reset(resolutionDelay)
		}
		if done && len(r.tried) == 0 {
			if lookupErr != nil && !isNotFound(lookupErr) {
				r.add(r.d.names.last(r.host)) // the name server fails, but the addresses may be right
			}
			if len(r.waiting) == 0 {
				return nil, lookupErr
			}
			next.Reset(0)
		}
		if done && r.running == 0 && len(r.waiting) == 0 {
			if r.err == nil {
				r.err = lookupErr
			}
			return nil, r.err
		}
		if done {
			changed = nil
		}
		select {
		case <-changed:
		case <-remembered.C:
			if r.add(r.d.names.last(r.host)) {
				next.Reset(0)
			}
		case <-next.C:
			if r.start(ctx) {
				next.Reset(nextAddressAfter)
			}
		case result := <-r.results:
			r.running--
			if result.err == nil {
				r.d.names.connected(r.host, result.addr)
				return result.conn, nil
			}
			if r.err == nil {
				r.err = result.err
			}
			next.Reset(0)
		case <-ctx.Done():
			if r.err != nil {
				return nil, r.err
			}
			return nil, context.Cause(ctx)
		}
	}
}

// add queues the addresses that are new, in the order of preference, and reports
// whether there are any.
func (r *race) add(addrs []netip.Addr) bool {
	all, added := r.waiting, false
	for _, a := range addrs {
		if !slices.Contains(r.tried, a) && !slices.Contains(all, a) && !a.IsUnspecified() {
			all, added = append(all, a), true
		}
	}
	r.waiting = preferred(all, r.d.names.used(r.host))
	return added
}

// start connects to the next address and reports whether there was one.
func (r *race) start(ctx context.Context) bool {
	if len(r.waiting) == 0 {
		return false
	}
	a := r.waiting[0]
	r.waiting, r.tried = r.waiting[1:], append(r.tried, a)
	r.running++
	address := netip.AddrPortFrom(a, 0).Addr().String()
	address = net.JoinHostPort(address, r.port)
	r.p.connecting(address)
	go func() {
		conn, err := r.d.dial(ctx, r.network, address)
		select {
		case r.results <- dialed{a, conn, err}:
		case <-r.stop: // another address was faster
			if conn != nil {
				_ = conn.Close()
			}
		}
	}()
	return true
}

// counted counts what is read from a connection.
type counted struct {
	net.Conn
	read atomic.Int64
}

func (c *counted) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.read.Add(int64(n))
	return n, err
}
