package sdk_test

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/peaqnetwork/peaqos-agent/sdk"
)

// contractCodes are the error codes of contract §1.8.
const contractCodes = `
AUTH_REQUIRED AUTH_INVALID AGENT_AUTH_REQUIRED AGENT_AUTH_INVALID AGENT_AUTH_EXPIRED VALIDATION_ERROR NOT_FOUND
MACHINE_NOT_ACTIVE MACHINE_NOT_ACTIVATED MACHINE_IDENTITY_EXISTS MACHINE_IDENTITY_IMMUTABLE MACHINE_IDENTITY_PROOF_REQUIRED
MACHINE_IDENTITY_PROOF_INVALID MACHINE_IDENTITY_PROOF_EXPIRED PEAQOS_IDENTITY_UNAVAILABLE AGENT_PAIRING_PROOF_REQUIRED
AGENT_PAIRING_PROOF_INVALID AGENT_PAIRING_PROOF_EXPIRED AGENT_PAIRING_UNAVAILABLE AGENT_PAIRING_REQUIRED AGENT_PAIRING_INACTIVE
AGENT_POLICY_DENIED AGENT_SPEND_LIMIT_EXCEEDED AGENT_DAILY_LIMIT_EXCEEDED QUOTE_EXPIRED ORDER_CLOSED ORDER_NOT_DELIVERED
EXECUTION_UNSUPPORTED PAYMENT_REQUIRED PAYMENT_RPC_REQUIRED PAYMENT_RPC_ERROR PAYMENT_NOT_MINED PAYMENT_TX_FAILED
PAYMENT_TRANSFER_NOT_FOUND
ONEM2M_COMMAND_CONFLICT ONEM2M_ACTION_REJECTED ONEM2M_ACTION_TIMEOUT ONEM2M_SUBMISSION_UNKNOWN ONEM2M_CSE_UNAVAILABLE
ONEM2M_PROTOCOL_ERROR ONEM2M_TIMEOUT
IOT_REPLAY_UNAVAILABLE STREAM_DELIVERY_NOT_READY
BAD_RESPONSE INVALID_RESPONSE_SHAPE`

// TestEveryErrorCodeIsAConstant: each code of the contract has a constant with a matching
// name, and there are no others.
func TestEveryErrorCodeIsAConstant(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "codes.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var values []string
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		value, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		if name := spec.Names[0].Name; err != nil || !strings.EqualFold("Code"+strings.ReplaceAll(value, "_", ""), name) {
			t.Errorf("%s is %q: %v", name, value, err)
		}
		values = append(values, value)
		return true
	})
	want := strings.Fields(contractCodes)
	slices.Sort(values)
	slices.Sort(want)
	if !slices.Equal(values, want) {
		t.Errorf("the constants are\n%v\nthe contract has\n%v", values, want)
	}
}

// TestErrorClasses: the class follows from the status or from the code, because the
// contract specifies the status of few codes.
func TestErrorClasses(t *testing.T) {
	meanings := map[string]error{
		"not found": sdk.ErrNotFound, "auth": sdk.ErrAuth, "forbidden": sdk.ErrForbidden,
		"conflict": sdk.ErrConflict, "rejected": sdk.ErrRejected,
		"rate limited": sdk.ErrRateLimited, "retryable": sdk.ErrRetryable, "not the API": sdk.ErrNotTheAPI, "malformed": sdk.ErrMalformed,
	}
	for _, c := range []struct {
		status int
		code   string
		want   []string
	}{
		{400, "VALIDATION_ERROR", []string{"rejected"}},
		{400, "SOMETHING_NEW", []string{"rejected"}},
		{400, "NOT_FOUND", []string{"not found", "rejected"}},
		{404, "SOMETHING_NEW", []string{"not found", "rejected"}},
		{401, "SOMETHING_NEW", []string{"auth", "rejected"}},
		{400, "AUTH_INVALID", []string{"auth", "rejected"}},
		{403, "AGENT_AUTH_EXPIRED", []string{"auth", "forbidden", "rejected"}},
		{409, "AGENT_PAIRING_INACTIVE", []string{"conflict", "forbidden", "rejected"}},
		{400, "AGENT_PAIRING_REQUIRED", []string{"forbidden", "rejected"}},
		{402, "AGENT_SPEND_LIMIT_EXCEEDED", []string{"forbidden", "rejected"}},
		{429, "AGENT_DAILY_LIMIT_EXCEEDED", []string{"forbidden", "rate limited", "retryable"}},
		{422, "AGENT_POLICY_DENIED", []string{"forbidden", "rejected"}},
		{409, "MACHINE_NOT_ACTIVE", []string{"conflict", "rejected"}},
		{408, "BAD_RESPONSE", []string{"not the API", "retryable"}},
		{429, "SOMETHING_NEW", []string{"rate limited", "retryable"}},
		{500, "BAD_RESPONSE", []string{"not the API", "retryable"}},
		{503, "PEAQOS_IDENTITY_UNAVAILABLE", []string{"retryable"}},
		{200, "INVALID_RESPONSE_SHAPE", []string{"malformed"}},
		{http.StatusFound, "BAD_RESPONSE", []string{"not the API"}},
	} {
		var got []string
		for name, meaning := range meanings {
			if errors.Is(&sdk.APIError{StatusCode: c.status, Code: c.code}, meaning) {
				got = append(got, name)
			}
		}
		slices.Sort(got)
		slices.Sort(c.want)
		if !slices.Equal(got, c.want) {
			t.Errorf("%d %s means %v, want %v", c.status, c.code, got, c.want)
		}
	}
}
