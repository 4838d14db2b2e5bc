package agent

import (
	"fmt"
	"slices"
	"strings"

	"github.com/peaqnetwork/peaqos-agent/agent/config"
	"github.com/peaqnetwork/peaqos-agent/keystore"
)

// notAllowed warns of endpoints whose provider keys are not among those that a machine's
// agent was enrolled with; "" if there is none. The orchestrator would refuse them.
// Without a list every key is allowed.
func notAllowed(m config.Machine, allowed []string) string {
	if len(allowed) == 0 {
		return ""
	}
	var outside []string
	for _, e := range m.Endpoints {
		if !slices.Contains(allowed, e.ProviderKey) {
			outside = append(outside, e.ProviderKey)
		}
	}
	if len(outside) == 0 {
		return ""
	}
	return fmt.Sprintf("machine %s was enrolled for the provider keys %s; the orchestrator will refuse %s until "+
		"peaqos-agent rotate has run, which needs the API key", m.Name, strings.Join(allowed, ", "), strings.Join(outside, ", "))
}

// allowedOf are the provider keys of a record, and of its pending agent if there is one:
// that one is used as soon as it is confirmed.
func allowedOf(r *keystore.Agent) []string {
	if r == nil {
		return nil
	}
	if r.Pending != nil {
		return r.Pending.AllowedProviderKeys
	}
	return r.AllowedProviderKeys
}

// AllowListWarnings are the warnings about a configuration that only the store can give:
// ids are its identities.
func AllowListWarnings(cfg *config.Config, ids []Identity) []string {
	var out []string
	for _, m := range cfg.Machines {
		for _, id := range ids {
			if w := notAllowed(m, id.AllowedProviderKeys); id.Machine == m.Name && w != "" {
				out = append(out, w)
			}
		}
	}
	return out
}
