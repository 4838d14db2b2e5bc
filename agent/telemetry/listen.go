package telemetry

import (
	"errors"
	"fmt"
	"net"
	"syscall"

	"github.com/peaqnetwork/peaqos-agent/agent/config"
)

// listenError reports why the telemetry address could not be bound and, if it is
// in use, by which process.
type listenError struct {
	Address string
	Holder  string // the process that has the port; empty if the port is not in use
	Err     error
}

func (e *listenError) Error() string {
	if e.Holder != "" {
		return fmt.Sprintf("the telemetry address %s is taken by %s", e.Address, e.Holder)
	}
	return fmt.Sprintf("the telemetry address %s cannot be bound: %v", e.Address, e.Err)
}

func (e *listenError) Unwrap() error { return e.Err }

// CheckListen binds the telemetry address for an instant. Error: why it is not available,
// with the process that has it.
func CheckListen(cfg config.Telemetry) error {
	l, err := listen(cfg)
	if err != nil {
		return err
	}
	return l.Close()
}

// listen binds the telemetry address (telemetry.listen, HOST:PORT; port 0 takes
// any free one). An error is always a [*listenError].
func listen(cfg config.Telemetry) (net.Listener, error) {
	l, err := net.Listen("tcp", cfg.Listen)
	if err == nil {
		return l, nil
	}
	failed := &listenError{Address: cfg.Listen, Err: err}
	var op *net.OpError
	if errors.As(err, &op) {
		failed.Err = op.Err // without the address, which Error adds
	}
	if errors.Is(err, syscall.EADDRINUSE) {
		failed.Holder = holder{uid: -1}.String()
		if addr, err := net.ResolveTCPAddr("tcp", cfg.Listen); err == nil {
			failed.Holder = findHolder("/proc", addr.AddrPort()).String()
		}
	}
	return nil, failed
}
