package keystore

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"
)

// Agent is the record of an enrolled machine: all that the daemon needs to beat.
type Agent struct {
	Origin              string // scheme://host[:port] that gave the token; it is sent nowhere else
	MachineID           string
	IdentityRef         string
	AgentID             string
	Label               string
	Token               Secret
	AllowedProviderKeys []string
	EnrolledAt          time.Time
	// Attempts are the labels of enrollments that may have left an agent on the
	// server. One that carries such a label and is not AgentID is an orphan.
	Attempts []string
	// Pending is a rotated token that no beat has proven yet; nil for none.
	Pending *PendingToken
	// Replaced is the id of the agent that this one took over from and that may
	// still live on the server; empty once it was revoked.
	Replaced string
}

// PendingToken is a new agent's token, stored beside the old one until a beat
// was accepted with it.
type PendingToken struct {
	AgentID             string
	Label               string
	Token               Secret
	AllowedProviderKeys []string
	EnrolledAt          time.Time
}

// agentFacts is what lies in the clear of an Agent.
type agentFacts struct {
	Origin              string        `json:"origin"`
	MachineID           string        `json:"machine_id"`
	IdentityRef         string        `json:"identity_ref"`
	AgentID             string        `json:"agent_id"`
	Label               string        `json:"label"`
	AllowedProviderKeys []string      `json:"allowed_provider_keys"`
	EnrolledAt          time.Time     `json:"enrolled_at"`
	Attempts            []string      `json:"attempts,omitempty"`
	Pending             *pendingFacts `json:"pending,omitempty"`
	Replaced            string        `json:"replaced,omitempty"`
}

type pendingFacts struct {
	AgentID             string    `json:"agent_id"`
	Label               string    `json:"label"`
	AllowedProviderKeys []string  `json:"allowed_provider_keys"`
	EnrolledAt          time.Time `json:"enrolled_at"`
}

// agentSecrets is what is sealed: the only place where a token is text.
type agentSecrets struct {
	Token   []byte `json:"token"`
	Pending []byte `json:"pending,omitempty"`
}

func (a *Agent) split() (agentFacts, agentSecrets) {
	f := agentFacts{
		Origin: a.Origin, MachineID: a.MachineID, IdentityRef: a.IdentityRef, AgentID: a.AgentID, Label: a.Label,
		AllowedProviderKeys: a.AllowedProviderKeys, EnrolledAt: a.EnrolledAt, Attempts: a.Attempts, Replaced: a.Replaced,
	}
	s := agentSecrets{Token: a.Token.Reveal()}
	if p := a.Pending; p != nil {
		f.Pending = &pendingFacts{p.AgentID, p.Label, p.AllowedProviderKeys, p.EnrolledAt}
		s.Pending = p.Token.Reveal()
	}
	return f, s
}

func (f *agentFacts) join(s agentSecrets) *Agent {
	a := &Agent{
		Origin: f.Origin, MachineID: f.MachineID, IdentityRef: f.IdentityRef, AgentID: f.AgentID, Label: f.Label,
		Token: NewSecret(s.Token), AllowedProviderKeys: f.AllowedProviderKeys, EnrolledAt: f.EnrolledAt, Attempts: f.Attempts, Replaced: f.Replaced,
	}
	if p := f.Pending; p != nil {
		a.Pending = &PendingToken{p.AgentID, p.Label, NewSecret(s.Pending), p.AllowedProviderKeys, p.EnrolledAt}
	}
	return a
}

// recordName keeps machine names to what is safe in a file name.
func recordName(kind, machine string) (string, error) {
	if !regexp.MustCompile(`^[a-z0-9-]{1,32}$`).MatchString(machine) {
		return "", fmt.Errorf("machine name %q is not of the form [a-z0-9-]{1,32}", machine)
	}
	return kind + "-" + machine, nil
}

// isRecord reports whether a file name without its ending is one of ours.
func isRecord(name string) bool {
	return name == controllerName || name == hostName || strings.HasPrefix(name, "agent-") || strings.HasPrefix(name, "intent-")
}

// Agent returns the record of one machine. Errors: ErrNotFound, ErrSealed,
// ErrDamaged, ErrNewerFormat, ErrForeignHost.
func (s *Store) Agent(machine string) (*Agent, error) {
	name, err := recordName("agent", machine)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(); err != nil {
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
	return err != nil || c.newest() >= 0 || !errors.Is(c.verdict(), ErrNotFound)
}

// readFacts takes what lies in the clear of a record, without a key.
func (s *Store) readFacts(name string, facts any) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return s.ready()
	}
	c, err := s.inspect(name)
	if err != nil {
		return err
	}
	i := c.newest()
	if i < 0 {
		return c.verdict()
	}
	if c.whole[i].dropped {
		return fmt.Errorf("%w: %s", ErrNotFound, name)
	}
	if err := json.Unmarshal(c.whole[i].facts, facts); err != nil {
		return fmt.Errorf("%w: %s holds no record", ErrDamaged, name)
	}
	return nil
}

// PutAgent stores the record of one machine durably and has read it back when it
// returns nil. When it fails the old record stands, unless ErrUncertain is in
// the chain. It replaces a damaged record, and a sealed one after Renew.
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
	if err := s.ready(); err != nil {
		return err
	}
	return s.writeJSON(name, facts, secrets)
}

// DropAgent forgets the record of one machine, as durably as it was stored;
// dropping one that is not there is fine.
func (s *Store) DropAgent(machine string) error { return s.dropNamed("agent", machine) }

func (s *Store) dropNamed(kind, machine string) error {
	name, err := recordName(kind, machine)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(); err != nil {
		return err
	}
	return s.drop(name)
}
