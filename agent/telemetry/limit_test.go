package telemetry

import (
	"net"
	"testing"
	"time"
)

// TestConnectionLimit: the connection above the limit waits, and comes when
// another one ends.
func TestConnectionLimit(t *testing.T) {
	l := newLimitedListener(hold(t, "127.0.0.1:0"), 1)
	accepted := make(chan net.Conn)
	go func() {
		defer close(accepted)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			accepted <- c
		}
	}()
	for range 2 {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	first := <-accepted
	if len(l.slots) != 1 {
		t.Errorf("%d slots in use", len(l.slots))
	}
	select {
	case <-accepted:
		t.Fatal("a second connection came in above the limit")
	case <-time.After(20 * time.Millisecond):
	}
	_ = first.Close()
	_ = first.Close() // gives back one slot, not two
	second := <-accepted
	_ = l.Close()
	_ = second.Close()
	if _, open := <-accepted; open {
		t.Error("a connection after the end")
	}
}
