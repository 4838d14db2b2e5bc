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
	Machine   string // configured name; empty means the only one
	APIKey    sdk.Secret
	LocalOnly bool // forget without revoking, for a device without an API key
	// ReplaceLostKey: as in RotateRequest.
	ReplaceLostKey bool
}

// LeaveResult is what unenroll and reset-identity print as JSON.
type LeaveResult struct {
	Changed bool     `json:"changed"`
	Revoked []string `json:"revoked"` // by this run
	// LeftBehind may live on: nobody here revoked them.
	LeftBehind []LeftBehind `json:"left_behind"`
	// ControllerKeyOnDevice says whether a controller key stays.
	ControllerKeyOnDevice bool `json:"controller_key_on_device"`
}

// LeftBehind is an agent that may still live on its orchestrator.
type LeftBehind struct {
	Orchestrator string `json:"orchestrator"`
	MachineID    string `json:"machine_id"`
	AgentID      string `json:"agent_id,omitempty"` // empty when only its label is known
	Label        string `json:"label"`
}

// Unenroll revokes the machine's agents and forgets their tokens, in this order, so
// that a cut leaves something to run again with. A controller key stays.
func (a *Agent) Unenroll(ctx context.Context, req LeaveRequest, progress func(string)) (LeaveResult, error) {
	a.changing.Lock()
	defer a.changing.Unlock()
	b, err := a.beaterOf(req.Machine)
	if err != nil {
		return LeaveResult{}, err
	}
	e, err := a.enroller(b, req.APIKey, progress)
	if err != nil {
		return LeaveResult{}, err
	}
	e.replaceLostKey = req.ReplaceLostKey
	record, err := e.leaving()
	if err != nil {
		return LeaveResult{}, err
	}
	out := LeaveResult{Revoked: []string{}, LeftBehind: []LeftBehind{}}
	if req.LocalOnly {
		out.LeftBehind = e.leftBehind(record)
	} else if err := e.revokeAll(ctx, record, req.APIKey); err != nil {
		return out, err
	}
	out.Revoked = append(out.Revoked, e.report.Revoked...)
	b.adopt(nil) // no beat may bring back what is being forgotten
	if err := e.forget(); err != nil {
		a.load(b)
		return out, err
	}
	out.Changed = record != nil || len(out.LeftBehind) > 0 || len(out.Revoked) > 0
	out.ControllerKeyOnDevice = a.store.HasControllerKey()
	a.load(b)
	if out.Changed {
		a.log.Info("unenrolled", code(status.CodeUnenrolled), zap.String("machine", b.name), zap.Strings("revoked", out.Revoked))
	}
	return out, nil
}

// leaving is the record to leave, or what is known of one that cannot be read; nil
// when there is none. On other hardware it is refused: the machine that the token
// belongs to may be alive, and would be cut off.
func (e *enroller) leaving() (*keystore.Agent, error) {
	record, err := e.store.Agent(e.machine.Name)
	if errors.Is(err, keystore.ErrSealed) || errors.Is(err, keystore.ErrDamaged) {
		record, err = e.store.AgentFacts(e.machine.Name)
	}
	if errors.Is(err, keystore.ErrNotFound) {
		return nil, nil
	}
	return record, err
}

func (e *enroller) revokeAll(ctx context.Context, record *keystore.Agent, key sdk.Secret) error {
	intent, err := e.interrupted()
	if err != nil || (record == nil && intent == nil) {
		return err
	}
	if key.IsZero() {
		p := noAPIKey("unenroll")
		p.Next += "; or --local-only to forget the token here and revoke the agent from elsewhere"
		return p
	}
	if err := e.settle(ctx, nil); err != nil || record == nil {
		return err
	}
	if record.Origin != e.origin {
		return e.sameIdentity(record, EnrollRequest{})
	}
	e.progress("revoking the agent " + record.AgentID)
	err = e.revokeOurs(ctx, record.MachineID, withLabel(record.Attempts, record.Label), agentsOf(record))
	if machineGone(err) {
		return nil
	}
	return err
}

// leftBehind names what nobody revokes here.
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

// forget drops record and journal, also of a store whose key is lost.
func (e *enroller) forget() error {
	if errors.Is(e.store.Condition(), keystore.ErrSealed) {
		if err := e.store.PrepareNewKey(e.machine.Name, e.replaceLostKey); err != nil {
			return &stepError{"the token alone cannot be deleted; peaqos-agent reset-identity deletes the whole store", err}
		}
	}
	if err := e.store.DropAgent(e.machine.Name); err != nil {
		return err
	}
	return e.store.DropIntent(e.machine.Name)
}

// ResetRequest asks to forget everything that the store holds.
type ResetRequest struct {
	// Confirmed says that the person knows what is lost.
	Confirmed bool `json:"confirmed,omitempty"`
	// ForgetControllerKey says it of the controller key, which may have no other copy.
	ForgetControllerKey bool `json:"forget_controller_key,omitempty"`
}

// ResetIdentity forgets all records and the key of the store, and revokes nothing:
// it is for a copy, whose original lives on, and for what becomes an image.
func (a *Agent) ResetIdentity(_ context.Context, req ResetRequest, progress func(string)) (LeaveResult, error) {
	a.changing.Lock()
	defer a.changing.Unlock()
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
	for _, b := range a.beaters {
		b.adopt(nil) // no beat goes out with a token that is being forgotten
	}
	err := a.store.Reset()
	for _, b := range a.beaters {
		a.load(b)
	}
	if err != nil {
		return out, err
	}
	out.Changed, out.ControllerKeyOnDevice = true, false
	a.log.Warn("the store was reset: everything is forgotten", code(status.CodeIdentityReset))
	return out, nil
}

// AdoptResult is what adopt prints as JSON.
type AdoptResult struct {
	Changed bool     `json:"changed"`
	Differs []string `json:"differs"` // the facts of the host that were taken over
}

// Adopt takes this host for the store's own and ends a quarantine.
func (a *Agent) Adopt(context.Context, func(string)) (AdoptResult, error) {
	a.changing.Lock()
	defer a.changing.Unlock()
	out := AdoptResult{Differs: []string{}}
	err := a.store.Condition()
	var foreign *keystore.ForeignHostError
	differs := a.store.HostDiffers()
	if errors.As(err, &foreign) {
		differs = foreign.Factors
	} else if err != nil || len(differs) == 0 {
		return out, err
	}
	if err := a.store.AdoptHost(); err != nil {
		return out, err
	}
	out.Changed, out.Differs = true, differs
	a.log.Warn("this host was adopted as the store's own", code(status.CodeHostAdopted), zap.Strings("differs", differs))
	for _, b := range a.beaters {
		a.load(b)
	}
	return out, nil
}

// deletedUnrevoked says how many agents a reset leaves active on the orchestrator.
func deletedUnrevoked(n int) string {
	switch n {
	case 0:
		return ""
	case 1:
		return "1 agent will be deleted here without being revoked"
	}
	return fmt.Sprintf("%d agents will be deleted here without being revoked", n)
}
