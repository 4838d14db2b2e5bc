package agent

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/peaqnetwork/peaqos-agent/agent/config"
	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/keystore"
	"github.com/peaqnetwork/peaqos-agent/sdk"
)

// EnrollRequest is what a person (or a script) asks of enroll. Its secrets are
// used for this one request and dropped.
type EnrollRequest struct {
	Machine     string // configured name; empty means the only one
	MachineID   string
	IdentityRef string
	AgentLabel  string
	APIKey      sdk.Secret
	Controller  *keystore.Key // nil: a stored one, or the machine must exist already
	Proof       *Proof        // made by somebody else's signature, instead of a key
	Force       bool          // enroll anew over a living identity
	DryRun      bool          // say what would be sent, prove the store durable, spend nothing

	predecessors bool // revoke what carries our label first: an ephemeral store has no memory
}

// EnrollResult is what enroll --json prints: no secret among it.
type EnrollResult struct {
	Changed        bool          `json:"changed"`
	MachineID      string        `json:"machine_id"`
	AgentID        string        `json:"agent_id"`
	IdentityRef    string        `json:"identity_ref"`
	Live           bool          `json:"live"`
	Reason         string        `json:"reason,omitempty"` // why it is not live
	LeaseExpiresAt *time.Time    `json:"lease_expires_at"`
	Registered     bool          `json:"registered,omitempty"`  // the machine was registered by this enroll
	Revoked        []string      `json:"revoked,omitempty"`     // agents that an interrupted attempt had left
	LeftBehind     []LeftBehind  `json:"left_behind,omitempty"` // agents of a machine that was given up here, and that this key cannot revoke
	DryRun         *Registration `json:"dry_run,omitempty"`
}

// Registration is what a dry run would have sent.
type Registration struct {
	Machine     *sdk.CreateMachine `json:"machine,omitempty"` // nil when the machine exists
	AgentLabel  string             `json:"agent_label"`
	Allowed     []string           `json:"allowed_provider_keys"`
	StoreProved bool               `json:"store_proved_durable"`
}

// enroller is the enrollment transaction of one machine. The API gives the
// token once and has no idempotency key, so the order is everything:
//
//  1. the store is ours (its lock is held) and is proved durable, before
//     anything is spent;
//  2. the intent is journalled, from POST /machines on, with the label that
//     will be sent: its eight random characters name an orphan for certain;
//  3. POST enrollment;
//  4. the record is sealed and written durably to both slots, read back;
//  5. the journal is dropped; the record keeps the attempts' labels, so that a
//     later verb with an API key can look once more;
//  6. the first beat, which is not part of the transaction.
//
// Cut short anywhere, the next enroll revokes exactly the agents that carry a
// journalled label, and begins again.
type enroller struct {
	machine  config.Machine
	origin   string
	store    *keystore.Store
	put      func(*keystore.Agent) error // stores the record for whoever beats with it
	api      *sdk.Client                 // with the API key
	log      *zap.Logger
	state    *status.Tracker
	progress func(string) // one line for a person, on stderr
	settled  []string     // labels of interrupted attempts: looked for once more later
	report   EnrollResult

	replaceLostKey bool // also when other records need the lost key
}

func (e *enroller) enroll(ctx context.Context, req EnrollRequest) (*keystore.Agent, EnrollResult, error) {
	record, err := e.store.Agent(e.machine.Name)
	switch {
	case err == nil:
		if err := e.sameIdentity(record, req); err != nil {
			return nil, e.report, err
		}
		if !req.Force {
			e.lookOnceMore(ctx, record, req)
			e.describe(record)
			return record, e.report, nil
		}
	case errors.Is(err, keystore.ErrNotFound):
	case req.Force && (errors.Is(err, keystore.ErrDamaged) || errors.Is(err, keystore.ErrSealed)):
		if record, err = e.former(err); err != nil {
			return nil, e.report, err
		}
	default:
		return nil, e.report, err
	}
	if req.APIKey.IsZero() {
		return nil, e.report, noAPIKey("enroll")
	}
	if err := e.proveStore(); err != nil {
		return nil, e.report, err
	}
	if !req.DryRun {
		if err := e.settle(ctx, record); err != nil {
			return nil, e.report, err
		}
	}
	return e.obtain(ctx, req, record)
}

// obtain finds or registers the machine and spends one enrollment on it.
func (e *enroller) obtain(ctx context.Context, req EnrollRequest, old *keystore.Agent) (*keystore.Agent, EnrollResult, error) {
	intent := e.enrollIntent(req)
	machine, err := e.findOrRegister(ctx, req, intent)
	if err != nil {
		e.count(enrollFailure(err))
		return nil, e.report, err
	}
	allowed := e.allowed()
	if req.DryRun {
		e.report.DryRun.AgentLabel, e.report.DryRun.Allowed, e.report.DryRun.StoreProved = intent.Label, allowed, !e.store.Volatile()
		return nil, e.report, nil
	}
	intent.MachineID, intent.IdentityRef = machine.ID, machine.IdentityRef
	if req.predecessors {
		if err := e.revokePredecessors(ctx, machine.ID); err != nil {
			return nil, e.report, err
		}
	}
	if old != nil && old.MachineID != machine.ID {
		if err := e.leave(ctx, old); err != nil {
			return nil, e.report, err
		}
	}
	agent, err := e.spend(ctx, intent)
	if err != nil {
		return nil, e.report, err
	}
	record := newRecord(intent, agent, allowed)
	if old != nil && old.Origin == e.origin && old.MachineID == machine.ID {
		record.Attempts, record.Replaced = withLabel(old.Attempts, old.Label, intent.Label), old.AgentID
	}
	record.Attempts = withLabel(e.settled, record.Attempts...)
	if err := e.keep(record, agent.ID); err != nil {
		return nil, e.report, err
	}
	e.count("success")
	e.report.Changed = true
	e.log.Info("enrolled", code(status.CodeEnrolled), zap.String("machine", e.machine.Name),
		zap.String("machine_id", machine.ID), zap.String("agent_id", agent.ID))
	e.describe(record)
	if record.Replaced != "" {
		record, err = e.revokeFormer(ctx, record)
	}
	return record, e.report, err
}

func (e *enroller) enrollIntent(req EnrollRequest) *keystore.Intent {
	return &keystore.Intent{
		Kind: "enroll", Origin: e.origin, MachineID: firstOf(req.MachineID, e.machine.ID),
		IdentityRef: firstOf(req.IdentityRef, e.machine.IdentityRef),
		Label:       attemptLabel(firstOf(req.AgentLabel, e.machine.AgentLabel)), StartedAt: time.Now().UTC(),
	}
}

// proveStore makes sure that a token can be kept before one is asked for.
func (e *enroller) proveStore() error {
	if err := e.store.CheckDurable(); err != nil {
		e.count("durability")
		if errors.Is(err, keystore.ErrVolatile) || errors.Is(err, keystore.ErrUnreadable) {
			return err
		}
		return at(status.NewProblem(status.CodeStoreNotDurable, ""), err)
	}
	return nil
}

// spend journals the intent and asks for the token, which is given once.
func (e *enroller) spend(ctx context.Context, intent *keystore.Intent) (*sdk.EnrolledAgent, error) {
	if err := e.journal(intent); err != nil {
		e.count("durability")
		return nil, err
	}
	e.progress("enrolling the agent " + intent.Label)
	agent, err := e.api.MachineAgents.Enroll(ctx, intent.MachineID, sdk.EnrollMachineAgent{Label: sdk.Some(intent.Label), AllowedProviderKeys: sdk.Some(e.allowed())})
	if err != nil {
		e.count(enrollFailure(err))
		return nil, e.enrollmentFault(ctx, intent.MachineID, err)
	}
	return agent, nil
}

// journal stores the intent; an enrollment whose token goes elsewhere has no store.
func (e *enroller) journal(intent *keystore.Intent) error {
	if e.store == nil {
		return nil
	}
	return e.store.PutIntent(e.machine.Name, intent)
}

// keep stores the record that a new token came with and ends the journal.
func (e *enroller) keep(record *keystore.Agent, newID string) error {
	if err := e.put(record); err != nil {
		e.count("lost")
		return at(status.NewProblem(status.CodeTokenNotStored, "agent "+newID), err)
	}
	return e.store.DropIntent(e.machine.Name)
}

// newRecord is what the daemon needs from a fresh enrollment.
func newRecord(intent *keystore.Intent, agent *sdk.EnrolledAgent, allowed []string) *keystore.Agent {
	return &keystore.Agent{
		Origin: intent.Origin, MachineID: intent.MachineID, IdentityRef: intent.IdentityRef, AgentID: agent.ID, Label: intent.Label,
		Token: keystore.NewSecret([]byte(agent.Token.Reveal())), AllowedProviderKeys: allowed,
		EnrolledAt: time.Now().UTC(), Attempts: []string{intent.Label},
	}
}

// sameIdentity refuses to take a record for something it is not.
func (e *enroller) sameIdentity(r *keystore.Agent, req EnrollRequest) error {
	if r.Origin != e.origin {
		return status.NewProblem(status.CodeOtherOrchestrator,
			fmt.Sprintf("it is enrolled with %s, the configuration names %s; the token is never sent elsewhere", r.Origin, e.origin))
	}
	want, have := firstOf(req.MachineID, e.machine.ID), r.MachineID
	if want == "" {
		want, have = config.CanonicalRef(firstOf(req.IdentityRef, e.machine.IdentityRef)), config.CanonicalRef(r.IdentityRef)
	}
	if want != "" && want != have && !req.Force {
		return status.NewProblem(status.CodeOtherIdentity, fmt.Sprintf("it holds %s (%s), you asked for %s", r.IdentityRef, r.MachineID, want))
	}
	return nil
}

// enrollmentFault explains a failed POST enrollment. When the answer came but
// held no token, the agent's id is known and it is revoked at once.
func (e *enroller) enrollmentFault(ctx context.Context, machineID string, err error) error {
	var missing *sdk.MissingTokenError
	if errors.As(err, &missing) {
		if rerr := e.api.MachineAgents.Revoke(ctx, machineID, missing.AgentID); rerr != nil {
			return &stepError{fmt.Sprintf("the orchestrator enrolled agent %s without returning its token, and the agent could not be revoked (%v)", missing.AgentID, rerr), err}
		}
		e.report.Revoked = append(e.report.Revoked, missing.AgentID)
		return err
	}
	if undecided(err) {
		return at(status.NewProblem(status.CodeEnrollmentLost, ""), err)
	}
	if e.store == nil {
		return err
	}
	if derr := e.store.DropIntent(e.machine.Name); derr != nil {
		return derr
	}
	return err
}

func (e *enroller) describe(r *keystore.Agent) {
	e.report.MachineID, e.report.AgentID, e.report.IdentityRef = r.MachineID, r.AgentID, r.IdentityRef
}

func (e *enroller) count(result string) {
	e.state.UpdateProcess(func(a *status.Process) { a.Enrollments[result]++ })
}

// enrollFailure names the metric label of a failed enrollment.
func enrollFailure(err error) string {
	if undecided(err) {
		return "network"
	}
	return "rejected"
}

// undecided says that nobody knows what the orchestrator made of a request: it left,
// and no answer of the API came back. What we refuse ourselves never left.
func undecided(err error) bool {
	var network *sdk.NetworkError
	var redirect *sdk.RedirectError
	var api *sdk.APIError
	switch {
	case errors.As(err, &api):
		v := judgeAPI(api)
		return v.kind == unreachable || v.kind == middlebox || api.StatusCode >= 500
	case errors.As(err, &network), errors.As(err, &redirect):
		return true
	}
	return false
}

// allowed are the provider keys that the agent may publish, fixed at enrollment.
func (e *enroller) allowed() []string {
	if len(e.machine.AllowedProviderKeys) > 0 {
		return e.machine.AllowedProviderKeys
	}
	keys := []string{}
	for _, ep := range e.machine.Endpoints {
		keys = append(keys, ep.ProviderKey)
	}
	return keys
}

// attemptLabel ends in # and eight random characters, so that an agent whose
// enrollment was interrupted is known by its name alone.
func attemptLabel(label string) string {
	return label + "#" + strings.ToLower(rand.Text()[:8])
}

func firstOf(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}
