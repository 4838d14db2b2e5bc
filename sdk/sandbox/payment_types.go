package sandbox

import "encoding/json"

// Payment is an order's payment (contract §2.15).
type Payment struct {
	ID        string        `json:"id"`
	OrderID   string        `json:"orderId"`
	MachineID string        `json:"machineId"`
	Status    string        `json:"status"`
	Rail      PaymentRail   `json:"rail"`
	Notes     []string      `json:"notes"`
	CreatedAt Moment        `json:"createdAt"`
	UpdatedAt Moment        `json:"updatedAt"`
	Amount    *float64      `json:"amount,omitempty"`
	Currency  string        `json:"currency,omitempty"`
	Proof     *PaymentProof `json:"proof,omitempty"`
}

// PaymentRail is the way a payment goes.
type PaymentRail struct {
	Type            string          `json:"type"`
	Chain           string          `json:"chain,omitempty"`
	Token           string          `json:"token,omitempty"`
	TokenAddress    string          `json:"tokenAddress,omitempty"`
	TokenMint       string          `json:"tokenMint,omitempty"`
	EscrowAddress   string          `json:"escrowAddress,omitempty"`
	ExternalURL     string          `json:"externalUrl,omitempty"`
	Provider        string          `json:"provider,omitempty"`
	AccountID       string          `json:"accountId,omitempty"`
	WalletAddress   string          `json:"walletAddress,omitempty"`
	PayerAddress    string          `json:"payerAddress,omitempty"`
	PayeeAddress    string          `json:"payeeAddress,omitempty"`
	PaymentIntentID string          `json:"paymentIntentId,omitempty"`
	Metadata        json.RawMessage `json:"metadata,omitempty"` // carries the x402 challenge
}

// PaymentProof is what settled a payment.
type PaymentProof struct {
	Chain            string          `json:"chain,omitempty"`
	Token            string          `json:"token,omitempty"`
	TransactionHash  string          `json:"transactionHash,omitempty"`
	PayerAddress     string          `json:"payerAddress,omitempty"`
	VerifiedAt       Moment          `json:"verifiedAt,omitzero"`
	VerificationMode string          `json:"verificationMode,omitempty"`
	Metadata         json.RawMessage `json:"metadata,omitempty"`
}
