package agent

import (
	"slices"

	"github.com/peaqnetwork/peaqos-agent/keystore"
)

// Changes to a stored record, as pure functions.

// promoted returns a record after its pending agent was confirmed.
func promoted(r *keystore.Agent) *keystore.Agent {
	next := *r
	p := r.Pending
	next.AgentID, next.Label, next.Token = p.AgentID, p.Label, p.Token
	next.AllowedProviderKeys, next.EnrolledAt = p.AllowedProviderKeys, p.EnrolledAt
	next.Pending, next.Replaced = nil, r.AgentID
	return &next
}

// maxAttempts bounds the labels that a record remembers.
const maxAttempts = 16

// withLabel adds labels to the attempts, the latest last, without duplicates.
func withLabel(attempts []string, labels ...string) []string {
	all := slices.Clone(attempts)
	for _, l := range labels {
		if l != "" && !slices.Contains(all, l) {
			all = append(all, l)
		}
	}
	return all[max(0, len(all)-maxAttempts):]
}

// wipeTokens overwrites the tokens of a record that is not used any more.
func wipeTokens(r *keystore.Agent) {
	r.Token.Wipe()
	if r.Pending != nil {
		r.Pending.Token.Wipe()
	}
}
