package telemetry

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// sendBuffer is the size in bytes of a connection's buffer in the kernel for data not
// yet read by the client. The kernel's own limit is some megabytes.
const sendBuffer = 32 << 10

// limitedListener keeps at most max connections open. If one more arrives, the
// connection on which nothing was transferred for the longest time is closed: an
// idle one, one that never finishes its request, or one that does not read its
// response. So clients that hold connections cannot keep others out, and they cost
// little memory: the send buffer of each connection is bounded as well.
type limitedListener struct {
	net.Listener
	max   int
	start time.Time // times of transfers are relative to it

	mu   sync.Mutex
	open map[*limitedConn]struct{}
}

func newLimitedListener(l net.Listener, limit int) *limitedListener {
	return &limitedListener{Listener: l, max: limit, start: time.Now(), open: map[*limitedConn]struct{}{}}
}

// Accept waits for the next connection.
func (l *limitedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetWriteBuffer(sendBuffer) // without it the kernel's limit applies
	}
	conn := &limitedConn{Conn: c, listener: l}
	conn.transferred()
	if stalest := l.add(conn); stalest != nil {
		_ = stalest.Close()
	}
	return conn, nil
}

// add registers a connection. It returns the one to close if there are too many.
func (l *limitedListener) add(c *limitedConn) *limitedConn {
	l.mu.Lock()
	defer l.mu.Unlock()
	var stalest *limitedConn
	if len(l.open) >= l.max {
		for o := range l.open {
			if stalest == nil || o.last.Load() < stalest.last.Load() {
				stalest = o
			}
		}
	}
	l.open[c] = struct{}{}
	return stalest
}

func (l *limitedListener) remove(c *limitedConn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.open, c)
}

// limitedConn is a connection that knows when it was last used.
type limitedConn struct {
	net.Conn
	listener *limitedListener
	last     atomic.Int64 // nanoseconds since the listener's start, by the monotonic clock
}

func (c *limitedConn) transferred() { c.last.Store(int64(time.Since(c.listener.start))) }

func (c *limitedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.transferred()
	}
	return n, err
}

func (c *limitedConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if n > 0 {
		c.transferred()
	}
	return n, err
}

// Close makes way for another connection; it may be called more than once.
func (c *limitedConn) Close() error {
	c.listener.remove(c)
	return c.Conn.Close()
}
