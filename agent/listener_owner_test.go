package agent

import (
	"net"
	"testing"
)

func TestTrustedListener(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if !TrustedListener(t.TempDir(), l.Addr()) {
		t.Error("our own listener is not trusted")
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if TrustedListener(t.TempDir(), l.Addr()) {
		t.Error("a port where nobody listens is trusted")
	}
	if TrustedListener(t.TempDir(), &net.UnixAddr{Name: "/run/x"}) {
		t.Error("an address without a port is trusted")
	}
}
