package agent

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/sdk"
)

// When a presence push is sent and what its response means, as pure functions: nothing
// here reads a clock.

const (
	// presenceRefusedWait is how often a push is retried that the service rejects, or
	// that cannot be signed.
	presenceRefusedWait = 5 * time.Minute
	// presenceRetries is how many failures in a row are retried ahead of the grid. More
	// would add to the load of a service that is just coming back.
	presenceRetries = 3
	// presenceRetry is the longest wait before the first such retry; it doubles.
	presenceRetry = 10 * time.Second
)

// pushKind is what the response to a push means.
type pushKind int

const (
	pushAccepted  pushKind = iota
	pushTransient          // network, timeout, 408, 5xx, malformed: retry soon
	pushAsked              // 429 or 503 with Retry-After
	pushRefused            // any other 4xx, accepted:false: slow down
)

// pushVerdict is the evaluated response to one push.
type pushVerdict struct {
	kind       pushKind
	result     string // a label of status.PushResults
	cause      *status.Cause
	retryAfter time.Duration
}

// judgePush evaluates the response to a push (presence contract §7). now is only used to
// suspect the device's clock when a certificate is not valid yet.
func judgePush(err error, now time.Time) pushVerdict {
	var refused *sdk.PresenceRefusedError
	var redirect *sdk.RedirectError
	var api *sdk.APIError
	switch {
	case err == nil:
		return pushVerdict{kind: pushAccepted, result: "success"}
	case errors.As(err, &refused):
		return pushVerdict{kind: pushRefused, result: "refused", cause: status.NewCause(status.CodePresenceNotAccepted, "")}
	case errors.As(err, &redirect):
		return pushVerdict{
			kind: pushTransient, result: "middlebox",
			cause: status.NewCause(status.CodePresenceMiddlebox, "the response is a redirect to "+status.Sanitize(redirect.Location)),
		}
	case errors.As(err, &api):
		return judgePushAPI(api)
	}
	v := judgeNetwork(err, now)
	return pushVerdict{kind: pushTransient, result: v.result, cause: status.NewCause(status.CodePresenceUnreachable, networkDetail(v.cause))}
}

func judgePushAPI(e *sdk.APIError) pushVerdict {
	detail := fmt.Sprintf("HTTP %d", e.StatusCode)
	wait, asked := e.RetryAfter()
	switch {
	case e.StatusCode == http.StatusTooManyRequests, e.StatusCode == http.StatusServiceUnavailable && asked:
		v := pushVerdict{kind: pushAsked, result: "rate_limited", retryAfter: wait, cause: status.NewCause(status.CodePresenceRetryAfter, detail)}
		if e.StatusCode == http.StatusServiceUnavailable {
			v.result = "server_error"
		}
		return v
	case e.StatusCode == http.StatusRequestTimeout, e.StatusCode >= 500:
		return pushVerdict{kind: pushTransient, result: "server_error", cause: status.NewCause(status.CodePresenceServer, detail)}
	case e.StatusCode >= 400:
		return pushVerdict{kind: pushRefused, result: "client_error", cause: status.NewCause(status.CodePresenceRejected, detail)}
	case e.ContentTypeMismatch:
		return pushVerdict{kind: pushTransient, result: "middlebox", cause: status.NewCause(status.CodePresenceMiddlebox, "the response is not JSON")}
	}
	return pushVerdict{
		kind: pushTransient, result: "server_error",
		cause: status.NewCause(status.CodePresenceServer, "the response is not in the service's format"),
	}
}

// networkDetail describes a failed connection without naming the server, for services
// other than the orchestrator.
func networkDetail(c *status.Cause) string {
	switch c.Code {
	case status.CodeDNS:
		return "its name cannot be resolved"
	case status.CodeTimeout:
		return "no response in time"
	case status.CodeConnectionRefused:
		return "the connection was refused"
	case status.CodeNoRoute:
		return "there is no route to it"
	case status.CodeClock, status.CodeTLSName, status.CodeNotTLS, status.CodeProxy:
		return c.Text
	case status.CodeTLSExpired:
		return "its certificate has expired, or the device's clock is ahead"
	case status.CodeUnknownCA:
		return "its certificate is signed by an unknown authority"
	case status.CodeTLS:
		return "its certificate cannot be verified"
	}
	return "the connection failed"
}

// pushFailures is how the latest pushes ended.
type pushFailures struct {
	inRow      int // not accepted, in a row
	kind       pushKind
	retryAfter time.Duration
}

// count returns f after one more verdict.
func (f pushFailures) count(v pushVerdict) pushFailures {
	if v.kind == pushAccepted {
		return pushFailures{}
	}
	return pushFailures{inRow: f.inRow + 1, kind: v.kind, retryAfter: v.retryAfter}
}

// nextPush is when the next push is due, given how the last one ended at now:
//
//   - accepted: the next grid point
//   - the first failures in a row: a random time within 10, 20, 40 s, but no later than
//     the grid point, so that the machine stays online over a short fault
//   - later failures: the next grid point, which keeps an outage's load at the steady one
//   - Retry-After: the first grid point after the wait
//   - rejected: the first grid point after 5 minutes
//
// random is at least 0 and below 1.
func nextPush(g grid, now time.Time, f pushFailures, random float64) time.Time {
	switch {
	case f.inRow == 0:
	case f.kind == pushRefused:
		return g.notBefore(now.Add(presenceRefusedWait))
	case f.kind == pushAsked && f.retryAfter > 0:
		return g.notBefore(now.Add(min(f.retryAfter, maxRetryAfter)))
	case f.kind == pushTransient && f.inRow <= presenceRetries:
		longest := presenceRetry << (f.inRow - 1)
		soon := now.Add(time.Second + time.Duration(random*float64(longest-time.Second)))
		if next := g.after(now); next.Before(soon) {
			return next
		}
		return soon
	}
	return g.after(now)
}

// pushDeadline is how long one push may take.
func pushDeadline(interval time.Duration) time.Duration {
	return min(10*time.Second, max(interval/2, time.Second))
}
