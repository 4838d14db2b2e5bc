package agent

import (
	"cmp"
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/keystore"
)

// Identity is the identity of one configured machine, as identity show prints it.
// Members that the store does not know are empty.
type Identity struct {
	Machine           string     `json:"machine"`
	Enrolled          bool       `json:"enrolled"`
	IdentityRef       string     `json:"identity_ref"`
	MachineID         string     `json:"machine_id"`
	AgentID           string     `json:"agent_id"`
	Orchestrator      string     `json:"orchestrator"`
	EnrolledAt        *time.Time `json:"enrolled_at"`
	ControllerAddress string     `json:"controller_address"` // of the key on this device; empty: no key
	// AllowedProviderKeys are those that the agent was enrolled with; empty: not enrolled,
	// or every key.
	AllowedProviderKeys []string `json:"allowed_provider_keys"`
	// ReplacedAgentID is the previous agent, if it may still be active: see RotateRequest.Revoked.
	ReplacedAgentID string `json:"replaced_agent_id,omitempty"`
}

// Identities returns the identity of each configured machine, in the order of the
// configuration. If the store cannot be used, it returns the facts that are not
// encrypted. Error: that of the context.
func (a *Agent) Identities(ctx context.Context) ([]Identity, error) {
	end, err := a.begin(ctx, "a look at the identities", nil)
	if err != nil {
		return nil, err
	}
	defer end()
	address := ""
	if signer, err := a.store.Controller(); err == nil {
		address = signer.Address()
		signer.Wipe()
	}
	out := []Identity{}
	for _, m := range a.cfg.Machines {
		id := Identity{Machine: m.Name, ControllerAddress: address, Orchestrator: a.origin, AllowedProviderKeys: []string{}}
		if r, err := a.store.AgentFacts(m.Name); err == nil {
			id.Enrolled, id.EnrolledAt, id.Orchestrator = true, status.OptionalTime(r.EnrolledAt), r.Origin
			id.IdentityRef, id.MachineID, id.AgentID = r.IdentityRef, r.MachineID, r.AgentID
			id.AllowedProviderKeys, id.ReplacedAgentID = append(id.AllowedProviderKeys, allowedOf(r)...), r.Replaced
		}
		out = append(out, id)
	}
	return out, nil
}

// PutController stores a controller key on this device and returns its address
// (0x…). The caller wipes the key. Errors: keystore.ErrKeyExists, and those of a
// store that cannot be used.
func (a *Agent) PutController(ctx context.Context, key *keystore.Key) (string, error) {
	end, err := a.begin(ctx, "the storing of a controller key", nil)
	if err != nil {
		return "", err
	}
	defer end()
	if err := a.store.CheckDurable(); err != nil {
		return "", err
	}
	if ctx.Err() != nil {
		return "", context.Cause(ctx)
	}
	if err := a.store.PutController(key); err != nil {
		return "", err
	}
	signer := key.Signer()
	defer signer.Wipe()
	logEvent(a.log.Info, status.CodeControllerKeyStored, zap.String("address", signer.Address()))
	a.markStore()
	return signer.Address(), nil
}

// ControllerKey returns the stored controller key, to be exported. The caller wipes
// it. Errors: status.CodeNoControllerKey, and those of a store that cannot be used.
func (a *Agent) ControllerKey(ctx context.Context) (*keystore.Key, error) {
	end, err := a.begin(ctx, "an export of the controller key", nil)
	if err != nil {
		return nil, err
	}
	defer end()
	key, err := a.store.ControllerKey()
	if errors.Is(err, keystore.ErrNotFound) {
		return nil, status.NewProblem(status.CodeNoControllerKey, "")
	}
	if err == nil {
		logEvent(a.log.Warn, status.CodeControllerKeyExported)
	}
	return key, err
}

// ProveRequest asks to sign a challenge with the stored controller key.
type ProveRequest struct {
	// Machine is a name under machines in the configuration; empty: the only one.
	Machine   string    `json:"machine,omitempty"`
	Challenge Challenge `json:"challenge"`
	// IdentityRef is this machine's identity; needed only if neither store nor
	// configuration has it.
	IdentityRef string `json:"identity_ref,omitempty"`
}

// Proof is the signature of a challenge (EIP-191, 0x and 130 hex digits), made by the
// key with the address SignerAddress.
type Proof struct {
	ChallengeID   string `json:"challenge_id"`
	IdentityRef   string `json:"identity_ref"`
	Signature     string `json:"signature"`
	SignerAddress string `json:"signer_address"`
}

// Prove signs a challenge with the stored controller key, which does not leave the
// store. Errors: status.CodeNoControllerKey, and those of [SignProof].
func (a *Agent) Prove(ctx context.Context, req ProveRequest) (Proof, error) {
	end, err := a.begin(ctx, "a signature", nil)
	if err != nil {
		return Proof{}, err
	}
	defer end()
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
	ref := cmp.Or(req.IdentityRef, b.configured().IdentityRef)
	if r, err := a.store.Agent(b.name); ref == "" && err == nil {
		ref = r.IdentityRef
	}
	proof, err := SignProof(req.Challenge, signer, ref)
	a.state.UpdateProcess(func(s *status.Process) { s.Challenges[challengeResult(err)]++ })
	if err == nil {
		logEvent(a.log.Info, status.CodeChallengeSigned, zap.String("text_sha256", req.Challenge.hash()),
			zap.Bool("names_machine", req.Challenge.namesMachine()))
	}
	return proof, err
}

// SignProof vets a challenge and signs it. identityRef is this machine's identity.
//
// Errors: status.CodeIdentityMissing for an empty identityRef, and an error that
// [Explain] reports as status.CodeChallengeRefused, with the rule that was broken.
func SignProof(c Challenge, signer *keystore.Signer, identityRef string) (Proof, error) {
	if identityRef == "" {
		return Proof{}, status.NewProblem(status.CodeIdentityMissing, "this machine's identity is unknown; nothing was signed").
			Advise("give --identity-ref did:peaq:NUMBER")
	}
	signature, err := c.sign(signer, identityRef, time.Now())
	if err != nil {
		return Proof{}, err
	}
	return Proof{ChallengeID: c.ChallengeID, IdentityRef: c.IdentityRef, Signature: signature, SignerAddress: signer.Address()}, nil
}
