package agent

import (
	"slices"

	"go.uber.org/zap"

	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/keystore"
)

// What the beat does about a rotated token that lies beside the old one. Every
// function here runs under the beater's lock, so that a rotate verb and a beat
// never change one record at a time.

// promote makes the pending agent the machine's own: disk first, then memory. The
// old one is to be revoked by whoever has an API key.
func (b *beater) promote() {
	next := promoted(b.record)
	if err := b.keep(next); err != nil {
		b.log.Error("the rotated token is proven, but that could not be stored; it is tried again with the next beat",
			code(status.CodeRotationNotStored), zap.String("machine", b.name), zap.Error(err))
		return
	}
	b.log.Info("the rotated token is proven", code(status.CodeRotationProven), zap.String("machine", b.name),
		zap.String("agent_id", next.AgentID), zap.String("former_agent_id", next.Replaced))
	b.record.Token.Wipe()
	b.goOn(next)
}

// wipeTokens overwrites the tokens of a record that nobody uses any more.
func wipeTokens(r *keystore.Agent) {
	r.Token.Wipe()
	if r.Pending != nil {
		r.Pending.Token.Wipe()
	}
}

// pendingRefused counts a refusal of the pending token; after the third it is left
// alone until somebody with an API key looks, or the agent starts anew.
func (b *beater) pendingRefused(v verdict) {
	b.unproven++
	b.log.Error("the orchestrator refuses the rotated token; beating with the old one", code(status.CodeRotationRefused),
		zap.String("machine", b.name), zap.String("agent_id", b.record.Pending.AgentID), zap.String("cause", string(v.cause.Code)))
	b.state.Update(b.name, func(m *status.Machine) { m.Rotation = b.rotation() })
}

// change replaces the record by what f makes of it: disk first, then memory.
func (b *beater) change(f func(keystore.Agent) keystore.Agent) (*keystore.Agent, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	next := f(*b.record)
	if err := b.keep(&next); err != nil {
		return b.record, err
	}
	b.goOn(&next)
	return &next, nil
}

// goOn goes on with a changed record of the same machine, without a pause.
func (b *beater) goOn(r *keystore.Agent) {
	b.record, b.unproven, b.replan = r, 0, true
	if r.Pending != nil {
		b.fails = failures{} // what the server said was said of the other token
	}
	b.state.Update(b.name, func(m *status.Machine) { m.AgentID, m.Rotation = r.AgentID, b.rotation() })
	b.state.Signal(b.name)
}

// current is the record in use; nil when there is none.
func (b *beater) current() *keystore.Agent {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.record
}

// refusedPending reports whether the orchestrator refused the pending token.
func (b *beater) refusedPending() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.unproven > 0
}

// rotation is what is left to do of a rotation.
func (b *beater) rotation() *status.Cause {
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

// promoted is a record after its pending agent was proven.
func promoted(r *keystore.Agent) *keystore.Agent {
	next := *r
	p := r.Pending
	next.AgentID, next.Label, next.Token = p.AgentID, p.Label, p.Token
	next.AllowedProviderKeys, next.EnrolledAt = p.AllowedProviderKeys, p.EnrolledAt
	next.Pending, next.Replaced = nil, r.AgentID
	next.Attempts = withLabel(r.Attempts, r.Label)
	return &next
}

// maxAttempts bounds the labels that a record remembers.
const maxAttempts = 16

// withLabel adds labels to the attempts, the newest last, none twice.
func withLabel(attempts []string, labels ...string) []string {
	all := slices.Clone(attempts)
	for _, l := range labels {
		if l != "" && !slices.Contains(all, l) {
			all = append(all, l)
		}
	}
	return all[max(0, len(all)-maxAttempts):]
}
