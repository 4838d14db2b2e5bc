package sandbox

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
)

// Delegation is what a pairing may do (contract §2.6). An empty allow list allows
// everything, a denial wins, an absent limit is none.
type Delegation struct {
	AllowedSkillKeys    []string `json:"allowedSkillKeys"`
	DeniedSkillKeys     []string `json:"deniedSkillKeys"`
	AllowedServiceIDs   []string `json:"allowedServiceIds"`
	DeniedServiceIDs    []string `json:"deniedServiceIds"`
	PerTransactionLimit *float64 `json:"perTransactionLimit,omitempty"`
	DailySpendLimit     *float64 `json:"dailySpendLimit,omitempty"`
	Currency            string   `json:"currency,omitempty"`
}

// readDelegation reads a whole policy; what was not sent is empty.
func readDelegation(in *members) Delegation {
	var d Delegation
	if in == nil {
		in = &members{}
	}
	in.replace("allowedSkillKeys", &d.AllowedSkillKeys)
	in.replace("deniedSkillKeys", &d.DeniedSkillKeys)
	in.replace("allowedServiceIds", &d.AllowedServiceIDs)
	in.replace("deniedServiceIds", &d.DeniedServiceIDs)
	d.PerTransactionLimit, _ = in.amount("perTransactionLimit")
	d.DailySpendLimit, _ = in.amount("dailySpendLimit")
	d.Currency = in.text("currency")
	return d
}

// hash is the claim delegationPolicyHash: how it is made is not published; this is
// SHA-256 of the policy as it is answered.
func (d Delegation) hash() string {
	b, _ := json.Marshal(d)
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// denial says why the policy keeps a service away; "" when it does not.
func (d Delegation) denial(o *offer) string {
	switch {
	case slices.Contains(d.DeniedSkillKeys, o.SkillKey), slices.Contains(d.DeniedServiceIDs, o.ID):
		return "the delegation policy denies this service"
	case len(d.AllowedSkillKeys) > 0 && !slices.Contains(d.AllowedSkillKeys, o.SkillKey):
		return "the delegation policy does not allow the skill " + o.SkillKey
	case len(d.AllowedServiceIDs) > 0 && !slices.Contains(d.AllowedServiceIDs, o.ID):
		return "the delegation policy does not allow the service " + o.ID
	}
	return ""
}
