package agent

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"go.uber.org/zap"

	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/keystore"
	"github.com/peaqnetwork/peaqos-agent/sdk"
)

// Which agents on the server are ours to revoke: those that a journal or a record
// of this store names by label or id, and nothing else ever.

// settle ends an interrupted attempt: it revokes the agents that carry the
// journalled label, those in the record apart, and drops the journal.
func (e *enroller) settle(ctx context.Context, record *keystore.Agent) error {
	intent, err := e.interrupted()
	if intent == nil {
		return err
	}
	if intent.Origin != e.origin {
		return status.NewProblem(status.CodeJournalOfOther, fmt.Sprintf("the journal names %s, the configuration %s", intent.Origin, e.origin))
	}
	if intent.MachineID != "" {
		e.progress("an earlier enrollment was interrupted: looking for what it left")
		if err := e.revokeOurs(ctx, intent.MachineID, []string{intent.Label}, nil, kept(record)...); err != nil && !machineGone(err) {
			return err
		}
		e.settled = append(e.settled, intent.Label)
	}
	return e.store.DropIntent(e.machine.Name)
}

// machineGone says that the orchestrator does not know a machine any more; its agents
// went with it.
func machineGone(err error) bool {
	var api *sdk.APIError
	return errors.As(err, &api) && api.Envelope && api.Code == sdk.CodeNotFound
}

// interrupted is the journal, nil when there is none; also of a store whose key
// is lost, because it lies in the clear.
func (e *enroller) interrupted() (*keystore.Intent, error) {
	intent, err := e.store.Intent(e.machine.Name)
	if errors.Is(err, keystore.ErrSealed) {
		intent, err = e.store.IntentFacts(e.machine.Name)
	}
	if errors.Is(err, keystore.ErrNotFound) {
		return nil, nil
	}
	return intent, err
}

// former is what is known of a record whose token is lost: its facts, or nil when
// they are damaged too. It prepares a new key for the store; nothing changes on the disk
// before there is a new agent.
func (e *enroller) former(lost error) (*keystore.Agent, error) {
	facts, err := e.store.AgentFacts(e.machine.Name)
	if err != nil {
		facts = nil
	}
	if facts != nil && facts.Origin != e.origin {
		return nil, e.sameIdentity(facts, EnrollRequest{})
	}
	if errors.Is(e.store.Condition(), keystore.ErrSealed) {
		e.progress("the store cannot be unsealed, so it gets a new key once there is a new agent: " + lost.Error())
		if err := e.store.PrepareNewKey(e.machine.Name, e.replaceLostKey); err != nil {
			return nil, err
		}
	}
	return facts, nil
}

// kept are the agents that a record lives on.
func kept(r *keystore.Agent) []string {
	if r == nil || r.Token.IsZero() {
		return nil
	}
	ids := []string{r.AgentID}
	if r.Pending != nil {
		ids = append(ids, r.Pending.AgentID)
	}
	return ids
}

// revokeOurs revokes living agents whose label or id is among ours, except those
// to keep.
func (e *enroller) revokeOurs(ctx context.Context, machineID string, labels, ids []string, keep ...string) error {
	agents, err := e.api.MachineAgents.List(ctx, machineID)
	if err != nil {
		return err
	}
	for _, a := range agents {
		ours := slices.Contains(labels, a.Label) || slices.Contains(ids, a.ID)
		if !ours || a.Status == sdk.AgentRevoked || slices.Contains(keep, a.ID) {
			continue
		}
		if err := e.api.MachineAgents.Revoke(ctx, machineID, a.ID); err != nil {
			return err
		}
		e.report.Revoked = append(e.report.Revoked, a.ID)
		e.log.Warn("revoked an agent of ours that is not used any more", code(status.CodeOrphanRevoked),
			zap.String("machine", e.machine.Name), zap.String("agent_id", a.ID))
	}
	return nil
}

// agentsOf are all agents that a record names.
func agentsOf(r *keystore.Agent) []string {
	ids := []string{r.AgentID}
	if r.Pending != nil {
		ids = append(ids, r.Pending.AgentID)
	}
	if r.Replaced != "" {
		ids = append(ids, r.Replaced)
	}
	return ids
}

// leave revokes the agents of a machine that is given up here for another one. Where
// the API key is not that machine's, they are named: they are no reason to stay.
func (e *enroller) leave(ctx context.Context, old *keystore.Agent) error {
	e.progress("giving up " + old.MachineID + ": revoking its agent " + old.AgentID)
	err := e.revokeOurs(ctx, old.MachineID, withLabel(old.Attempts, old.Label), agentsOf(old))
	var api *sdk.APIError
	if errors.As(err, &api) && api.Envelope && (api.StatusCode == http.StatusForbidden || api.StatusCode == http.StatusNotFound) {
		e.report.LeftBehind = append(e.report.LeftBehind, e.leftBehind(old)...)
		return nil
	}
	return err
}

// revokeFormer revokes what a record has replaced and forgets that there was
// something to revoke.
func (e *enroller) revokeFormer(ctx context.Context, r *keystore.Agent) (*keystore.Agent, error) {
	if err := e.revokeOurs(ctx, r.MachineID, r.Attempts, []string{r.Replaced}, kept(r)...); err != nil {
		return r, &stepError{"the new agent " + r.AgentID + " is stored, but the previous one could not be revoked yet; run peaqos-agent rotate again", err}
	}
	next := *r
	next.Replaced = ""
	if err := e.put(&next); err != nil {
		return r, err
	}
	return &next, nil
}

// lookOnceMore runs when we are enrolled already: with an API key at hand, it
// makes sure that no earlier attempt of ours still lives.
func (e *enroller) lookOnceMore(ctx context.Context, record *keystore.Agent, req EnrollRequest) {
	if req.APIKey.IsZero() || req.DryRun {
		return
	}
	err := e.settle(ctx, record) // where the attempt was, which may be another machine
	if err == nil {
		keep := append(kept(record), record.Replaced) // which rotate revokes, once the new one is proven
		err = e.revokeOurs(ctx, record.MachineID, record.Attempts, nil, keep...)
	}
	if err != nil {
		// We are enrolled; that it cannot be looked up now is worth a line only.
		e.progress("enrolled already; whether an earlier attempt left an agent could not be looked up: " + err.Error())
	}
}
