package agent

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/peaqnetwork/peaqos-agent/agent/connect"
	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/sdk"
)

// TestNetworkCauses: each way in which a connection fails has its own cause, with its
// place and the library's words, and without what differs each time.
func TestNetworkCauses(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	at := func(stage connect.Stage, err error) *connect.Error {
		return &connect.Error{Stage: stage, Host: "orch.example:443", Address: "192.0.2.1:443", Err: err}
	}
	proxied := func(stage connect.Stage, err error) *connect.Error {
		e := at(stage, err)
		e.Proxy = "proxy.plant:3128"
		return e
	}
	alert := func(text string) error { return &net.OpError{Op: "remote error", Err: errors.New("tls: " + text)} }
	verification := func(err error) error { return &tls.CertificateVerificationError{Err: err} }
	ca := &x509.Certificate{NotAfter: now.AddDate(-1, 0, 0), IsCA: true}
	future := &x509.Certificate{NotBefore: now.AddDate(1, 0, 0)}
	wanted, silent, small, bare := at(connect.StageResponse, alert("certificate required")), at(connect.StageTLS, context.DeadlineExceeded),
		at(connect.StageTLS, io.EOF), at(connect.StageTLS, verification(x509.UnknownAuthorityError{}))
	wanted.ClientCertificate, silent.NoHello, small.NoHello, small.SmallHello, bare.NoRoots = true, true, true, true, true
	for _, c := range []struct {
		err          error
		code         status.Code
		result, says string
	}{
		{at(connect.StageName, &net.DNSError{Name: "orch.example", IsNotFound: true}), "dns", "dns", "resolving the name orch.example: no such host"},
		{at(connect.StageName, &net.DNSError{Name: "robot.local", IsNotFound: true}), "dns", "dns", "does not use mDNS"},
		{at(connect.StageName, &net.DNSError{Err: "read udp 127.0.0.1:51234->127.0.0.2:53: connection refused"}), "dns", "dns", "orch.example: connection refused"},
		{at(connect.StageName, context.DeadlineExceeded), "dns", "dns", "no response from the name server"},
		{at(connect.StageName, &connect.BlockedNameError{Address: "0.0.0.0"}), "dns", "dns", "DNS filters"},
		{at(connect.StageTCP, context.DeadlineExceeded), "timeout", "timeout", "connecting to orch.example:443 at 192.0.2.1:443"},
		{at(connect.StageTCP, &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}), "connection_refused", "network", "dial: connect: connection refused"},
		{at(connect.StageTCP, &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ENETUNREACH)}), "no_route", "network", "unreachable"},
		{at(connect.StageTCP, &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.EACCES)}), "network", "network", "firewall or sandbox"},
		{silent, "tls_silent", "tls", "TLS handshake with orch.example:443 at 192.0.2.1:443"},
		{small, "tls_silent", "tls", "also without the post-quantum key share"},
		{at(connect.StageTLS, alert("protocol version not supported")), "tls_version", "tls", "protocol version"},
		{at(connect.StageTLS, errors.New("tls: server selected unsupported protocol version 302")), "tls_version", "tls", "302"},
		{at(connect.StageTLS, alert("handshake failure")), "tls_handshake", "tls", "handshake failure"},
		{at(connect.StageTLS, io.EOF), "tls_handshake", "tls", "EOF"},
		{wanted, "tls_client_cert", "tls", "certificate required"},
		{at(connect.StageTLS, tls.RecordHeaderError{Msg: "first record does not look like a TLS handshake"}), "not_tls", "tls", "does not look like"},
		{at(connect.StageTLS, verification(x509.UnknownAuthorityError{})), "unknown_ca", "tls", "unknown authority"},
		{bare, "no_roots", "tls", "unknown authority"},
		{at(connect.StageTLS, verification(x509.SystemRootsError{Err: errors.New("open /x: not a directory")})), "no_roots", "tls", "not a directory"},
		{at(connect.StageTLS, verification(x509.HostnameError{Certificate: &x509.Certificate{}, Host: "orch.example"})), "tls_name", "tls", "orch.example"},
		{at(connect.StageTLS, verification(x509.CertificateInvalidError{Reason: x509.Expired, Cert: ca})), "tls_expired", "tls", "CA certificate"},
		{at(connect.StageTLS, verification(x509.CertificateInvalidError{Reason: x509.Expired, Cert: future})), "clock", "clock", "not yet valid"},
		{at(connect.StageTLS, verification(x509.CertificateInvalidError{Reason: x509.CANotAuthorizedForThisName})), "tls", "tls", "not authorized to sign"},
		{at(connect.StageTLS, errors.New("tls: failed to parse certificate from server: x509: negative serial number")), "tls", "tls", "negative serial"},
		{at(connect.StageResponse, context.DeadlineExceeded), "timeout", "timeout", "waiting for the response of orch.example:443"},
		{at(connect.StageResponse, &net.OpError{Op: "read", Err: syscall.ECONNRESET}), "network", "network", "read: connection reset"},
		{proxied(connect.StageTLS, alert("handshake failure")), "tls_handshake", "tls", "through the proxy proxy.plant:3128"},
		{proxied(connect.StageProxy, context.DeadlineExceeded), "proxy", "timeout", "(proxy.plant:3128) did not respond in time"},
		{proxied(connect.StageProxy, io.EOF), "proxy", "network", "did not connect: EOF"},
		{proxied(connect.StageResponse, context.DeadlineExceeded), "timeout", "timeout", "through the proxy proxy.plant:3128"},
		{proxied(connect.StageProxy, &connect.ProxyRefusal{Status: 407}), "proxy", "middlebox", "HTTP 407"},
		{&connect.FileError{Key: connect.KeyCAFile, Path: "/ca", Err: errors.New("is empty")}, "ca_file", "tls", "/ca is empty"},
		{&connect.FileError{Key: connect.KeyClientKeyFile, Path: "/k", Err: errors.New("is empty")}, "client_cert_file", "tls", "client_key_file: /k is empty"},
		{&connect.ProxyError{Variable: "HTTPS_PROXY", Fault: "is not a URL"}, "proxy_variable", "network", "HTTPS_PROXY is not a URL"},
		{errors.New("no idea\x1b[31m"), "network", "network", `no idea\u001b`},
	} {
		v := judge(&sdk.NetworkError{Operation: "POST /x", Err: c.err}, now)
		if v.kind != unreachable || v.cause.Code != c.code || v.result != c.result || !strings.Contains(v.cause.Text, c.says) {
			t.Errorf("%v:\n%s, %+v\nwant %s, %s, %q", c.err, v.result, v.cause, c.result, c.code, c.says)
		}
	}
}

// TestCertificateOfTheFuture: the clock is to blame only if it may be wrong.
func TestCertificateOfTheFuture(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	err := x509.CertificateInvalidError{Reason: x509.Expired, Cert: &x509.Certificate{NotBefore: now.AddDate(1, 0, 0)}}
	for synced, want := range map[bool]status.Code{false: status.CodeClock, true: status.CodeTLSNotYet} {
		if v := judgeNetwork(err, now).withClock(synced); v.cause.Code != want {
			t.Errorf("synchronized %t: %+v", synced, v.cause)
		}
	}
}

// TestWaits: what a Retry-After of each form means.
func TestWaits(t *testing.T) {
	for _, c := range []struct {
		wait  time.Duration
		asked bool
		http  int
		code  status.Code
		want  time.Duration
		again time.Duration // the same once more
	}{
		{5 * time.Second, true, 429, "retry_after", 5 * time.Second, 5 * time.Second},
		{15 * time.Minute, true, 429, "retry_after", 15 * time.Minute, 15 * time.Minute},
		{365 * 24 * time.Hour, true, 429, "retry_after", 15 * time.Minute, 0},
		{time.Hour, true, 503, "retry_after", 15 * time.Minute, 0},
		{0, false, 429, "rate_limited", 0, 0},
	} {
		v := judgeWait(c.http, "HTTP", c.wait, c.asked)
		f := failures{}.count(v)
		if v.cause.Code != c.code || f.retryAfter != c.want {
			t.Errorf("%+v: %+v, %+v", c, v, f)
		}
		if again := f.count(v); again.retryAfter != c.again {
			t.Errorf("%+v again: %+v", c, again)
		}
		if better := f.count(verdict{kind: unreachable}); better.retryAfter != 0 {
			t.Errorf("%+v: another verdict does not end the wait", c)
		}
	}
}
