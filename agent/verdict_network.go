package agent

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
	"time"

	"github.com/peaqnetwork/peaqos-agent/agent/connect"
	"github.com/peaqnetwork/peaqos-agent/agent/status"
)

// judgeNetwork distinguishes the causes that are fixed in different places: a name, a
// certificate, a clock, a cable, a proxy, a file. Every cause names the stage, the host
// and the proxy, and ends in the library's own words.
func judgeNetwork(err error, now time.Time) verdict {
	var file *connect.FileError
	var variable *connect.ProxyError
	switch {
	case errors.As(err, &file) && file.Key == connect.KeyCAFile:
		return failed("tls", status.CodeCAFile, fmt.Sprintf("%s %v", file.Path, file.Err))
	case errors.As(err, &file):
		return failed("tls", status.CodeClientCertFile, file.Error())
	case errors.As(err, &variable):
		return failed("network", status.CodeProxyVariable, variable.Error())
	}
	if v, ok := judgeProxy(err); ok {
		return v
	}
	detail := detailOf(err)
	if v, ok := judgeCertificate(err, now, detail); ok {
		return v
	}
	if v, ok := judgeHandshake(err, detail); ok {
		return v
	}
	var dns *net.DNSError
	var blocked *connect.BlockedNameError
	var timeout interface{ Timeout() bool }
	place := placeOf(err)
	switch {
	case errors.As(err, &blocked):
		return failed("dns", status.CodeDNS, detail)
	case errors.As(err, &dns):
		return failed("dns", status.CodeDNS, detail+mdnsHint(dns.Name))
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		if place != nil && place.Stage == connect.StageName {
			return failed("dns", status.CodeDNS, place.Place()+": no response from the name server yet")
		}
		if place != nil {
			return failed("timeout", status.CodeTimeout, place.Place())
		}
		return failed("timeout", status.CodeTimeout, "")
	case errors.Is(err, syscall.ECONNREFUSED):
		return failed("network", status.CodeConnectionRefused, detail)
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EHOSTUNREACH):
		return failed("network", status.CodeNoRoute, detail)
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
		return failed("network", status.CodeNetwork, detail+" (a firewall or sandbox of this machine)")
	}
	return failed("network", status.CodeNetwork, detail)
}

// failed is the verdict on a connection that failed.
func failed(result string, code status.Code, detail string) verdict {
	return verdict{kind: unreachable, result: result, cause: status.NewCause(code, status.SanitizeTo(detail, 400))}
}

// placeOf is the place of a failed connection, nil when it is not known.
func placeOf(err error) *connect.Error {
	var place *connect.Error
	if errors.As(err, &place) {
		return place
	}
	return nil
}

// detailOf is the place and the reason of a failed connection.
func detailOf(err error) string {
	if place := placeOf(err); place != nil {
		return place.Error()
	}
	return connect.Reason(innermost(err))
}

// innermost is the error below the names that the SDK and net/http add.
func innermost(err error) error {
	for {
		var op *net.OpError
		if errors.As(err, &op) {
			return op
		}
		next := errors.Unwrap(err)
		if next == nil {
			return err
		}
		err = next
	}
}

// mdnsHint explains why a .local name is not found here although ping finds it.
func mdnsHint(name string) string {
	if strings.HasSuffix(strings.TrimSuffix(strings.ToLower(name), "."), ".local") {
		return "; this program asks name servers and does not use mDNS: add the name to /etc/hosts, or use an address or a DNS name"
	}
	return ""
}

// judgeCertificate evaluates a certificate that was not accepted.
func judgeCertificate(err error, now time.Time, detail string) (verdict, bool) {
	var invalid x509.CertificateInvalidError
	var authority x509.UnknownAuthorityError
	var hostname x509.HostnameError
	var verification *tls.CertificateVerificationError
	var system x509.SystemRootsError
	switch {
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired && clockSuspect(invalid.Cert, now):
		return failed("clock", status.CodeClock, "the certificate is not yet valid at "+now.UTC().Format(time.RFC3339)+"; "+detail), true
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		if invalid.Cert != nil && invalid.Cert.IsCA {
			detail = fmt.Sprintf("it is not the server's own certificate but the CA certificate %.80q that expired; %s", invalid.Cert.Subject.CommonName, detail)
		}
		return failed("tls", status.CodeTLSExpired, detail), true
	case errors.As(err, &system):
		return failed("tls", status.CodeNoRoots, detail), true
	case errors.As(err, &authority):
		if place := placeOf(err); place != nil && place.NoRoots {
			return failed("tls", status.CodeNoRoots, detail), true
		}
		return failed("tls", status.CodeUnknownCA, "an intercepting proxy, or orchestrator.ca_file is missing; "+detail), true
	case errors.As(err, &hostname):
		return failed("tls", status.CodeTLSName, detail), true
	case errors.As(err, &verification), strings.Contains(err.Error(), "failed to parse certificate from server"):
		return failed("tls", status.CodeTLS, detail), true
	}
	return verdict{}, false
}

// judgeHandshake evaluates a TLS handshake that failed for another reason than the
// server's certificate.
func judgeHandshake(err error, detail string) (verdict, bool) {
	var record tls.RecordHeaderError
	if errors.As(err, &record) {
		return failed("tls", status.CodeNotTLS, detail), true
	}
	place := placeOf(err)
	var op *net.OpError
	alert := errors.As(err, &op) && (op.Op == "remote error" || op.Op == "local error")
	text := err.Error()
	switch {
	case place != nil && place.ClientCertificate && (alert || place.Stage == connect.StageTLS):
		return failed("tls", status.CodeTLSClientCert, detail), true
	case strings.Contains(text, "protocol version"), strings.Contains(text, "no supported versions"):
		return failed("tls", status.CodeTLSVersion, detail), true
	case alert:
		return failed("tls", status.CodeTLSHandshake, detail), true
	case place == nil || place.Stage != connect.StageTLS:
		return verdict{}, false
	case place.NoHello:
		if place.SmallHello {
			detail = "also without the post-quantum key share; " + detail
		}
		return failed("tls", status.CodeTLSSilent, detail), true
	}
	return failed("tls", status.CodeTLSHandshake, detail), true
}

// judgeProxy distinguishes a proxy that does not connect us from an orchestrator that
// cannot be reached: net/http marks what happens before the proxy has connected us.
func judgeProxy(err error) (verdict, bool) {
	name := "the proxy set in HTTPS_PROXY or HTTP_PROXY"
	place := placeOf(err)
	if place != nil && place.Proxy != "" {
		name += " (" + place.Proxy + ")"
	}
	of := func(result, detail string) (verdict, bool) { return failed(result, status.CodeProxy, detail), true }
	var refusal *connect.ProxyRefusal
	if errors.As(err, &refusal) {
		if refusal.Status == 407 {
			return of("middlebox", name+" requires a user name and password (HTTP 407)")
		}
		return of("middlebox", fmt.Sprintf("%s refused the connection to the orchestrator (HTTP %d)", name, refusal.Status))
	}
	var timeout interface{ Timeout() bool }
	late := errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout()
	before := place != nil && place.Proxy != "" && place.Stage <= connect.StageProxy
	var op *net.OpError
	if !errors.As(err, &op) || op.Op != "proxyconnect" && op.Op != "socks connect" {
		switch {
		case before && late:
			return of("timeout", name+" did not respond in time: "+place.Stage.String())
		case before:
			return of("network", name+" did not connect: "+connect.Reason(place.Err))
		}
		return verdict{}, false
	}
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns):
		return of("dns", "cannot resolve the name of "+name+": "+connect.Reason(err))
	case errors.Is(err, syscall.ECONNREFUSED):
		return of("network", name+" refused the connection")
	case late:
		return of("timeout", name+" did not respond in time")
	}
	return of("network", name+" cannot be used: "+connect.Reason(op.Err))
}

// clockSuspect reports whether a certificate is from the future, which means that our
// clock is wrong.
func clockSuspect(cert *x509.Certificate, now time.Time) bool {
	return cert != nil && now.Before(cert.NotBefore)
}

// withClock is the verdict if the clock is known to be right: then it is the certificate
// that is wrong.
func (v verdict) withClock(synced bool) verdict {
	if v.cause == nil || v.cause.Code != status.CodeClock || !synced {
		return v
	}
	_, detail, _ := strings.Cut(v.cause.Text, ": ")
	return failed("tls", status.CodeTLSNotYet, detail)
}
