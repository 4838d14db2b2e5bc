package sandbox

// Pairing is an agent pairing (contract §2.6).
type Pairing struct {
	ID               string        `json:"id"`
	MachineID        string        `json:"machineId"`
	AgentAddress     string        `json:"agentAddress"`
	AgentProvider    string        `json:"agentProvider"`
	AgentRole        string        `json:"agentRole"`
	AgentDID         string        `json:"agentDid"`
	Status           string        `json:"status"`
	HasAuthToken     bool          `json:"hasAuthToken"`
	DelegationPolicy Delegation    `json:"delegationPolicy"`
	Description      *string       `json:"description,omitempty"`
	TokenLastFour    string        `json:"tokenLastFour,omitempty"`
	SessionID        string        `json:"sessionId,omitempty"`
	SessionTokenID   string        `json:"sessionTokenId,omitempty"`
	SessionIssuedAt  Moment        `json:"sessionIssuedAt,omitzero"`
	SessionExpiresAt Moment        `json:"sessionExpiresAt,omitzero"`
	Verification     *Verification `json:"verification,omitempty"`
	CreatedAt        Moment        `json:"createdAt"`
	UpdatedAt        Moment        `json:"updatedAt"`
}

// Verification says by whose signature a pairing came to be.
type Verification struct {
	Method             string `json:"method"`
	SignerAddress      string `json:"signerAddress"`
	VerifiedAt         Moment `json:"verifiedAt"`
	ChallengeExpiresAt Moment `json:"challengeExpiresAt"`
}

// storedPairing is a pairing with what it spent. Its token is never kept: a token
// is checked by its signature and its claims.
type storedPairing struct {
	Pairing
	SpentDay string  `json:"spentDay,omitempty"` // UTC day of Spent
	Spent    float64 `json:"spent,omitempty"`
}
