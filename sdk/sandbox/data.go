package sandbox

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// data is all the server knows, in the form of its state file.
type data struct {
	Revision   uint64                  // grows with each change worth saving
	Machines   []*Machine              // in order of registration
	Agents     []*Agent                // in order of enrollment
	Endpoints  map[string][]*Endpoint  // by machine
	Challenges map[string]*challengeOf // by id
	Audit      []AuditEvent
	Requests   uint64
	Beats      uint64
	SnakeCase  uint64 // heartbeat entries in an old client's spelling
}

func newData() data {
	return data{Endpoints: map[string][]*Endpoint{}, Challenges: map[string]*challengeOf{}}
}

// Machine is a registered machine as the server keeps it.
type Machine struct {
	ID             string            `json:"id"`
	DisplayName    string            `json:"displayName"`
	Status         string            `json:"status"`
	OwnerID        string            `json:"ownerId"`
	MachineType    string            `json:"machineType"`
	RuntimeProfile string            `json:"runtimeProfile"`
	Capabilities   []string          `json:"capabilities"`
	Labels         map[string]string `json:"labels"`
	PolicyIDs      []string          `json:"policyIds"`
	SkillKeys      []string          `json:"skillKeys"`
	CreatedAt      string            `json:"createdAt"`
	UpdatedAt      string            `json:"updatedAt"`
	IdentityRef    string            `json:"identityRef,omitempty"`
	IdentityProof  *Proof            `json:"identityProof,omitempty"`
}

// Proof is a verified identity.
type Proof struct {
	Method              string   `json:"method"`
	IdentityRef         string   `json:"identityRef"`
	SignerAddress       string   `json:"signerAddress"`
	ChallengeID         string   `json:"challengeId"`
	VerifiedAt          string   `json:"verifiedAt"`
	ChallengeExpiresAt  string   `json:"challengeExpiresAt"`
	ControllerAddresses []string `json:"controllerAddresses"`
	ResolutionSource    string   `json:"resolutionSource"`
}

// Agent is an enrolled agent; of its token only the hash is kept.
type Agent struct {
	ID                  string   `json:"id"`
	MachineID           string   `json:"machineId"`
	Label               string   `json:"label"`
	AllowedProviderKeys []string `json:"allowedProviderKeys"`
	Status              string   `json:"status"`
	CreatedAt           string   `json:"createdAt"`
	UpdatedAt           string   `json:"updatedAt"`
	LastSeenAt          string   `json:"lastSeenAt,omitempty"`
	TokenHash           [32]byte `json:"-"`
}

// agentInFile is Agent with its hash, for the state file.
type agentInFile struct {
	*Agent
	Hash [32]byte `json:"tokenHash"`
}

// MarshalJSON of a list of agents in the state file keeps the hashes.
type agentsInFile []*Agent

func (l agentsInFile) MarshalJSON() ([]byte, error) {
	out := []agentInFile{}
	for _, a := range l {
		out = append(out, agentInFile{a, a.TokenHash})
	}
	return json.Marshal(out)
}

// Endpoint is a published runtime; its token is kept only as "there is one".
type Endpoint struct {
	ID              string `json:"id"`
	MachineID       string `json:"machineId"`
	ProviderKey     string `json:"providerKey"`
	Label           string `json:"label"`
	EndpointBaseURL string `json:"endpointBaseUrl"`
	Source          string `json:"source"`
	AuthType        string `json:"authType"`
	HasAuthToken    bool   `json:"hasAuthToken"`
	NetworkScope    string `json:"networkScope"`
	ProbePath       string `json:"probePath"`
	Status          string `json:"status"`
	CreatedAt       string `json:"createdAt"`
	UpdatedAt       string `json:"updatedAt"`
	AgentID         string `json:"agentId,omitempty"`
	ModelAlias      string `json:"modelAlias,omitempty"`
	LeaseExpiresAt  string `json:"leaseExpiresAt,omitempty"`
	LastCheckedAt   string `json:"lastCheckedAt,omitempty"`
	LastHealthyAt   string `json:"lastHealthyAt,omitempty"`
}

// at is the endpoint as it is now: past its lease it reads unreachable.
func (e *Endpoint) at(now time.Time) Endpoint {
	c := *e
	if c.LeaseExpiresAt != "" && c.LeaseExpiresAt <= stamp(now) {
		c.Status = "unreachable"
	}
	return c
}

func (s *Server) machine(id string) (*Machine, error) {
	for _, m := range s.data.Machines {
		if m.ID == id {
			return m, nil
		}
	}
	return nil, notFound("the machine")
}

// usable is the machine, if its identity is proven and it is in use.
func (s *Server) usable(id string) (*Machine, error) {
	m, err := s.machine(id)
	if err != nil {
		return nil, err
	}
	if m.IdentityProof == nil {
		return nil, fail(409, "MACHINE_NOT_ACTIVATED", "the machine's identity is not verified")
	}
	if m.Status != "active" && m.Status != "degraded" {
		return nil, fail(409, "MACHINE_NOT_ACTIVE", "the machine is "+m.Status)
	}
	return m, nil
}

func (s *Server) changed() { s.data.Revision++ }

// stateInFile is the state file: data, with the agents' hashes.
type stateInFile struct {
	data
	Agents agentsInFile
}

func (s *Server) saveState() error {
	if s.stateFile == "" {
		return nil
	}
	b, err := json.Marshal(stateInFile{s.data, s.data.Agents})
	if err != nil {
		return err
	}
	temp := s.stateFile + ".tmp"
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(temp, s.stateFile); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(s.stateFile))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

func (s *Server) loadState() error {
	if s.stateFile == "" {
		return nil
	}
	b, err := os.ReadFile(s.stateFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	file := struct {
		data
		Agents []struct {
			Agent
			Hash [32]byte `json:"tokenHash"`
		}
	}{data: newData()}
	if err := json.Unmarshal(b, &file); err != nil {
		return errors.New("the sandbox's state file cannot be read: " + err.Error())
	}
	s.data = file.data
	for _, a := range file.Agents {
		agent := a.Agent
		agent.TokenHash = a.Hash
		s.data.Agents = append(s.data.Agents, &agent)
	}
	return nil
}
