package sdk

import (
	"context"
	"iter"
	"net/http"
)

// MachinesService is the registry of machines (contract §2.2).
type MachinesService struct{ c *Client }

// MachineStatus is a machine's state on the orchestrator. Other values may arrive.
type MachineStatus string

const (
	MachineDraft    MachineStatus = "draft"
	MachineActive   MachineStatus = "active"
	MachineDegraded MachineStatus = "degraded"
	MachineBlocked  MachineStatus = "blocked"
	MachineArchived MachineStatus = "archived"
)

// Machine is one registered machine. Times are RFC 3339 strings as sent.
type Machine struct {
	ID             string            `json:"id"` // opaque, mach_…
	DisplayName    string            `json:"displayName"`
	Status         MachineStatus     `json:"status"`
	OwnerID        string            `json:"ownerId"`
	MachineType    string            `json:"machineType"`
	RuntimeProfile string            `json:"runtimeProfile"`
	Capabilities   []string          `json:"capabilities"`
	PolicyIDs      []string          `json:"policyIds"`
	SkillKeys      []string          `json:"skillKeys"`
	Labels         map[string]string `json:"labels"`
	CreatedAt      string            `json:"createdAt"`
	UpdatedAt      string            `json:"updatedAt"`
	IdentityRef    string            `json:"identityRef"` // empty when the server left it out
	IdentityProof  *IdentityProof    `json:"identityProof"`
}

func (m *Machine) UnmarshalJSON(b []byte) error {
	type plain Machine
	if err := decodeObject(b, (*plain)(m), "id", "displayName", "status", "ownerId", "machineType", "runtimeProfile", "createdAt", "updatedAt"); err != nil {
		return err
	}
	if m.ID == "" {
		return &shapeError{"id"}
	}
	return nil
}

// IdentityProof is what the server keeps of a proven identity.
type IdentityProof struct {
	Method              string   `json:"method"` // eip191
	IdentityRef         string   `json:"identityRef"`
	SignerAddress       string   `json:"signerAddress"`
	ChallengeID         string   `json:"challengeId"`
	VerifiedAt          string   `json:"verifiedAt"`
	ChallengeExpiresAt  string   `json:"challengeExpiresAt"`
	ControllerAddresses []string `json:"controllerAddresses"`
	ResolutionSource    string   `json:"resolutionSource"` // peaqos-mcr
}

func (p *IdentityProof) UnmarshalJSON(b []byte) error {
	type plain IdentityProof
	return decodeObject(b, (*plain)(p), "method", "identityRef", "signerAddress", "challengeId", "verifiedAt", "challengeExpiresAt", "resolutionSource")
}

// IdentityProofInput is a signed challenge.
type IdentityProofInput struct {
	ChallengeID string `json:"challengeId"`
	Signature   string `json:"signature"` // 0x and 130 hex digits
}

func (p IdentityProofInput) check() error {
	return need("identityProof.challengeId", p.ChallengeID, "identityProof.signature", p.Signature)
}

// CreateMachine registers a machine; IdentityRef and IdentityProof are required.
type CreateMachine struct {
	DisplayName    string                       `json:"displayName"`
	OwnerID        string                       `json:"ownerId"`
	MachineType    string                       `json:"machineType"`
	RuntimeProfile string                       `json:"runtimeProfile"`
	IdentityRef    Optional[string]             `json:"identityRef,omitzero"`
	IdentityProof  Optional[IdentityProofInput] `json:"identityProof,omitzero"`
	Capabilities   Optional[[]string]           `json:"capabilities,omitzero"`
	PolicyIDs      Optional[[]string]           `json:"policyIds,omitzero"`
	SkillKeys      Optional[[]string]           `json:"skillKeys,omitzero"`
	Labels         Optional[map[string]string]  `json:"labels,omitzero"`
}

// UpdateMachine changes what is set; an empty update sends {}.
type UpdateMachine struct {
	DisplayName    Optional[string]             `json:"displayName,omitzero"`
	Status         Optional[MachineStatus]      `json:"status,omitzero"`
	OwnerID        Optional[string]             `json:"ownerId,omitzero"`
	IdentityRef    Optional[string]             `json:"identityRef,omitzero"`
	IdentityProof  Optional[IdentityProofInput] `json:"identityProof,omitzero"`
	MachineType    Optional[string]             `json:"machineType,omitzero"`
	RuntimeProfile Optional[string]             `json:"runtimeProfile,omitzero"`
	Capabilities   Optional[[]string]           `json:"capabilities,omitzero"`
	PolicyIDs      Optional[[]string]           `json:"policyIds,omitzero"`
	SkillKeys      Optional[[]string]           `json:"skillKeys,omitzero"`
	Labels         Optional[map[string]string]  `json:"labels,omitzero"`
}

// List returns one page.
//
// GET /machines
func (s *MachinesService) List(ctx context.Context, o ListOptions) (*Page[Machine], error) {
	return listPage[Machine](ctx, s.c, "/machines", o)
}

// All walks every machine from o.Cursor on.
//
// GET /machines
func (s *MachinesService) All(ctx context.Context, o ListOptions) iter.Seq2[Machine, error] {
	return all(o, func(o ListOptions) (*Page[Machine], error) { return s.List(ctx, o) })
}

// Create registers a machine as a draft. Errors: MACHINE_IDENTITY_PROOF_REQUIRED,
// _INVALID and _EXPIRED, MACHINE_IDENTITY_EXISTS, PEAQOS_IDENTITY_UNAVAILABLE.
//
// POST /machines
func (s *MachinesService) Create(ctx context.Context, in CreateMachine) (*Machine, error) {
	if err := need("displayName", in.DisplayName, "ownerId", in.OwnerID); err != nil {
		return nil, err
	}
	ref, _ := in.IdentityRef.Get()
	if err := s.c.checkIdentityRef(ref); err != nil {
		return nil, err
	}
	proof, ok := in.IdentityProof.Get()
	if !ok {
		return nil, &ValidationError{"identityProof", "required"}
	}
	if err := proof.check(); err != nil {
		return nil, err
	}
	m, err := s.item(ctx, call{method: http.MethodPost, path: "/machines", auth: authPlatform, body: in})
	if err == nil && m.IdentityRef == "" {
		return nil, shapeFault(&shapeError{"identityRef"}, Meta{})
	}
	return m, err
}

// Get returns one machine. Errors: NOT_FOUND, MACHINE_NOT_ACTIVATED.
//
// GET /machines/:machineId
func (s *MachinesService) Get(ctx context.Context, machineID string) (*Machine, error) {
	if err := need("machineId", machineID); err != nil {
		return nil, err
	}
	return s.item(ctx, call{method: http.MethodGet, path: "/machines/" + segment(machineID), auth: authPlatform})
}

// Update changes a machine; Status active brings a draft into use. Errors:
// MACHINE_IDENTITY_IMMUTABLE, MACHINE_NOT_ACTIVATED, MACHINE_IDENTITY_PROOF_INVALID.
//
// PATCH /machines/:machineId
func (s *MachinesService) Update(ctx context.Context, machineID string, in UpdateMachine) (*Machine, error) {
	if err := need("machineId", machineID); err != nil {
		return nil, err
	}
	if ref, ok := in.IdentityRef.Get(); ok {
		if err := s.c.checkIdentityRef(ref); err != nil {
			return nil, err
		}
	}
	if proof, ok := in.IdentityProof.Get(); ok {
		if err := proof.check(); err != nil {
			return nil, err
		}
	}
	return s.item(ctx, call{method: http.MethodPatch, path: "/machines/" + segment(machineID), auth: authPlatform, body: in})
}

// Archive takes a machine out of use; it stays readable.
//
// DELETE /machines/:machineId
func (s *MachinesService) Archive(ctx context.Context, machineID string) error {
	if err := need("machineId", machineID); err != nil {
		return err
	}
	_, err := s.c.do(ctx, call{method: http.MethodDelete, path: "/machines/" + segment(machineID), auth: authPlatform}, nil)
	return err
}

// item fetches one machine and checks the identity it names.
func (s *MachinesService) item(ctx context.Context, r call) (*Machine, error) {
	var out item[Machine]
	meta, err := s.c.do(ctx, r, &out)
	if err != nil {
		return nil, err
	}
	m := &out.value
	if m.IdentityRef != "" {
		if err := s.c.canonicalRef(m.IdentityRef); err != nil {
			return nil, shapeFault(err, meta)
		}
	}
	if m.IdentityProof != nil {
		if err := s.c.canonicalRef(m.IdentityProof.IdentityRef); err != nil {
			return nil, shapeFault(err, meta)
		}
	}
	return m, nil
}
