package sandbox

import (
	"encoding/json"
	"net/http"
	"strings"
)

// apiError is a response in the API's error envelope (contract §1.5).
type apiError struct {
	status        int
	code, message string
	details       any // only where the contract defines them
}

func (e *apiError) Error() string { return e.code + ": " + e.message }

// fail returns the error response for a code, with the status that belongs to it.
func fail(code, message string) error {
	return &apiError{status: StatusOf(code), code: code, message: message}
}

func invalid(message string) error { return fail("VALIDATION_ERROR", message) }

func notFound(what string) error { return fail("NOT_FOUND", what+" does not exist") }

// detail returns the error in the envelope of the opt-in (presence contract §8).
func detail(e *apiError) []byte {
	b, _ := json.Marshal(map[string]any{"detail": map[string]any{"code": e.code, "message": e.message}})
	return b
}

// StatusOf returns the HTTP status that belongs to an error code. The contract gives eight of the
// pairs (§1.8); it lists the others as this sandbox's choice. The result is 0 for unknown codes
// and for codes that occur only inside a failed outcome.
func StatusOf(code string) int {
	switch code {
	case "VALIDATION_ERROR", "PAYMENT_RPC_REQUIRED", "PAYMENT_TRANSFER_NOT_FOUND":
		return http.StatusBadRequest
	case "PAYMENT_REQUIRED", "PAYMENT_TX_FAILED":
		return http.StatusPaymentRequired
	case "AGENT_POLICY_DENIED", "AGENT_SPEND_LIMIT_EXCEEDED", "AGENT_DAILY_LIMIT_EXCEEDED", "AGENT_PAIRING_INACTIVE", "AGENT_PAIRING_REQUIRED":
		return http.StatusForbidden
	case "NOT_FOUND":
		return http.StatusNotFound
	case "MACHINE_NOT_ACTIVE", "MACHINE_NOT_ACTIVATED", "MACHINE_IDENTITY_EXISTS", "MACHINE_IDENTITY_IMMUTABLE",
		"ORDER_CLOSED", "ORDER_NOT_DELIVERED", "QUOTE_EXPIRED", "PAYMENT_NOT_MINED", "ONEM2M_COMMAND_CONFLICT", "STREAM_DELIVERY_NOT_READY":
		return http.StatusConflict
	case "IOT_REPLAY_UNAVAILABLE":
		return http.StatusGone
	case "EXECUTION_UNSUPPORTED":
		return http.StatusUnprocessableEntity
	case "PAYMENT_RPC_ERROR":
		return http.StatusBadGateway
	case "PEAQOS_IDENTITY_UNAVAILABLE", "AGENT_PAIRING_UNAVAILABLE":
		return http.StatusServiceUnavailable
	}
	switch {
	case strings.Contains(code, "_PROOF_"):
		return http.StatusBadRequest
	case strings.HasPrefix(code, "AUTH_"), strings.HasPrefix(code, "AGENT_AUTH_"):
		return http.StatusUnauthorized
	}
	return 0
}
