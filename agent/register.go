package agent

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/peaqnetwork/peaqos-agent/agent/config"
	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/keystore"
	"github.com/peaqnetwork/peaqos-agent/sdk"
)

// findOrRegister returns the active machine to enroll an agent for: by id, by
// identity among the listed machines, or newly registered. Only registering and
// re-proving need the controller key.
func (e *enroller) findOrRegister(ctx context.Context, req EnrollRequest, intent *keystore.Intent) (*sdk.Machine, error) {
	if req.DryRun {
		e.report.DryRun = &Registration{}
	}
	if intent.MachineID != "" {
		e.progress("looking up machine " + intent.MachineID)
		m, err := e.api.Machines.Get(ctx, intent.MachineID)
		if err != nil {
			return nil, err
		}
		if want := intent.IdentityRef; want != "" && config.CanonicalRef(want) != config.CanonicalRef(m.IdentityRef) {
			return nil, status.NewProblem(status.CodeOtherIdentity, fmt.Sprintf("%s is %s, not %s", m.ID, m.IdentityRef, want)).
				Advise("check --machine-id and --identity-ref")
		}
		return e.activate(ctx, req, m)
	}
	if intent.IdentityRef == "" {
		return nil, status.NewProblem(status.CodeIdentityMissing, "neither a machine id nor an identity")
	}
	e.progress("looking for " + intent.IdentityRef + " among the machines")
	m, err := machineOf(ctx, e.api, intent.IdentityRef)
	switch {
	case err != nil:
		return nil, err
	case m != nil:
		return e.activate(ctx, req, m)
	}
	return e.register(ctx, req, intent)
}

// machineOf looks for an identity among the account's machines; nil when none has it.
func machineOf(ctx context.Context, api *sdk.Client, identityRef string) (*sdk.Machine, error) {
	for m, err := range api.Machines.All(ctx, sdk.ListOptions{Limit: sdk.Some(500)}) {
		if err != nil {
			return nil, err
		}
		if m.IdentityRef != "" && config.CanonicalRef(m.IdentityRef) == config.CanonicalRef(identityRef) && m.Status != sdk.MachineArchived {
			return &m, nil
		}
	}
	return nil, nil
}

// FindMachine is the id of the machine with this identity.
func FindMachine(ctx context.Context, api *sdk.Client, identityRef string) (string, error) {
	if identityRef == "" {
		return "", status.NewProblem(status.CodeIdentityMissing, "")
	}
	m, err := machineOf(ctx, api, identityRef)
	if err == nil && m == nil {
		err = status.NewProblem(status.CodeMachineNotListed, identityRef)
	}
	if err != nil {
		return "", err
	}
	return m.ID, nil
}

// activate brings a found machine into use. A draft is activated with its stored
// proof; if the server wants a fresh one, the controller key makes it.
func (e *enroller) activate(ctx context.Context, req EnrollRequest, m *sdk.Machine) (*sdk.Machine, error) {
	switch m.Status {
	case sdk.MachineActive, sdk.MachineDegraded:
		return m, nil
	case sdk.MachineDraft:
	default:
		return nil, status.NewProblem(status.CodeMachineNotActive, fmt.Sprintf("%s (%s) is %.64q", m.ID, m.IdentityRef, m.Status))
	}
	if req.DryRun {
		return m, nil
	}
	e.progress("activating " + m.ID)
	update := sdk.UpdateMachine{Status: sdk.Some(sdk.MachineActive)}
	active, err := e.api.Machines.Update(ctx, m.ID, update)
	if err == nil || !needsProof(err) || !e.canProve(req) {
		return active, err
	}
	proof, _, err := e.prove(ctx, req, m.IdentityRef)
	if err != nil {
		return nil, err
	}
	update.IdentityProof = sdk.Some(*proof)
	return e.api.Machines.Update(ctx, m.ID, update)
}

// NeedsProof reports whether what failed wants the signature of a controller.
func NeedsProof(err error) bool {
	var p *status.Problem
	return errors.As(err, &p) && (p.Code == status.CodeControllerKeyMissing || proofCode(string(p.Code))) || needsProof(err)
}

func needsProof(err error) bool {
	var api *sdk.APIError
	return errors.As(err, &api) && proofCode(api.Code)
}

func proofCode(code string) bool {
	switch code {
	case sdk.CodeMachineNotActivated, sdk.CodeMachineIdentityProofRequired, sdk.CodeMachineIdentityProofInvalid, sdk.CodeMachineIdentityProofExpired:
		return true
	}
	return false
}

// register proves the identity, makes the machine and activates it.
func (e *enroller) register(ctx context.Context, req EnrollRequest, intent *keystore.Intent) (*sdk.Machine, error) {
	if !e.canProve(req) {
		return nil, status.NewProblem(status.CodeControllerKeyMissing, "no machine with the identity "+intent.IdentityRef+" is listed")
	}
	create := e.registration(intent, e.controllerAddress(req))
	if req.DryRun {
		e.report.DryRun.Machine = &create
		return &sdk.Machine{IdentityRef: intent.IdentityRef}, nil
	}
	proof, ref, err := e.prove(ctx, req, intent.IdentityRef)
	if err != nil {
		return nil, err
	}
	create.IdentityProof = sdk.Some(*proof)
	intent.IdentityRef = ref
	if err := e.journal(intent); err != nil {
		return nil, err
	}
	e.progress("registering the machine " + create.DisplayName)
	m, err := e.api.Machines.Create(ctx, create)
	var api *sdk.APIError
	if errors.As(err, &api) && api.Code == sdk.CodeMachineIdentityExists {
		return nil, status.NewProblem(status.CodeAPIIdentityExists, intent.IdentityRef)
	}
	if err != nil {
		return nil, err
	}
	e.report.Registered = true
	intent.MachineID = m.ID
	if err := e.journal(intent); err != nil {
		return nil, err
	}
	return e.activate(ctx, req, m)
}

// registration is the body of POST /machines, without the proof.
func (e *enroller) registration(intent *keystore.Intent, controller string) sdk.CreateMachine {
	r := e.machine.Register
	create := sdk.CreateMachine{
		DisplayName: firstOf(r.DisplayName, e.machine.AgentLabel), OwnerID: firstOf(r.OwnerID, controller),
		MachineType: firstOf(r.MachineType, "edge-node"), RuntimeProfile: firstOf(r.RuntimeProfile, defaultRuntimeProfile()),
		IdentityRef: sdk.Some(intent.IdentityRef),
	}
	if r.Capabilities != nil {
		create.Capabilities = sdk.Some(r.Capabilities)
	}
	if r.SkillKeys != nil {
		create.SkillKeys = sdk.Some(r.SkillKeys)
	}
	if r.Labels != nil {
		create.Labels = sdk.Some(r.Labels)
	}
	return create
}

// signer is who proves the identity: the key that was given, or the stored one.
func (e *enroller) signer(req EnrollRequest) *keystore.Signer {
	if req.Controller != nil {
		return req.Controller.Signer()
	}
	if e.store == nil {
		return nil
	}
	stored, err := e.store.Controller()
	if err != nil {
		return nil
	}
	return stored
}

func (e *enroller) canProve(req EnrollRequest) bool { return e.controllerAddress(req) != "" }

// controllerAddress is the address that proves the identity; empty when nobody does.
func (e *enroller) controllerAddress(req EnrollRequest) string {
	if req.Proof != nil {
		return req.Proof.SignerAddress
	}
	signer := e.signer(req)
	if signer == nil {
		return ""
	}
	defer signer.Wipe()
	return signer.Address()
}

// prove gives the proof that was brought along, or asks for a challenge, vets it,
// and signs it (contract §2.1). It returns the identity as the server writes it, too.
func (e *enroller) prove(ctx context.Context, req EnrollRequest, identityRef string) (*sdk.IdentityProofInput, string, error) {
	if p := req.Proof; p != nil {
		return &sdk.IdentityProofInput{ChallengeID: p.ChallengeID, Signature: p.Signature}, p.IdentityRef, nil
	}
	e.progress("proving control of " + identityRef)
	challenge, now, err := FetchChallenge(ctx, e.api, e.origin, identityRef)
	if err != nil {
		e.countChallenge(err)
		return nil, "", err
	}
	signer := e.signer(req)
	defer signer.Wipe()
	signature, err := Sign(challenge, signer, identityRef, now)
	e.countChallenge(err)
	if err != nil {
		return nil, "", err
	}
	e.log.Info("signed an identity challenge", code(status.CodeChallengeSigned), zap.String("text_sha256", challenge.Hash()),
		zap.Bool("names_machine", challenge.NamesMachine()))
	return &sdk.IdentityProofInput{ChallengeID: challenge.ChallengeID, Signature: signature}, challenge.IdentityRef, nil
}

// FetchChallenge asks the orchestrator at origin for a challenge of an identity; now
// is the answer's own clock, so that a device without one can prove itself. Nothing
// is asked over plain http from anything but this very machine.
func FetchChallenge(ctx context.Context, api *sdk.Client, origin, identityRef string) (c Challenge, now time.Time, err error) {
	if err := trustedForSigning(origin); err != nil {
		return Challenge{}, time.Time{}, err
	}
	answer, err := api.MachineIdentity.CreateChallenge(ctx, identityRef)
	if err != nil {
		return Challenge{}, time.Time{}, err
	}
	c = Challenge{
		ChallengeID: answer.ChallengeID, IdentityRef: answer.IdentityRef, Message: answer.Message, ExpiresAt: answer.ExpiresAt,
		VerificationMethod: answer.VerificationMethod, ControllerAddresses: answer.ControllerAddresses,
	}
	if now = answer.Meta.Date; now.IsZero() {
		now = time.Now()
	}
	return c, now, nil
}

func (e *enroller) countChallenge(err error) {
	e.state.UpdateProcess(func(a *status.Process) { a.Challenges[challengeResult(err)]++ })
}
