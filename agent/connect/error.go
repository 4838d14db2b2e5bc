package connect

import (
	"errors"
	"fmt"
	"net"
	"strings"
)

// Stage is how far a request came before it failed.
type Stage int

const (
	StageName     Stage = iota // resolving the name
	StageTCP                   // connecting to an address
	StageProxy                 // connected to the proxy, waiting for its response to CONNECT
	StageTLS                   // in the TLS handshake
	StageResponse              // connected, waiting for the response
)

func (s Stage) String() string {
	switch s {
	case StageName:
		return "resolving the name"
	case StageTCP:
		return "connecting"
	case StageProxy:
		return "waiting for the proxy"
	case StageTLS:
		return "TLS handshake"
	}
	return "waiting for the response"
}

// Error is a request that got no response.
type Error struct {
	Stage   Stage
	Host    string // of the URL, with its port
	Address string // the address that was connected to; empty when there was none
	Proxy   string // host and port of the proxy; empty without one
	// ClientCertificate reports whether the server asked for a client certificate and
	// none is configured.
	ClientCertificate bool
	// NoHello reports whether the TLS handshake got not a single byte in response.
	NoHello bool
	// SmallHello reports whether the handshake was tried without the post-quantum key
	// share as well.
	SmallHello bool
	// NoRoots reports whether the system has no root certificates and no file has any.
	NoRoots bool
	Err     error
}

// Error is the place and the reason in one line.
func (e *Error) Error() string { return e.Place() + ": " + Reason(e.Err) }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Place is the stage with the host, the address and the proxy.
func (e *Error) Place() string {
	text := e.Stage.String()
	switch e.Stage {
	case StageName:
		text += " " + hostOnly(e.Host)
	case StageTCP:
		text += " to " + e.Host
	case StageResponse:
		text += " of " + e.Host
	case StageProxy:
		return text + " " + e.Proxy + " to connect to " + e.Host
	default:
		text += " with " + e.Host
	}
	if e.Proxy != "" {
		return text + " through the proxy " + e.Proxy
	}
	if e.Address != "" && e.Address != e.Host && e.Stage != StageName {
		text += " at " + e.Address
	}
	return text
}

func hostOnly(hostPort string) string {
	if host, _, err := net.SplitHostPort(hostPort); err == nil {
		return host
	}
	return hostPort
}

// Reason is an error in the words of the library, without what differs each time, such
// as the local port of a connection.
func Reason(err error) string {
	var dns *net.DNSError
	if errors.As(err, &dns) {
		switch {
		case dns.IsNotFound:
			return "no such host"
		case dns.IsTimeout:
			return "no response from the name server"
		}
		return withoutPorts(dns.Err)
	}
	var op *net.OpError
	if errors.As(err, &op) && op.Err != nil {
		return op.Op + ": " + withoutPorts(op.Err.Error())
	}
	return withoutPorts(err.Error())
}

// withoutPorts removes "read tcp 10.0.0.2:41234->10.0.0.1:443: ".
func withoutPorts(text string) string {
	if _, rest, found := strings.Cut(text, "->"); found {
		if _, reason, found := strings.Cut(rest, ": "); found {
			return reason
		}
	}
	return text
}

// FileError is a file of the configuration that cannot be used. The request was not
// sent; the next one looks at the file again.
type FileError struct {
	Key  string // of the configuration, such as orchestrator.ca_file
	Path string
	Err  error
}

func (e *FileError) Error() string { return fmt.Sprintf("%s: %s %v", e.Key, e.Path, e.Err) }

// Unwrap returns the cause.
func (e *FileError) Unwrap() error { return e.Err }

// BlockedNameError is a name that resolves to no real address, as filters do.
type BlockedNameError struct{ Address string }

func (e *BlockedNameError) Error() string {
	return "the name resolves to " + e.Address + ", which is how DNS filters block a name"
}

// ProxyRefusal is a proxy's response to CONNECT other than 200.
type ProxyRefusal struct{ Status int }

func (e *ProxyRefusal) Error() string {
	return fmt.Sprintf("the proxy refused the connection: HTTP %d", e.Status)
}
