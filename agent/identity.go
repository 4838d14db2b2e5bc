package agent

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/keystore"
)

// Identity is who one configured machine is, as identity show prints it.
type Identity struct {
	Machine           string     `json:"machine"`
	Enrolled          bool       `json:"enrolled"`
	IdentityRef       string     `json:"identity_ref"`
	MachineID         string     `json:"machine_id"`
	AgentID           string     `json:"agent_id"`
	Orchestrator      string     `json:"orchestrator"`
	EnrolledAt        *time.Time `json:"enrolled_at"`
	ControllerAddress string     `json:"controller_address"` // of the key on this device; empty: none
}

// Identities tells who the configured machines are. Of a store that cannot be used
// it tells what lies in the clear.
func (a *Agent) Identities(context.Context) ([]Identity, error) {
	a.changing.Lock()
	defer a.changing.Unlock()
	address := ""
	if signer, err := a.store.Controller(); err == nil {
		address = signer.Address()
		signer.Wipe()
	}
	out := []Identity{}
	for _, m := range a.cfg.Machines {
		id := Identity{Machine: m.Name, ControllerAddress: address}
		if r, err := a.store.AgentFacts(m.Name); err == nil {
			id.Enrolled, id.IdentityRef, id.MachineID, id.AgentID, id.Orchestrator, id.EnrolledAt = true, r.IdentityRef, r.MachineID, r.AgentID, r.Origin, status.OptionalTime(r.EnrolledAt)
		}
		out = append(out, id)
	}
	return out, nil
}

// PutController keeps a controller key on this device and returns its address.
func (a *Agent) PutController(_ context.Context, key *keystore.Key) (string, error) {
	a.changing.Lock()
	defer a.changing.Unlock()
	if err := a.store.CheckDurable(); err != nil {
		return "", err
	}
	if err := a.store.PutController(key); err != nil {
		return "", err
	}
	signer := key.Signer()
	defer signer.Wipe()
	a.log.Info("a controller key was stored", code(status.CodeControllerKeyStored), zap.String("address", signer.Address()))
	a.markStore()
	return signer.Address(), nil
}

// ControllerKey hands out the stored controller key, for exporting it. The caller
// wipes it.
func (a *Agent) ControllerKey(context.Context) (*keystore.Key, error) {
	a.changing.Lock()
	defer a.changing.Unlock()
	key, err := a.store.ControllerKey()
	if errors.Is(err, keystore.ErrNotFound) {
		return nil, status.NewProblem(status.CodeNoControllerKey, "")
	}
	if err == nil {
		a.log.Warn("the controller key was handed out for export", code(status.CodeControllerKeyExported))
	}
	return key, err
}

// ProveRequest asks for the signature of a challenge.
type ProveRequest struct {
	Machine     string
	Challenge   Challenge
	IdentityRef string // ours, when neither store nor configuration tells
}

// Proof is a signature that proves control of an identity.
type Proof struct {
	ChallengeID   string `json:"challenge_id"`
	IdentityRef   string `json:"identity_ref"`
	Signature     string `json:"signature"`
	SignerAddress string `json:"signer_address"`
}

// Prove signs a challenge with the stored controller key; the key stays here.
func (a *Agent) Prove(_ context.Context, req ProveRequest) (Proof, error) {
	a.changing.Lock()
	defer a.changing.Unlock()
	b, err := a.beaterOf(req.Machine)
	if err != nil {
		return Proof{}, err
	}
	signer, err := a.store.Controller()
	if errors.Is(err, keystore.ErrNotFound) {
		err = status.NewProblem(status.CodeNoControllerKey, "nothing was signed").
			Advise("give --controller-key-file FILE, or store one with peaqos-agent identity import")
	}
	if err != nil {
		return Proof{}, err
	}
	defer signer.Wipe()
	ref := firstOf(req.IdentityRef, b.configured().IdentityRef)
	if r, err := a.store.Agent(b.name); ref == "" && err == nil {
		ref = r.IdentityRef
	}
	proof, err := SignProof(req.Challenge, signer, ref)
	a.state.UpdateProcess(func(s *status.Process) { s.Challenges[challengeResult(err)]++ })
	if err == nil {
		a.log.Info("signed an identity challenge", code(status.CodeChallengeSigned), zap.String("text_sha256", req.Challenge.Hash()),
			zap.Bool("names_machine", req.Challenge.NamesMachine()))
	}
	return proof, err
}

// SignProof vets a challenge that came in a file and signs it.
func SignProof(c Challenge, signer *keystore.Signer, identityRef string) (Proof, error) {
	if identityRef == "" {
		return Proof{}, status.NewProblem(status.CodeIdentityMissing, "this machine's identity is unknown; nothing was signed").Advise("give --identity-ref did:peaq:NUMBER")
	}
	signature, err := Sign(c, signer, identityRef, time.Now())
	if err != nil {
		return Proof{}, err
	}
	return Proof{ChallengeID: c.ChallengeID, IdentityRef: c.IdentityRef, Signature: signature, SignerAddress: signer.Address()}, nil
}
