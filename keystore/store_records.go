package keystore

import (
	"encoding/json"
	"errors"
	"fmt"
)

// Agent returns the record of one machine. Errors: ErrNotFound, ErrSealed,
// ErrDamaged, ErrNewerFormat, ErrForeignHost.
func (s *Store) Agent(machine string) (*Agent, error) {
	name, err := recordName("agent", machine)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.readable(); err != nil {
		return nil, err
	}
	var facts agentFacts
	var secrets agentSecrets
	if err := s.readJSON(name, &facts, &secrets); err != nil {
		return nil, err
	}
	defer clear(secrets.Token)
	defer clear(secrets.Pending)
	if len(secrets.Token) == 0 || facts.AgentID == "" {
		return nil, fmt.Errorf("%w: the record of %s holds no token", ErrDamaged, machine)
	}
	return facts.join(secrets), nil
}

// AgentFacts returns the record without its tokens, from what lies in the clear:
// also when the store cannot be unsealed or lies on other hardware, so that the
// agent which has to be replaced can be named. What it says is checked for
// damage, not for forgery. Errors: ErrNotFound, ErrDamaged, ErrNewerFormat.
func (s *Store) AgentFacts(machine string) (*Agent, error) {
	name, err := recordName("agent", machine)
	if err != nil {
		return nil, err
	}
	var facts agentFacts
	if err := s.readFacts(name, &facts); err != nil {
		return nil, err
	}
	return facts.join(agentSecrets{}), nil
}

// PutAgent stores the record of one machine durably and has read it back when it
// returns nil. When it fails the old record stands, unless ErrUncertain is in
// the chain. It replaces a damaged record, and a sealed one after ReplaceLostKey.
func (s *Store) PutAgent(machine string, a *Agent) error {
	name, err := recordName("agent", machine)
	if err != nil {
		return err
	}
	facts, secrets := a.split()
	if len(secrets.Token) == 0 || facts.AgentID == "" || (facts.Pending != nil && len(secrets.Pending) == 0) {
		return fmt.Errorf("keystore: a record of %s without an agent id or a token is not stored", machine)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.writable(); err != nil {
		return err
	}
	return s.writeJSON(name, facts, secrets)
}

// DropAgent forgets the record of one machine, as durably as it was stored;
// dropping one that is not there is fine.
func (s *Store) DropAgent(machine string) error { return s.dropRecord("agent", machine) }

// EverHeld reports whether the store holds, or since it was made or reset once
// held, a record of the machine: a dropped one leaves its mark.
func (s *Store) EverHeld(machine string) bool {
	name, err := recordName("agent", machine)
	if err != nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return true
	}
	c, err := s.inspect(name)
	return err != nil || c.newest() >= 0 || !errors.Is(c.noneIntact(), ErrNotFound)
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
	if err := s.readable(); err != nil {
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
	if err := s.writable(); err != nil {
		return err
	}
	return s.writeJSON(name, i, nil)
}

// DropIntent ends the journal; dropping one that is not there is fine.
func (s *Store) DropIntent(machine string) error { return s.dropRecord("intent", machine) }

// Controller returns the signer of the stored controller key, or ErrNotFound.
func (s *Store) Controller() (*Signer, error) {
	key, err := s.ControllerKey()
	if err != nil {
		return nil, err
	}
	defer key.Wipe()
	return key.Signer(), nil
}

// ControllerKey returns the stored controller key itself, for exporting it. The
// caller wipes it.
func (s *Store) ControllerKey() (*Key, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.readable(); err != nil {
		return nil, err
	}
	_, body, err := s.load(controllerName)
	if err != nil {
		return nil, err
	}
	defer clear(body)
	key, err := keyFromBytes(body)
	if err != nil {
		return nil, fmt.Errorf("%w: the controller record holds no key", ErrDamaged)
	}
	return key, nil
}

// HasControllerKey reports whether a controller key is stored, readable or not.
func (s *Store) HasControllerKey() bool {
	var facts struct{}
	err := s.readFacts(controllerName, &facts)
	return err == nil || !errors.Is(err, ErrNotFound)
}

// PutController stores a controller key. Storing the same one again is fine;
// another one is refused with ErrKeyExists, and so is any while the stored one
// cannot be read: it may be the only copy. DropController comes first then.
func (s *Store) PutController(k *Key) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.writable(); err != nil {
		return err
	}
	switch _, body, err := s.load(controllerName); {
	case err == nil:
		defer clear(body)
		old, err := keyFromBytes(body)
		if err == nil && old.equal(k) {
			old.Wipe()
			return nil
		}
		return fmt.Errorf("%w, and may be its only place", ErrKeyExists)
	case !errors.Is(err, ErrNotFound):
		return fmt.Errorf("%w, and it cannot be read: %w", ErrKeyExists, err)
	}
	body := k.bytes()
	defer clear(body)
	return s.save(frame{name: controllerName, facts: []byte("{}"), body: body})
}

func (s *Store) dropRecord(kind, machine string) error {
	name, err := recordName(kind, machine)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.readable(); err != nil {
		return err
	}
	return s.drop(name)
}

// readJSON takes the parts of a record into v (the facts) and secrets.
func (s *Store) readJSON(name string, facts, secrets any) error {
	f, body, err := s.load(name)
	if err != nil {
		return err
	}
	defer clear(body)
	err = json.Unmarshal(f.facts, facts)
	if err == nil && secrets != nil {
		err = json.Unmarshal(body, secrets)
	}
	if err != nil {
		return fmt.Errorf("%w: %s holds no record", ErrDamaged, name) // the cause may quote a secret
	}
	return nil
}

func (s *Store) writeJSON(name string, facts, secrets any) error {
	f := frame{name: name}
	var err error
	if f.facts, err = json.Marshal(facts); err != nil {
		return err
	}
	if secrets != nil {
		if f.body, err = json.Marshal(secrets); err != nil {
			return err
		}
		defer clear(f.body)
	}
	return s.save(f)
}

// readFacts takes what lies in the clear of a record, without a key.
func (s *Store) readFacts(name string, facts any) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return s.writable()
	}
	c, err := s.inspect(name)
	if err != nil {
		return err
	}
	i := c.newest()
	if i < 0 {
		return c.noneIntact()
	}
	if c.whole[i].dropped {
		return fmt.Errorf("%w: %s", ErrNotFound, name)
	}
	if err := json.Unmarshal(c.whole[i].facts, facts); err != nil {
		return fmt.Errorf("%w: %s holds no record", ErrDamaged, name)
	}
	return nil
}
