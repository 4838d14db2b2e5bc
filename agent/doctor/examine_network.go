package doctor

import (
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/peaqnetwork/peaqos-agent/agent/connect"
	"github.com/peaqnetwork/peaqos-agent/agent/status"
)

// How far the clocks may be apart. Signatures and challenges live for minutes, and a Date
// header has whole seconds.
const (
	skewWarning = 5 * time.Second
	skewProblem = 30 * time.Second
)

// examineNetwork looks at the clock and the way to the orchestrator, stage by stage.
func (f *Facts) examineNetwork(r *Report) {
	f.examineClock(r)
	reach := f.Reach
	if reach.Proxy != "" {
		r.add(OK, checkProxy, reach.Proxy+" is used for "+reach.Host)
	}
	if f.https() && f.NoRoots && f.Config.Orchestrator.CAFile == "" && (reach.Cause == nil || reach.Cause.Code != status.CodeNoRoots) {
		r.code(Problem, checkTLS, status.CodeNoRoots, "")
	}
	if reach.Unsent {
		if reach.Cause != nil && !r.has(reach.Cause.Code) {
			f.cause(r, checkOrchestrator, reach.Cause)
		}
		r.add(Skipped, checkOrchestrator, "nothing was sent to "+reach.Host)
		return
	}
	if host, _, err := net.SplitHostPort(reach.Host); err == nil && reach.Proxy == "" && reach.Stage > connect.StageName {
		if _, err := netip.ParseAddr(host); err != nil {
			r.add(OK, checkNames, host+" is resolved")
		}
	}
	if reach.Stage > connect.StageProxy && reach.Address != "" {
		r.add(OK, checkConnection, reach.Address)
	}
	if reach.Stage > connect.StageTLS && reach.TLS != "" {
		r.add(OK, checkTLS, reach.TLS)
	}
	if reach.Cause == nil {
		r.add(OK, checkOrchestrator, reach.Host+" is available")
		return
	}
	check := checkOf(reach.Cause.Code)
	if check == checkOrchestrator {
		switch reach.Stage {
		case connect.StageName:
			check = checkNames
		case connect.StageTCP:
			check = checkConnection
		case connect.StageProxy:
			check = checkProxy
		case connect.StageTLS:
			check = checkTLS
		case connect.StageResponse:
		}
	}
	f.cause(r, check, reach.Cause)
}

// cause appends a cause of the network with the command that helps.
func (f *Facts) cause(r *Report, check string, c *status.Cause) {
	r.put(Finding{Check: check, Level: Problem, Code: c.Code, Text: c.Text, Next: f.nextFor(status.Offline, c)})
}

func (f *Facts) examineClock(r *Report) {
	skew := f.Reach.Skew
	switch {
	case f.Reach.Cause != nil && f.Reach.Cause.Code == status.CodeClock:
		// said with the connection, which failed because of it
	case f.Reach.SkewKnown && skew.Abs() >= skewWarning:
		level, way := Warning, "ahead of"
		if skew.Abs() >= skewProblem {
			level = Problem
		}
		if skew < 0 {
			way = "behind"
		}
		r.code(level, checkClock, status.CodeClockSkew, fmt.Sprintf("this device says %s, which is %s %s %s",
			f.Now.UTC().Format(time.RFC3339), status.FormatDuration(skew.Abs()), way, f.Reach.Host))
	case f.Reach.SkewKnown:
		r.add(OK, checkClock, "agrees with the orchestrator's")
	case f.Reach.ClockSynced != nil && !*f.Reach.ClockSynced:
		r.code(Warning, checkClock, status.CodeClockUnsynced, "")
	case f.Reach.ClockSynced != nil:
		r.add(OK, checkClock, "synchronized")
	default:
		r.add(Skipped, checkClock, "neither the system nor the orchestrator says whether it is right")
	}
}
