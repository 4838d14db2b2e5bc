package keystore

import (
	"encoding/json"
	"errors"
	"fmt"
)

// Agent returns the record of one machine. Errors: ErrNotFound, ErrSealed,
// ErrDamaged, ErrUnreadable, ErrNewerFormat and ErrForeignHost.
func (s *Store) Agent(machine string) (*Agent, error) {
	var facts agentFacts
	var secrets agentSecrets
	if err := s.readRecord("agent", machine, &facts, &secrets); err != nil {
		return nil, err
	}
	defer clear(secrets.Token)
	defer clear(secrets.Pending)
	if len(secrets.Token) == 0 || facts.AgentID == "" {
		return nil, fmt.Errorf("%w: the record of %s has no token", ErrDamaged, machine)
	}
	return facts.join(secrets), nil
}

// AgentFacts returns the part of the record that is stored in plain text, without
// tokens. It also works when the store cannot be unsealed or is on other hardware, so
// that the agent to replace is known. The facts are checked for damage, but not for
// forgery. Errors: ErrNotFound, ErrDamaged, ErrUnreadable, ErrNewerFormat.
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

// PutAgent stores the record of one machine durably. When it returns nil, the record
// was read back. When it fails, the old record is unchanged, unless ErrUncertain is in
// the chain. It replaces a damaged record and, after PrepareNewKey, a sealed one; the old
// files are kept under names such as agent-main.a.lost-1.
func (s *Store) PutAgent(machine string, a *Agent) error {
	name, err := recordName("agent", machine)
	if err != nil {
		return err
	}
	facts, secrets := a.split()
	if len(secrets.Token) == 0 || facts.AgentID == "" || (facts.Pending != nil && len(secrets.Pending) == 0) {
		return fmt.Errorf("keystore: the record of %s has no agent id or no token", machine)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.writableFor(machine); err != nil {
		return err
	}
	return s.writeJSON(name, facts, secrets)
}

// DropAgent removes the record of one machine, as durably as it was stored. Dropping
// one that does not exist is not an error.
func (s *Store) DropAgent(machine string) error {
	name, err := recordName("agent", machine)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.readable(); err != nil {
		return err
	}
	if s.prepared != nil && s.prepared.machine != machine {
		return s.sealErr
	}
	return s.drop(name)
}

// EverHeld reports whether the store has, or had since it was made or reset, a record
// of the machine. A dropped record and a damaged one count.
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

// Intent returns the journal of an interrupted enrollment or rotation. Errors:
// ErrNotFound if none was interrupted, and those of Agent.
func (s *Store) Intent(machine string) (*Intent, error) {
	var i Intent
	if err := s.readRecord("intent", machine, &i, nil); err != nil {
		return nil, err
	}
	return &i, nil
}

// IntentFacts is Intent for a store that cannot be unsealed. The journal is stored in
// plain text, so an agent that an interrupted rotation left behind is still known.
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

// PutIntent stores the journal, as durably as a record.
func (s *Store) PutIntent(machine string, i *Intent) error {
	name, err := recordName("intent", machine)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.writableFor(machine); err != nil {
		return err
	}
	f := frame{name: name}
	if f.facts, err = json.Marshal(i); err != nil {
		return err
	}
	return s.putJournal(name, f)
}

// DropIntent removes the journal. Dropping one that does not exist is not an error.
// With a prepared key, what was there before PutIntent is restored.
func (s *Store) DropIntent(machine string) error {
	name, err := recordName("intent", machine)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.readable(); err != nil {
		return err
	}
	if done, err := s.takeBack(name); done || err != nil {
		return err
	}
	if s.prepared != nil && s.prepared.machine != machine {
		return s.sealErr
	}
	if s.prepared == nil {
		return s.drop(name)
	}
	c, err := s.inspect(name)
	if err != nil {
		return err
	}
	if i := c.newest(); i < 0 || c.intact[i].dropped {
		return nil
	}
	return s.put(frame{name: name, dropped: true})
}

// Controller returns the signer of the stored controller key. Errors: those of Agent.
func (s *Store) Controller() (*Signer, error) {
	key, err := s.ControllerKey()
	if err != nil {
		return nil, err
	}
	defer key.Wipe()
	return key.Signer(), nil
}

// ControllerKey returns the stored controller key itself, for exporting it. The
// caller wipes it. Errors: those of Agent.
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
		return nil, fmt.Errorf("%w: the controller record has no valid key", ErrDamaged)
	}
	return key, nil
}

// HasControllerKey reports whether a controller key is stored, even one that cannot be
// read.
func (s *Store) HasControllerKey() bool {
	var facts struct{}
	err := s.readFacts(controllerName, &facts)
	return err == nil || !errors.Is(err, ErrNotFound)
}

// PutController stores a controller key. Storing the same key again is not an error.
// Another key is ErrKeyExists, and so is any key while the stored one cannot be read,
// because the stored one may be the only copy.
func (s *Store) PutController(k *Key) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := errors.Join(s.writable(), s.volatile()); err != nil {
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
		return fmt.Errorf("%w, which may be the only copy", ErrKeyExists)
	case errors.Is(err, ErrUnreadable):
		return err
	case !errors.Is(err, ErrNotFound):
		return fmt.Errorf("%w, which cannot be read: %w", ErrKeyExists, err)
	}
	body := k.bytes()
	defer clear(body)
	return s.save(frame{name: controllerName, facts: []byte("{}"), body: body})
}

// readRecord decodes a machine's record of this kind, as readJSON does.
func (s *Store) readRecord(kind, machine string, facts, secrets any) error {
	name, err := recordName(kind, machine)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.readable(); err != nil {
		return err
	}
	return s.readJSON(name, facts, secrets)
}

// readJSON decodes the two parts of a record. A nil secrets is not decoded.
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
		return fmt.Errorf("%w: %s is not a valid record", ErrDamaged, name) // the cause may quote a secret
	}
	return nil
}

// writeJSON stores a record of two parts. With nil secrets its body is empty.
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

// readFacts decodes the part of a record that is in plain text, without a key.
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
	if c.intact[i].dropped {
		return fmt.Errorf("%w: %s", ErrNotFound, name)
	}
	if err := json.Unmarshal(c.intact[i].facts, facts); err != nil {
		return fmt.Errorf("%w: %s is not a valid record", ErrDamaged, name)
	}
	return nil
}
