package sdk

import (
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

// Meanings of an APIError, for errors.Is. One error can have several:
// MACHINE_NOT_ACTIVE with 409 is both ErrRejected and ErrConflict. Which status the
// server gives a code is mostly not known, so that a meaning goes by either.
var (
	ErrNotFound    = errors.New("not found")                // 404 or NOT_FOUND
	ErrAuth        = errors.New("not authenticated")        // 401, AUTH_*, AGENT_AUTH_*
	ErrForbidden   = errors.New("not allowed")              // 403, AGENT_POLICY_DENIED, AGENT_*_LIMIT_EXCEEDED, AGENT_PAIRING_INACTIVE, _REQUIRED
	ErrConflict    = errors.New("conflicts with the state") // 409
	ErrRejected    = errors.New("rejected")                 // any 4xx but 408 and 429: the same request fails again
	ErrRateLimited = errors.New("rate limited")             // 429
	ErrRetryable   = errors.New("may succeed later")        // 408, 429, 5xx, and every NetworkError
	ErrNotTheAPI   = errors.New("not the API's answer")     // BAD_RESPONSE: a portal, proxy or gateway answered
	ErrMalformed   = errors.New("malformed answer")         // INVALID_RESPONSE_SHAPE
)

// APIError is an answer that is not the success that was asked for: the API's
// own error, or an answer that is not the API's (contract §1.6). Its printed form
// holds code, status and message, never Details.
type APIError struct {
	Operation  string // method and path template, such as "GET /machines/{machineId}"
	Code       string // the server's code, or BAD_RESPONSE, or INVALID_RESPONSE_SHAPE
	Message    string // the server's words, wire.Redacted
	StatusCode int    // HTTP status, kept when the body is unreadable too
	// Details is what the server added, wire.Redacted, as JSON; nil when there is none.
	// It may still echo what was sent: do not log it.
	Details json.RawMessage
	// Envelope tells that the body was the API's error envelope. Without it a
	// portal, proxy or gateway may have answered in the API's place.
	Envelope bool
	// ContentTypeMismatch tells that a 2xx answer was unreadable and did not claim
	// to be JSON, as the page of a captive portal.
	ContentTypeMismatch bool
	Date                time.Time // the server's clock; zero when the answer had none

	retryAfter time.Duration
	retrySet   bool
}

// RetryAfter is how long the server asks to wait, counted from the answer's own
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

// Is answers errors.Is for the meanings above.
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

// forbidding are the codes that forbid, whose HTTP status the contract leaves open
// (§1.8).
func forbidding() []string {
	return []string{
		CodeAgentPolicyDenied, CodeAgentSpendLimitExceeded, CodeAgentDailyLimitExceeded, CodeAgentPairingInactive, CodeAgentPairingRequired,
	}
}

// GoString keeps Details out of %#v.
func (e *APIError) GoString() string { return fmt.Sprintf("&sdk.APIError{%q}", e.Error()) }

// Format prints the sentence for every verb, %x and %d included.
func (e *APIError) Format(f fmt.State, verb rune) {
	switch {
	case verb == 'v' && f.Flag('#'):
		io.WriteString(f, e.GoString())
	case verb == 'q':
		fmt.Fprintf(f, "%q", e.Error())
	default:
		io.WriteString(f, e.Error())
	}
}

// LogValue keeps Details out of slog.
func (e *APIError) LogValue() slog.Value { return slog.StringValue(e.Error()) }

// MarshalText keeps Details out of JSON logs and other encodings.
func (e *APIError) MarshalText() ([]byte, error) { return []byte(e.Error()), nil }

// RedirectError is a refused redirect: the API sends none, so something else
// answered. It is also an APIError with the code BAD_RESPONSE.
type RedirectError struct {
	Location string // where it pointed, without user, query and fragment
	API      *APIError
}

func (e *RedirectError) Error() string {
	return fmt.Sprintf("%s: HTTP %d: refused a redirect to %s", e.API.Operation, e.API.StatusCode, wire.OneLine(e.Location))
}

// Unwrap returns the APIError.
func (e *RedirectError) Unwrap() error { return e.API }

// GoString keeps Details out of %#v.
func (e *RedirectError) GoString() string { return fmt.Sprintf("&sdk.RedirectError{%q}", e.Error()) }

// LogValue makes slog print the sentence.
func (e *RedirectError) LogValue() slog.Value { return slog.StringValue(e.Error()) }

// NetworkError means that no usable answer came: the name, the connection, TLS, a
// timeout or a broken body. Whether the server acted is not known.
type NetworkError struct {
	Operation string
	Err       error // the cause, for errors.As: *net.DNSError, *tls.CertificateVerificationError, context.DeadlineExceeded, …
}

func (e *NetworkError) Error() string {
	if e.Err == nil {
		return e.Operation + ": the connection failed" // the cause could hold a credential
	}
	return e.Operation + ": " + wire.OneLine(e.Err.Error())
}

// Unwrap returns the cause.
func (e *NetworkError) Unwrap() error { return e.Err }

// Is answers errors.Is for ErrRetryable.
func (e *NetworkError) Is(target error) bool { return target == ErrRetryable }

// LogValue makes slog print the sentence.
func (e *NetworkError) LogValue() slog.Value { return slog.StringValue(e.Error()) }

// ValidationError is an argument that was refused before anything was sent.
type ValidationError struct {
	Field      string // the wire name, such as machineId or identityProof.challengeId
	Constraint string // what it must be
}

func (e *ValidationError) Error() string { return e.Field + " must be " + e.Constraint }

// LogValue makes slog print the sentence.
func (e *ValidationError) LogValue() slog.Value { return slog.StringValue(e.Error()) }

// ConfigError is a client that cannot be used as it was configured.
type ConfigError struct {
	Field   string // the option or environment variable
	Message string
}

func (e *ConfigError) Error() string { return e.Field + " " + e.Message }

// MissingTokenError is an enrollment whose answer held no token. The agent exists
// on the server and is of no use: revoke it.
type MissingTokenError struct {
	AgentID string
	Agent   *MachineAgent
}

func (e *MissingTokenError) Error() string {
	return fmt.Sprintf("agent %s was enrolled, but the answer holds neither agentToken nor provisioningToken; revoke it and enroll again", wire.OneLine(e.AgentID))
}

// DateOf returns the server's clock from any error of this package, zero when no
// answer came.
func DateOf(err error) time.Time {
	var api *APIError
	if errors.As(err, &api) {
		return api.Date
	}
	return time.Time{}
}
