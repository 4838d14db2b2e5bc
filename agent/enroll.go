package agent

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/peaqnetwork/peaqos-agent/agent/config"
	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/keystore"
	"github.com/peaqnetwork/peaqos-agent/sdk"
)

// EnrollRequest asks to enroll one machine. Its secrets are used for this request
// only; the caller wipes the controller key.
type EnrollRequest struct {
	// Machine is a name under machines in the configuration; empty: the only one.
	Machine string `json:"machine,omitempty"`
	// MachineID (mach_…) or IdentityRef (did:peaq:…) names the machine on the
	// orchestrator; both empty: the configured ones.
	MachineID   string `json:"machine_id,omitempty"`
	IdentityRef string `json:"identity_ref,omitempty"`
	AgentLabel  string `json:"agent_label,omitempty"`  // empty: the configured one
	DisplayName string `json:"display_name,omitempty"` // of a machine that is registered; empty: the configured one

	APIKey     sdk.Secret    `json:"-"`
	Controller *keystore.Key `json:"-"` // nil: the stored key, if there is one
	// Proof is a signature made with a key that is not on this device.
	Proof *Proof `json:"proof,omitempty"`

	Force  bool `json:"force,omitempty"`   // replace an existing enrollment
	DryRun bool `json:"dry_run,omitempty"` // check the store and report what would be sent; change nothing

	// ReplaceLostKey, with Force, is as in RotateRequest.
	ReplaceLostKey bool `json:"replace_lost_key,omitempty"`

	// predecessors: revoke other agents with our label first, for a store that does
	// not outlive its container.
	predecessors bool
}

// EnrollResult is the output of enroll --json. It contains no secret.
type EnrollResult struct {
	Changed     bool   `json:"changed"`
	MachineID   string `json:"machine_id"`
	AgentID     string `json:"agent_id"`
	IdentityRef string `json:"identity_ref"`
	Live        bool   `json:"live"`
	Reason      string `json:"reason"` // why it is not live
	// Cause is why it is not live, and RetryAfter how long the orchestrator asked to
	// wait before the next heartbeat.
	Cause          *status.Cause `json:"-"`
	RetryAfter     time.Duration `json:"-"`
	LeaseExpiresAt *time.Time    `json:"lease_expires_at"`
	Registered     bool          `json:"registered"`  // this request registered the machine
	Revoked        []string      `json:"revoked"`     // ids of earlier agents of this device
	LeftBehind     []LeftBehind  `json:"left_behind"` // agents of the previous machine that this API key cannot revoke
	// Warnings are about endpoints that the orchestrator will refuse.
	Warnings []string `json:"warnings"`
	// OtherAgents are the machine's other active agents. They are listed when an API key
	// was given.
	OtherAgents []OtherAgent  `json:"other_agents"`
	DryRun      *Registration `json:"dry_run,omitempty"`
}

// OtherAgent is an active agent of the same machine that is not the one in use here.
type OtherAgent struct {
	AgentID    string     `json:"agent_id"`
	Label      string     `json:"agent_label"`
	LastSeenAt *time.Time `json:"last_seen_at"` // null: never
	// OurLabel: its label begins with this device's agent_label, so it may be an agent
	// of this device that the store does not know.
	OurLabel bool `json:"our_label"`
}

// Registration is what a dry run would have sent.
type Registration struct {
	Register    *registerBody `json:"register,omitempty"` // nil when the machine exists
	AgentLabel  string        `json:"agent_label"`
	Allowed     []string      `json:"allowed_provider_keys"`
	StoreProved bool          `json:"store_proved_durable"` // false: it is in memory, which was accepted
}

// Enroll enrolls one machine and sends one heartbeat. If the machine is enrolled
// already, it changes nothing, but revokes what interrupted attempts left when an
// API key is given. progress receives one line per step.
//
// Errors: see [Explain]. The result is valid also with an error: it lists what was
// done before the failure.
func (a *Agent) Enroll(ctx context.Context, req EnrollRequest, progress func(string)) (EnrollResult, error) {
	if err := checkNames(req); err != nil {
		return EnrollResult{}, err
	}
	end, err := a.begin(ctx, "an enrollment", progress)
	if err != nil {
		return EnrollResult{}, err
	}
	defer end()
	b, err := a.beaterOf(req.Machine)
	if err != nil {
		return EnrollResult{}, err
	}
	e, err := a.enrollerOf(b, req.APIKey, progress)
	if err != nil {
		return EnrollResult{}, err
	}
	e.replaceLostKey = req.ReplaceLostKey
	first := !a.store.EverHeld(b.name)
	if !req.DryRun {
		if err := a.takeOverRenamed(b, cmp.Or(req.MachineID, b.configured().ID), cmp.Or(req.IdentityRef, b.configured().IdentityRef)); err != nil {
			return EnrollResult{}, err
		}
	}
	record, err := e.enroll(ctx, req)
	if record != nil && first {
		a.bind()
	}
	if record != nil && (e.report.Changed || !b.uses(record.AgentID)) {
		b.setRecord(record)
	}
	if err != nil || record == nil {
		return e.report, err
	}
	if req.DryRun {
		e.report.Reason = "a dry run sends no heartbeat"
		return e.report, nil
	}
	if w := notAllowed(b.configured(), allowedOf(record)); w != "" {
		e.report.Warnings = append(e.report.Warnings, w)
	}
	e.confirmWithHeartbeat(ctx, b)
	if req.APIKey.IsZero() {
		return e.report, nil
	}
	r := &rotation{e: e, b: b, beat: beatOutcome{live: e.report.Live, reason: e.report.Reason}}
	_, err = r.finish(ctx) // an interrupted rotation leaves two active agents
	e.report.AgentID = b.currentRecord().AgentID
	if err == nil {
		err = a.settleRenamed(ctx, e, b.currentRecord())
		e.nameOthers(ctx, b.currentRecord())
	}
	return e.report, err
}

// enrollerOf returns the enroller of one machine; a.changing is held.
func (a *Agent) enrollerOf(b *beater, key sdk.Secret, progress func(string)) (*enroller, error) {
	api, err := a.api(a.current, a.transport, key)
	if err != nil {
		return nil, err
	}
	return &enroller{
		machine: b.configured(), origin: a.origin, store: a.store, put: b.storeRecord, api: api,
		log: a.log, state: a.state, progress: progress,
	}, nil
}

// enroller changes the enrollment of one machine. Its methods are in enroll.go (the
// transaction), register.go (the machine and its proof), revoke.go (agents that are
// no longer used), rotate.go, grant.go and leave.go.
//
// The orchestrator returns the agent token once and has no idempotency key, so the
// order of the steps makes it impossible to lose a token unnoticed:
//
//  1. the store belongs to this process (its lock is held) and is checked to be
//     durable, before anything is requested;
//  2. the intent is journaled, from POST /machines on, with the label that will be
//     sent: its eight random characters identify an orphaned agent;
//  3. POST enrollment;
//  4. the record is sealed, written durably to both slots and read back;
//  5. the journal is dropped; the record keeps the labels of all attempts, so that a
//     later command with an API key can look for their agents again;
//  6. the first heartbeat, which is not part of the transaction.
//
// If it is interrupted anywhere, the next enroll revokes exactly the agents with a
// journaled label, and starts over.
type enroller struct {
	machine  config.Machine
	origin   string
	store    *keystore.Store             // nil: the token is for another device
	put      func(*keystore.Agent) error // stores the record, and passes it to the beater
	api      *sdk.Client                 // with the API key
	log      *zap.Logger
	state    *status.Tracker
	progress func(string) // one line for a person, on stderr
	settled  []string     // labels of interrupted attempts, to look for once more later
	family   string       // of the labels of this store; see familyOf

	listed    []sdk.MachineAgent // the agents of the machine listedFor, as last listed
	listedFor string
	report    EnrollResult

	replaceLostKey bool // give the store a new key even if other records need the lost one
}

// enroll returns the record in use; nil after a dry run.
func (e *enroller) enroll(ctx context.Context, req EnrollRequest) (*keystore.Agent, error) {
	record, err := e.store.Agent(e.machine.Name)
	e.family = familyOf(record)
	switch {
	case err == nil:
		if err := e.sameIdentity(record, req.MachineID, req.IdentityRef, req.Force); err != nil {
			return nil, err
		}
		if !req.Force {
			e.revokeEarlierAttempts(ctx, record, req)
			e.describe(record)
			return record, nil
		}
	case errors.Is(err, keystore.ErrNotFound):
	case req.Force && tokenLost(err):
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if record, err = e.recoverFacts(err); err != nil {
			return nil, err
		}
	default:
		return nil, err
	}
	if req.APIKey.IsZero() && requiresKey(ctx, e.api) {
		return nil, noAPIKey("enroll")
	}
	if err := e.checkDurable(); err != nil {
		return nil, err
	}
	if !req.DryRun {
		if err := e.settleJournal(ctx, record); err != nil {
			return nil, err
		}
	}
	return e.obtain(ctx, req, record)
}

// obtain finds or registers the machine and enrolls one agent for it. old is the
// record to be replaced, nil if there is none.
func (e *enroller) obtain(ctx context.Context, req EnrollRequest, old *keystore.Agent) (*keystore.Agent, error) {
	intent := e.intent(req)
	machine, err := e.findOrRegister(ctx, req, intent)
	if err != nil {
		e.count(enrollFailure(err))
		return nil, err
	}
	allowed := e.allowed()
	if req.DryRun {
		e.report.DryRun.AgentLabel, e.report.DryRun.Allowed, e.report.DryRun.StoreProved = intent.Label, allowed, !e.store.Volatile()
		return nil, nil
	}
	intent.MachineID, intent.IdentityRef = machine.ID, machine.IdentityRef
	if req.predecessors {
		if err := e.revokePredecessors(ctx, machine.ID); err != nil {
			return nil, err
		}
	}
	if old != nil && old.MachineID != machine.ID {
		if err := e.revokeOnOtherMachine(ctx, old); err != nil {
			return nil, err
		}
	}
	agent, err := e.requestToken(ctx, intent)
	if err != nil {
		return nil, err
	}
	record := newRecord(intent, agent, allowed)
	if old != nil && old.Origin == e.origin && old.MachineID == machine.ID {
		record.Attempts, record.Replaced = withLabel(old.Attempts, intent.Label), old.AgentID
	}
	record.Attempts = withLabel(e.settled, record.Attempts...)
	if err := e.keep(record); err != nil {
		return nil, err
	}
	e.count("success")
	e.report.Changed = true
	logEvent(e.log.Info, status.CodeEnrolled, zap.String("machine", e.machine.Name),
		zap.String("machine_id", machine.ID), zap.String("agent_id", agent.ID))
	e.describe(record)
	if record.Replaced != "" {
		record, err = e.revokeReplaced(ctx, record)
	}
	return record, err
}

// intent is the journal entry of this attempt, as far as the machine is known.
func (e *enroller) intent(req EnrollRequest) *keystore.Intent {
	ref := cmp.Or(req.IdentityRef, e.machine.IdentityRef)
	return &keystore.Intent{
		Kind: "enroll", Origin: e.origin,
		MachineID:   cmp.Or(req.MachineID, e.machine.ID),
		IdentityRef: ref,
		Label:       attemptLabel(e.labelFor(req, ref), e.family),
		StartedAt:   time.Now().UTC(),
	}
}

// checkDurable makes sure that a token can be kept before one is requested.
func (e *enroller) checkDurable() error {
	if err := e.store.CheckDurable(); err != nil {
		e.count("durability")
		if errors.Is(err, keystore.ErrVolatile) || errors.Is(err, keystore.ErrUnreadable) {
			return err
		}
		return at(status.NewProblem(status.CodeStoreNotDurable, ""), err)
	}
	return nil
}

// requestToken journals the intent and enrolls the agent. The returned token is not
// available again.
func (e *enroller) requestToken(ctx context.Context, intent *keystore.Intent) (*sdk.EnrolledAgent, error) {
	if err := e.journal(intent); err != nil {
		e.count("durability")
		return nil, err
	}
	e.progress("enrolling agent " + intent.Label)
	agent, err := e.api.MachineAgents.Enroll(ctx, intent.MachineID, sdk.EnrollMachineAgent{
		Label: sdk.Some(intent.Label), AllowedProviderKeys: sdk.Some(e.allowed()),
	})
	if err != nil {
		e.count(enrollFailure(err))
		return nil, e.enrollmentFault(ctx, intent.MachineID, err)
	}
	if !validID(agent.ID) {
		// The journal keeps the label: the next command finds and revokes the agent.
		e.count("rejected")
		return nil, malformedID("agent")
	}
	if !printable(agent.Token.Reveal(), maxGrantToken) {
		e.count("rejected")
		return nil, e.enrollmentFault(ctx, intent.MachineID, &sdk.MissingTokenError{AgentID: agent.ID, Agent: &agent.MachineAgent})
	}
	return agent, nil
}

// journal stores the intent, unless the token is for another device.
func (e *enroller) journal(intent *keystore.Intent) error {
	if e.store == nil {
		return nil
	}
	return e.store.PutIntent(e.machine.Name, intent)
}

// keep stores the record of a new token, then drops the journal.
func (e *enroller) keep(record *keystore.Agent) error {
	if err := e.put(record); err != nil {
		e.count("lost")
		return at(status.NewProblem(status.CodeTokenNotStored, "agent "+record.AgentID), err)
	}
	return e.store.DropIntent(e.machine.Name)
}

// newRecord is what the daemon needs to keep of a new enrollment.
func newRecord(intent *keystore.Intent, agent *sdk.EnrolledAgent, allowed []string) *keystore.Agent {
	return &keystore.Agent{
		Origin: intent.Origin, MachineID: intent.MachineID, IdentityRef: intent.IdentityRef,
		AgentID: agent.ID, Label: intent.Label, Token: keystore.NewSecret([]byte(agent.Token.Reveal())),
		AllowedProviderKeys: allowed, EnrolledAt: time.Now().UTC(), Attempts: []string{intent.Label},
	}
}

// sameIdentity checks that a record belongs to the configured orchestrator and,
// without force, to the machine that was asked for. machineID and identityRef are
// those of the request; empty: the configured ones.
//
// Errors: status.CodeOtherOrchestrator, status.CodeOtherIdentity.
func (e *enroller) sameIdentity(r *keystore.Agent, machineID, identityRef string, force bool) error {
	if r.Origin != e.origin {
		return status.NewProblem(status.CodeOtherOrchestrator,
			fmt.Sprintf("it is enrolled with %s, the configuration names %s; the token is never sent elsewhere", r.Origin, e.origin))
	}
	want, have := cmp.Or(machineID, e.machine.ID), r.MachineID
	if want == "" {
		want = config.CanonicalRef(cmp.Or(identityRef, e.machine.IdentityRef))
		have = config.CanonicalRef(r.IdentityRef)
	}
	if want != "" && want != have && !force {
		return status.NewProblem(status.CodeOtherIdentity, fmt.Sprintf("it holds %s (%s), you asked for %s", r.IdentityRef, r.MachineID, want))
	}
	return nil
}

// enrollmentFault explains a failed POST enrollment. If the response arrived without
// a token, the agent's id is known and the agent is revoked at once. If the
// orchestrator refused the request, the journal is dropped.
func (e *enroller) enrollmentFault(ctx context.Context, machineID string, err error) error {
	var missing *sdk.MissingTokenError
	if errors.As(err, &missing) && !validID(missing.AgentID) {
		return malformedID("agent")
	}
	if errors.As(err, &missing) {
		if rerr := e.api.MachineAgents.Revoke(ctx, machineID, missing.AgentID); rerr != nil {
			return &stepError{fmt.Sprintf("agent %s was enrolled, but the response had no token, and the agent could not be revoked (%v)",
				status.Sanitize(missing.AgentID), rerr), err}
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

// confirmWithHeartbeat sends one heartbeat after an enrollment and reports whether the
// machine is live. A failure does not undo the enrollment.
func (e *enroller) confirmWithHeartbeat(ctx context.Context, b *beater) {
	e.progress("sending the first heartbeat")
	beat := b.beatOnce(ctx)
	e.report.Live, e.report.Reason = beat.live, beat.reason
	if m, ok := e.state.Machine(b.name); ok {
		e.report.Cause, e.report.RetryAfter = m.Cause, m.RetryAfter
	}
	if !beat.leaseExpiresAt.IsZero() {
		e.report.LeaseExpiresAt = &beat.leaseExpiresAt
	}
}

func (e *enroller) describe(r *keystore.Agent) {
	e.report.MachineID, e.report.AgentID, e.report.IdentityRef = r.MachineID, r.AgentID, r.IdentityRef
}

func (e *enroller) count(result string) {
	e.state.UpdateProcess(func(a *status.Process) { a.Enrollments[result]++ })
}

// allowed are the provider keys that the agent may publish; fixed at enrollment.
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

// enrollFailure is the metric label of a failed enrollment.
func enrollFailure(err error) string {
	if undecided(err) {
		return "network"
	}
	return "rejected"
}

// undecided reports whether the orchestrator may have carried out a request: it was
// sent, and no response of the API came back. An error whose code does not have the form
// of one is not a response of the API. What this program refuses to send never left.
func undecided(err error) bool {
	var network *sdk.NetworkError
	var redirect *sdk.RedirectError
	var api *sdk.APIError
	switch {
	case errors.As(err, &api):
		v := judgeAPI(api)
		return v.kind == unreachable || v.kind == middlebox || api.StatusCode >= 500 || apiCode(api) == status.CodeUnknownCode
	case errors.As(err, &network), errors.As(err, &redirect):
		return true
	}
	return false
}

const (
	attemptSuffix   = 8                                  // random characters of a label
	attemptAlphabet = "abcdefghijklmnopqrstuvwxyz234567" // of rand.Text, in lower case
)

// familySuffix is how many of the random characters all labels of one store share.
const familySuffix = 4

// attemptLabel appends # and eight random characters, so that the agent of an
// interrupted enrollment is recognized by its label. The first four are those of family,
// if there is one: a store that was restored from a backup recognizes by them the agents
// that it enrolled after the backup.
func attemptLabel(label, family string) string {
	random := strings.ToLower(rand.Text()[:attemptSuffix])
	if family != "" {
		random = family[len(family)-familySuffix:] + random[familySuffix:]
	}
	return label + "#" + random
}

// isAttempt reports whether a label has the form of attemptLabel.
func isAttempt(label string) bool {
	i := strings.LastIndexByte(label, '#')
	return i > 0 && isAttemptOf(label[:i], label)
}

// isAttemptOf reports whether attemptLabel made a label from base.
func isAttemptOf(base, label string) bool {
	suffix, ok := strings.CutPrefix(label, base+"#")
	return ok && len(suffix) == attemptSuffix && strings.Trim(suffix, attemptAlphabet) == ""
}

// familyOf is what the labels of all agents begin with that were enrolled from this
// store for one machine; "" if that is not known. A label that came with a grant does
// not count: the author of the grant chose it.
func familyOf(r *keystore.Agent) string {
	if r == nil || !isAttempt(r.Label) || !slices.Contains(r.Attempts, r.Label) {
		return ""
	}
	return r.Label[:len(r.Label)-attemptSuffix+familySuffix]
}

func noAPIKey(command string) *status.Problem {
	return status.NewProblem(status.CodeAPIKeyMissing, "for "+command+"; nothing was changed")
}

// keyQuestion is how long a command without an API key waits to learn whether one is
// required.
const keyQuestion = 10 * time.Second

// requiresKey reports whether a command without an API key has to stop: the orchestrator
// rejects a platform call without one, or that cannot be learned. A local orchestrator
// may be open.
func requiresKey(ctx context.Context, api *sdk.Client) bool {
	ctx, cancel := context.WithTimeout(ctx, keyQuestion)
	defer cancel()
	_, err := api.Machines.List(ctx, sdk.ListOptions{Limit: sdk.Some(1)})
	return err != nil
}
