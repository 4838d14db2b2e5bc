package agent

import (
	"context"
	"strconv"
	"time"

	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/sdk"
)

// operationOf names an operation of the API for the metrics: the three that bring a
// machine online, and "other" for all the rest.
func operationOf(operation string) string {
	switch operation {
	case "POST /machines/{machineId}/agents/enrollment":
		return "enroll"
	case "POST /machine-agents/heartbeat":
		return "heartbeat"
	case "POST /machine-identity/challenges":
		return "challenge"
	}
	return "other"
}

// codeOf is the class of a response's status, "error" when there was none.
func codeOf(response *sdk.Response) string {
	if response == nil || response.Status < 200 || response.Status > 599 {
		return "error"
	}
	return strconv.Itoa(response.Status/100) + "xx"
}

// countRequests counts and times every request in the state.
func countRequests(state *status.Tracker) sdk.Middleware {
	return func(next sdk.RoundTrip) sdk.RoundTrip {
		return func(ctx context.Context, x *sdk.Request) (*sdk.Response, error) {
			began := time.Now()
			response, err := next(ctx, x)
			took := time.Since(began)
			operation := operationOf(x.Operation)
			state.UpdateProcess(func(a *status.Process) {
				a.Requests[status.RequestKind{Operation: operation, Code: codeOf(response)}]++
				h := a.RequestDuration[operation]
				if h == nil {
					fresh := status.NewBeatHistogram()
					h, a.RequestDuration[operation] = &fresh, &fresh
				}
				h.Observe(took)
			})
			return response, err
		}
	}
}
