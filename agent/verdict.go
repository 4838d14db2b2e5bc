package agent

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
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
	retryAfter time.Duration // at most maxRetryAfter
	absurdWait bool          // more was asked for
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
		return between("HTTP " + strconv.Itoa(redirect.API.StatusCode) + from(redirect.API) + ", a redirect to " + status.Sanitize(redirect.Location))
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
		return between(code + from(e) + ", which is not JSON")
	case e.StatusCode == http.StatusNetworkAuthenticationRequired:
		return between(code + from(e) + ": the network requires a login")
	case e.StatusCode == http.StatusTooManyRequests, e.StatusCode == http.StatusServiceUnavailable && asked:
		return judgeWait(e.StatusCode, code, wait, asked)
	case e.StatusCode >= 500 && !e.Envelope:
		return verdict{kind: unreachable, result: "server_error", cause: status.NewCause(status.CodeGateway, code+from(e))}
	case e.StatusCode == http.StatusRequestTimeout, e.StatusCode >= 500:
		return verdict{kind: unreachable, result: "server_error", cause: status.NewCause(status.CodeServerError, code)}
	case e.StatusCode < 400:
		return verdict{kind: unreachable, result: "server_error", cause: status.NewCause(status.CodeMalformedResponse, status.Sanitize(e.Message))}
	case !e.Envelope:
		return between(code + from(e) + " without an API error body")
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

// from names the host that responded.
func from(e *sdk.APIError) string {
	if e.Host == "" {
		return ""
	}
	return " from " + status.Sanitize(e.Host)
}

// judgeWait evaluates a request to wait. A value that cannot be read is ignored. One of
// more than maxRetryAfter, such as a time instead of a number of seconds, counts as that.
func judgeWait(httpStatus int, code string, wait time.Duration, asked bool) verdict {
	v := verdict{kind: waitAsked, result: "rate_limited", retryAfter: min(wait, maxRetryAfter), absurdWait: wait > maxRetryAfter}
	v.cause = status.NewCause(status.CodeRetryAfter, code)
	switch {
	case httpStatus == http.StatusServiceUnavailable:
		v.result = "server_error"
	case !asked:
		v.cause = status.NewCause(status.CodeRateLimited, code)
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
