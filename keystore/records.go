package keystore

import (
	"errors"
	"fmt"
	"regexp"
	"time"
)

// Agent is the record of an enrolled machine: all that the daemon needs to beat.
type Agent struct {
	Origin              string // scheme://host:port that gave the token; it is sent nowhere else
	MachineID           string
	IdentityRef         string
	AgentID             string
	Label               string
	Token               Secret
	AllowedProviderKeys []string
	EnrolledAt          time.Time
	// Attempts are the labels of all enrollments tried for this identity. An
	// agent on the server that carries one of them and is not AgentID is an orphan.
	Attempts []string
}

// agentBody is Agent as it is sealed: the only place where the token is text.
type agentBody struct {
	Origin              string    `json:"origin"`
	MachineID           string    `json:"machine_id"`
	IdentityRef         string    `json:"identity_ref"`
	AgentID             string    `json:"agent_id"`
	Label               string    `json:"label"`
	Token               []byte    `json:"token"`
	AllowedProviderKeys []string  `json:"allowed_provider_keys"`
	EnrolledAt          time.Time `json:"enrolled_at"`
	Attempts            []string  `json:"attempts"`
}

// Intent is the journal of an enrollment under way, written before anything is
// asked of the server. Label names the agent it may have made.
type Intent struct {
	Kind        string    `json:"kind"` // enroll
	Origin      string    `json:"origin"`
	MachineID   string    `json:"machine_id"` // empty until it is known
	IdentityRef string    `json:"identity_ref"`
	Label       string    `json:"label"`
	StartedAt   time.Time `json:"started_at"`
}

// recordName keeps machine names to what is safe in a file name.
func recordName(kind, machine string) (string, error) {
	if !regexp.MustCompile(`^[a-z0-9-]{1,32}$`).MatchString(machine) {
		return "", fmt.Errorf("machine name %q is not of the form [a-z0-9-]{1,32}", machine)
	}
	return kind + "-" + machine, nil
}

// Agent returns the record of one machine. Errors: ErrNotFound, ErrSealed,
// ErrDamaged, ErrNewerFormat.
func (s *Store) Agent(machine string) (*Agent, error) {
	name, err := recordName("agent", machine)
	if err != nil {
		return nil, err
	}
	var b agentBody
	if err := s.readJSON(name, &b); err != nil {
		return nil, err
	}
	defer clear(b.Token)
	if len(b.Token) == 0 || b.AgentID == "" {
		return nil, fmt.Errorf("%w: the record of %s holds no token", ErrDamaged, machine)
	}
	return &Agent{
		Origin: b.Origin, MachineID: b.MachineID, IdentityRef: b.IdentityRef, AgentID: b.AgentID, Label: b.Label,
		Token: NewSecret(b.Token), AllowedProviderKeys: b.AllowedProviderKeys, EnrolledAt: b.EnrolledAt, Attempts: b.Attempts,
	}, nil
}

// PutAgent stores the record of one machine durably, in both slots, and has read
// it back when it returns nil.
func (s *Store) PutAgent(machine string, a *Agent) error {
	name, err := recordName("agent", machine)
	if err != nil {
		return err
	}
	return s.writeJSON(name, agentBody{
		a.Origin, a.MachineID, a.IdentityRef, a.AgentID, a.Label, a.Token.Reveal(), a.AllowedProviderKeys, a.EnrolledAt, a.Attempts,
	})
}

// Intent returns the journal of an interrupted enrollment, or ErrNotFound.
func (s *Store) Intent(machine string) (*Intent, error) {
	name, err := recordName("intent", machine)
	if err != nil {
		return nil, err
	}
	var i Intent
	if err := s.readJSON(name, &i); err != nil {
		return nil, err
	}
	return &i, nil
}

// PutIntent journals an enrollment, as durably as a record.
func (s *Store) PutIntent(machine string, i *Intent) error {
	name, err := recordName("intent", machine)
	if err != nil {
		return err
	}
	return s.writeJSON(name, i)
}

// DropIntent ends the journal; dropping one that is not there is fine.
func (s *Store) DropIntent(machine string) error {
	name, err := recordName("intent", machine)
	if err != nil {
		return err
	}
	return s.drop(name)
}

// Controller returns the stored controller key, or ErrNotFound.
func (s *Store) Controller() (*Key, error) {
	if s.keyErr != nil {
		return nil, s.keyErr
	}
	body, err := s.load("controller")
	if err != nil {
		return nil, err
	}
	key, err := keyFromBytes(body)
	clear(body)
	if err != nil {
		return nil, fmt.Errorf("%w: the controller record holds no key", ErrDamaged)
	}
	return key, nil
}

// PutController stores a controller key. It replaces none: a key that is there
// may be the only copy.
func (s *Store) PutController(k *Key) error {
	if old, err := s.Controller(); err == nil {
		same := old.Hex() == k.Hex()
		old.Wipe()
		if same {
			return nil
		}
		return errors.New("the store holds another controller key already, and may be its only place")
	} else if !errors.Is(err, ErrNotFound) {
		return err
	}
	return s.save("controller", k.scalar())
}
