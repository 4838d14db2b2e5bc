package sandbox

import (
	"encoding/json"
	"strings"
)

// Budget is what an order may cost (contract §2.14).
type Budget struct {
	Amount   *float64 `json:"amount,omitempty"`
	Currency string   `json:"currency,omitempty"`
	max      *float64
}

// readBudget reads {amount, max, preferred, currency}, nil when none was sent.
func readBudget(in *members) *Budget {
	sent := in.object("budget")
	if sent == nil {
		return nil
	}
	b := &Budget{Currency: sent.text("currency")}
	b.Amount, _ = sent.amount("amount")
	b.max, _ = sent.amount("max")
	sent.amount("preferred")
	in.join(sent)
	return b
}

// covers says whether a price lies within the budget's max, or, when a search asks,
// within its amount.
func (b *Budget) covers(price float64, search bool) bool {
	switch {
	case b == nil:
	case b.max != nil:
		return price <= *b.max
	case b.Amount != nil && search:
		return price <= *b.Amount
	}
	return true
}

// readCredentials says for which providers there are credentials in the body. They
// themselves go no further: no provider is called.
func readCredentials(in *members) map[string]bool {
	sent := in.object("providerCredentials")
	if sent == nil {
		return nil
	}
	found := map[string]bool{}
	for provider := range sent.all {
		values, _ := sent.textMap(provider)
		for _, v := range values {
			found[provider] = found[provider] || strings.TrimSpace(v) != ""
		}
	}
	in.join(sent)
	return found
}

const redacted = "[REDACTED]"

// redactCredentials is a request body as it may be kept: every value below
// providerCredentials is a fixed word (contract §2.13).
func redactCredentials(all map[string]json.RawMessage) json.RawMessage {
	kept := make(map[string]json.RawMessage, len(all))
	for name, v := range all {
		kept[name] = v
	}
	var providers map[string]map[string]any
	if json.Unmarshal(all["providerCredentials"], &providers) == nil && providers != nil {
		for _, values := range providers {
			for name := range values {
				values[name] = redacted
			}
		}
		kept["providerCredentials"], _ = json.Marshal(providers)
	} else {
		delete(kept, "providerCredentials")
	}
	b, err := json.Marshal(kept)
	if err != nil {
		return json.RawMessage("{}")
	}
	return b
}
