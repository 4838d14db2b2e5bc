package sdk

import (
	"cmp"
	"context"
	"iter"
	"net/http"

	"github.com/peaqnetwork/peaqos-agent/sdk/internal/wire"
)

// MachinesService is the registry of machines (contract §2.2).
type MachinesService struct{ c *Client }

// MachineStatus is the state of a machine's record on the orchestrator. A list may return
// other values (see [WithStrictStatus]); a single machine with another value is an error.
type MachineStatus string

// The states of a machine. A new machine is a draft. An archived one is not listed, and
// its identity can be registered again.
const (
	MachineDraft    MachineStatus = "draft"
	MachineActive   MachineStatus = "active"
	MachineDegraded MachineStatus = "degraded"
	MachineBlocked  MachineStatus = "blocked"
	MachineArchived MachineStatus = "archived"
)

// Machine is a registered machine.
type Machine struct {
	Meta           `json:"-"`
	ID             string            `json:"id" wire:"req,nonempty"` // opaque, mach_…; not the number of the DID
	DisplayName    string            `json:"displayName" wire:"req"`
	Status         MachineStatus     `json:"status" wire:"req,open" enum:"draft active degraded blocked archived"`
	OwnerID        string            `json:"ownerId" wire:"req"`
	MachineType    string            `json:"machineType" wire:"req"`    // free text, such as edge-node, robot, sensor
	RuntimeProfile string            `json:"runtimeProfile" wire:"req"` // free text, such as linux-docker, linux-native
	Capabilities   []string          `json:"capabilities"`
	Labels         map[string]string `json:"labels"`
	PolicyIDs      []string          `json:"policyIds"`
	SkillKeys      []string          `json:"skillKeys"`
	CreatedAt      string            `json:"createdAt" wire:"req"`
	UpdatedAt      string            `json:"updatedAt" wire:"req"`
	IdentityRef    string            `json:"identityRef"`   // did:peaq:<decimal>; empty when the record has none
	IdentityProof  *IdentityProof    `json:"identityProof"` // nil when there is no proof
	Extra          ExtraFields       `json:"-" wire:"extra"`
}

// IdentityProof is the stored record of a proof that the orchestrator has verified.
type IdentityProof struct {
	Method              string      `json:"method" wire:"req" enum:"eip191"`
	IdentityRef         string      `json:"identityRef" wire:"req"`
	SignerAddress       string      `json:"signerAddress" wire:"req"`
	ChallengeID         string      `json:"challengeId" wire:"req"`
	VerifiedAt          string      `json:"verifiedAt" wire:"req"`
	ChallengeExpiresAt  string      `json:"challengeExpiresAt" wire:"req"`
	ControllerAddresses []string    `json:"controllerAddresses"`
	ResolutionSource    string      `json:"resolutionSource" wire:"req" enum:"peaqos-mcr"`
	Extra               ExtraFields `json:"-" wire:"extra"`
}

// IdentityProofInput is a signed challenge: its ID, and an EIP-191 signature of 65 bytes as 0x
// and 130 hex digits, whose last byte, v, is 27 or 28. [AgentProof] has the same shape, but
// proves a pairing challenge.
type IdentityProofInput struct {
	ChallengeID string `json:"challengeId"`
	Signature   string `json:"signature"`
}

func (p IdentityProofInput) check() error {
	return nonBlanks("identityProof.challengeId", p.ChallengeID, "identityProof.signature", p.Signature)
}

// CreateMachine is the request of [MachinesService.Create]. IdentityRef and IdentityProof are
// Optional only in form: both must be set, or Create returns a *ValidationError.
type CreateMachine struct {
	DisplayName    string                       `json:"displayName"`
	OwnerID        string                       `json:"ownerId"`
	MachineType    string                       `json:"machineType"`
	RuntimeProfile string                       `json:"runtimeProfile"`
	IdentityRef    Optional[string]             `json:"identityRef,omitzero"`
	IdentityProof  Optional[IdentityProofInput] `json:"identityProof,omitzero"`
	Capabilities   Optional[[]string]           `json:"capabilities,omitzero"`
	Labels         Optional[map[string]string]  `json:"labels,omitzero"`
	PolicyIDs      Optional[[]string]           `json:"policyIds,omitzero"`
	SkillKeys      Optional[[]string]           `json:"skillKeys,omitzero"`
}

func (m CreateMachine) check(refs identityRefs) error {
	err := cmp.Or(nonBlanks("displayName", m.DisplayName, "ownerId", m.OwnerID), refs.check("identityRef", m.IdentityRef.Value()))
	if err != nil {
		return err
	}
	proof, ok := m.IdentityProof.Get()
	if !ok {
		return &ValidationError{"identityProof", "required"}
	}
	return proof.check()
}

// UpdateMachine is the request of [MachinesService.Update]. Unset fields do not change.
// Lists and labels that are set replace the stored ones, also if they are empty.
type UpdateMachine struct {
	DisplayName    Optional[string]             `json:"displayName,omitzero"`
	Status         Optional[MachineStatus]      `json:"status,omitzero"`
	OwnerID        Optional[string]             `json:"ownerId,omitzero"`
	MachineType    Optional[string]             `json:"machineType,omitzero"`
	RuntimeProfile Optional[string]             `json:"runtimeProfile,omitzero"`
	IdentityRef    Optional[string]             `json:"identityRef,omitzero"`
	IdentityProof  Optional[IdentityProofInput] `json:"identityProof,omitzero"` // unset: the server uses the stored proof
	Capabilities   Optional[[]string]           `json:"capabilities,omitzero"`
	Labels         Optional[map[string]string]  `json:"labels,omitzero"`
	PolicyIDs      Optional[[]string]           `json:"policyIds,omitzero"`
	SkillKeys      Optional[[]string]           `json:"skillKeys,omitzero"`
}

func (m UpdateMachine) check(refs identityRefs) error {
	if ref, ok := m.IdentityRef.Get(); ok {
		if err := refs.check("identityRef", ref); err != nil {
			return err
		}
	}
	if proof, ok := m.IdentityProof.Get(); ok {
		return proof.check()
	}
	return nil
}

// List returns one page of machines: those whose identity resolves and whose stored
// proof still matches.
//
// GET /machines (contract §2.2)
func (s *MachinesService) List(ctx context.Context, o ListOptions) (*Page[Machine], error) {
	return list[Machine](ctx, s.c.call(http.MethodGet, "/machines").page(o))
}

// All iterates over the machines of all pages.
//
// GET /machines (contract §2.2)
func (s *MachinesService) All(ctx context.Context, o ListOptions) iter.Seq2[Machine, error] {
	return each(o, func(o ListOptions) (*Page[Machine], error) { return s.List(ctx, o) })
}

// Create registers a machine as a draft. Activate it with Update and the status
// MachineActive. It is not safe to repeat: after ErrOutcomeUnknown, look for the machine in
// the list first; the challenge can be used once.
//
// Errors: MACHINE_IDENTITY_PROOF_REQUIRED, _INVALID, _EXPIRED,
// MACHINE_IDENTITY_EXISTS, PEAQOS_IDENTITY_UNAVAILABLE, VALIDATION_ERROR.
//
// POST /machines (contract §2.2)
func (s *MachinesService) Create(ctx context.Context, in CreateMachine) (*Machine, error) {
	return s.one(ctx, s.c.call(http.MethodPost, "/machines").json(in), true)
}

// Get returns one machine, archived or not.
//
// Errors: NOT_FOUND, MACHINE_NOT_ACTIVATED.
//
// GET /machines/{machineId} (contract §2.2)
func (s *MachinesService) Get(ctx context.Context, machineID string) (*Machine, error) {
	return s.one(ctx, s.c.call(http.MethodGet, "/machines/{machineId}", machineID), false)
}

// Update changes the fields that are set. An empty request changes nothing.
//
// Errors: MACHINE_IDENTITY_IMMUTABLE, MACHINE_NOT_ACTIVATED (the identity is not
// verified), MACHINE_IDENTITY_PROOF_INVALID.
//
// PATCH /machines/{machineId} (contract §2.2)
func (s *MachinesService) Update(ctx context.Context, machineID string, in UpdateMachine) (*Machine, error) {
	return s.one(ctx, s.c.call(http.MethodPatch, "/machines/{machineId}", machineID).json(in), false)
}

// Archive retires a machine. Get still returns its record.
//
// DELETE /machines/{machineId} (contract §2.2)
func (s *MachinesService) Archive(ctx context.Context, machineID string) error {
	return s.c.call(http.MethodDelete, "/machines/{machineId}", machineID).nothing(ctx)
}

// one reads a single machine and checks that its identities are in canonical form; the
// contract does not require that of a list. named requires an identity to be present.
func (s *MachinesService) one(ctx context.Context, r *call, named bool) (*Machine, error) {
	return itemWith(ctx, r, func(raw string) (m Machine, err error) {
		if err := s.c.codec.Decode(raw, &m); err != nil {
			return m, err
		}
		if m.IdentityRef == "" && !named {
			var given struct {
				IdentityRef Optional[string] `json:"identityRef"`
			}
			err = s.c.codec.Decode(raw, &given)
			named = given.IdentityRef.IsSet()
		}
		if m.IdentityRef != "" || named {
			err = cmp.Or(err, s.c.refs.canonical("identityRef", m.IdentityRef))
		}
		if m.IdentityProof != nil {
			err = cmp.Or(err, wire.Inside("identityProof", s.c.refs.canonical("identityRef", m.IdentityProof.IdentityRef)))
		}
		return m, err
	})
}
