package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"time"

	"go.uber.org/zap"

	"github.com/peaqnetwork/peaqos-agent/agent/config"
	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/keystore"
	"github.com/peaqnetwork/peaqos-agent/sdk"
)

// grantKind names the form of a grant.
const grantKind = "peaqos-agent-grant/1"

// Grant is an enrollment that was made on one computer for another: the agent's
// token and what belongs to it, and no account key. Whoever has it is the agent.
type Grant struct{ record keystore.Agent }

// grantDocument is a Grant as it travels, the token in plain text.
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

// Document is the grant for the robot's enroll --grant: one line of JSON. It holds
// the token; the caller wipes it.
func (g Grant) Document() ([]byte, error) {
	r := g.record
	b, err := json.Marshal(grantDocument{
		grantKind, r.Origin, r.MachineID, r.IdentityRef, r.AgentID, r.Label, r.AllowedProviderKeys, r.EnrolledAt, string(r.Token.Reveal()),
	})
	return append(b, '\n'), err
}

// maxGrantToken keeps a grant within what the admin socket takes.
const maxGrantToken = 8 << 10

// grantID is the form of an id, grantToken that of a token, of which no more is
// published than that it is text.
var (
	grantID    = regexp.MustCompile(`^[!-~]{1,128}$`)
	grantToken = regexp.MustCompile(`^[!-~]+$`)
)

// ParseGrant reads a Document. The error repeats nothing of it.
func ParseGrant(document []byte) (Grant, error) {
	bad := func(known string) (Grant, error) {
		return Grant{}, status.NewProblem(status.CodeGrant, known)
	}
	var d grantDocument
	if err := json.Unmarshal(document, &d); err != nil {
		return bad("it is not one JSON object")
	}
	origin, err := originOf(d.Orchestrator)
	switch {
	case d.Kind != grantKind:
		return bad(fmt.Sprintf("its kind is %.40q, not %q", d.Kind, grantKind))
	case err != nil || origin != d.Orchestrator:
		return bad("its orchestrator is not an origin")
	case !grantID.MatchString(d.MachineID) || !grantID.MatchString(d.AgentID) || !grantToken.MatchString(d.AgentToken) || len(d.AgentToken) > maxGrantToken:
		return bad("it lacks a machine id, an agent id or a token")
	case d.IdentityRef != "" && config.IdentityRefFault(d.IdentityRef, "any") != "":
		return bad("its identity is none")
	case config.TextFault(d.Label) != "":
		return bad("its label " + config.TextFault(d.Label))
	}
	return Grant{keystore.Agent{
		Origin: origin, MachineID: d.MachineID, IdentityRef: d.IdentityRef, AgentID: d.AgentID, Label: d.Label,
		Token: keystore.NewSecret(d.AgentToken), AllowedProviderKeys: d.AllowedProviderKeys, EnrolledAt: d.EnrolledAt.UTC(), Attempts: withLabel(nil, d.Label),
	}}, nil
}

// MakeGrant finds or registers the machine and enrolls an agent for it without a
// store of this computer, then gives the grant to hand, which returns once it is
// where it belongs. When anything fails from the enrollment on, the agent is
// revoked at once: a grant that nobody has is an orphan.
func MakeGrant(ctx context.Context, cfg *config.Config, opts Options, req EnrollRequest, hand func(Grant) error, progress func(string)) (EnrollResult, error) {
	origin, err := originOf(cfg.Orchestrator.URL)
	if err != nil {
		return EnrollResult{}, err
	}
	var transport http.RoundTripper = opts.Transport
	if transport == nil {
		if transport, err = newTransport(cfg.Orchestrator); err != nil {
			return EnrollResult{}, err
		}
	}
	api, err := newClient(cfg, transport, opts.Version, req.APIKey)
	if err != nil {
		return EnrollResult{}, err
	}
	if req.APIKey.IsZero() {
		return EnrollResult{}, noAPIKey("enroll --grant-out")
	}
	e := &enroller{machine: cfg.Machines[0], origin: origin, api: api, log: zap.NewNop(), state: status.NewTracker(cfg, time.Now()), progress: progress}
	if len(e.allowed()) == 0 {
		return EnrollResult{}, status.NewProblem(status.CodeProviderKeys, "")
	}
	return e.grant(ctx, req, hand)
}

func (e *enroller) grant(ctx context.Context, req EnrollRequest, hand func(Grant) error) (EnrollResult, error) {
	intent := e.enrollIntent(req)
	machine, err := e.findOrRegister(ctx, req, intent)
	if err != nil {
		return e.report, err
	}
	intent.MachineID, intent.IdentityRef = machine.ID, machine.IdentityRef
	agent, err := e.spend(ctx, intent)
	if err == nil {
		record := newRecord(intent, agent, e.allowed())
		e.describe(record)
		if err = hand(Grant{*record}); err == nil {
			e.report.Changed = true
			e.report.Reason = "it goes live on the robot"
			return e.report, nil
		}
	} else if !undecided(err) {
		return e.report, err // the orchestrator said no: nothing was made
	}
	cleanup, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
	defer cancel()
	if rerr := e.revokeOurs(cleanup, machine.ID, []string{intent.Label}, nil); rerr != nil {
		return e.report, at(status.NewProblem(status.CodeGrantNotDelivered, "agent "+intent.Label+" may still be active").
			Advise("find it with peaqos-agent agents list --machine-id "+machine.ID+" and revoke it"), err)
	}
	return e.report, at(status.NewProblem(status.CodeGrantNotDelivered, "the agent enrolled for it was revoked"), err)
}

// GrantRequest asks to take over a grant.
type GrantRequest struct {
	Machine string // configured name; empty means the only one
	Grant   Grant
	Force   bool // over a living identity
}

// TakeGrant stores an enrollment that was made elsewhere, and beats.
func (a *Agent) TakeGrant(ctx context.Context, req GrantRequest, progress func(string)) (EnrollResult, error) {
	if err := a.changing.acquire(ctx, "another command"); err != nil {
		return EnrollResult{}, err
	}
	defer a.changing.Unlock()
	b, err := a.beaterOf(req.Machine)
	if err != nil {
		return EnrollResult{}, err
	}
	e, err := a.enroller(b, sdk.Secret{}, progress)
	if err != nil {
		return EnrollResult{}, err
	}
	first := !a.store.EverHeld(b.name)
	record, err := e.take(req)
	if err != nil {
		return e.report, err
	}
	if first {
		a.bind()
	}
	if e.report.Changed || !b.uses(record.AgentID) {
		b.setRecord(record)
	}
	return e.firstBeat(ctx, b, e.report), nil
}

// take stores the record of a grant, unless it is here already.
func (e *enroller) take(req GrantRequest) (*keystore.Agent, error) {
	fresh := req.Grant.record
	if fresh.Origin != e.origin {
		return nil, status.NewProblem(status.CodeGrantOfOther, fmt.Sprintf("the grant is for %s, the configuration names %s", fresh.Origin, e.origin))
	}
	if err := e.sameIdentity(&fresh, EnrollRequest{Force: req.Force}); err != nil {
		return nil, err
	}
	old, err := e.store.Agent(e.machine.Name)
	switch {
	case err == nil && old.AgentID == fresh.AgentID:
		e.describe(old)
		return old, nil
	case err == nil && !req.Force:
		return nil, status.NewProblem(status.CodeEnrolledAlready, "as agent "+old.AgentID+" of "+old.MachineID)
	case err == nil, errors.Is(err, keystore.ErrNotFound):
	case req.Force && (errors.Is(err, keystore.ErrDamaged) || errors.Is(err, keystore.ErrSealed)):
		if old, err = e.former(err); err != nil {
			return nil, err
		}
	default:
		return nil, err
	}
	if err := e.proveStore(); err != nil {
		return nil, err
	}
	if old != nil && old.Origin == fresh.Origin && old.MachineID == fresh.MachineID {
		fresh.Attempts, fresh.Replaced = withLabel(old.Attempts, old.Label, fresh.Label), old.AgentID
	} else if old != nil {
		e.report.LeftBehind = e.leftBehind(old) // nothing here could revoke it
	}
	if err := e.put(&fresh); err != nil {
		return nil, err
	}
	e.count("success")
	e.report.Changed = true
	e.describe(&fresh)
	e.log.Info("enrolled by a grant", code(status.CodeEnrolled), zap.String("machine", e.machine.Name),
		zap.String("machine_id", fresh.MachineID), zap.String("agent_id", fresh.AgentID))
	return &fresh, nil
}
