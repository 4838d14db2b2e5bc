package agent

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"

	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/sdk"
)

// verdictKind is what a response means for the agent: the rows of the response table.
type verdictKind int

const (
	accepted         verdictKind = iota // 2xx, well formed
	unreachable                         // network, timeout, 5xx, 408, malformed success: keep everything, retry
	middlebox                           // something between us and the API responded
	waitAsked                           // 429, or 503 with Retry-After
	refusedToken                        // AGENT_AUTH_*, NOT_FOUND
	refusedAgent                        // AGENT_PAIRING_INACTIVE
	refusedEndpoints                    // AGENT_POLICY_DENIED, VALIDATION_ERROR
	refusedOther                        // MACHINE_NOT_ACTIVE* and any other code
)

// verdict is the evaluation of one response, or of the lack of one.
type verdict struct {
	kind       verdictKind
	result     string // the label of heartbeats_total
	cause      *status.Cause
	retryAfter time.Duration
}

// judge applies the response table (contract §1.6 and §2.4 for the errors): pure, so
// that each row is one line of a test. now is used only to suspect the device's
// clock when a certificate is not valid at this time.
func judge(err error, now time.Time) verdict {
	if err == nil {
		return verdict{kind: accepted, result: "success"}
	}
	var redirect *sdk.RedirectError
	if errors.As(err, &redirect) {
		return between("the response is a redirect to " + status.Sanitize(redirect.Location))
	}
	var api *sdk.APIError
	if errors.As(err, &api) {
		return judgeAPI(api)
	}
	return judgeNetwork(err, now)
}

func judgeAPI(e *sdk.APIError) verdict {
	code := fmt.Sprintf("HTTP %d", e.StatusCode)
	wait, asked := e.RetryAfter()
	switch {
	case e.ContentTypeMismatch:
		return between("the response is not JSON")
	case e.StatusCode == http.StatusTooManyRequests, e.StatusCode == http.StatusServiceUnavailable && asked:
		v := verdict{kind: waitAsked, result: "rate_limited", retryAfter: wait, cause: status.NewCause(status.CodeRetryAfter, code)}
		if e.StatusCode == http.StatusServiceUnavailable {
			v.result = "server_error"
		}
		return v
	case e.StatusCode == http.StatusRequestTimeout, e.StatusCode >= 500:
		return verdict{kind: unreachable, result: "server_error", cause: status.NewCause(status.CodeServerError, code)}
	case e.StatusCode < 400:
		return verdict{kind: unreachable, result: "server_error", cause: status.NewCause(status.CodeMalformedResponse, "")}
	case !e.Envelope:
		return between(code + " without an API error body")
	}
	api := apiCode(e)
	v := verdict{kind: refusedOther, result: "client_error", cause: status.NewCause(api, "")}
	switch {
	case strings.HasPrefix(string(api), "AGENT_AUTH_"), api == status.CodeAPINotFound:
		v.kind = refusedToken
	case api == status.CodeAPIAgentInactive:
		v.kind = refusedAgent
	case api == status.CodeAPIPolicyDenied, api == status.CodeAPIValidation:
		v.kind = refusedEndpoints
	}
	return v
}

// judgeHealth evaluates the response to a health request. It says nothing about our
// token, so any response in the API's own error form shows that the orchestrator is
// available.
func judgeHealth(err error, now time.Time) verdict {
	v := judge(err, now)
	switch v.kind {
	case refusedToken, refusedAgent, refusedEndpoints, refusedOther:
		return verdict{kind: accepted, result: "success"}
	}
	return v
}

// responseDate is the server's clock as given by a response, successful or not; zero
// when it gave none.
func responseDate(res *sdk.HeartbeatResult, err error) time.Time {
	if res != nil {
		return res.Meta.Date
	}
	return sdk.DateOf(err)
}

// between is the verdict on a response that is not the orchestrator's.
func between(detail string) verdict {
	return verdict{kind: middlebox, result: "middlebox", cause: status.NewCause(status.CodeMiddlebox, detail)}
}

// judgeNetwork distinguishes the causes that are fixed in different places: a name, a
// certificate, a clock, a cable.
func judgeNetwork(err error, now time.Time) verdict {
	v := verdict{kind: unreachable, result: "network", cause: status.NewCause(status.CodeNetwork, "")}
	set := func(result string, code status.Code, detail string) verdict {
		v.result, v.cause = result, status.NewCause(code, detail)
		return v
	}
	if v, ok := judgeProxy(err); ok {
		return v
	}
	var dns *net.DNSError
	var invalid x509.CertificateInvalidError
	var authority x509.UnknownAuthorityError
	var hostname x509.HostnameError
	var verification *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var timeout interface{ Timeout() bool }
	switch {
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired && clockSuspect(invalid.Cert, now):
		return set("clock", status.CodeClock, "the certificate is not yet valid at "+now.UTC().Format(time.RFC3339))
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return set("tls", status.CodeTLSExpired, "")
	case errors.As(err, &authority):
		return set("tls", status.CodeUnknownCA, "an intercepting proxy, or orchestrator.ca_file is missing")
	case errors.As(err, &hostname):
		return set("tls", status.CodeTLSName, "")
	case errors.As(err, &record):
		return set("tls", status.CodeNotTLS, "")
	case errors.As(err, &verification):
		return set("tls", status.CodeTLS, "")
	case errors.As(err, &dns):
		return set("dns", status.CodeDNS, status.Sanitize(dns.Name))
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return set("timeout", status.CodeTimeout, "")
	case errors.Is(err, syscall.ECONNREFUSED):
		return set("network", status.CodeConnectionRefused, address(err))
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EHOSTUNREACH):
		return set("network", status.CodeNoRoute, "no network")
	}
	return v
}

// judgeProxy distinguishes a proxy that does not connect us from an orchestrator that
// cannot be reached: net/http marks what happens before the proxy has connected us.
func judgeProxy(err error) (verdict, bool) {
	of := func(result, detail string) (verdict, bool) {
		return verdict{kind: unreachable, result: result, cause: status.NewCause(status.CodeProxy, detail)}, true
	}
	const name = "the proxy set in HTTPS_PROXY or HTTP_PROXY"
	var refusal *proxyRefusal
	if errors.As(err, &refusal) {
		if refusal.status == http.StatusProxyAuthRequired {
			return of("middlebox", name+" requires a user name and password (HTTP 407)")
		}
		return of("middlebox", fmt.Sprintf("%s refused the connection to the orchestrator (HTTP %d)", name, refusal.status))
	}
	var op *net.OpError
	if !errors.As(err, &op) || op.Op != "proxyconnect" {
		return verdict{}, false
	}
	var dns *net.DNSError
	var timeout interface{ Timeout() bool }
	switch {
	case errors.As(err, &dns):
		return of("dns", "cannot resolve the name of "+name)
	case errors.Is(err, syscall.ECONNREFUSED):
		return of("network", name+" refused the connection")
	case errors.As(op.Err, &timeout) && timeout.Timeout():
		return of("timeout", name+" did not respond in time")
	}
	return of("network", name+" cannot be reached")
}

// clockSuspect reports whether a certificate is from the future, which means that our
// clock is wrong.
func clockSuspect(cert *x509.Certificate, now time.Time) bool {
	return cert != nil && now.Before(cert.NotBefore)
}

// address is the address of a failed connection, empty when the error has none.
func address(err error) string {
	var op *net.OpError
	if errors.As(err, &op) && op.Addr != nil {
		return op.Addr.String()
	}
	return ""
}
