package agent

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"github.com/peaqnetwork/peaqos-agent/agent/connect"
	"github.com/peaqnetwork/peaqos-agent/agent/status"
)

// What a failed probe says: what happened and, where one helps, which key of the
// endpoint to set. Text of the runtime is bounded and escaped.

const wantsTLS = "; if the runtime expects TLS, its URL begins with https://"

// handshakeError is a TLS handshake with the runtime that failed.
type handshakeError struct{ err error }

func (e *handshakeError) Error() string { return e.err.Error() }
func (e *handshakeError) Unwrap() error { return e.err }

// faultOfStatus explains a response that is not 2xx.
func (p *prober) faultOfStatus(res *http.Response) probeResult {
	r := probeResult{result: "http", fault: fmt.Sprintf("HTTP %d in response to GET %s", res.StatusCode, p.endpoint.ProbePath)}
	withToken := p.endpoint.AuthTokenFile != "" && p.endpoint.AuthType != "none"
	hint := ""
	switch code := res.StatusCode; {
	case code >= 300 && code <= 399:
		hint = redirectHint(p.target, res.Header.Get("Location"))
	case (code == http.StatusUnauthorized || code == http.StatusForbidden) && !withToken:
		hint = "if the runtime requires a token, set auth_type and auth_token_file"
		r.byName = code == http.StatusForbidden
	case code == http.StatusUnauthorized || code == http.StatusForbidden:
		hint = "the runtime does not accept the token in auth_token_file as " + p.endpoint.AuthType + "; check the file and auth_type"
		r.byName = code == http.StatusForbidden
	case code == http.StatusNotFound:
		hint = "set probe_path to a path that the runtime has"
		r.byName = true
	case code == http.StatusMethodNotAllowed:
		hint = "the runtime does not accept GET there; set probe_path to a path that it does"
	case code == http.StatusMisdirectedRequest || code == http.StatusBadRequest:
		r.byName = true
		if code == http.StatusBadRequest && strings.HasPrefix(strings.ToLower(p.target), "http:") {
			hint = strings.TrimPrefix(wantsTLS, "; ")
		}
	case code == http.StatusTooManyRequests:
		hint = "the runtime limits requests; set probe_path to a path without a limit"
	case code == http.StatusServiceUnavailable:
		hint = "the runtime is not ready, for example because it still loads a model; it is published as soon as it responds with 2xx"
	}
	if hint != "" {
		r.fault += ": " + hint
	}
	return r
}

// redirectHint names a redirect's target and the key that goes there. The query is left
// out: it may hold a secret.
func redirectHint(from, location string) string {
	const rule = "; redirects are not followed"
	base, err := url.Parse(from)
	if err != nil || location == "" {
		return "a redirect without a target" + rule
	}
	to, err := base.Parse(location)
	if err != nil {
		return "a redirect to an unreadable target" + rule
	}
	to.RawQuery, to.Fragment, to.User = "", "", nil
	shown := fmt.Sprintf("a redirect to %.120q", to.String()) + rule
	switch {
	case strings.EqualFold(to.Host, base.Host) && to.Scheme == base.Scheme:
		return shown + fmt.Sprintf(": set probe_path to %.80q", to.EscapedPath())
	case strings.EqualFold(to.Hostname(), base.Hostname()) && to.Scheme == "https" && base.Scheme == "http":
		return shown + ": set the URL that is probed (base_url or probe_url) to https"
	}
	return shown + ": set base_url to what callers use, or probe_path to a path that responds itself"
}

// faultOfRequest explains a request that got no response.
func (p *prober) faultOfRequest(err error) probeResult {
	var blocked *blockedError
	var file *connect.FileError
	var handshake *handshakeError
	var dns *net.DNSError
	var timeout interface{ Timeout() bool }
	switch {
	case errors.As(err, &blocked):
		fault := blocked.Error()
		if blocked.addr.IsLoopback() {
			fault += "; if the runtime is on this machine, set probe_url to its loopback address"
		} else if blocked.addr.IsPrivate() {
			fault += "; set network_scope to lan or vpn, or probe_url to this address"
		}
		return probeResult{result: "blocked", fault: fault}
	case errors.As(err, &file):
		return probeResult{result: "tls", fault: status.SanitizeTo(file.Error(), 400)}
	case errors.As(err, &dns) && !dns.IsNotFound && dns.IsTimeout:
		return probeResult{result: "timeout", fault: "the host name was not resolved within " + status.FormatDuration(p.budget)}
	case errors.As(err, &dns):
		return probeResult{result: "network", fault: nameFault(dns)}
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		fault := fmt.Sprintf("no response within %s; for a slower runtime set probe_timeout", budgetText(p.budget))
		return probeResult{result: "timeout", fault: fault}
	case errors.As(err, &handshake):
		return p.faultOfTLS(handshake.err)
	case errors.Is(err, syscall.ECONNREFUSED):
		return probeResult{result: "network", fault: "connection refused: nothing listens there"}
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET):
		return probeResult{result: "network", fault: "the runtime closed the connection without a response" + wantsTLS}
	case strings.Contains(err.Error(), `malformed HTTP`):
		return probeResult{result: "network", fault: "the response is not HTTP" + wantsTLS}
	}
	// url.Error repeats the URL, which may be long; the cause is what helps.
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	return probeResult{result: "network", fault: fmt.Sprintf("no response: %.120q", err.Error())}
}

// budgetText writes a budget, which may be below one second.
func budgetText(d time.Duration) string {
	if d < 10*time.Second && d%time.Second != 0 {
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return status.FormatDuration(d)
}

// nameFault explains a name that cannot be resolved.
func nameFault(e *net.DNSError) string {
	if isMDNS(e.Name) {
		return fmt.Sprintf("the host name %.80q cannot be resolved: this program does not speak mDNS itself and found no mDNS service "+
			"(avahi-daemon) on this machine that knows the name; start one, or set probe_url to the address", e.Name)
	}
	return "the host name cannot be resolved"
}

// faultOfTLS explains why there is no connection that can be trusted.
func (p *prober) faultOfTLS(err error) probeResult {
	r := probeResult{result: "tls"}
	var authority x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	var record tls.RecordHeaderError
	switch {
	case errors.As(err, &authority) && p.endpoint.CAFile == "":
		r.fault = "the runtime's certificate is signed by an authority that this machine does not know; " +
			"set ca_file to that authority's certificate"
	case errors.As(err, &authority):
		r.fault = "the runtime's certificate is not signed by an authority in ca_file, nor by one that this machine knows"
	case errors.As(err, &name):
		r.byName = true
		r.fault = fmt.Sprintf("the runtime's certificate is not valid for %.80q; set base_url to a name in the certificate", name.Host)
		if names := status.Sanitize(strings.Join(name.Certificate.DNSNames, ", ")); names != "" {
			r.fault += fmt.Sprintf(" (%.120s), and probe_url to the address if this machine cannot resolve it", names)
		}
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired && invalid.Cert != nil:
		// The clock is given as a date, so that the fault is not another one at each probe.
		r.fault = fmt.Sprintf("a certificate of the runtime is valid from %s to %s, and this machine's clock is at %s",
			invalid.Cert.NotBefore.UTC().Format(time.RFC3339), invalid.Cert.NotAfter.UTC().Format(time.RFC3339),
			time.Now().UTC().Format(time.DateOnly))
	case errors.As(err, &record):
		r.fault = "the runtime does not speak TLS there; if it is plain http, its URL begins with http://"
	default:
		r.fault = fmt.Sprintf("the TLS handshake with the runtime failed: %.120q", err.Error())
	}
	return r
}
