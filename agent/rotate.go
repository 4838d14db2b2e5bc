package agent

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/keystore"
	"github.com/peaqnetwork/peaqos-agent/sdk"
)

// RotateRequest asks for a new agent and token for one machine. The current token may
// be valid, rejected or lost.
type RotateRequest struct {
	// Machine is a name under machines in the configuration; empty: the only one.
	Machine string `json:"machine,omitempty"`
	// MachineID and IdentityRef are needed only if neither store nor configuration
	// names the machine.
	MachineID   string     `json:"machine_id,omitempty"`
	IdentityRef string     `json:"identity_ref,omitempty"`
	APIKey      sdk.Secret `json:"-"`
	// ReplaceLostKey gives a store whose key is lost a new one, even if the controller
	// key or another machine's agent needs the lost one.
	ReplaceLostKey bool `json:"replace_lost_key,omitempty"`
	// Revoked is the previous agent's id, after it was revoked on another computer. It
	// completes a rotation that a grant began; nothing is sent, and no API key is needed.
	Revoked string `json:"revoked,omitempty"`
}

// RotateResult is the output of rotate --json. It contains no secret.
type RotateResult struct {
	Changed        bool       `json:"changed"`
	MachineID      string     `json:"machine_id"`
	IdentityRef    string     `json:"identity_ref"`
	AgentID        string     `json:"agent_id"` // the one in use
	Pending        bool       `json:"pending"`  // a new agent waits for its first accepted heartbeat
	PendingAgentID string     `json:"pending_agent_id"`
	Live           bool       `json:"live"`
	Reason         string     `json:"reason"` // why it is pending or not live
	LeaseExpiresAt *time.Time `json:"lease_expires_at"`
	Revoked        []string   `json:"revoked"` // by this run
	// OtherAgents are the machine's other active agents, unless they are in Unknown.
	OtherAgents []OtherAgent `json:"other_agents"`
	// Unknown are the machine's other active agents. They are listed when the record
	// was lost with the id of the previous agent: it is one of them, and only a person
	// can tell which.
	Unknown []string `json:"unknown_agents"`
}

// rotation is one run of rotate. A run completes what an earlier one began, or
// begins a rotation. If the network or the runtime is down, the same command
// continues it later:
//
//  1. the new agent is enrolled by the steps of an enrollment, with its journal, and
//     its token is stored next to the old one;
//  2. a heartbeat confirms it; if no endpoint is up, the daemon does that as soon as
//     one is;
//  3. the record names the new agent only; then the old one is revoked.
//
// If the old token is lost there is nothing to fall back to, so step 3 comes before
// step 2.
type rotation struct {
	e       *enroller
	b       *beater
	beat    beatOutcome // the zero value: no heartbeat sent yet
	unknown []string
}

// Rotate runs one rotation. progress receives one line per step.
//
// Errors: see [Explain]. The result is valid also with an error: it describes the
// agent in use.
func (a *Agent) Rotate(ctx context.Context, req RotateRequest, progress func(string)) (RotateResult, error) {
	if err := checkNames(EnrollRequest{MachineID: req.MachineID, IdentityRef: req.IdentityRef}); err != nil {
		return RotateResult{}, err
	}
	end, err := a.begin(ctx, "a rotation", progress)
	if err != nil {
		return RotateResult{}, err
	}
	defer end()
	b, err := a.beaterOf(req.Machine)
	if err != nil {
		return RotateResult{}, err
	}
	if req.Revoked != "" {
		return b.completeRotation(req.Revoked)
	}
	e, err := a.enrollerOf(b, req.APIKey, progress)
	if err != nil {
		return RotateResult{}, err
	}
	if req.APIKey.IsZero() && requiresKey(ctx, e.api) {
		return RotateResult{}, noAPIKey("rotate")
	}
	if err := a.takeOverRenamed(b, cmp.Or(req.MachineID, b.configured().ID), cmp.Or(req.IdentityRef, b.configured().IdentityRef)); err != nil {
		return RotateResult{}, err
	}
	e.replaceLostKey = req.ReplaceLostKey
	r := &rotation{e: e, b: b}
	before := b.currentRecord()
	err = r.run(ctx, req)
	a.markStore()
	if rec := b.currentRecord(); err == nil && rec != nil {
		err = a.settleRenamed(ctx, e, rec)
		if r.unknown == nil {
			e.nameOthers(ctx, rec)
		}
	}
	if err == nil && r.beat == (beatOutcome{}) {
		r.beat = b.beatOnce(ctx)
	}
	return r.result(before), err
}

func (r *rotation) run(ctx context.Context, req RotateRequest) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	old, lost, err := r.current(req)
	if err != nil {
		return err
	}
	if err := r.e.checkDurable(); err != nil {
		return err
	}
	if err := r.e.settleJournal(ctx, old); err != nil {
		return err
	}
	if lost {
		return r.replaceLost(ctx, old, req)
	}
	if r.b.currentRecord() == nil { // the store has a record that the beater has not loaded
		r.b.setRecord(old)
	}
	if done, err := r.finish(ctx); done || err != nil {
		return err
	}
	if err := r.enrollPending(ctx, req); err != nil {
		return err
	}
	r.confirmWithHeartbeat(ctx)
	_, err = r.finish(ctx)
	return err
}

// current returns the record to be replaced. lost: its token cannot be read, and the
// record is nil if its facts cannot be read either.
func (r *rotation) current(req RotateRequest) (old *keystore.Agent, lost bool, err error) {
	old, err = r.e.store.Agent(r.e.machine.Name)
	if tokenLost(err) {
		lost = true
		old, err = r.e.recoverFacts(err)
	}
	if err != nil || old == nil {
		return nil, lost, err
	}
	return old, lost, r.e.sameIdentity(old, req.MachineID, req.IdentityRef, false)
}

// intent is the journal entry of this attempt. It names the machine of the record,
// or the one that was asked for.
func (r *rotation) intent(old *keystore.Agent, req RotateRequest) *keystore.Intent {
	i := &keystore.Intent{
		Kind: "rotate", Origin: r.e.origin,
		MachineID:   cmp.Or(req.MachineID, r.e.machine.ID),
		IdentityRef: cmp.Or(req.IdentityRef, r.e.machine.IdentityRef),
		Label:       attemptLabel(r.e.machine.AgentLabel, cmp.Or(familyOf(old), r.e.family)), StartedAt: time.Now().UTC(),
	}
	if old != nil {
		i.MachineID, i.IdentityRef = old.MachineID, old.IdentityRef
	}
	return i
}

// replaceLost enrolls a new agent when the token of the old one is lost.
func (r *rotation) replaceLost(ctx context.Context, old *keystore.Agent, req RotateRequest) error {
	intent := r.intent(old, req)
	if old == nil {
		m, err := r.e.findOrRegister(ctx, EnrollRequest{}, intent)
		if err != nil {
			return err
		}
		intent.MachineID, intent.IdentityRef = m.ID, m.IdentityRef
	}
	agent, err := r.e.requestToken(ctx, intent)
	if err != nil {
		return err
	}
	record := newRecord(intent, agent, r.e.allowed())
	record.Attempts = withLabel(r.e.settled, intent.Label)
	if old != nil {
		record.Attempts = withLabel(old.Attempts, append(r.e.settled, intent.Label)...)
		record.Replaced = old.AgentID
	}
	if err := r.e.keep(record); err != nil {
		return err
	}
	r.reportEnrolled(record)
	if old != nil {
		record, err = r.e.revokeReplaced(ctx, record)
	} else {
		r.unknown = r.otherAgents(ctx, record)
	}
	r.b.setRecord(record)
	r.confirmWithHeartbeat(ctx)
	return err
}

// otherAgents returns the ids of the machine's other active agents. One of them is
// the previous agent, whose id was lost with both copies of its record.
func (r *rotation) otherAgents(ctx context.Context, record *keystore.Agent) []string {
	agents, err := r.e.listAgents(ctx, record.MachineID)
	if err != nil {
		r.e.progress("could not list the machine's other agents; see peaqos-agent agents list")
		return nil
	}
	var ids []string
	for _, a := range agents {
		if a.Status != sdk.AgentRevoked && a.ID != record.AgentID {
			ids = append(ids, a.ID)
		}
	}
	return ids
}

// enrollPending enrolls a new agent and stores its token next to the current one.
func (r *rotation) enrollPending(ctx context.Context, req RotateRequest) error {
	intent := r.intent(r.b.currentRecord(), req)
	agent, err := r.e.requestToken(ctx, intent)
	if err != nil {
		return err
	}
	fresh := newRecord(intent, agent, r.e.allowed())
	_, err = r.b.changeRecord(func(rec keystore.Agent) keystore.Agent {
		rec.Pending = &keystore.PendingToken{
			AgentID: fresh.AgentID, Label: fresh.Label, Token: fresh.Token,
			AllowedProviderKeys: fresh.AllowedProviderKeys, EnrolledAt: fresh.EnrolledAt,
		}
		rec.Attempts = withLabel(rec.Attempts, append(r.e.settled, fresh.Label)...)
		return rec
	})
	if err != nil {
		r.e.count("lost")
		return at(status.NewProblem(status.CodeTokenNotStored, "agent "+agent.ID), err)
	}
	if err := r.e.store.DropIntent(r.e.machine.Name); err != nil {
		return err
	}
	r.reportEnrolled(fresh)
	return nil
}

func (r *rotation) reportEnrolled(record *keystore.Agent) {
	r.e.count("success")
	logEvent(r.e.log.Info, status.CodeRotated, zap.String("machine", r.e.machine.Name),
		zap.String("machine_id", record.MachineID), zap.String("agent_id", record.AgentID))
}

// confirmWithHeartbeat sends one heartbeat, with the pending token if there is one.
func (r *rotation) confirmWithHeartbeat(ctx context.Context) {
	r.e.progress("confirming the new agent with a heartbeat")
	r.beat = r.b.beatOnce(ctx)
}

// finish continues a rotation that has begun, as far as it gets. done is false if
// there is none to continue.
func (r *rotation) finish(ctx context.Context) (done bool, err error) {
	rec := r.b.currentRecord()
	if rec.Pending != nil && r.beat == (beatOutcome{}) {
		r.confirmWithHeartbeat(ctx)
		rec = r.b.currentRecord()
	}
	if rec.Pending != nil {
		if !r.b.refusedPending() {
			return true, nil // the daemon, or the next run, confirms it
		}
		return true, r.dropRefused(ctx, rec)
	}
	if rec.Replaced == "" {
		return false, nil
	}
	r.e.progress("revoking the previous agent " + rec.Replaced)
	if err := r.e.revokeFormer(ctx, rec); err != nil {
		return true, &stepError{"the new agent " + rec.AgentID + " is in use, " + notRevoked, err}
	}
	_, err = r.b.changeRecord(func(rec keystore.Agent) keystore.Agent { rec.Replaced = ""; return rec })
	return true, err
}

// completeRotation stores that the previous agent was revoked on another computer.
func (b *beater) completeRotation(revoked string) (RotateResult, error) {
	before := b.currentRecord()
	switch {
	case before == nil:
		return RotateResult{}, keystore.ErrNotFound
	case before.Replaced != "" && before.Replaced != revoked:
		return RotateResult{}, status.NewProblem(status.CodeValidation,
			fmt.Sprintf("the previous agent is %s, not %.100q", before.Replaced, revoked))
	case before.Replaced != "":
		if _, err := b.changeRecord(func(rec keystore.Agent) keystore.Agent { rec.Replaced = ""; return rec }); err != nil {
			return RotateResult{}, err
		}
	}
	return (&rotation{e: &enroller{}, b: b, beat: beatOutcome{reason: "no heartbeat was sent"}}).result(before), nil
}

// dropRefused revokes a new agent whose heartbeats the orchestrator rejects; the
// current one stays in use. It always returns an error.
func (r *rotation) dropRefused(ctx context.Context, rec *keystore.Agent) error {
	refused := rec.Pending.AgentID
	if err := r.e.revokeOurs(ctx, rec.MachineID, []string{rec.Pending.Label}, []string{refused}, rec.AgentID); err != nil {
		return err
	}
	if _, err := r.b.changeRecord(func(rec keystore.Agent) keystore.Agent { rec.Pending = nil; return rec }); err != nil {
		return err
	}
	return status.NewProblem(status.CodeRotationRefused, "agent "+refused+" was revoked")
}

// result describes the agent in use; before is the record before this run.
func (r *rotation) result(before *keystore.Agent) RotateResult {
	out := RotateResult{Live: r.beat.live, Reason: r.beat.reason, Revoked: append([]string{}, r.e.report.Revoked...), Unknown: r.unknown, OtherAgents: r.e.report.OtherAgents}
	if !r.beat.leaseExpiresAt.IsZero() {
		out.LeaseExpiresAt = &r.beat.leaseExpiresAt
	}
	rec := r.b.currentRecord()
	if rec == nil {
		return out
	}
	out.Changed = rec != before
	out.MachineID, out.IdentityRef, out.AgentID = rec.MachineID, rec.IdentityRef, rec.AgentID
	if rec.Pending != nil {
		out.Pending, out.PendingAgentID = true, rec.Pending.AgentID
		out.Reason = sentence("pending: not confirmed by a heartbeat yet", out.Reason)
	}
	return out
}
