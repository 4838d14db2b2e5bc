package sandbox

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
