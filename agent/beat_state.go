package agent

import (
	"fmt"
	"maps"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/peaqnetwork/peaqos-agent/agent/config"
	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/keystore"
	"github.com/peaqnetwork/peaqos-agent/sdk"
)

// What the result of a heartbeat changes: the machine's state, its endpoints, and
// the stored record while a rotation is pending. Everything here that writes holds
// beater.sending, so that a command and a heartbeat never change one record at a
// time.

// beatOutcome is what a command reports of its single heartbeat.
type beatOutcome struct {
	live           bool
	reason         string    // why it is not live
	leaseExpiresAt time.Time // the earliest; zero when unknown
}

// conclude turns the last verdict of a turn into the machine's state. published is
// the number of endpoints in accepted heartbeats; alone says that each was sent in
// one of its own.
func (b *beater) conclude(last verdict, published int, alone bool) {
	b.isolate = false
	switch {
	case last.kind == accepted, last.kind == refusedEndpoints && published > 0:
		b.fails = failures{}
		b.state.Update(b.name, func(m *status.Machine) { m.Failures = 0 })
		b.setState(b.onlineOrDegraded(published))
	case last.kind == refusedEndpoints && alone: // the orchestrator responds, and each endpoint waits for an hour
		b.fails = failures{}
		b.state.Update(b.name, func(m *status.Machine) { m.Failures = 0 })
		b.setState(status.Idle, last.cause)
	case last.kind == refusedEndpoints:
		b.isolate = true
		b.setState(status.Offline, last.cause)
	case b.fails.auth >= refusalsBeforeVerdict:
		b.setState(status.Rejected, last.cause)
	case b.fails.revoked >= refusalsBeforeVerdict:
		b.setState(status.Revoked, last.cause)
	default:
		b.setState(status.Offline, last.cause)
	}
}

// onlineOrDegraded is the state after an accepted heartbeat.
func (b *beater) onlineOrDegraded(published int) (status.State, *status.Cause) {
	if contested := b.contested(); contested != "" {
		return status.Degraded, status.NewCause(status.CodeEndpointContested, contested)
	}
	if published < len(b.machine.Endpoints) {
		return status.Degraded, status.NewCause(status.CodeEndpointMissing, b.whyIdle())
	}
	var listenerFault string
	b.state.UpdateProcess(func(a *status.Process) { listenerFault = a.ListenerFault })
	if listenerFault != "" {
		return status.Degraded, &status.Cause{Code: status.CodeTelemetryPort, Text: listenerFault}
	}
	return status.Online, nil
}

// contested names the endpoints for which the orchestrator has another address or
// another agent than those of the heartbeat that it accepted; "" if there is none.
func (b *beater) contested() string {
	var all []string
	b.state.Read(b.name, func(m *status.Machine) {
		for _, e := range m.Endpoints {
			if e.Contested != "" {
				all = append(all, e.ProviderKey+" at "+e.Contested)
			}
		}
	})
	return strings.Join(all, "; ")
}

// idleCause is why nothing is published. If the orchestrator refuses every endpoint that
// is up, that is the cause: the endpoints themselves are fine.
func (b *beater) idleCause(reason string) *status.Cause {
	m, _ := b.state.Machine(b.name)
	var refused []string
	var code status.Code
	for _, e := range m.Endpoints {
		switch {
		case !e.Up:
		case e.Refused == "":
			return status.NewCause(status.CodeNothingUp, reason)
		default:
			refused, code = append(refused, e.ProviderKey), e.Refused
		}
	}
	if code == "" {
		return status.NewCause(status.CodeNothingUp, reason)
	}
	return status.NewCause(code, strings.Join(refused, ", "))
}

// setState sets the machine's state and logs a change of it or of its cause at once.
func (b *beater) setState(c status.State, cause *status.Cause) {
	now := time.Now()
	changed := false
	b.state.Update(b.name, func(m *status.Machine) {
		before := m.Cause
		changed = m.SetState(c, cause, now) || !sameText(before, cause)
	})
	if !changed {
		return
	}
	fields := []zap.Field{zap.String("machine", b.name), code(status.CodeOfState(c))}
	if cause != nil {
		fields = append(fields, zap.String("cause", string(cause.Code)), zap.String("why", cause.Text))
	}
	switch c {
	case status.Online:
		b.log.Info("online: the orchestrator accepted the heartbeat with every endpoint", fields...)
	case status.Rejected, status.Revoked:
		b.log.Error(withCause("the orchestrator rejected this agent; the token is kept", cause), fields...)
	default:
		b.log.Warn(withCause(string(c), cause), fields...)
	}
}

// clockSynced reports whether the system says that its clock is synchronized.
func (b *beater) clockSynced() (synced bool) {
	b.state.UpdateProcess(func(p *status.Process) { synced = p.ClockSynced != nil && *p.ClockSynced })
	return synced
}

// withCause adds a cause to the sentence that reports a state.
func withCause(sentence string, cause *status.Cause) string {
	if cause == nil || cause.Text == "" {
		return sentence
	}
	return sentence + ": " + cause.Text
}

// sameText reports whether two causes say the same, except for a time in them.
func sameText(a, b *status.Cause) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Text == b.Text || withoutTimes(a.Text) == withoutTimes(b.Text)
}

// withoutTimes leaves out the times of a text, which are RFC 3339 in UTC.
func withoutTimes(text string) string {
	const length = len("2006-01-02T15:04:05Z")
	var out strings.Builder
	for i := 0; i < len(text); {
		if end := i + length; end <= len(text) && text[end-1] == 'Z' {
			if _, err := time.Parse(time.RFC3339, text[i:end]); err == nil {
				i = end
				continue
			}
		}
		out.WriteByte(text[i])
		i++
	}
	return out.String()
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
			what := status.Lookup(e.Refused).What
			missing = append(missing, fmt.Sprintf("%s: rejected by the orchestrator: %s (%s)", e.ProviderKey, what, e.Refused))
		case !e.Up:
			missing = append(missing, fmt.Sprintf("%s: %s", e.ProviderKey, e.ProbeFault))
		}
	}
	if len(missing) == 0 {
		return "an endpoint came up after this heartbeat was sent; the next one includes it"
	}
	return strings.Join(missing, "; ")
}

// recordAccepted records an accepted heartbeat: the lease, the next interval, the
// endpoints. It returns when the first of the leases expires by the server's clock.
// By our own, a lease is counted from when the heartbeat was sent: it began at some
// time after that.
func (b *beater) recordAccepted(
	res *sdk.HeartbeatResult, endpoints []config.Endpoint, agentID string, now time.Time, sent time.Duration,
) time.Time {
	if s := res.LeaseTTLSeconds; s > 0 && s <= 24*60*60 {
		b.lease = max(time.Duration(s)*time.Second, shortestLease)
	}
	boot := b.boot()
	b.logClamped()
	var first time.Time
	b.state.Update(b.name, func(m *status.Machine) {
		m.LeaseTTL, m.Interval = b.lease, b.interval()
		m.LastSuccess, m.LastSuccessAt = now, boot
		for _, e := range endpoints {
			delete(b.refused, refusal{agentID, e.ProviderKey})
			s := m.Endpoint(e.ProviderKey)
			s.Contested = ""
			s.Published, s.AcceptedAt, s.Lease, s.Refused = true, sent, b.lease, ""
			for _, r := range res.Endpoints {
				if r.ProviderKey != e.ProviderKey {
					continue
				}
				s.ServerStatus, s.ServerFault = endpointStatus(r.Status), status.Sanitize(r.HealthError)
				s.LeaseExpiresAt = plausibleTime(r.LeaseExpiresAt, now)
				s.Contested = contestedBy(e.BaseURL, r.EndpointBaseURL, agentID, res.AgentID)
				first = earliest(first, s.LeaseExpiresAt)
			}
		}
	})
	return first
}

// earliest returns the earlier of two times; a zero one is unknown.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || (!b.IsZero() && b.Before(a)) {
		return b
	}
	return a
}

// logClamped logs that the orchestrator's lease is too short for the configured
// interval: one lost heartbeat must not let a lease expire.
func (b *beater) logClamped() {
	if every := b.interval(); b.conf.Interval > every {
		b.log.Warn(fmt.Sprintf("heartbeat.interval %s is more than half of the granted lease of %s; sending a heartbeat every %s",
			b.conf.Interval, b.lease, every), code(status.CodeIntervalClamped), zap.String("machine", b.name))
	}
}

// recordRefused omits an endpoint that the server refused alone, from the heartbeats of
// the agent that it was refused to.
func (b *beater) recordRefused(e config.Endpoint, agentID string, v verdict, now time.Time) {
	b.refused[refusal{agentID, e.ProviderKey}] = now
	b.healthAt = now // the orchestrator has just responded
	b.state.Update(b.name, func(m *status.Machine) { m.Endpoint(e.ProviderKey).Refused = v.cause.Code })
	b.log.Error("the orchestrator rejected this endpoint; it is omitted, and retried in an hour",
		code(status.CodeEndpointRefused), zap.String("machine", b.name), zap.String("provider", e.ProviderKey),
		zap.String("cause", string(v.cause.Code)))
}

// promotePending makes the pending agent the machine's own: on disk first, then in
// memory. The previous one is to be revoked by a command that has an API key.
func (b *beater) promotePending() {
	next := promoted(b.record)
	if err := b.store.PutAgent(b.name, next); err != nil {
		b.log.Error("the new token was accepted, but that could not be stored; the next heartbeat tries again",
			code(status.CodeRotationNotStored), zap.String("machine", b.name), zap.Error(err))
		return
	}
	b.log.Info("the new token was accepted", code(status.CodeRotationProven), zap.String("machine", b.name),
		zap.String("agent_id", next.AgentID), zap.String("former_agent_id", next.Replaced))
	b.record.Token.Wipe()
	b.continueWith(next)
}

// countPendingRefusal counts a refusal of the pending token. After the third it is
// not sent any more until a command with an API key runs, or the agent restarts.
func (b *beater) countPendingRefusal(v verdict) {
	b.mu.Lock()
	b.unproven++
	b.mu.Unlock()
	b.log.Error("the orchestrator rejected the new token; using the old one", code(status.CodeRotationRefused),
		zap.String("machine", b.name), zap.String("pending_agent_id", b.record.Pending.AgentID), zap.String("cause", string(v.cause.Code)))
	b.state.Update(b.name, func(m *status.Machine) { m.Rotation = b.rotationCause() })
}

// setRecord makes the beater work with a record that the store has already; nil
// means unenrolled. It waits for a heartbeat under way however long that takes: what
// is stored or revoked already must take effect.
func (b *beater) setRecord(r *keystore.Agent) {
	b.sending.Lock()
	defer b.sending.Unlock()
	b.startWith(r)
}

// storeRecord stores a record and works with it from then on, in one step: a
// heartbeat that confirms a rotated token at this moment must not store the previous
// record over it. It waits like setRecord: the token cannot be had a second time.
func (b *beater) storeRecord(r *keystore.Agent) error {
	b.sending.Lock()
	defer b.sending.Unlock()
	if err := b.store.PutAgent(b.name, r); err != nil {
		return err
	}
	b.startWith(r)
	return nil
}

// changeRecord replaces the record by the result of f: on disk first, then in
// memory. It waits like setRecord.
func (b *beater) changeRecord(f func(keystore.Agent) keystore.Agent) (*keystore.Agent, error) {
	b.sending.Lock()
	defer b.sending.Unlock()
	next := f(*b.record)
	if err := b.store.PutAgent(b.name, &next); err != nil {
		return b.record, err
	}
	b.continueWith(&next)
	return &next, nil
}

// startWith starts over with a record, or with none; sending is held.
func (b *beater) startWith(r *keystore.Agent) {
	b.mu.Lock()
	if b.record != nil && r == nil {
		wipeTokens(b.record)
	}
	b.record, b.unproven = r, 0
	b.mu.Unlock()
	b.replan, b.lease, b.fails, b.isolate = true, b.conf.LeaseTTL, failures{}, false
	b.refused, b.healthAt = map[refusal]time.Time{}, time.Time{}
	b.state.Update(b.name, func(m *status.Machine) {
		if r == nil || r.MachineID != m.MachineID {
			m.ForgetBeats()
		}
		m.Mismatch = mismatch(b.machine, r)
		if r == nil {
			m.AgentID, m.AgentLabel, m.MachineID, m.IdentityRef, m.Origin, m.Rotation = "", "", b.machine.ID, b.machine.IdentityRef, "", nil
			return
		}
		m.AgentID, m.AgentLabel, m.MachineID, m.IdentityRef, m.Origin = r.AgentID, r.Label, r.MachineID, r.IdentityRef, r.Origin
		m.Rotation = b.rotationCause()
		m.LeaseTTL, m.Interval = b.lease, b.interval()
		m.SetState(status.Idle, status.NewCause(status.CodeFirstBeatPending, ""), time.Now())
	})
	b.state.Signal(b.name)
}

// continueWith continues with a changed record of the same machine, without a pause;
// sending is held.
func (b *beater) continueWith(r *keystore.Agent) {
	b.mu.Lock()
	b.record, b.unproven = r, 0
	b.mu.Unlock()
	b.replan = true
	if r.Pending != nil {
		b.fails, b.isolate = failures{}, false // they were about the other token
	}
	maps.DeleteFunc(b.refused, func(k refusal, _ time.Time) bool {
		return k.agentID != r.AgentID && (r.Pending == nil || k.agentID != r.Pending.AgentID)
	})
	b.state.Update(b.name, func(m *status.Machine) {
		m.AgentID, m.AgentLabel, m.Rotation = r.AgentID, r.Label, b.rotationCause()
		for i := range m.Endpoints {
			if e := &m.Endpoints[i]; r.Pending != nil || b.refused[refusal{r.AgentID, e.ProviderKey}].IsZero() {
				e.Refused = ""
			}
		}
	})
	b.state.Signal(b.name)
}

// currentRecord returns the record in use; nil when there is none.
func (b *beater) currentRecord() *keystore.Agent {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.record
}

// uses reports whether the beater works with this agent.
func (b *beater) uses(agentID string) bool {
	r := b.currentRecord()
	return r != nil && r.AgentID == agentID
}

// refusedPending reports whether the orchestrator refused the pending token.
func (b *beater) refusedPending() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.unproven > 0
}

// rotationCause is what is left to do of a rotation, nil when nothing is.
func (b *beater) rotationCause() *status.Cause {
	switch r := b.record; {
	case r == nil:
		return nil
	case r.Pending != nil && b.unproven > 0:
		return status.NewCause(status.CodeRotationRefused, "agent "+r.Pending.AgentID+"; run peaqos-agent rotate again to replace it")
	case r.Pending != nil:
		return status.NewCause(status.CodeRotationPending, "agent "+r.Pending.AgentID)
	case r.Replaced != "":
		return status.NewCause(status.CodeRotationUnfinished, "agent "+r.Replaced+"; run peaqos-agent rotate again to revoke it")
	}
	return nil
}

// identify sets who the machine is from facts that need no key, for a store that
// cannot be used.
func (b *beater) identify(facts *keystore.Agent) {
	b.state.Update(b.name, func(m *status.Machine) {
		m.MachineID, m.IdentityRef, m.Origin = facts.MachineID, facts.IdentityRef, facts.Origin
	})
}
