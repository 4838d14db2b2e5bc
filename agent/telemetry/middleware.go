package telemetry

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"runtime/debug"
	"strings"

	"go.uber.org/zap"

	"github.com/peaqnetwork/peaqos-agent/agent/status"
)

// The listener speaks plain HTTP on a device where a browser may run, and shows
// facts about the machine that must not leave it. The handlers in this file check
// every request before it reaches a path.

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

// checkHost rejects requests over loopback that name another host. A web page can
// have its own domain resolve to 127.0.0.1 (DNS rebinding), but it cannot change
// the Host header of the requests that it makes.
func checkHost(listen string, next http.Handler) http.Handler {
	bound, _, _ := net.SplitHostPort(listen)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if overLoopback(r) && !allowedHost(r.Host, bound) {
			http.Error(w, "unexpected Host header: use 127.0.0.1 or localhost", http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// allowedHost reports whether a Host header names this machine's loopback or the
// host that the listener was configured with. The port is ignored, because a
// forwarded port (ssh -L) is a different one.
func allowedHost(header, bound string) bool {
	host := header
	if h, _, err := net.SplitHostPort(header); err == nil {
		host = h
	}
	host = strings.ToLower(strings.TrimSuffix(strings.TrimPrefix(host, "["), "]"))
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

// loopbackOnly keeps paths that name the machine and its store on the machine,
// even if the listener is reachable from other hosts.
func loopbackOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !isLoopback(r.RemoteAddr) {
			http.Error(w, "available on the machine only: use ssh -L 9757:127.0.0.1:9757", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
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
