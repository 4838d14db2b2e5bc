package telemetry

import (
	"net"
	"sync"
)

// limitedListener hands out at most so many connections at once; the next one
// waits in the kernel's queue. A flood costs us sockets, not memory.
type limitedListener struct {
	net.Listener
	slots  chan struct{}
	closed chan struct{}
}

func newLimitedListener(l net.Listener, n int) *limitedListener {
	return &limitedListener{l, make(chan struct{}, n), make(chan struct{})}
}

func (l *limitedListener) Accept() (net.Conn, error) {
	select {
	case l.slots <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.slots
		return nil, err
	}
	return &limitedConn{Conn: c, slots: l.slots}, nil
}

// Close is called once, by the server.
func (l *limitedListener) Close() error {
	close(l.closed)
	return l.Listener.Close()
}

// limitedConn gives its slot back when it is closed, however often that is.
type limitedConn struct {
	net.Conn
	slots chan struct{}
	once  sync.Once
}

func (c *limitedConn) Close() error {
	err := c.Conn.Close()
	c.once.Do(func() { <-c.slots })
	return err
}
