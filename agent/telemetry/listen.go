package telemetry

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"syscall"

	"github.com/peaqnetwork/peaqos-agent/agent/config"
)

// ListenError says why the telemetry listener could not be bound, and who is in
// the way.
type ListenError struct {
	Address string
	Holder  string // who has the port; empty when the port is not taken
	Err     error
}

func (e *ListenError) Error() string {
	if e.Holder != "" {
		return fmt.Sprintf("the telemetry address %s is taken by %s", e.Address, e.Holder)
	}
	return fmt.Sprintf("the telemetry address %s cannot be bound: %v", e.Address, e.Err)
}

func (e *ListenError) Unwrap() error { return e.Err }

// Listen binds the telemetry address (telemetry.listen, HOST:PORT; port 0 takes
// any free one). An error is always a [*ListenError].
func Listen(cfg config.Telemetry) (net.Listener, error) {
	l, err := net.Listen("tcp", cfg.Listen)
	if err == nil {
		return l, nil
	}
	failed := &ListenError{Address: cfg.Listen, Err: err}
	var op *net.OpError
	if errors.As(err, &op) {
		failed.Err = op.Err // the rest of it repeats the address
	}
	if errors.Is(err, syscall.EADDRINUSE) {
		failed.Holder = holder{uid: -1}.String()
		if addr, err := net.ResolveTCPAddr("tcp", cfg.Listen); err == nil {
			failed.Holder = findHolder("/proc", addr.AddrPort()).String()
		}
	}
	return nil, failed
}

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
