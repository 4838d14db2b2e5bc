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

// door is a listener with the server behind it.
type door struct {
	listener net.Listener
	server   *http.Server
}

// checkListeners keeps strangers out: without TLS agent tokens would travel in
// the clear, and the admin interface asks nobody for a key.
func (f *sandboxFlags) checkListeners() error {
	if f.tlsDir == "" && !onLoopback(f.listen) {
		return status.NewProblem(status.CodeListen, fmt.Sprintf("without --tls the sandbox listens on loopback only, not on %q", f.listen)).
			Advise("give --listen 127.0.0.1:PORT, or --tls DIR for other devices")
	}
	if f.admin != "" && !onLoopback(f.admin) {
		return status.NewProblem(status.CodeListen, fmt.Sprintf("the admin interface listens on loopback only, not on %q", f.admin)).Advise("give --admin 127.0.0.1:PORT")
	}
	return nil
}

func onLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	ip := net.ParseIP(host)
	return err == nil && (host == "localhost" || (ip != nil && ip.IsLoopback()))
}

// openDoors binds all addresses and says where they are.
func (a *app) openDoors(given *sandboxFlags, s *sandbox.Server) (doors []door, err error) {
	l, err := bind("listen", given.listen)
	if err != nil {
		return nil, err
	}
	doors = append(doors, door{l, s.HTTPServer()})
	defer func() {
		if err != nil {
			closeDoors(doors)
		}
	}()
	say := fmt.Sprintf("listening on http://%s\n", l.Addr())
	if given.tlsDir != "" {
		host, _, _ := net.SplitHostPort(given.listen)
		names := certificateNames(host)
		certificate, err := serverCertificate(given.tlsDir, names)
		if err != nil {
			return doors, err
		}
		doors[0].listener = tls.NewListener(l, &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{certificate}})
		say = sayTLS(given.tlsDir, names[0], l.Addr())
	}
	if given.admin != "" {
		back, err := bind("admin", given.admin)
		if err != nil {
			return doors, err
		}
		server := s.HTTPServer()
		server.Handler = s.Admin()
		doors = append(doors, door{back, server})
		say += fmt.Sprintf("admin on http://%s\n", back.Addr())
	}
	_, err = fmt.Fprint(a.out, say)
	return doors, err
}

// sayTLS tells what another device must know. The line with the address comes
// first, as without TLS, for those who wait for it.
func sayTLS(dir, name string, bound net.Addr) string {
	_, port, _ := net.SplitHostPort(bound.String())
	url := "https://" + net.JoinHostPort(name, port)
	ca := filepath.Join(dir, caFile)
	return fmt.Sprintf(`listening on %s
on another device, copy %s to it and put into its configuration:
  orchestrator:
    url: %s
    ca_file: %s
`, url, ca, url, caFile)
}

func bind(flag, address string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, status.NewProblem(status.CodeListen, err.Error()).Advise("give another --" + flag + ", or port 0")
	}
	return l, nil
}

func closeDoors(doors []door) {
	for _, d := range doors {
		_ = d.listener.Close()
	}
}

// serveDoors serves until the context ends or one of them breaks.
func serveDoors(ctx context.Context, doors []door) error {
	ended := make(chan error, len(doors))
	for _, d := range doors {
		go func() { ended <- d.server.Serve(d.listener) }()
	}
	stop := context.AfterFunc(ctx, func() {
		for _, d := range doors {
			_ = d.server.Close()
		}
	})
	defer stop()
	err := <-ended
	for _, d := range doors {
		_ = d.server.Close()
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// certificateNames are the names under which the sandbox is reached, the one to
// tell others first: the host it was told, or, listening everywhere, the
// machine's addresses.
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
