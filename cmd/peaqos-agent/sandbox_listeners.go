package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/sdk/sandbox"
)

// boundServer is an HTTP server with its listener.
type boundServer struct {
	listener net.Listener
	server   *http.Server
}

// checkListeners rejects addresses that other hosts could reach: without TLS agent tokens would be
// sent in the clear, without a key the API would be open to everyone, and the admin interface
// requires none.
func (f *sandboxFlags) checkListeners(keyed bool) error {
	if f.tlsDir == "" && !onLoopback(f.listen) {
		return status.NewProblem(status.CodeListen, fmt.Sprintf("without --tls the sandbox only listens on loopback, not on %q", f.listen)).
			Advise("use --listen 127.0.0.1:PORT, or --tls DIR for other devices")
	}
	if !keyed && !onLoopback(f.listen) {
		return status.NewProblem(status.CodeListen,
			fmt.Sprintf("without an API key the sandbox only listens on loopback, not on %q: everyone on the network could use it", f.listen)).
			Advise("use --api-key-file FILE, or --listen 127.0.0.1:PORT")
	}
	if f.admin != "" && !onLoopback(f.admin) {
		return status.NewProblem(status.CodeListen, fmt.Sprintf("the admin interface only listens on loopback, not on %q", f.admin)).
			Advise("use --admin 127.0.0.1:PORT")
	}
	return nil
}

// callsLoopback reports whether the sandbox may call endpoints on loopback addresses: for users on
// other computers these are its own services.
func (f *sandboxFlags) callsLoopback() bool { return f.callLoopback || onLoopback(f.listen) }

// notes says what a first user must know, in sentences.
func (f *sandboxFlags) notes() []string {
	notes := []string{}
	switch {
	case len(f.controllers) > 0 || f.withRuntime && !f.trustFirst:
	case f.trustFirst:
		notes = append(notes, "the first address that signs for an identity becomes its controller without any check: for trials only")
	default:
		notes = append(notes, "no machine can be registered with a decimal identity, because no controller is known: "+
			"start with --controller 0xADDRESS (peaqos-agent identity new creates a key and prints its address), or with --trust-first-signer")
	}
	if !f.keyed {
		notes = append(notes, "the API is open to every program on this computer, because there is no --api-key-file")
	}
	if f.callsLoopback() {
		notes = append(notes, "the endpoints that clients publish are called, on loopback addresses of this computer as well")
	}
	return notes
}

func onLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	ip := net.ParseIP(host)
	return err == nil && (host == "localhost" || (ip != nil && ip.IsLoopback()))
}

// bindSandbox binds all addresses and prints them.
func (a *app) bindSandbox(given *sandboxFlags, s *sandbox.Server, trial *sandboxTrial) (servers []boundServer, err error) {
	l, err := bind("listen", given.listen)
	if err != nil {
		return nil, err
	}
	servers = append(servers, boundServer{l, s.HTTPServer()})
	defer func() {
		if err != nil {
			closeAll(servers)
		}
	}()
	at := sandboxAddresses{URL: "http://" + l.Addr().String(), Notes: given.notes(), local: onLoopback(given.listen)}
	if given.tlsDir != "" {
		host, _, _ := net.SplitHostPort(given.listen)
		names := certificateNames(host)
		certificate, err := serverCertificate(given.tlsDir, names)
		if err != nil {
			return servers, err
		}
		servers[0].listener = tls.NewListener(l, &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{certificate}})
		_, port, _ := net.SplitHostPort(l.Addr().String())
		at.URL, at.CAFile = "https://"+net.JoinHostPort(names[0], port), filepath.Join(given.tlsDir, caFile)
	}
	if given.admin != "" {
		l, err := bind("admin", given.admin)
		if err != nil {
			return servers, err
		}
		servers = append(servers, boundServer{l, s.AdminServer()})
		at.AdminURL = "http://" + l.Addr().String()
	}
	if at.RuntimeURL, at.Commands, err = trial.begin(given, at); err != nil {
		return servers, err
	}
	for i, command := range at.Commands {
		at.Commands[i] = status.ForReader(command, status.Reader{Program: a.program})
	}
	if a.json {
		return servers, a.result(at)
	}
	_, err = fmt.Fprint(a.out, at.text())
	return servers, err
}

// sandboxAddresses are where the sandbox can be reached.
type sandboxAddresses struct {
	URL      string `json:"url"`
	CAFile   string `json:"ca_file"`   // empty without TLS
	AdminURL string `json:"admin_url"` // empty without an admin interface

	Notes      []string `json:"notes"`       // what a first user must know
	RuntimeURL string   `json:"runtime_url"` // empty without --with-runtime
	Commands   []string `json:"commands"`    // that enroll and run an agent with the runtime

	local bool // listens on loopback only
}

// text is the addresses, and how to connect another device. The line with the URL comes
// first, for programs that wait for it.
func (at sandboxAddresses) text() string {
	text := "listening on " + at.URL + "\n"
	if at.CAFile != "" {
		where := "on another device, copy %s to it and add to its configuration:"
		if at.local {
			where = "for an agent on this computer, copy %s next to its configuration and add to that:"
		}
		text += fmt.Sprintf(where+`
  orchestrator:
    url: %s
    ca_file: %s
`, at.CAFile, at.URL, caFile)
	}
	if at.AdminURL != "" {
		text += "admin on " + at.AdminURL + "\n"
	}
	for _, note := range at.Notes {
		text += "note: " + note + "\n"
	}
	if at.RuntimeURL != "" {
		text += "runtime on " + at.RuntimeURL + "\nto try an agent, run in another terminal:\n  " + strings.Join(at.Commands, "\n  ") + "\n"
	}
	return text
}

func bind(flag, address string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, status.NewProblem(status.CodeListen, err.Error()).Advise("use another --" + flag + ", or port 0")
	}
	return l, nil
}

func closeAll(servers []boundServer) {
	for _, s := range servers {
		_ = s.listener.Close()
	}
}

// serveAll serves until the context ends or one of the servers fails.
func serveAll(ctx context.Context, servers []boundServer) error {
	ended := make(chan error, len(servers))
	for _, s := range servers {
		go func() { ended <- s.server.Serve(s.listener) }()
	}
	stop := context.AfterFunc(ctx, func() {
		for _, s := range servers {
			_ = s.server.Close()
		}
	})
	defer stop()
	err := <-ended
	for _, s := range servers {
		_ = s.server.Close()
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// certificateNames returns the names of the sandbox, beginning with the one for other devices: the
// host of --listen, or this machine's addresses when it listens on all of them.
func certificateNames(host string) []string {
	var names []string
	ip := net.ParseIP(host)
	if host != "" && (ip == nil || !ip.IsUnspecified()) {
		names = append(names, host)
	} else if addresses, err := net.InterfaceAddrs(); err == nil {
		for _, a := range addresses {
			if n, ok := a.(*net.IPNet); ok && !n.IP.IsLoopback() && !n.IP.IsLinkLocalUnicast() {
				names = append(names, n.IP.String())
			}
		}
	}
	if own, err := os.Hostname(); err == nil && own != "" && !strings.ContainsAny(own, " /") {
		names = append(names, own)
	}
	return append(names, "localhost", "127.0.0.1", "::1")
}
