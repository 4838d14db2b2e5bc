package telemetry

import (
	"errors"
	"net"
	"strings"
	"syscall"
	"testing"

	"github.com/peaqnetwork/peaqos-agent/agent/config"
)

// hold listens on an address until the test ends.
func hold(t *testing.T, address string) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func TestListenReportsHolder(t *testing.T) {
	taken := hold(t, "127.0.0.1:0").Addr().String()
	_, err := listen(config.Telemetry{Listen: taken})
	var failed *listenError
	if !errors.As(err, &failed) || !errors.Is(err, syscall.EADDRINUSE) {
		t.Fatalf("%v", err)
	}
	if want := "the telemetry address " + taken + " is taken by this process"; err.Error() != want {
		t.Errorf("%q, want %q", err, want)
	}
}

func TestListenOtherErrors(t *testing.T) {
	_, err := listen(config.Telemetry{Listen: "192.0.2.1:9757"}) // not an address of this host
	var failed *listenError
	if !errors.As(err, &failed) || failed.Holder != "" || !strings.Contains(err.Error(), "cannot be bound: ") ||
		strings.Count(err.Error(), "192.0.2.1") != 1 {
		t.Errorf("%v", err)
	}
}
