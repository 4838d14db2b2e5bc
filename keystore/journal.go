package keystore

import "time"

// Intent is the journal of an enrollment or a rotation under way, written before
// anything is asked of the server. Label names the agent that it may have made.
type Intent struct {
	Kind        string    `json:"kind"` // enroll or rotate
	Origin      string    `json:"origin"`
	MachineID   string    `json:"machine_id"` // empty until it is known
	IdentityRef string    `json:"identity_ref"`
	Label       string    `json:"label"`
	StartedAt   time.Time `json:"started_at"`
	AgentID     string    `json:"agent_id,omitempty"` // empty until the server has answered
}

// Intent returns the journal of an interrupted enrollment. Errors: ErrNotFound,
// which is the good case, and those of Agent.
func (s *Store) Intent(machine string) (*Intent, error) {
	name, err := recordName("intent", machine)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(); err != nil {
		return nil, err
	}
	var i Intent
	if err := s.readJSON(name, &i, nil); err != nil {
		return nil, err
	}
	return &i, nil
}

// IntentFacts is Intent for a store that cannot be unsealed: the journal lies in
// the clear, so what an interrupted rotation left can be named all the same.
func (s *Store) IntentFacts(machine string) (*Intent, error) {
	name, err := recordName("intent", machine)
	if err != nil {
		return nil, err
	}
	var i Intent
	if err := s.readFacts(name, &i); err != nil {
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
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.ready(); err != nil {
		return err
	}
	return s.writeJSON(name, i, nil)
}

// DropIntent ends the journal; dropping one that is not there is fine.
func (s *Store) DropIntent(machine string) error { return s.dropNamed("intent", machine) }
