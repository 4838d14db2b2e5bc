package sdk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/peaqnetwork/peaqos-agent/sdk/internal/wire"
)

// Classes of errors, for errors.Is. One error can be in several: MACHINE_NOT_ACTIVE with
// 409 is both ErrRejected and ErrConflict. Which status the server sends with a code is
// mostly not documented, so either can put an error into a class.
var (
	ErrNotFound    = errors.New("not found")                // 404 or NOT_FOUND
	ErrAuth        = errors.New("not authenticated")        // 401, AUTH_*, AGENT_AUTH_*
	ErrForbidden   = errors.New("not allowed")              // 403, AGENT_POLICY_DENIED, exceeded limits, a missing or inactive pairing
	ErrConflict    = errors.New("conflicts with the state") // 409
	ErrRejected    = errors.New("rejected")                 // any 4xx but 408 and 429: the same request fails again
	ErrRateLimited = errors.New("rate limited")             // 429
	ErrRetryable   = errors.New("may succeed later")        // 408, 429, 5xx, and a NetworkError that the caller did not cause
	ErrNotTheAPI   = errors.New("not an API response")      // BAD_RESPONSE: a portal, proxy or gateway responded
	ErrMalformed   = errors.New("malformed response")       // INVALID_RESPONSE_SHAPE

	// ErrOutcomeUnknown means that the request was sent, or may have been, and that no
	// complete response came back: the server may have acted on it. It is false if nothing
	// was sent (the argument was rejected, the connection was refused) and if there was any
	// response. Before repeating a call that is not idempotent, find out what happened.
	ErrOutcomeUnknown = errors.New("sent, outcome unknown")

	// ErrRedacted means that a Secret was read from JSON that has "[REDACTED]" in its place.
	ErrRedacted = wire.ErrRedacted

	// ErrEndlessList means that a list did not end: see ListError.
	ErrEndlessList = errors.New("the list does not end")
)

// APIError is an unsuccessful response: an error of the API, or a response that does not
// come from the API (contract §1.6). It prints as operation, status, code and message,
// never Details.
type APIError struct {
	Operation  string // method and path template, such as "GET /machines/{machineId}"
	Code       string // the server's code, or BAD_RESPONSE, or INVALID_RESPONSE_SHAPE
	Message    string // the server's message, redacted
	StatusCode int    // HTTP status, also if the body is unreadable
	// Details is JSON that the server added, redacted; nil when there is none. It may
	// still echo the request: do not log it.
	Details json.RawMessage
	// Envelope reports whether the body was the API's error envelope. If not, a portal,
	// proxy or gateway may have responded instead of the API.
	Envelope bool
	// ContentTypeMismatch reports whether a 2xx response was unreadable and its content
	// type was not JSON, as with the login page of a captive portal.
	ContentTypeMismatch bool
	Date                time.Time // the server's clock; zero when absent
	Host                string    // host and port of the URL that responded

	retryAfter time.Duration
	retrySet   bool
}

// RetryAfter returns how long the server asks to wait, counted from the response's own
// Date, and whether it asked.
func (e *APIError) RetryAfter() (time.Duration, bool) { return e.retryAfter, e.retrySet }

// Error is operation, status, code and message in one line.
func (e *APIError) Error() string {
	var b strings.Builder
	b.WriteString(e.Operation)
	if e.StatusCode != 0 {
		fmt.Fprintf(&b, ": HTTP %d", e.StatusCode)
	}
	if e.Code != "" {
		b.WriteString(": " + wire.OneLine(e.Code))
	}
	if e.Message != "" {
		b.WriteString(": " + wire.OneLine(e.Message))
	}
	return strings.TrimPrefix(b.String(), ": ")
}

// Is implements errors.Is for the classes of errors above.
func (e *APIError) Is(target error) bool {
	s := e.StatusCode
	switch target {
	case ErrNotFound:
		return s == http.StatusNotFound || e.Code == CodeNotFound
	case ErrAuth:
		return s == http.StatusUnauthorized || strings.HasPrefix(e.Code, "AUTH_") || strings.HasPrefix(e.Code, "AGENT_AUTH_")
	case ErrForbidden:
		return s == http.StatusForbidden || slices.Contains(forbidding(), e.Code)
	case ErrConflict:
		return s == http.StatusConflict
	case ErrRejected:
		return s >= 400 && s < 500 && s != http.StatusRequestTimeout && s != http.StatusTooManyRequests
	case ErrRateLimited:
		return s == http.StatusTooManyRequests
	case ErrRetryable:
		return s == http.StatusRequestTimeout || s == http.StatusTooManyRequests || s >= 500
	case ErrNotTheAPI:
		return e.Code == CodeBadResponse
	case ErrMalformed:
		return e.Code == CodeInvalidResponseShape
	}
	return false
}

// forbidding are the codes of ErrForbidden. The contract does not specify their HTTP status
// (§1.8).
func forbidding() []string {
	return []string{
		CodeAgentPolicyDenied, CodeAgentSpendLimitExceeded, CodeAgentDailyLimitExceeded, CodeAgentPairingInactive, CodeAgentPairingRequired,
	}
}

// GoString keeps Details out of %#v.
func (e *APIError) GoString() string { return fmt.Sprintf("&sdk.APIError{%q}", e.Error()) }

// Format prints Error for every format, %x and %d included.
func (e *APIError) Format(f fmt.State, format rune) {
	switch {
	case format == 'v' && f.Flag('#'):
		io.WriteString(f, e.GoString())
	case format == 'q':
		fmt.Fprintf(f, "%q", e.Error())
	default:
		io.WriteString(f, e.Error())
	}
}

// LogValue keeps Details out of slog.
func (e *APIError) LogValue() slog.Value { return slog.StringValue(e.Error()) }

// MarshalText keeps Details out of JSON logs and other encodings.
func (e *APIError) MarshalText() ([]byte, error) { return []byte(e.Error()), nil }

// RedirectError is a redirect that was not followed. The API sends none, so something else
// responded. It wraps an APIError with the code BAD_RESPONSE.
type RedirectError struct {
	Location string // target of the redirect, without user, query and fragment
	API      *APIError
}

func (e *RedirectError) Error() string {
	return fmt.Sprintf("%s: HTTP %d: redirect to %s not followed", e.API.Operation, e.API.StatusCode, wire.OneLine(e.Location))
}

// Unwrap returns the APIError.
func (e *RedirectError) Unwrap() error { return e.API }

// GoString keeps Details out of %#v.
func (e *RedirectError) GoString() string { return fmt.Sprintf("&sdk.RedirectError{%q}", e.Error()) }

// LogValue makes slog print Error.
func (e *RedirectError) LogValue() slog.Value { return slog.StringValue(e.Error()) }

// NetworkError means that there was no usable response: DNS, the connection, TLS or the body
// failed, the call timed out, or the caller ended it. Unless it is ErrOutcomeUnknown, nothing
// was sent.
type NetworkError struct {
	Operation string
	Err       error // the cause, for errors.As: *net.DNSError, *tls.CertificateVerificationError, context.DeadlineExceeded, …

	unsent bool // no connection was made
}

func (e *NetworkError) Error() string {
	if e.Err == nil {
		return e.Operation + ": the connection failed" // the cause may hold a credential
	}
	return e.Operation + ": " + wire.OneLine(e.Err.Error())
}

// Unwrap returns the cause.
func (e *NetworkError) Unwrap() error { return e.Err }

// Is implements errors.Is for ErrRetryable, which a call that its caller canceled is not, and
// for ErrOutcomeUnknown.
func (e *NetworkError) Is(target error) bool {
	switch target {
	case ErrRetryable:
		return !errors.Is(e.Err, context.Canceled)
	case ErrOutcomeUnknown:
		return !e.unsent
	}
	return false
}

// LogValue makes slog print Error.
func (e *NetworkError) LogValue() slog.Value { return slog.StringValue(e.Error()) }

// ValidationError is an argument that was rejected before anything was sent.
type ValidationError struct {
	Field      string // the wire name, such as machineId or identityProof.challengeId
	Constraint string // what it must be
}

func (e *ValidationError) Error() string { return e.Field + " must be " + e.Constraint }

// LogValue makes slog print Error.
func (e *ValidationError) LogValue() slog.Value { return slog.StringValue(e.Error()) }

// ConfigError is an invalid configuration of a client.
type ConfigError struct {
	Field   string // the option or environment variable
	Message string
}

func (e *ConfigError) Error() string { return e.Field + " " + e.Message }

// MissingTokenError is an enrollment whose response had no token. The agent exists on the
// server but cannot be used: revoke it.
type MissingTokenError struct {
	AgentID string
	Agent   *MachineAgent
}

func (e *MissingTokenError) Error() string {
	return fmt.Sprintf("agent %s was enrolled, but the response has neither agentToken nor provisioningToken; "+
		"revoke it and enroll again", wire.OneLine(e.AgentID))
}

// DateOf returns the server's clock from any error of this package, or zero if there was no
// response.
func DateOf(err error) time.Time {
	var api *APIError
	if errors.As(err, &api) {
		return api.Date
	}
	return time.Time{}
}
