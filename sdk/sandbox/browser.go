package sandbox

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// inProcess is the context key of requests that arrive through [Server.Transport].
type inProcess struct{}

func withinProcess(ctx context.Context) context.Context {
	return context.WithValue(ctx, inProcess{}, true)
}

// knowsHost reports whether a browser may use this Host header: an IP address, localhost, or a name
// of [WithHosts]. Any other name could be that of a web page that was rebound to this computer.
func (s *Server) knowsHost(r *http.Request) bool {
	if r.Context().Value(inProcess{}) != nil {
		return true
	}
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	return strings.EqualFold(host, "localhost") || slices.ContainsFunc(s.hosts, func(h string) bool { return strings.EqualFold(h, host) })
}

// errUnknownHost is for a request with a Host header that a browser must not use.
func errUnknownHost() error {
	return &apiError{
		status: http.StatusMisdirectedRequest, code: "FORBIDDEN",
		message: "unknown host name: use localhost or the IP address",
	}
}

// checkBrowser admits a request for the status page: its host must be known, and from another
// computer it needs the API key, if there is one, also as the password of HTTP basic authentication.
func (c *call) checkBrowser() error {
	if !c.s.knowsHost(c.r) {
		return errUnknownHost()
	}
	if len(c.s.apiKeys) == 0 || fromLoopback(c.r) || c.s.isKey(c.sentKey()) {
		return nil
	}
	if _, password, ok := c.r.BasicAuth(); ok && c.s.isKey(password) {
		return nil
	}
	c.w.Header().Set("WWW-Authenticate", `Basic realm="peaqOS sandbox, the password is the API key", charset="UTF-8"`)
	return fail("AUTH_REQUIRED", "from another computer the page requires the API key, as the password")
}

// guarded serves requests, unless the API is open and the host is unknown: without a key, nothing but
// the Host header tells a web page that was rebound to this computer from a client.
func (s *Server) guarded() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(s.apiKeys) == 0 && !s.knowsHost(r) {
			(&call{s: s, r: r, w: w, now: s.Now()}).write(nil, errUnknownHost())
			return
		}
		s.ServeHTTP(w, r)
	})
}

func fromLoopback(r *http.Request) bool {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && at.Addr().Unmap().IsLoopback()
}

// isKey reports whether a text is one of the API keys.
func (s *Server) isKey(text string) bool {
	sum, found := sha256.Sum256([]byte(text)), 0
	for _, known := range s.apiKeys {
		found |= subtle.ConstantTimeCompare(known[:], sum[:])
	}
	return text != "" && found == 1
}
