package agent

import (
	"cmp"
	"context"
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

// findOrRegister returns the active machine to enroll an agent for: by id, by
// identity among the account's machines, or newly registered. Only registering and
// proving the identity again need the controller key. A dry run returns a machine
// without an id if it would have to be registered.
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
			detail := fmt.Sprintf("%s is %s, not %s", status.Sanitize(m.ID), status.Sanitize(m.IdentityRef), want)
			return nil, status.NewProblem(status.CodeOtherIdentity, detail).
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
	return e.register(ctx, req, *intent)
}

// FindMachine returns the id (mach_…) of the account's machine with this identity.
// Errors: status.CodeIdentityMissing for an empty reference,
// status.CodeMachineNotListed, and those of the API.
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

// activate makes sure that a listed machine is active. A draft is activated with the
// proof that the orchestrator has; if it wants a new one, the controller key signs.
func (e *enroller) activate(ctx context.Context, req EnrollRequest, m *sdk.Machine) (*sdk.Machine, error) {
	if _, err := checkMachine(m); err != nil {
		return nil, err
	}
	switch m.Status {
	case sdk.MachineActive, sdk.MachineDegraded:
		return m, nil
	case sdk.MachineDraft:
	default:
		return nil, status.NewProblem(status.CodeMachineNotActive,
			fmt.Sprintf("%s (%s) is %.64q", status.Sanitize(m.ID), status.Sanitize(m.IdentityRef), m.Status))
	}
	if req.DryRun {
		return m, nil
	}
	e.progress("activating machine " + status.Sanitize(m.ID))
	update := sdk.UpdateMachine{Status: sdk.Some(sdk.MachineActive)}
	active, err := e.api.Machines.Update(ctx, m.ID, update)
	if err == nil {
		return checkMachine(active)
	}
	if !needsProof(err) || !e.canProve(req) {
		return nil, err
	}
	proof, _, err := e.signChallenge(ctx, req, m.IdentityRef)
	if err != nil {
		return nil, err
	}
	update.IdentityProof = sdk.Some(*proof)
	if active, err = e.api.Machines.Update(ctx, m.ID, update); err != nil {
		return nil, err
	}
	return checkMachine(active)
}

// NeedsProof reports whether a command failed because it needs the signature of a
// controller of the identity.
func NeedsProof(err error) bool {
	var p *status.Problem
	if errors.As(err, &p) && (p.Code == status.CodeControllerKeyMissing || proofCode(p.Code)) {
		return true
	}
	return needsProof(err)
}

func needsProof(err error) bool {
	var api *sdk.APIError
	return errors.As(err, &api) && proofCode(apiCode(api))
}

// proofCode reports whether the orchestrator asks for a new proof with this code.
func proofCode(code status.Code) bool {
	switch code {
	case status.CodeAPIMachineNotActivated, status.CodeAPIProofRequired, status.CodeAPIProofInvalid, status.CodeAPIProofExpired:
		return true
	}
	return false
}

// register proves the identity, creates the machine and activates it. intent is a
// copy, journaled again with what becomes known.
func (e *enroller) register(ctx context.Context, req EnrollRequest, intent keystore.Intent) (*sdk.Machine, error) {
	if !e.canProve(req) {
		return nil, status.NewProblem(status.CodeControllerKeyMissing, "no machine with the identity "+intent.IdentityRef+" is listed")
	}
	create := e.registration(req, intent.IdentityRef)
	if req.DryRun {
		e.report.DryRun.Register = registerBodyOf(create)
		return &sdk.Machine{IdentityRef: intent.IdentityRef}, nil
	}
	proof, ref, err := e.signChallenge(ctx, req, intent.IdentityRef)
	if err != nil {
		return nil, err
	}
	create.IdentityProof = sdk.Some(*proof)
	intent.IdentityRef = ref
	if err := e.journal(&intent); err != nil {
		return nil, err
	}
	e.progress("registering machine " + create.DisplayName)
	m, err := e.api.Machines.Create(ctx, create)
	var api *sdk.APIError
	if errors.As(err, &api) && apiCode(api) == status.CodeAPIIdentityExists {
		return nil, status.NewProblem(status.CodeAPIIdentityExists, intent.IdentityRef)
	}
	if err != nil {
		return nil, err
	}
	if _, err := checkMachine(m); err != nil {
		return nil, err
	}
	e.report.Registered = true
	intent.MachineID = m.ID
	if err := e.journal(&intent); err != nil {
		return nil, err
	}
	return e.activate(ctx, req, m)
}

// registration is the body of POST /machines, without the proof. The address that signs
// becomes the owner if none is configured.
func (e *enroller) registration(req EnrollRequest, identityRef string) sdk.CreateMachine {
	r := e.machine.Register
	create := sdk.CreateMachine{
		DisplayName:    e.displayName(req, identityRef),
		OwnerID:        cmp.Or(r.OwnerID, e.controllerAddress(req)),
		MachineType:    cmp.Or(r.MachineType, "edge-node"),
		RuntimeProfile: cmp.Or(r.RuntimeProfile, defaultRuntimeProfile()),
		IdentityRef:    sdk.Some(identityRef),
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

// signer returns the controller key that proves the identity: the given one, or the
// stored one; nil if there is neither. The caller wipes it.
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

// controllerAddress is the address that proves the identity; empty if there is no
// key and no proof.
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

// signChallenge returns the proof that came with the request, or requests a
// challenge, vets it and signs it (contract §2.1). The second result is the identity
// as the orchestrator writes it.
func (e *enroller) signChallenge(ctx context.Context, req EnrollRequest, identityRef string) (*sdk.IdentityProofInput, string, error) {
	if p := req.Proof; p != nil {
		return &sdk.IdentityProofInput{ChallengeID: p.ChallengeID, Signature: p.Signature}, p.IdentityRef, nil
	}
	e.progress("signing an identity challenge for " + identityRef)
	challenge, now, err := FetchChallenge(ctx, e.api, e.origin, identityRef)
	if err != nil {
		e.countChallenge(err)
		return nil, "", err
	}
	signer := e.signer(req)
	defer signer.Wipe()
	challenge = challenge.forFirstSigner(e.origin, signer.Address())
	if err := challenge.vet(identityRef, signer.Address(), now); err != nil {
		e.countChallenge(err)
		return nil, "", err
	}
	e.progress("the text that is signed:\n  " + strings.Join(challenge.shown(), "\n  "))
	signature, err := challenge.sign(signer, identityRef, now)
	e.countChallenge(err)
	if err != nil {
		return nil, "", err
	}
	logEvent(e.log.Info, status.CodeChallengeSigned, zap.String("text_sha256", challenge.hash()),
		zap.Bool("names_machine", challenge.namesMachine()))
	return &sdk.IdentityProofInput{ChallengeID: challenge.ChallengeID, Signature: signature}, challenge.IdentityRef, nil
}

// FetchChallenge requests a challenge for an identity from the orchestrator at origin
// (scheme://host[:port]). now is the earlier of the time in the response's Date header
// and the local time: a device may have no clock, and a gateway may write its own Date,
// so a challenge has expired only if both say so. The orchestrator checks it again. Over
// plain http nothing is requested, except from loopback.
func FetchChallenge(ctx context.Context, api *sdk.Client, origin, identityRef string) (c Challenge, now time.Time, err error) {
	if err := trustedForSigning(origin); err != nil {
		return Challenge{}, time.Time{}, err
	}
	response, err := api.MachineIdentity.CreateChallenge(ctx, identityRef)
	if err != nil {
		return Challenge{}, time.Time{}, err
	}
	c = Challenge{
		ChallengeID: response.ChallengeID, IdentityRef: response.IdentityRef, Message: response.Message, ExpiresAt: response.ExpiresAt,
		VerificationMethod: response.VerificationMethod, ControllerAddresses: response.ControllerAddresses,
	}
	now = time.Now()
	if date := response.Meta.Date; !date.IsZero() && date.Before(now) {
		now = date
	}
	return c, now, nil
}

func (e *enroller) countChallenge(err error) {
	e.state.UpdateProcess(func(a *status.Process) { a.Challenges[challengeResult(err)]++ })
}
