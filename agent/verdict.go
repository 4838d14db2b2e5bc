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

// verdictKind is what an answer means for the agent: the rows of the answer table.
type verdictKind int

const (
	accepted         verdictKind = iota // 2xx, well formed
	unreachable                         // network, timeout, 5xx, 408, malformed success: keep everything, try again
	middlebox                           // something between us and the API answered
	waitAsked                           // 429, or 503 with Retry-After
	refusedToken                        // AGENT_AUTH_*, NOT_FOUND
	refusedAgent                        // AGENT_PAIRING_INACTIVE
	refusedEndpoints                    // AGENT_POLICY_DENIED, VALIDATION_ERROR
	refusedOther                        // MACHINE_NOT_ACTIVE* and any other code
)

// verdict is one answer, judged.
type verdict struct {
	kind       verdictKind
	result     string // the label of heartbeats_total
	cause      *status.Cause
	retryAfter time.Duration
}

// judge reads the answer table (contract §1.6 and §2.4 for the errors): pure,
// so that each row is one line of a test. now is only used to suspect the
// device's clock when a certificate is out of its time.
func judge(err error, now time.Time) verdict {
	if err == nil {
		return verdict{kind: accepted, result: "success"}
	}
	var redirect *sdk.RedirectError
	if errors.As(err, &redirect) {
		return between("redirect", fmt.Sprintf("the answer is a redirect to %.200s, which the API never sends", redirect.Location))
	}
	var api *sdk.APIError
	if errors.As(err, &api) {
		return judgeAPI(api)
	}
	return judgeNetwork(err, now)
}

func judgeAPI(e *sdk.APIError) verdict {
	wait, asked := e.RetryAfter()
	switch {
	case e.ContentTypeMismatch:
		return between("not_json", "the answer is not JSON, so a login page or a proxy answered instead of the orchestrator")
	case e.StatusCode == http.StatusTooManyRequests, e.StatusCode == http.StatusServiceUnavailable && asked:
		v := verdict{
			kind: waitAsked, result: "rate_limited", retryAfter: wait,
			cause: status.NewCause("retry_after", fmt.Sprintf("the orchestrator asks us to wait (HTTP %d)", e.StatusCode)),
		}
		if e.StatusCode == http.StatusServiceUnavailable {
			v.result = "server_error"
		}
		return v
	case e.StatusCode == http.StatusRequestTimeout, e.StatusCode >= 500:
		return verdict{
			kind: unreachable, result: "server_error",
			cause: status.NewCause("server_error", fmt.Sprintf("the orchestrator answers HTTP %d", e.StatusCode)),
		}
	case e.StatusCode < 400:
		return verdict{
			kind: unreachable, result: "server_error",
			cause: status.NewCause("malformed_answer", "the orchestrator's answer has not the form of the API"),
		}
	case !e.Envelope:
		return between("not_the_api", fmt.Sprintf("HTTP %d without the API's error form: a proxy or gateway answered", e.StatusCode))
	}
	v := verdict{kind: refusedOther, result: "client_error", cause: status.NewCause(e.Code, explain(e))}
	switch {
	case strings.HasPrefix(e.Code, "AGENT_AUTH_"), e.Code == sdk.CodeNotFound:
		v.kind = refusedToken
	case e.Code == sdk.CodeAgentPairingInactive:
		v.kind = refusedAgent
	case e.Code == sdk.CodeAgentPolicyDenied, e.Code == sdk.CodeValidationError:
		v.kind = refusedEndpoints
	}
	return v
}

// explain is our own sentence for a code; the server's message is left out,
// because it is foreign text.
func explain(e *sdk.APIError) string {
	switch e.Code {
	case sdk.CodeNotFound:
		return "the orchestrator does not know this machine or agent"
	case sdk.CodeAgentAuthInvalid, sdk.CodeAgentAuthRequired, sdk.CodeAgentAuthExpired:
		return "the orchestrator does not accept our token"
	case sdk.CodeAgentPairingInactive:
		return "the agent was revoked on the orchestrator"
	case sdk.CodeAgentPolicyDenied:
		return "an endpoint's provider key is not among those allowed at enrollment"
	case sdk.CodeValidationError:
		return "the orchestrator finds a fault in what we sent"
	case sdk.CodeMachineNotActive:
		return "the machine is not active on the orchestrator (draft, blocked or archived)"
	case sdk.CodeMachineNotActivated:
		return "the machine's identity is not verified on the orchestrator"
	}
	return fmt.Sprintf("the orchestrator refuses with %.64q (HTTP %d)", e.Code, e.StatusCode)
}

func between(code, text string) verdict {
	return verdict{kind: middlebox, result: "middlebox", cause: status.NewCause("middlebox", text+" ("+code+")")}
}

// judgeNetwork tells the causes apart that call for different hands: a name, a
// certificate, a clock, a cable.
func judgeNetwork(err error, now time.Time) verdict {
	v := verdict{kind: unreachable, result: "network", cause: status.NewCause("network", "the orchestrator cannot be reached")}
	set := func(result, code, text string) verdict {
		v.result, v.cause = result, status.NewCause(code, text)
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
		return set("clock", "clock", fmt.Sprintf("the certificate is not yet valid at %s, so the device's clock is wrong", now.UTC().Format(time.RFC3339)))
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return set("tls", "tls_expired", "the orchestrator's certificate has expired, or the device's clock runs ahead")
	case errors.As(err, &authority):
		return set("tls", "unknown_ca", "the certificate is signed by an unknown authority: an intercepting proxy, or orchestrator.ca_file is missing")
	case errors.As(err, &hostname):
		return set("tls", "tls_name", "the certificate belongs to another host")
	case errors.As(err, &record):
		return set("tls", "not_tls", "what answers does not speak TLS")
	case errors.As(err, &verification):
		return set("tls", "tls", "the orchestrator's certificate cannot be verified")
	case errors.As(err, &dns):
		return set("dns", "dns", "the orchestrator's name cannot be resolved")
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return set("timeout", "timeout", "no answer in time")
	case errors.Is(err, syscall.ECONNREFUSED):
		return set("network", "connection_refused", "nothing listens at the orchestrator's address")
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EHOSTUNREACH):
		return set("network", "no_route", "there is no route to the orchestrator: no network")
	}
	return v
}

// judgeProxy tells a proxy that is in the way from an orchestrator that is not
// there: net/http marks what happens before the proxy has connected us.
func judgeProxy(err error) (verdict, bool) {
	of := func(result, text string) (verdict, bool) {
		return verdict{kind: unreachable, result: result, cause: status.NewCause("proxy", text)}, true
	}
	const name = "the proxy of HTTPS_PROXY or HTTP_PROXY"
	var refusal *proxyRefusal
	if errors.As(err, &refusal) {
		if refusal.status == http.StatusProxyAuthRequired {
			return of("middlebox", name+" wants a user name and password (HTTP 407)")
		}
		return of("middlebox", fmt.Sprintf("%s does not connect us to the orchestrator (HTTP %d)", name, refusal.status))
	}
	var op *net.OpError
	if !errors.As(err, &op) || op.Op != "proxyconnect" {
		return verdict{}, false
	}
	var dns *net.DNSError
	var timeout interface{ Timeout() bool }
	switch {
	case errors.As(err, &dns):
		return of("dns", "the name of "+name+" cannot be resolved")
	case errors.Is(err, syscall.ECONNREFUSED):
		return of("network", "nothing listens at the address of "+name)
	case errors.As(op.Err, &timeout) && timeout.Timeout():
		return of("timeout", name+" does not answer in time")
	}
	return of("network", name+" cannot be reached")
}

// clockSuspect: a certificate from the future means that ours is the wrong clock.
func clockSuspect(cert *x509.Certificate, now time.Time) bool {
	return cert != nil && now.Before(cert.NotBefore)
}
