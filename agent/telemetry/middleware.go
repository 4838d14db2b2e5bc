package telemetry

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"runtime/debug"
	"slices"
	"strings"

	"go.uber.org/zap"

	"github.com/peaqnetwork/peaqos-agent/agent/ownname"
	"github.com/peaqnetwork/peaqos-agent/agent/status"
)

// The listener speaks plain HTTP, unless a web configuration (web.go) encrypts it, on a
// device where a browser may run, and shows facts about the machine that must not leave
// it. The handlers in this file check every request before it reaches a path.

// securityHeaders sets the headers that keep a browser from doing anything with a
// response but show it. The page replaces the content policy by one with a nonce.
func securityHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", contentPolicy(""))
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", "no-store")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		next.ServeHTTP(w, r)
	})
}

// contentPolicy allows nothing; with a nonce it allows the style and script that
// carry the nonce, and requests to the page's own origin.
func contentPolicy(nonce string) string {
	policy := "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
	if nonce != "" {
		policy += fmt.Sprintf("; connect-src 'self'; img-src data:; script-src 'nonce-%s'; style-src 'nonce-%s'", nonce, nonce)
	}
	return policy
}

// hostCheck knows by which Host headers this listener is requested over loopback. A
// web page can have its own domain resolve to 127.0.0.1 (DNS rebinding), but it cannot
// change the Host header of the requests that it makes, omit it, or make a browser
// connect elsewhere than to an address that it names.
type hostCheck struct {
	bound    string                   // the host that the listener was configured with
	allowed  []string                 // telemetry.allowed_hosts
	private  func(*http.Request) bool // see opensPrivate
	ownName  func(string) bool
	ownAddrs func() []netip.Addr
}

func newHostCheck(listen string, allowed []string, private func(*http.Request) bool) *hostCheck {
	bound, _, _ := net.SplitHostPort(listen)
	return &hostCheck{bound: bound, allowed: allowed, private: private, ownName: ownname.Is, ownAddrs: ownname.Addresses}
}

// isOpenPath reports whether other hosts may request a path as well, if the listener
// is reachable from them.
func isOpenPath(path string) bool {
	return path == "/metrics" || path == "/healthz" || path == "/readyz"
}

// handler rejects requests over loopback that name another host. Under the machine's
// own names and addresses, those of telemetry.allowed_hosts, and without a name in
// HTTP/1.0, only the open paths are available.
func (c *hostCheck) handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case !overLoopback(r) || allowedHost(r.Host, c.bound) || c.private(r):
		case !isOpenPath(r.URL.Path):
			http.Error(w, "unexpected Host header: use 127.0.0.1 or localhost", http.StatusMisdirectedRequest)
			return
		case !c.allowsOpen(r):
			http.Error(w, "unexpected Host header: use 127.0.0.1 or localhost, or add the name to telemetry.allowed_hosts",
				http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// allowsOpen reports whether a request over loopback for an open path names this
// machine, or a host that the operator allows.
func (c *hostCheck) allowsOpen(r *http.Request) bool {
	if r.Host == "" {
		return r.ProtoMajor == 1 && r.ProtoMinor == 0 // no browser sends it
	}
	host := requestHost(r.Host)
	for _, name := range c.allowed {
		if sameHost(host, name) {
			return true
		}
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return slices.Contains(c.ownAddrs(), ip.Unmap())
	}
	return c.ownName(host)
}

// sameHost compares a host with a configured one: addresses by value, names whole and
// without regard to case.
func sameHost(host, configured string) bool {
	a, err := netip.ParseAddr(host)
	b, err2 := netip.ParseAddr(configured)
	if err == nil && err2 == nil {
		return a.Unmap() == b.Unmap()
	}
	return host != "" && strings.TrimSuffix(host, ".") == strings.TrimSuffix(strings.ToLower(configured), ".")
}

// requestHost is the host of a Host header in lower case, without port and brackets.
func requestHost(header string) string {
	host := header
	if h, _, err := net.SplitHostPort(header); err == nil {
		host = h
	}
	return strings.ToLower(strings.TrimSuffix(strings.TrimPrefix(host, "["), "]"))
}

// allowedHost reports whether a Host header names this machine's loopback or the
// host that the listener was configured with. The port is ignored, because a
// forwarded port (ssh -L) is a different one.
func allowedHost(header, bound string) bool {
	host := requestHost(header)
	if host == "localhost" || host != "" && host == strings.ToLower(bound) {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

// overLoopback reports whether either end of the connection is a loopback address.
func overLoopback(r *http.Request) bool {
	local, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	return isLoopback(r.RemoteAddr) || local != nil && isLoopback(local.String())
}

func isLoopback(addr string) bool {
	ap, err := netip.ParseAddrPort(addr)
	return err == nil && ap.Addr().Unmap().IsLoopback()
}

// localOnly keeps paths that name the machine and its store on the machine, even if
// the listener is reachable from other hosts: directly, through a proxy that adds its
// headers, or through the port forward of a container. The exception is a request that
// the operator opened them for with a web configuration, see opensPrivate.
func (s *Server) localOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case s.opensPrivate(r):
			next.ServeHTTP(w, r)
		case !isLoopback(r.RemoteAddr):
			http.Error(w, "available on the machine only: use ssh -L 9757:127.0.0.1:9757", http.StatusForbidden)
		case wasForwarded(r.Header):
			http.Error(w, "available on the machine only, not through a proxy", http.StatusForbidden)
		case s.inContainer && !s.peerIsLocal(r):
			http.Error(w, "available inside the container only, not through a forwarded port: run peaqos-agent status in the container",
				http.StatusForbidden)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// wasForwarded reports whether a proxy says that it passed the request on.
func wasForwarded(h http.Header) bool {
	for _, name := range []string{"Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip"} {
		if len(h.Values(name)) > 0 {
			return true
		}
	}
	return false
}

// peerIsLocal reports whether a process of this container sent the request. The port
// forward of a rootless container makes every peer loopback, but its process is
// outside, where /proc does not show it.
func (s *Server) peerIsLocal(r *http.Request) bool {
	local, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if local == nil {
		return false
	}
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	ours, err2 := netip.ParseAddrPort(local.String())
	return err == nil && err2 == nil && hasOwner("/proc", peer, ours)
}

// recoverPanics turns a panic in a handler into an error response and a count.
func (s *Server) recoverPanics(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			p := recover()
			if p == nil {
				return
			}
			if p == http.ErrAbortHandler {
				panic(p) // net/http's own way to abort a response
			}
			s.state.UpdateProcess(func(p *status.Process) { p.Panics++ })
			s.log.Error("a telemetry request panicked",
				zap.String("code", string(status.CodePanic)), zap.String("path", r.URL.Path), zap.Any("panic", p), zap.ByteString("stack", debug.Stack()))
			http.Error(w, "internal error; see the agent's log", http.StatusInternalServerError)
		}()
		next.ServeHTTP(w, r)
	})
}
