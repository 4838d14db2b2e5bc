package agent

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/peaqnetwork/peaqos-agent/agent/config"
	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/keystore"
	"github.com/peaqnetwork/peaqos-agent/sdk"
)

// grantKind is the kind and version of a grant document.
const grantKind = "peaqos-agent-grant/1"

const (
	maxGrantToken = 8 << 10 // bytes of a token, so that a grant fits into a request to the admin socket
	maxGrantKeys  = 256     // provider keys
)

// Grant is an enrollment that was made on one computer for another: the agent token
// and the facts that belong to it, without an account key. Anyone who has it can act
// as the agent.
type Grant struct{ record keystore.Agent }

// grantDocument is a Grant as JSON, with the token in plain text.
type grantDocument struct {
	Kind                string    `json:"kind"`
	Orchestrator        string    `json:"orchestrator"`
	MachineID           string    `json:"machine_id"`
	IdentityRef         string    `json:"identity_ref"`
	AgentID             string    `json:"agent_id"`
	Label               string    `json:"label"`
	AllowedProviderKeys []string  `json:"allowed_provider_keys"`
	EnrolledAt          time.Time `json:"enrolled_at"`
	AgentToken          string    `json:"agent_token"`
}

// Document returns the grant as one line of JSON, for enroll --grant on the other
// device. It contains the token; the caller wipes it.
func (g Grant) Document() ([]byte, error) {
	r := g.record
	b, err := json.Marshal(grantDocument{
		grantKind, r.Origin, r.MachineID, r.IdentityRef, r.AgentID, r.Label, r.AllowedProviderKeys, r.EnrolledAt, string(r.Token.Reveal()),
	})
	return append(b, '\n'), err
}

// ParseGrant reads a [Grant.Document]. Error: status.CodeGrant, with the member that
// is wrong and without its value.
func ParseGrant(document []byte) (Grant, error) {
	bad := func(detail string) (Grant, error) {
		return Grant{}, status.NewProblem(status.CodeGrant, detail)
	}
	if len(bytes.TrimSpace(document)) == 0 {
		return Grant{}, status.NewProblem(status.CodeGrant, "it is empty").Advise("see the error of the command that makes the grant, above")
	}
	var d grantDocument
	if err := json.Unmarshal(document, &d); err != nil {
		return bad("not a single JSON object")
	}
	origin, err := originOf(d.Orchestrator)
	switch {
	case d.Kind != grantKind:
		return bad(fmt.Sprintf("its kind is %.40q, not %q", d.Kind, grantKind))
	case err != nil || origin != d.Orchestrator:
		return bad("orchestrator is not an origin")
	case !validID(d.MachineID) || !validID(d.AgentID) || !printable(d.AgentToken, maxGrantToken):
		return bad("a machine id, an agent id or a token is missing or not valid")
	case d.IdentityRef != "" && config.IdentityRefFault(d.IdentityRef, "any") != "":
		return bad("the identity is not valid")
	case !isAttempt(d.Label):
		return bad("its label does not end in # and eight characters")
	case config.LabelFault(d.Label[:len(d.Label)-attemptSuffix-1]) != "":
		return bad("its label " + config.LabelFault(d.Label[:len(d.Label)-attemptSuffix-1]))
	case len(d.AllowedProviderKeys) > maxGrantKeys || slices.ContainsFunc(d.AllowedProviderKeys, func(k string) bool { return config.ProviderKeyFault(k) != "" }):
		return bad("a provider key is not valid")
	case !d.EnrolledAt.IsZero() && plausibleTime(d.EnrolledAt.Format(time.RFC3339Nano), time.Now()).IsZero():
		return bad("its time of enrollment is not plausible")
	}
	return Grant{keystore.Agent{
		Origin: origin, MachineID: d.MachineID, IdentityRef: d.IdentityRef, AgentID: d.AgentID, Label: d.Label,
		Token: keystore.NewSecret(d.AgentToken), AllowedProviderKeys: d.AllowedProviderKeys,
		EnrolledAt: d.EnrolledAt.UTC(),
	}}, nil
}

// printable reports whether text is 1 to most bytes of printable ASCII without
// spaces: all that is known about the form of an id or a token.
func printable(text string, most int) bool {
	for i := range len(text) {
		if text[i] <= ' ' || text[i] > '~' {
			return false
		}
	}
	return text != "" && len(text) <= most
}

// MakeGrant finds or registers the machine and enrolls an agent for it, without a
// store on this computer. hand receives the grant and returns when it is delivered.
// If anything fails after the enrollment, the agent is revoked at once, because
// nobody has its token.
//
// Errors: status.CodeProviderKeys if the configuration has no provider keys,
// status.CodeGrantNotDelivered if hand failed or the response was lost, and those of
// an enrollment.
func MakeGrant(
	ctx context.Context, cfg *config.Config, opts Options, req EnrollRequest, hand func(Grant) error, progress func(string),
) (EnrollResult, error) {
	e, err := remoteEnroller(ctx, cfg, opts, req, "enroll --grant-out", progress)
	if err != nil {
		return EnrollResult{}, err
	}
	if len(e.allowed()) == 0 {
		return EnrollResult{}, status.NewProblem(status.CodeProviderKeys, "")
	}
	for _, key := range e.allowed() {
		if fault := config.ProviderKeyFault(key); fault != "" {
			return EnrollResult{}, status.NewProblem(status.CodeValidation, fmt.Sprintf("the provider key %.80q %s", key, fault))
		}
	}
	err = e.makeGrant(ctx, req, hand)
	return e.report, err
}

func (e *enroller) makeGrant(ctx context.Context, req EnrollRequest, hand func(Grant) error) error {
	intent := e.intent(req)
	machine, err := e.findOrRegister(ctx, req, intent)
	if err != nil {
		return err
	}
	intent.MachineID, intent.IdentityRef = machine.ID, machine.IdentityRef
	intent.Label = attemptLabel(e.labelFor(req, cmp.Or(machine.IdentityRef, machine.ID)), "")
	sample := newRecord(intent, &sdk.EnrolledAgent{MachineAgent: sdk.MachineAgent{ID: "a"}, Token: sdk.NewSecret("t")}, e.allowed())
	if err := (Grant{*sample}).acceptable(); err != nil {
		return err // before an agent is enrolled that no device would accept
	}
	agent, err := e.requestToken(ctx, intent)
	if err == nil {
		record := newRecord(intent, agent, e.allowed())
		e.describe(record)
		if err = (Grant{*record}).acceptable(); err == nil {
			err = hand(Grant{*record})
		}
		if err == nil {
			e.report.Changed = true
			e.report.Reason = "it becomes active on the device that redeems the grant"
			return nil
		}
	} else if !undecided(err) {
		return err // the orchestrator refused: there is no agent
	}
	cleanup, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
	defer cancel()
	if rerr := e.revokeOurs(cleanup, machine.ID, []string{intent.Label}, nil); rerr != nil {
		return at(status.NewProblem(status.CodeGrantNotDelivered, "agent "+intent.Label+" may still be active").
			Advise("find it with peaqos-agent agents list --machine-id "+machine.ID+" and revoke it"), err)
	}
	return at(status.NewProblem(status.CodeGrantNotDelivered, "the agent enrolled for it was revoked"), err)
}

// acceptable returns the error of a device that gets this grant, nil if there is none.
func (g Grant) acceptable() error {
	document, err := g.Document()
	if err != nil {
		return err
	}
	defer clear(document)
	_, err = ParseGrant(document)
	return err
}

// GrantRequest asks to store an enrollment that was made on another computer.
type GrantRequest struct {
	// Machine is a name under machines in the configuration; empty: the only one.
	Machine string `json:"machine,omitempty"`
	Grant   Grant  `json:"-"`
	Force   bool   `json:"force,omitempty"` // replace an existing enrollment
	// ReplaceLostKey, with Force, is as in RotateRequest.
	ReplaceLostKey bool `json:"replace_lost_key,omitempty"`
}

// TakeGrant stores an enrollment that was made on another computer and sends one
// heartbeat. It needs no API key, so it revokes nothing.
//
// Errors: status.CodeGrantOfOther, status.CodeEnrolledAlready, and those of the store.
func (a *Agent) TakeGrant(ctx context.Context, req GrantRequest, progress func(string)) (EnrollResult, error) {
	end, err := a.begin(ctx, "the storing of a grant", progress)
	if err != nil {
		return EnrollResult{}, err
	}
	defer end()
	b, err := a.beaterOf(req.Machine)
	if err != nil {
		return EnrollResult{}, err
	}
	e, err := a.enrollerOf(b, sdk.Secret{}, progress)
	if err != nil {
		return EnrollResult{}, err
	}
	e.replaceLostKey = req.ReplaceLostKey
	first := !a.store.EverHeld(b.name)
	record, err := e.storeGrant(ctx, req.Grant.record, req.Force)
	if err != nil {
		return e.report, err
	}
	if first {
		a.bind()
	}
	if e.report.Changed || !b.uses(record.AgentID) {
		b.setRecord(record)
	}
	if w := notAllowed(b.configured(), allowedOf(record)); w != "" {
		e.report.Warnings = append(e.report.Warnings, w)
	}
	e.confirmWithHeartbeat(ctx, b)
	return e.report, nil
}

// storeGrant stores the record of a grant, unless the store has it already, and
// returns the record in use.
func (e *enroller) storeGrant(ctx context.Context, fresh keystore.Agent, force bool) (*keystore.Agent, error) {
	if fresh.Token.IsZero() {
		return nil, status.NewProblem(status.CodeGrant, "it has no token")
	}
	if fresh.Origin != e.origin {
		return nil, status.NewProblem(status.CodeGrantOfOther,
			fmt.Sprintf("the grant is for %s, the configuration names %s", fresh.Origin, e.origin))
	}
	if err := e.sameIdentity(&fresh, "", "", force); err != nil { // an image may still name the machine that it was cut from
		return nil, status.NewProblem(status.CodeGrantOfOther, fmt.Sprintf("the grant is for %s (%s), the configuration names %s; agent %s is active until it is revoked",
			fresh.IdentityRef, fresh.MachineID, cmp.Or(e.machine.ID, e.machine.IdentityRef), fresh.AgentID)).
			Advise("remove identity_ref and id of the machine from the configuration, restart the agent, then run the command again; or make a grant for the machine that it names").Wrap(err)
	}
	old, err := e.store.Agent(e.machine.Name)
	switch {
	case err == nil && old.AgentID == fresh.AgentID:
		e.describe(old)
		return old, nil
	case err == nil && !force:
		return nil, status.NewProblem(status.CodeEnrolledAlready,
			"as agent "+old.AgentID+" of "+old.MachineID+"; the grant's agent, "+fresh.AgentID+", was not stored, and is active until it is revoked")
	case err == nil, errors.Is(err, keystore.ErrNotFound):
	case force && tokenLost(err):
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if old, err = e.recoverFacts(err); err != nil {
			return nil, err
		}
	default:
		return nil, err
	}
	if err := e.checkDurable(); err != nil {
		return nil, err
	}
	if old != nil && old.Origin == fresh.Origin && old.MachineID == fresh.MachineID {
		fresh.Attempts, fresh.Replaced = old.Attempts, old.AgentID
	} else if old != nil {
		e.report.LeftBehind = e.leftBehind(old) // there is no API key to revoke it with
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err := e.put(&fresh); err != nil {
		return nil, err
	}
	e.count("success")
	e.report.Changed = true
	e.describe(&fresh)
	e.log.Info("enrolled with a grant", code(status.CodeEnrolled), zap.String("machine", e.machine.Name),
		zap.String("machine_id", fresh.MachineID), zap.String("agent_id", fresh.AgentID))
	return &fresh, nil
}
