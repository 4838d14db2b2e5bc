package agent

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/keystore"
	"github.com/peaqnetwork/peaqos-agent/sdk"
)

// This file decides which agents on the orchestrator may be revoked: those that a
// journal or a record of this store names by label or id. The one exception is
// revokePredecessors, for a store that does not outlive its container.

// settleJournal completes an interrupted attempt: it revokes the agents with the
// journaled label, except those in the record, and drops the journal.
func (e *enroller) settleJournal(ctx context.Context, record *keystore.Agent) error {
	intent, err := e.interrupted()
	if intent == nil {
		return err
	}
	if intent.Origin != e.origin {
		return status.NewProblem(status.CodeJournalOfOther, fmt.Sprintf("the journal names %s, the configuration %s", intent.Origin, e.origin))
	}
	if e.family == "" && isAttempt(intent.Label) {
		e.family = intent.Label[:len(intent.Label)-attemptSuffix+familySuffix]
	}
	if intent.MachineID != "" {
		e.progress("an earlier enrollment was interrupted; looking for agents it left behind")
		if err := e.revokeOurs(ctx, intent.MachineID, []string{intent.Label}, nil, inUse(record)...); err != nil && !machineGone(err) {
			return err
		}
		e.settled = append(e.settled, intent.Label)
	}
	return e.store.DropIntent(e.machine.Name)
}

// interrupted returns the journal, nil if there is none. It is not encrypted, so it
// can be read also when the store's key is lost.
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

// tokenLost reports whether a record cannot be read any more, so that its agent has
// to be replaced.
func tokenLost(err error) bool {
	return errors.Is(err, keystore.ErrSealed) || errors.Is(err, keystore.ErrDamaged)
}

// recoverFacts returns what is still known about a record whose token is lost: the
// facts that are not encrypted, or nil if they are damaged as well. If the store's
// key is lost, it prepares a new one; the store is changed only when there is a new
// agent to store.
func (e *enroller) recoverFacts(lost error) (*keystore.Agent, error) {
	facts, err := e.store.AgentFacts(e.machine.Name)
	if err != nil {
		facts = nil
	}
	if facts != nil && facts.Origin != e.origin {
		return nil, e.sameIdentity(facts, "", "", false)
	}
	if errors.Is(e.store.Condition(), keystore.ErrSealed) {
		e.progress("the store cannot be unsealed, so it gets a new key with the new agent: " + lost.Error())
		if err := e.store.PrepareNewKey(e.machine.Name, e.replaceLostKey); err != nil {
			return nil, err
		}
	}
	return facts, nil
}

// revokeOurs revokes the agents of a machine that have one of the ids or labels, except
// those to keep. Ids come first, because they need no list. Then all pages of the list
// are searched for the labels. A nil error means that none of them is active any more.
func (e *enroller) revokeOurs(ctx context.Context, machineID string, labels, ids []string, keep ...string) error {
	for _, id := range ids {
		if id == "" || slices.Contains(keep, id) || slices.Contains(e.report.Revoked, id) {
			continue
		}
		if err := e.revoke(ctx, machineID, id); err != nil {
			return err
		}
	}
	agents, err := e.listAgents(ctx, machineID)
	if err != nil {
		return err
	}
	for _, a := range agents {
		ours := slices.Contains(labels, a.Label) || slices.Contains(ids, a.ID)
		if !ours || a.Status == sdk.AgentRevoked || slices.Contains(keep, a.ID) || slices.Contains(e.report.Revoked, a.ID) {
			continue
		}
		if err := e.revoke(ctx, machineID, a.ID); err != nil {
			return err
		}
	}
	return nil
}

// revoke revokes one agent. One that the orchestrator does not know is not an error:
// there is nothing to revoke.
func (e *enroller) revoke(ctx context.Context, machineID, id string) error {
	err := e.api.MachineAgents.Revoke(ctx, machineID, id)
	if machineGone(err) {
		return nil
	}
	if err != nil {
		return err
	}
	e.report.Revoked = append(e.report.Revoked, id)
	logEvent(e.log.Info, status.CodeOrphanRevoked, zap.String("machine", e.machine.Name), zap.String("revoked_agent_id", id))
	return nil
}

// listAgents lists a machine's agents, and remembers them for the report.
func (e *enroller) listAgents(ctx context.Context, machineID string) ([]sdk.MachineAgent, error) {
	agents, err := ListAgents(ctx, e.api, machineID)
	if err != nil {
		return nil, err
	}
	e.listed, e.listedFor = agents, machineID
	return agents, nil
}

// revokePredecessors revokes the machine's active agents with our label: those of
// earlier starts of an ephemeral store, which remembers nothing.
func (e *enroller) revokePredecessors(ctx context.Context, machineID string) error {
	agents, err := e.listAgents(ctx, machineID)
	if err != nil {
		return err
	}
	for _, a := range agents {
		if a.Status != sdk.AgentRevoked && isAttemptOf(e.machine.AgentLabel, a.Label) {
			if err := e.revoke(ctx, machineID, a.ID); err != nil {
				return err
			}
		}
	}
	return nil
}

// revokeFormer revokes what a record has replaced, and the agents that a later state of
// this store enrolled: it was restored from a backup, and their tokens are lost.
func (e *enroller) revokeFormer(ctx context.Context, r *keystore.Agent) error {
	if err := e.revokeOurs(ctx, r.MachineID, r.Attempts, []string{r.Replaced}, inUse(r)...); err != nil {
		return err
	}
	family := familyOf(r)
	for _, a := range e.listed {
		if a.Status == sdk.AgentRevoked || family == "" || !strings.HasPrefix(a.Label, family) || !isAttempt(a.Label) ||
			slices.Contains(inUse(r), a.ID) || slices.Contains(e.report.Revoked, a.ID) {
			continue
		}
		if err := e.revoke(ctx, r.MachineID, a.ID); err != nil {
			return err
		}
	}
	return nil
}

// nameOthers reports the other active agents of the machine: they publish the same
// endpoints as this one, if they still run.
func (e *enroller) nameOthers(ctx context.Context, r *keystore.Agent) {
	if e.listedFor != r.MachineID {
		if _, err := e.listAgents(ctx, r.MachineID); err != nil {
			e.progress("could not list the machine's other agents (" + Explain(err).Message + "); see peaqos-agent agents list")
			return
		}
	}
	for _, a := range e.listed {
		if a.Status == sdk.AgentRevoked || slices.Contains(agentsOf(r), a.ID) || slices.Contains(e.report.Revoked, a.ID) {
			continue
		}
		other := OtherAgent{AgentID: a.ID, Label: status.Sanitize(a.Label), OurLabel: isAttemptOf(e.machine.AgentLabel, a.Label)}
		if t := plausibleTime(a.LastSeenAt, time.Now()); !t.IsZero() {
			other.LastSeenAt = &t
		}
		e.report.OtherAgents = append(e.report.OtherAgents, other)
	}
	if n := len(e.report.OtherAgents); n > 0 {
		logEvent(e.log.Warn, status.CodeOtherAgents, zap.String("machine", e.machine.Name), zap.Int("count", n))
	}
}

// revokeOnOtherMachine revokes the agents of the machine that this device was
// enrolled as before. If the API key does not belong to that machine, they are
// reported instead; they do not prevent the change.
func (e *enroller) revokeOnOtherMachine(ctx context.Context, old *keystore.Agent) error {
	e.progress("leaving machine " + old.MachineID + ": revoking its agent " + old.AgentID)
	err := e.revokeOurs(ctx, old.MachineID, old.Attempts, agentsOf(old))
	var api *sdk.APIError
	if errors.As(err, &api) && api.Envelope && (api.StatusCode == http.StatusForbidden || api.StatusCode == http.StatusNotFound) {
		e.report.LeftBehind = append(e.report.LeftBehind, e.leftBehind(old)...)
		return nil
	}
	return err
}

const notRevoked = "but the previous one could not be revoked yet; run peaqos-agent rotate again"

// revokeReplaced revokes the agent that a record has replaced, then stores that
// nothing is left to revoke.
func (e *enroller) revokeReplaced(ctx context.Context, r *keystore.Agent) (*keystore.Agent, error) {
	if err := e.revokeFormer(ctx, r); err != nil {
		return r, &stepError{"the new agent " + r.AgentID + " is stored, " + notRevoked, err}
	}
	next := *r
	next.Replaced = ""
	if err := e.put(&next); err != nil {
		return r, err
	}
	return &next, nil
}

// revokeEarlierAttempts runs when the machine is enrolled already: if there is an API
// key, it revokes what earlier attempts left.
func (e *enroller) revokeEarlierAttempts(ctx context.Context, record *keystore.Agent, req EnrollRequest) {
	if req.APIKey.IsZero() || req.DryRun {
		return
	}
	err := e.settleJournal(ctx, record) // on the machine of the attempt, which may be another one
	if err == nil {
		keep := append(inUse(record), record.Replaced) // rotate revokes it, once the new agent is confirmed
		err = e.revokeOurs(ctx, record.MachineID, record.Attempts, nil, keep...)
	}
	if err != nil {
		// Not an error of this command: the machine is enrolled.
		e.progress("already enrolled; could not check whether an earlier attempt left an agent: " + err.Error())
	}
}

// leftBehind lists the agents of a record and a journal that nothing here revokes.
func (e *enroller) leftBehind(record *keystore.Agent) []LeftBehind {
	left := []LeftBehind{}
	if intent, err := e.interrupted(); err == nil && intent != nil && intent.MachineID != "" {
		left = append(left, LeftBehind{intent.Origin, intent.MachineID, intent.AgentID, intent.Label})
	}
	if record == nil {
		return left
	}
	left = append(left, LeftBehind{record.Origin, record.MachineID, record.AgentID, record.Label})
	if p := record.Pending; p != nil {
		left = append(left, LeftBehind{record.Origin, record.MachineID, p.AgentID, p.Label})
	}
	if record.Replaced != "" {
		left = append(left, LeftBehind{record.Origin, record.MachineID, record.Replaced, ""})
	}
	return left
}

// inUse are the ids of the agents whose tokens a record holds.
func inUse(r *keystore.Agent) []string {
	if r == nil || r.Token.IsZero() {
		return nil
	}
	ids := []string{r.AgentID}
	if r.Pending != nil {
		ids = append(ids, r.Pending.AgentID)
	}
	return ids
}

// agentsOf are the ids of all agents that a record names.
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

// machineGone reports whether the orchestrator no longer knows a machine, and so
// none of its agents.
func machineGone(err error) bool {
	var api *sdk.APIError
	return errors.As(err, &api) && api.Envelope && apiCode(api) == status.CodeAPINotFound
}
