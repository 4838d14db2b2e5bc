package agent

import (
	"context"
	"errors"
	"fmt"

	"go.uber.org/zap"

	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/keystore"
	"github.com/peaqnetwork/peaqos-agent/sdk"
)

// LeaveRequest asks to unenroll one machine.
type LeaveRequest struct {
	// Machine is a name under machines in the configuration; empty: the only one.
	Machine   string     `json:"machine,omitempty"`
	APIKey    sdk.Secret `json:"-"`
	LocalOnly bool       `json:"local_only,omitempty"` // delete the token without revoking; needs no API key
	// ReplaceLostKey is as in RotateRequest.
	ReplaceLostKey bool `json:"replace_lost_key,omitempty"`
}

// LeaveResult is the JSON output of unenroll and reset-identity.
type LeaveResult struct {
	Changed bool     `json:"changed"`
	Revoked []string `json:"revoked"` // ids of the agents revoked by this run
	// LeftBehind may still be active: this run did not revoke them.
	LeftBehind []LeftBehind `json:"left_behind"`
	// ControllerKeyOnDevice reports whether a controller key is still stored.
	ControllerKeyOnDevice bool `json:"controller_key_on_device"`
}

// LeftBehind is an agent that may still be active on its orchestrator.
type LeftBehind struct {
	Orchestrator string `json:"orchestrator"` // scheme://host[:port]
	MachineID    string `json:"machine_id"`
	AgentID      string `json:"agent_id"` // empty when only its label is known
	Label        string `json:"agent_label"`
}

// Unenroll revokes the machine's agents, then deletes their tokens. In this order an
// interrupted run can be repeated. A controller key stays stored.
//
// Errors: see [Explain]; status.CodeAPIKeyMissing without LocalOnly and a key.
func (a *Agent) Unenroll(ctx context.Context, req LeaveRequest, progress func(string)) (LeaveResult, error) {
	end, err := a.begin(ctx, "an unenrollment", progress)
	if err != nil {
		return LeaveResult{}, err
	}
	defer end()
	b, err := a.beaterOf(req.Machine)
	if err != nil {
		return LeaveResult{}, err
	}
	e, err := a.enrollerOf(b, req.APIKey, progress)
	if err != nil {
		return LeaveResult{}, err
	}
	e.replaceLostKey = req.ReplaceLostKey
	record, err := e.recordToLeave()
	if err != nil {
		return LeaveResult{}, err
	}
	out := LeaveResult{Revoked: []string{}, LeftBehind: []LeftBehind{}}
	if err := e.prepareDelete(); err != nil {
		return out, err // before anything is revoked
	}
	if ctx.Err() != nil { // what is revoked is deleted as well, even if the caller is gone by then
		return out, context.Cause(ctx)
	}
	if req.LocalOnly {
		out.LeftBehind = e.leftBehind(record)
	} else if err := e.revokeAllOf(ctx, record, req.APIKey); err != nil {
		return out, err
	}
	out.Revoked = append(out.Revoked, e.report.Revoked...)
	b.setRecord(nil) // a heartbeat must not store again what is being deleted
	if err := e.deleteRecord(); err != nil {
		a.load(b)
		return out, err
	}
	out.Changed = record != nil || len(out.LeftBehind) > 0 || len(out.Revoked) > 0
	out.ControllerKeyOnDevice = a.store.HasControllerKey()
	a.load(b)
	if out.Changed {
		logEvent(a.log.Info, status.CodeUnenrolled, zap.String("machine", b.name), zap.Strings("revoked", out.Revoked))
	}
	return out, nil
}

// recordToLeave returns the record, or the facts of one that cannot be read; nil if
// there is none. On other hardware it is an error: the machine that the token belongs
// to may be online, and revoking its agent would cut it off.
func (e *enroller) recordToLeave() (*keystore.Agent, error) {
	record, err := e.store.Agent(e.machine.Name)
	if tokenLost(err) {
		record, err = e.store.AgentFacts(e.machine.Name)
	}
	if errors.Is(err, keystore.ErrNotFound) {
		return nil, nil
	}
	return record, err
}

// revokeAllOf revokes every agent that a record or the journal names. record may be
// nil.
func (e *enroller) revokeAllOf(ctx context.Context, record *keystore.Agent, key sdk.Secret) error {
	intent, err := e.interrupted()
	if err != nil || (record == nil && intent == nil) {
		return err
	}
	if key.IsZero() && requiresKey(ctx, e.api) {
		p := noAPIKey("unenroll")
		p.Next += "; or --local-only to delete the token here and revoke the agent from another computer"
		return p
	}
	if err := e.settleJournal(ctx, nil); err != nil || record == nil {
		return err
	}
	if record.Origin != e.origin {
		return e.sameIdentity(record, "", "", false)
	}
	e.progress("revoking agent " + record.AgentID)
	err = e.revokeOurs(ctx, record.MachineID, record.Attempts, agentsOf(record))
	if machineGone(err) {
		return nil
	}
	return err
}

// prepareDelete makes sure that the record can be deleted from a store whose key is
// lost. It changes nothing on the disk.
func (e *enroller) prepareDelete() error {
	if !errors.Is(e.store.Condition(), keystore.ErrSealed) {
		return nil
	}
	if err := e.store.PrepareNewKey(e.machine.Name, e.replaceLostKey); err != nil {
		return &stepError{"the token alone cannot be deleted; peaqos-agent reset-identity deletes the whole store", err}
	}
	return nil
}

// deleteRecord deletes record and journal.
func (e *enroller) deleteRecord() error {
	if err := e.store.DropAgent(e.machine.Name); err != nil {
		return err
	}
	return e.store.DropIntent(e.machine.Name)
}

// ResetRequest asks to delete everything in the store.
type ResetRequest struct {
	// Confirmed: the person knows what will be lost.
	Confirmed bool `json:"confirmed,omitempty"`
	// ForgetControllerKey confirms it for the controller key, of which there may be no
	// other copy.
	ForgetControllerKey bool `json:"forget_controller_key,omitempty"`
}

// ResetIdentity deletes all records and the key of the store and revokes nothing. It
// is for a copy of a device whose original stays in use, and before making a disk
// image.
//
// Errors: status.CodeControllerKeyHere and status.CodeNotConfirmed if a confirmation
// is missing, and those of the store.
func (a *Agent) ResetIdentity(ctx context.Context, req ResetRequest, progress func(string)) (LeaveResult, error) {
	end, err := a.begin(ctx, "a reset", progress)
	if err != nil {
		return LeaveResult{}, err
	}
	defer end()
	out := LeaveResult{Revoked: []string{}, LeftBehind: []LeftBehind{}, ControllerKeyOnDevice: a.store.HasControllerKey()}
	for _, m := range a.cfg.Machines {
		b := a.beaters[m.Name]
		e := &enroller{machine: b.configured(), store: a.store, progress: progress}
		facts, err := a.store.AgentFacts(b.name)
		if err != nil {
			facts = nil
		}
		out.LeftBehind = append(out.LeftBehind, e.leftBehind(facts)...)
	}
	if out.ControllerKeyOnDevice && !req.ForgetControllerKey {
		return out, status.NewProblem(status.CodeControllerKeyHere, "losing it means losing control of the identity")
	}
	if !req.Confirmed {
		return out, status.NewProblem(status.CodeNotConfirmed, deletedUnrevoked(len(out.LeftBehind)))
	}
	if ctx.Err() != nil { // the last moment at which nothing is deleted
		return out, context.Cause(ctx)
	}
	for _, b := range a.beaters {
		b.setRecord(nil) // no heartbeat is sent with a token that is being deleted
	}
	err = a.store.Reset()
	for _, b := range a.beaters {
		a.load(b)
	}
	if err != nil {
		return out, err
	}
	out.Changed, out.ControllerKeyOnDevice = true, false
	logEvent(a.log.Warn, status.CodeIdentityReset)
	return out, nil
}

// AdoptResult is the output of adopt --json.
type AdoptResult struct {
	Changed bool     `json:"changed"`
	Differs []string `json:"differs"` // names of the host facts that were updated
}

// Adopt binds the store to this host, which ends a quarantine, or the warning that the
// only known fact of the hardware differs. If the store already belongs to this host,
// it changes nothing. Errors: those of the store.
func (a *Agent) Adopt(ctx context.Context, progress func(string)) (AdoptResult, error) {
	end, err := a.begin(ctx, "an adoption", progress)
	if err != nil {
		return AdoptResult{}, err
	}
	defer end()
	out := AdoptResult{Differs: []string{}}
	err = a.store.Condition()
	var foreign *keystore.ForeignHostError
	differs := a.store.HostDiffers()
	if errors.As(err, &foreign) {
		differs = foreign.Factors
	} else if err != nil || len(differs) == 0 {
		return out, err
	}
	if ctx.Err() != nil {
		return out, context.Cause(ctx)
	}
	if err := a.store.AdoptHost(); err != nil {
		return out, err
	}
	out.Changed, out.Differs = true, differs
	logEvent(a.log.Warn, status.CodeHostAdopted, zap.Strings("differs", differs))
	for _, b := range a.beaters {
		a.load(b)
	}
	return out, nil
}

// deletedUnrevoked reports how many agents a reset leaves active on the orchestrator.
func deletedUnrevoked(n int) string {
	switch n {
	case 0:
		return ""
	case 1:
		return "1 agent will be deleted here without being revoked"
	}
	return fmt.Sprintf("%d agents will be deleted here without being revoked", n)
}
