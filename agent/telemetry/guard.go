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

// What stands in front of the telemetry: it is plain HTTP on a device where a
// browser may run, and what it shows is nobody's business off the machine.

// hardened sets the headers that keep a browser from doing more with an answer
// than show it. The page adds the nonce of its own script and style.
func hardened(next http.Handler) http.Handler {
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

// contentPolicy allows nothing, and with a nonce the page's own style, script
// and reload of itself.
func contentPolicy(nonce string) string {
	policy := "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
	if nonce != "" {
		policy += fmt.Sprintf("; connect-src 'self'; img-src data:; script-src 'nonce-%s'; style-src 'nonce-%s'", nonce, nonce)
	}
	return policy
}

// checkedHost refuses requests over loopback that were meant for another host:
// a web page can have its own name resolve to 127.0.0.1 (DNS rebinding), but it
// cannot change the Host header that comes with it.
func checkedHost(listen string, next http.Handler) http.Handler {
	bound, _, _ := net.SplitHostPort(listen)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if overLoopback(r) && !ownHost(r.Host, bound) {
			http.Error(w, "this listener is not that host: ask for 127.0.0.1 or localhost", http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// ownHost says whether a Host header names this machine's loopback or the host
// that the listener was configured with. The port does not matter: a forwarded
// port (ssh -L) has another one.
func ownHost(header, bound string) bool {
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

// overLoopback: either end of the connection is a loopback address.
func overLoopback(r *http.Request) bool {
	local, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	return isLoopback(r.RemoteAddr) || local != nil && isLoopback(local.String())
}

func isLoopback(addr string) bool {
	ap, err := netip.ParseAddrPort(addr)
	return err == nil && ap.Addr().Unmap().IsLoopback()
}

// onlyLocal keeps what names the machine and its store on the machine, also
// where the listener is open to others.
func onlyLocal(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !isLoopback(r.RemoteAddr) {
			http.Error(w, "this path answers on the machine alone: ssh -L 9757:127.0.0.1:9757 brings it to you", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// recovered keeps a panic of one answer from being more than that.
func (t *Server) recovered(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			p := recover()
			if p == nil {
				return
			}
			if p == http.ErrAbortHandler {
				panic(p) // the library's own way to cut an answer short
			}
			t.state.UpdateProcess(func(a *status.Process) { a.Panics++ })
			t.log.Error("an answer of the telemetry panicked", zap.String("code", "panic"), zap.String("path", r.URL.Path), zap.Any("panic", p), zap.ByteString("stack", debug.Stack()))
			http.Error(w, "this answer failed; the agent goes on, and its log says more", http.StatusInternalServerError)
		}()
		next.ServeHTTP(w, r)
	})
}
