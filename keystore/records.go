package keystore

import (
	"fmt"
	"strings"
	"time"
)

const controllerName = "controller"

// Agent is the record of an enrolled machine: everything that a daemon needs to send
// heartbeats.
type Agent struct {
	Origin              string // scheme://host[:port] that issued the token, which is sent to no other
	MachineID           string
	IdentityRef         string
	AgentID             string
	Label               string
	Token               Secret
	AllowedProviderKeys []string
	EnrolledAt          time.Time
	// Attempts are the labels of enrollments that may have left an agent on the
	// server. An agent with such a label that is not AgentID is an orphan.
	Attempts []string
	// Pending is a rotated token with which no heartbeat was accepted yet, or nil.
	Pending *PendingToken
	// Replaced is the id of the previous agent, which may still be active on the
	// server; empty once it was revoked.
	Replaced string
}

// PendingToken is the token of a new agent. It is stored next to the old one until a
// heartbeat was accepted with it.
type PendingToken struct {
	AgentID             string
	Label               string
	Token               Secret
	AllowedProviderKeys []string
	EnrolledAt          time.Time
}

// Intent is the journal of an enrollment or rotation in progress, written before any
// request is sent. If it was interrupted, Label finds the agent that it may have made
// on the server.
type Intent struct {
	Kind        string    `json:"kind"` // enroll or rotate
	Origin      string    `json:"origin"`
	MachineID   string    `json:"machine_id"` // empty until known
	IdentityRef string    `json:"identity_ref"`
	Label       string    `json:"label"`
	StartedAt   time.Time `json:"started_at"`
	AgentID     string    `json:"agent_id,omitempty"` // empty until the server has responded
}

// agentFacts is the part of an Agent that is stored in plain text.
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

// agentSecrets is the part of an Agent that is sealed, and the only place where a
// token is encoded.
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
		Token: NewSecret(s.Token), AllowedProviderKeys: f.AllowedProviderKeys, EnrolledAt: f.EnrolledAt,
		Attempts: f.Attempts, Replaced: f.Replaced,
	}
	if p := f.Pending; p != nil {
		a.Pending = &PendingToken{p.AgentID, p.Label, NewSecret(s.Pending), p.AllowedProviderKeys, p.EnrolledAt}
	}
	return a
}

// recordName accepts only machine names that are safe in a file name.
func recordName(kind, machine string) (string, error) {
	valid := len(machine) >= 1 && len(machine) <= 32
	for _, c := range []byte(machine) {
		valid = valid && (c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-')
	}
	if !valid {
		return "", fmt.Errorf("keystore: machine name %q is not of the form [a-z0-9-]{1,32}", machine)
	}
	return kind + "-" + machine, nil
}

// isRecord reports whether a file name without its extension is that of a record.
func isRecord(name string) bool {
	return name == controllerName || name == hostName || strings.HasPrefix(name, "agent-") || strings.HasPrefix(name, "intent-")
}
