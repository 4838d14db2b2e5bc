package agent

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/keystore"
	"github.com/peaqnetwork/peaqos-agent/sdk"
)

// RotateRequest asks for a new agent and token in place of the present ones, which
// may be good, refused or lost. The API key is used for this one request.
type RotateRequest struct {
	Machine     string // configured name; empty means the only one
	MachineID   string // needed only when nothing in store or configuration tells
	IdentityRef string
	APIKey      sdk.Secret
	// ReplaceLostKey gives a store whose key is lost a new one, even if the controller
	// key or another machine's agent needs the lost one.
	ReplaceLostKey bool
}

// RotateResult is what rotate --json prints: no secret among it.
type RotateResult struct {
	Changed        bool       `json:"changed"`
	MachineID      string     `json:"machine_id"`
	IdentityRef    string     `json:"identity_ref"`
	AgentID        string     `json:"agent_id"` // the one in use
	Pending        bool       `json:"pending"`  // a new one waits for its first accepted beat
	PendingAgentID string     `json:"pending_agent_id,omitempty"`
	Live           bool       `json:"live"`
	Reason         string     `json:"reason,omitempty"` // why it is pending or not live
	LeaseExpiresAt *time.Time `json:"lease_expires_at"`
	Revoked        []string   `json:"revoked"` // by this run
	// Unknown are other living agents of the machine, told when the name of the
	// former one is lost with its record: it is one of them, and theirs to judge who
	// knows the others.
	Unknown []string `json:"unknown_agents,omitempty"`
}

// rotation is one run of rotate. A run ends what an earlier one began, or begins
// anew; where the network or the runtime fails it, the same verb goes on:
//
//  1. the new agent is enrolled by the steps of an enrollment, journal and all, and
//     its token stored beside the old one;
//  2. a beat proves it; with nothing up the daemon does that at the first chance;
//  3. the record names the new one alone, and then the old one is revoked.
//
// With the old token lost there is nothing to fall back to: steps 2 and 3 change
// places.
type rotation struct {
	*enroller
	beater *beater
	beat   beatOutcome

	unknown []string
}

// Rotate runs one rotation; progress gets one line per step for a person.
func (a *Agent) Rotate(ctx context.Context, req RotateRequest, progress func(string)) (RotateResult, error) {
	a.changing.Lock()
	defer a.changing.Unlock()
	b, err := a.beaterOf(req.Machine)
	if err != nil {
		return RotateResult{}, err
	}
	if req.APIKey.IsZero() {
		return RotateResult{}, noAPIKey("rotate")
	}
	e, err := a.enroller(b, req.APIKey, progress)
	if err != nil {
		return RotateResult{}, err
	}
	e.replaceLostKey = req.ReplaceLostKey
	r := &rotation{enroller: e, beater: b}
	before := b.current()
	err = r.run(ctx, req)
	a.markStore()
	if err == nil && r.beat == (beatOutcome{}) {
		r.beat = b.once(ctx)
	}
	return r.result(before), err
}

func (r *rotation) run(ctx context.Context, req RotateRequest) error {
	old, lost, err := r.present(req)
	if err != nil {
		return err
	}
	if err := r.proveStore(); err != nil {
		return err
	}
	if err := r.settle(ctx, old); err != nil {
		return err
	}
	if lost {
		return r.replace(ctx, old, req)
	}
	if r.beater.current() == nil { // a record that came without the beater's knowing
		r.beater.adopt(old)
	}
	if done, err := r.finish(ctx); done || err != nil {
		return err
	}
	if err := r.begin(ctx, req); err != nil {
		return err
	}
	r.prove(ctx)
	_, err = r.finish(ctx)
	return err
}

// present is the record to be replaced; lost says that its token cannot be read,
// and then it may be nil.
func (r *rotation) present(req RotateRequest) (old *keystore.Agent, lost bool, err error) {
	old, err = r.store.Agent(r.machine.Name)
	if errors.Is(err, keystore.ErrSealed) || errors.Is(err, keystore.ErrDamaged) {
		lost = true
		old, err = r.former(err)
	}
	if err != nil || old == nil {
		return nil, lost, err
	}
	return old, lost, r.sameIdentity(old, EnrollRequest{MachineID: req.MachineID, IdentityRef: req.IdentityRef})
}

// intent names the machine as well as it is known, and a label of its own.
func (r *rotation) intent(old *keystore.Agent, req RotateRequest) *keystore.Intent {
	i := &keystore.Intent{
		Kind: "rotate", Origin: r.origin, MachineID: firstOf(req.MachineID, r.machine.ID), IdentityRef: firstOf(req.IdentityRef, r.machine.IdentityRef),
		Label: attemptLabel(r.machine.AgentLabel), StartedAt: time.Now().UTC(),
	}
	if old != nil {
		i.MachineID, i.IdentityRef = old.MachineID, old.IdentityRef
	}
	return i
}

// replace enrolls a new agent in place of one whose token is lost.
func (r *rotation) replace(ctx context.Context, old *keystore.Agent, req RotateRequest) error {
	intent := r.intent(old, req)
	if old == nil {
		m, err := r.findOrRegister(ctx, EnrollRequest{}, intent)
		if err != nil {
			return err
		}
		intent.MachineID, intent.IdentityRef = m.ID, m.IdentityRef
	}
	agent, err := r.spend(ctx, intent)
	if err != nil {
		return err
	}
	record := newRecord(intent, agent, r.allowed())
	record.Attempts = withLabel(r.settled, intent.Label)
	if old != nil {
		record.Attempts, record.Replaced = withLabel(old.Attempts, append(r.settled, old.Label, intent.Label)...), old.AgentID
	}
	if err := r.keep(record, agent.ID); err != nil {
		return err
	}
	r.done(record)
	if old != nil {
		record, err = r.revokeFormer(ctx, record)
	} else {
		r.unknown = r.strangers(ctx, record)
	}
	r.beater.adopt(record)
	r.prove(ctx)
	return err
}

// strangers are the other living agents of the machine, among them one whose name
// was lost with both copies of its record.
func (r *rotation) strangers(ctx context.Context, record *keystore.Agent) []string {
	agents, err := r.api.MachineAgents.List(ctx, record.MachineID)
	if err != nil {
		r.progress("the machine's other agents could not be listed; look at peaqos-agent agents list")
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

// begin stores a new agent's token beside the good old one.
func (r *rotation) begin(ctx context.Context, req RotateRequest) error {
	old := r.beater.current()
	intent := r.intent(old, req)
	agent, err := r.spend(ctx, intent)
	if err != nil {
		return err
	}
	fresh := newRecord(intent, agent, r.allowed())
	_, err = r.beater.change(func(rec keystore.Agent) keystore.Agent {
		rec.Pending = &keystore.PendingToken{
			AgentID: fresh.AgentID, Label: fresh.Label, Token: fresh.Token,
			AllowedProviderKeys: fresh.AllowedProviderKeys, EnrolledAt: fresh.EnrolledAt,
		}
		rec.Attempts = withLabel(rec.Attempts, append(r.settled, fresh.Label)...)
		return rec
	})
	if err != nil {
		r.count("lost")
		return at(status.NewProblem(status.CodeTokenNotStored, "agent "+agent.ID), err)
	}
	if err := r.store.DropIntent(r.machine.Name); err != nil {
		return err
	}
	r.done(fresh)
	return nil
}

func (r *rotation) done(record *keystore.Agent) {
	r.count("success")
	r.log.Info("a new agent was enrolled", code(status.CodeRotated), zap.String("machine", r.machine.Name),
		zap.String("machine_id", record.MachineID), zap.String("agent_id", record.AgentID))
}

// prove sends the one-shot beat, with the pending token when there is one.
func (r *rotation) prove(ctx context.Context) {
	r.progress("proving the new agent with a beat")
	r.beat = r.beater.once(ctx)
}

// finish goes on with a rotation that has been begun. It is not done when there
// was none, or when the pending agent was refused and had to be revoked.
func (r *rotation) finish(ctx context.Context) (done bool, err error) {
	rec := r.beater.current()
	if rec.Pending != nil && r.beat == (beatOutcome{}) {
		r.prove(ctx)
		rec = r.beater.current()
	}
	if rec.Pending != nil {
		if !r.beater.refusedPending() {
			return true, nil // pending: the daemon, or the next run, proves it
		}
		return r.dropRefused(ctx, rec)
	}
	if rec.Replaced == "" {
		return false, nil
	}
	r.progress("revoking the former agent " + rec.Replaced)
	if err := r.revokeOurs(ctx, rec.MachineID, rec.Attempts, []string{rec.Replaced}, kept(rec)...); err != nil {
		return true, &stepError{"the new agent " + rec.AgentID + " is in use, but the previous one could not be revoked yet; run peaqos-agent rotate again", err}
	}
	_, err = r.beater.change(func(rec keystore.Agent) keystore.Agent { rec.Replaced = ""; return rec })
	return true, err
}

// dropRefused gives up a new agent that the orchestrator does not take beats from;
// the old one goes on.
func (r *rotation) dropRefused(ctx context.Context, rec *keystore.Agent) (done bool, err error) {
	refused := rec.Pending.AgentID
	if err := r.revokeOurs(ctx, rec.MachineID, []string{rec.Pending.Label}, []string{refused}, rec.AgentID); err != nil {
		return true, err
	}
	if _, err := r.beater.change(func(rec keystore.Agent) keystore.Agent { rec.Pending = nil; return rec }); err != nil {
		return true, err
	}
	return true, status.NewProblem(status.CodeRotationRefused, "agent "+refused+" was revoked")
}

func (r *rotation) result(before *keystore.Agent) RotateResult {
	out := RotateResult{Live: r.beat.live, Reason: r.beat.reason, Revoked: append([]string{}, r.report.Revoked...), Unknown: r.unknown}
	if !r.beat.leaseExpiresAt.IsZero() {
		out.LeaseExpiresAt = &r.beat.leaseExpiresAt
	}
	rec := r.beater.current()
	if rec == nil {
		return out
	}
	out.Changed = rec != before
	out.MachineID, out.IdentityRef, out.AgentID = rec.MachineID, rec.IdentityRef, rec.AgentID
	if rec.Pending != nil {
		out.Pending, out.PendingAgentID = true, rec.Pending.AgentID
		out.Reason = firstOf("pending: not yet proven; "+out.Reason, "pending: not yet proven")
	}
	return out
}

func noAPIKey(command string) *status.Problem {
	return status.NewProblem(status.CodeAPIKeyMissing, "for "+command+"; nothing was sent")
}
