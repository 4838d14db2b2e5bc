package agent

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

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
		if want := intent.IdentityRef; want != "" && decimalRef(want) != decimalRef(m.IdentityRef) {
			return nil, problem(ExitUsage, "another_identity", "the machine has another identity",
				fmt.Sprintf("%s is %s, not %s", m.ID, m.IdentityRef, want), "check --machine-id and --identity-ref")
		}
		return e.activate(ctx, req, m)
	}
	if intent.IdentityRef == "" {
		return nil, problem(ExitConfig, "identity_missing", "enroll does not know which machine this is",
			"neither a machine id nor an identity was given", "give --machine-id mach_… or --identity-ref did:peaq:NUMBER")
	}
	e.progress("looking for " + intent.IdentityRef + " among the machines")
	for m, err := range e.api.Machines.All(ctx, sdk.ListOptions{Limit: sdk.Some(500)}) {
		if err != nil {
			return nil, err
		}
		if m.IdentityRef != "" && decimalRef(m.IdentityRef) == decimalRef(intent.IdentityRef) && m.Status != sdk.MachineArchived {
			return e.activate(ctx, req, &m)
		}
	}
	return e.register(ctx, req, intent)
}

// activate brings a found machine into use. A draft is activated with its stored
// proof; if the server wants a fresh one, the controller key makes it.
func (e *enroller) activate(ctx context.Context, req EnrollRequest, m *sdk.Machine) (*sdk.Machine, error) {
	switch m.Status {
	case sdk.MachineActive, sdk.MachineDegraded:
		return m, nil
	case sdk.MachineDraft:
	default:
		return nil, problem(ExitNetwork, "machine_not_active", fmt.Sprintf("the machine is %s on the orchestrator", m.Status),
			fmt.Sprintf("%s (%s)", m.ID, m.IdentityRef), "ask its owner to set it active, then run enroll again")
	}
	if req.DryRun {
		return m, nil
	}
	e.progress("activating " + m.ID)
	update := sdk.UpdateMachine{Status: sdk.Some(sdk.MachineActive)}
	active, err := e.api.Machines.Update(ctx, m.ID, update)
	if err == nil || req.Controller == nil || !needsProof(err) {
		return active, err
	}
	proof, _, err := e.prove(ctx, req.Controller, m.IdentityRef)
	if err != nil {
		return nil, err
	}
	update.IdentityProof = sdk.Some(*proof)
	return e.api.Machines.Update(ctx, m.ID, update)
}

func needsProof(err error) bool {
	var api *sdk.APIError
	if !errors.As(err, &api) {
		return false
	}
	switch api.Code {
	case sdk.CodeMachineNotActivated, sdk.CodeMachineIdentityProofRequired, sdk.CodeMachineIdentityProofInvalid, sdk.CodeMachineIdentityProofExpired:
		return true
	}
	return false
}

// register proves the identity, makes the machine and activates it.
func (e *enroller) register(ctx context.Context, req EnrollRequest, intent *keystore.Intent) (*sdk.Machine, error) {
	if req.Controller == nil {
		return nil, problem(ExitConfig, "controller_key_missing", fmt.Sprintf("no machine with the identity %s is listed", intent.IdentityRef),
			"registering it needs the signature of its controller", "give --controller-key-file FILE, or --machine-id if it exists under another account")
	}
	create := e.registration(intent, req.Controller)
	if req.DryRun {
		e.report.DryRun.Machine = &create
		return &sdk.Machine{IdentityRef: intent.IdentityRef}, nil
	}
	proof, ref, err := e.prove(ctx, req.Controller, intent.IdentityRef)
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
		return nil, problem(ExitNetwork, api.Code, "a machine with this identity exists already, but is not listed for this API key",
			intent.IdentityRef, "ask the owner for its id and give --machine-id mach_…")
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
func (e *enroller) registration(intent *keystore.Intent, key *keystore.Key) sdk.CreateMachine {
	r := e.machine.Register
	create := sdk.CreateMachine{
		DisplayName: firstOf(r.DisplayName, e.machine.AgentLabel), OwnerID: firstOf(r.OwnerID, key.Signer().Address()),
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

// prove asks for a challenge, vets it, and signs it (contract §2.1). It returns
// the proof and the identity as the server writes it.
func (e *enroller) prove(ctx context.Context, key *keystore.Key, identityRef string) (*sdk.IdentityProofInput, string, error) {
	e.progress("proving control of " + identityRef)
	answer, err := e.api.MachineIdentity.CreateChallenge(ctx, identityRef)
	if err != nil {
		e.countChallenge(err)
		return nil, "", err
	}
	challenge := Challenge{
		ChallengeID: answer.ChallengeID, IdentityRef: answer.IdentityRef, Message: answer.Message, ExpiresAt: answer.ExpiresAt,
		VerificationMethod: answer.VerificationMethod, ControllerAddresses: answer.ControllerAddresses,
	}
	now := answer.Meta.Date
	if now.IsZero() {
		now = time.Now()
	}
	signature, err := Sign(challenge, key.Signer(), identityRef, now)
	e.countChallenge(err)
	if err != nil {
		return nil, "", err
	}
	e.log.Info("signed an identity challenge", zap.String("code", "challenge_signed"), zap.String("text_sha256", challenge.Hash()),
		zap.Bool("names_machine", challenge.NamesMachine()))
	return &sdk.IdentityProofInput{ChallengeID: challenge.ChallengeID, Signature: signature}, challenge.IdentityRef, nil
}

func (e *enroller) countChallenge(err error) {
	e.state.UpdateAgent(func(a *AgentStatus) { a.Challenges[challengeResult(err)]++ })
}
