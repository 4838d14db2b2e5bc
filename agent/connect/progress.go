package connect

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"sync"
	"time"
)

// progress is how far one attempt came. The transport's hooks write it, also after the
// request has ended: a connection that was begun for it is finished for the next one.
type progress struct {
	mu        sync.Mutex
	stage     Stage
	address   string
	conn      *counted
	tlsBegan  time.Time
	tlsRead   int64 // bytes read before the handshake
	tlsDone   bool
	got       bool // a connection; the request may have been sent
	reused    bool
	idle      time.Duration // of a reused connection
	firstByte bool
	asked     bool // the server asked for a client certificate that is not configured
	abandoned bool
}

type progressKey struct{}

// progressOf returns the progress of the attempt that a context belongs to.
func progressOf(ctx context.Context) *progress {
	if p, ok := ctx.Value(progressKey{}).(*progress); ok {
		return p
	}
	return &progress{}
}

// traced returns the request with the hooks that write p.
func (p *progress) traced(ctx context.Context, req *http.Request) *http.Request {
	ctx = context.WithValue(ctx, progressKey{}, p)
	return req.Clone(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		TLSHandshakeStart: func() {
			p.update(func() {
				p.stage, p.tlsBegan = StageTLS, time.Now()
				if p.conn != nil {
					p.tlsRead = p.conn.read.Load()
				}
			})
		},
		TLSHandshakeDone: func(_ tls.ConnectionState, err error) {
			p.update(func() { p.tlsDone = err == nil })
		},
		GotConn: func(info httptrace.GotConnInfo) {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.stage, p.got, p.reused, p.idle = StageResponse, true, info.Reused, info.IdleTime
			p.address = info.Conn.RemoteAddr().String()
			if p.abandoned {
				_ = info.Conn.Close() // another attempt has taken over: this one must not send
			}
		},
		GotFirstResponseByte: func() {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.firstByte = true
		},
	}))
}

// update changes the progress of a request that has no connection yet.
func (p *progress) update(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.got {
		f()
	}
}

func (p *progress) connecting(address string) {
	p.update(func() { p.stage, p.address = StageTCP, address })
}

// connected wraps a new connection; nil stays nil.
func (p *progress) connected(conn net.Conn) net.Conn {
	if conn == nil {
		return nil
	}
	c := &counted{Conn: conn}
	p.update(func() { p.conn, p.address, p.stage = c, conn.RemoteAddr().String(), StageProxy })
	return c
}

// view is a copy of the progress.
func (p *progress) view() view {
	p.mu.Lock()
	defer p.mu.Unlock()
	v := view{
		stage: p.stage, address: p.address, got: p.got, reused: p.reused, idle: p.idle, firstByte: p.firstByte, asked: p.asked, abandoned: p.abandoned,
	}
	if p.stage == StageTLS && p.conn != nil {
		v.noHello = p.conn.read.Load() == p.tlsRead
		v.inTLS = time.Since(p.tlsBegan)
	}
	return v
}

type view struct {
	stage                  Stage
	address                string
	got, reused, firstByte bool
	asked, abandoned       bool
	idle                   time.Duration
	noHello                bool // in the handshake, and nothing came back
	inTLS                  time.Duration
}

// abandon gives the attempt up unless it has a connection already, and reports whether
// it did. What was begun for it continues for the next request, but does not send this one.
func (p *progress) abandon() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.got {
		return false
	}
	p.abandoned = true
	return true
}

// local is the address of this machine that the attempt's connection has.
func (p *progress) local() netip.Addr {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.conn == nil {
		return netip.Addr{}
	}
	if a, err := netip.ParseAddrPort(p.conn.LocalAddr().String()); err == nil {
		return a.Addr().Unmap()
	}
	return netip.Addr{}
}
