package agent

import (
	"net/url"
	"strings"
	"time"

	"github.com/peaqnetwork/peaqos-agent/agent/config"
	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/sdk"
)

// Values from elsewhere: those that the orchestrator writes, checked before they are
// stored or shown, and those of a request, checked before anything is spent.

// checkNames checks the names that a command was given; empty ones were not given. Error:
// status.CodeValidation or status.CodeIdentityRef.
func checkNames(req EnrollRequest) error {
	if fault := config.LabelFault(req.AgentLabel); req.AgentLabel != "" && fault != "" {
		return status.NewProblem(status.CodeValidation, "the agent label "+fault)
	}
	if fault := config.LabelFault(req.DisplayName); req.DisplayName != "" && fault != "" {
		return status.NewProblem(status.CodeValidation, "the display name "+fault)
	}
	if fault := config.IDFault(req.MachineID); req.MachineID != "" && fault != "" {
		return status.NewProblem(status.CodeValidation, "the machine id "+fault)
	}
	if fault := config.IdentityRefFault(req.IdentityRef, "any"); req.IdentityRef != "" && fault != "" {
		return status.NewProblem(status.CodeIdentityRef, "it "+fault)
	}
	return nil
}

// maxYears is how far from now a time of the orchestrator may be.
const maxYears = 10

// plausibleTime reads a time in RFC 3339. The zero time means that there is none: the
// text is not a time, or one that is more than ten years from now.
func plausibleTime(text string, now time.Time) time.Time {
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil || t.Before(now.AddDate(-maxYears, 0, 0)) || t.After(now.AddDate(maxYears, 0, 0)) {
		return time.Time{}
	}
	return t.UTC()
}

// apiCode is the orchestrator's code: an upper-case letter and at most 63 more, digits
// and underscores. Any other text is status.CodeUnknownCode.
func apiCode(e *sdk.APIError) status.Code {
	const upper, rest = "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"
	if e.Code == "" || len(e.Code) > 64 || !strings.Contains(upper, e.Code[:1]) || strings.Trim(e.Code, rest) != "" {
		return status.CodeUnknownCode
	}
	return status.Code(e.Code)
}

// endpointStatus is the status of an endpoint, "unknown" for one that the API does not
// have.
func endpointStatus(s sdk.EndpointStatus) string {
	switch s {
	case sdk.EndpointActive, sdk.EndpointDegraded, sdk.EndpointUnreachable:
		return string(s)
	}
	return "unknown"
}

// checkMachine checks what is stored and shown of a machine.
func checkMachine(m *sdk.Machine) (*sdk.Machine, error) {
	if !validID(m.ID) {
		return nil, malformedID("machine")
	}
	if m.IdentityRef != "" && config.IdentityRefFault(m.IdentityRef, "any") != "" {
		return nil, status.NewProblem(status.CodeMalformedResponse, "the identity of machine "+m.ID+" is not valid")
	}
	return m, nil
}

// contestedBy says which address or agent the orchestrator has for an endpoint instead of
// ours; "" if it is ours. Only scheme, host and port count, which is what it keeps.
func contestedBy(ours, theirs, ourAgent, theirAgent string) string {
	if theirs != "" && normalized(ours) != normalized(theirs) {
		return status.Sanitize(theirs)
	}
	if theirAgent != "" && theirAgent != ourAgent {
		return "the same address, of agent " + status.Sanitize(theirAgent)
	}
	return ""
}

// normalized is the origin of a URL, and the text itself if it has none.
func normalized(base string) string {
	if u, err := url.Parse(base); err == nil && u.Host != "" {
		if origin, err := originOf(base); err == nil {
			return origin
		}
	}
	return base
}
