package agent

import (
	"fmt"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/sdk"
)

// conclude turns the last verdict of a turn into the machine's state. named is
// how many endpoints were in accepted beats; alone says that each went by itself.
func (b *beater) conclude(last verdict, named int, alone bool) {
	b.isolate = false
	switch {
	case last.kind == accepted, last.kind == refusedEndpoints && named > 0:
		b.fails = failures{}
		b.state.Update(b.name, func(m *status.Machine) { m.Failures = 0 })
		b.settle(b.livelihood(named))
	case last.kind == refusedEndpoints && alone:
		b.settle(status.Idle, last.cause)
	case last.kind == refusedEndpoints:
		b.isolate = true
		b.settle(status.Offline, last.cause)
	case b.fails.auth >= refusalsBeforeVerdict:
		b.settle(status.Rejected, last.cause)
	case b.fails.revoked >= refusalsBeforeVerdict:
		b.settle(status.Revoked, last.cause)
	default:
		b.settle(status.Offline, last.cause)
	}
}

// livelihood tells online from degraded after an accepted beat.
func (b *beater) livelihood(named int) (status.State, *status.Cause) {
	if named < len(b.machine.Endpoints) {
		return status.Degraded, status.NewCause(status.CodeEndpointMissing, b.whyIdle())
	}
	var listenerFault string
	b.state.UpdateProcess(func(a *status.Process) { listenerFault = a.ListenerFault })
	if listenerFault != "" {
		return status.Degraded, &status.Cause{Code: status.CodeTelemetryPort, Text: listenerFault}
	}
	return status.Online, nil
}

// settle writes the state and says so in the log, once per change.
func (b *beater) settle(c status.State, cause *status.Cause) {
	now := time.Now()
	changed := false
	b.state.Update(b.name, func(m *status.Machine) { changed = m.SetState(c, cause, now) })
	if !changed {
		return
	}
	fields := []zap.Field{zap.String("machine", b.name), code(status.CodeOfState(c))}
	if cause != nil {
		fields = append(fields, zap.String("cause", string(cause.Code)), zap.String("why", cause.Text))
	}
	switch c {
	case status.Online:
		b.log.Info("online: the orchestrator accepted the beat with every endpoint", fields...)
	case status.Rejected, status.Revoked:
		b.log.Error("the orchestrator refuses this agent; the token is kept", fields...)
	default:
		b.log.Warn(string(c), fields...)
	}
}

// whyIdle names each endpoint that is not published, and why.
func (b *beater) whyIdle() string {
	m, _ := b.state.Machine(b.name)
	if len(m.Endpoints) == 0 {
		return "no endpoint is configured: add one under machines[].endpoints"
	}
	var missing []string
	for _, e := range m.Endpoints {
		switch {
		case e.Refused != "":
			missing = append(missing, fmt.Sprintf("%s: rejected by the orchestrator: %s (%s)", e.ProviderKey, status.Lookup(e.Refused).What, e.Refused))
		case !e.Up:
			missing = append(missing, fmt.Sprintf("%s: %s", e.ProviderKey, e.ProbeFault))
		}
	}
	if len(missing) == 0 {
		return "an endpoint came up after this heartbeat was sent; the next one includes it"
	}
	return strings.Join(missing, "; ")
}

// answerDate is the server's clock as told by the answer, good or bad; zero when
// nothing was told.
func answerDate(res *sdk.HeartbeatResult, err error) time.Time {
	if res != nil {
		return res.Meta.Date
	}
	return sdk.DateOf(err)
}
