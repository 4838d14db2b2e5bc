package sdk

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/peaqnetwork/peaqos-agent/sdk/internal/wire"
)

// MarketPaymentsService records and proves payments for orders (contract §2.15). It does
// not move money itself.
type MarketPaymentsService struct{ c *Client }

// PaymentStatus is the state of a payment. The server may send other values.
type PaymentStatus string

// The states of a payment. A held payment is released after confirmation, frozen by a
// dispute, or refunded.
const (
	PaymentNotRequired    PaymentStatus = "not_required"
	PaymentIntentCreated  PaymentStatus = "intent_created"
	PaymentHeld           PaymentStatus = "held"
	PaymentReleasePending PaymentStatus = "release_pending"
	PaymentReleased       PaymentStatus = "released"
	PaymentFrozen         PaymentStatus = "frozen"
	PaymentRefunded       PaymentStatus = "refunded"
)

// MarketPayment is the payment of one order. Amounts keep the digits that the server sent.
// Proof is nil until the payment is proven.
type MarketPayment struct {
	Meta      `json:"-"`
	ID        string                `json:"id" wire:"req"`
	OrderID   string                `json:"orderId" wire:"req"`
	MachineID string                `json:"machineId" wire:"req"`
	Status    PaymentStatus         `json:"status" wire:"req"`
	Rail      MarketRail            `json:"rail" wire:"req"`
	Notes     []string              `json:"notes"`
	CreatedAt string                `json:"createdAt" wire:"req"`
	UpdatedAt string                `json:"updatedAt" wire:"req"`
	Amount    Optional[json.Number] `json:"amount,omitzero"`
	Currency  string                `json:"currency"`
	Proof     *MarketPaymentProof   `json:"proof"`
}

// MarketRail is how an order is paid. Type is one of not-required, wallet, xvv42,
// x402, vault-stripe, escrow, offchain-record, external, onchain-escrow,
// wdk-usdt-transfer; the server may send others.
type MarketRail struct {
	Type            string          `json:"type"`
	Chain           string          `json:"chain"`
	Token           string          `json:"token"` // currency symbol, such as USDC
	TokenAddress    string          `json:"tokenAddress"`
	TokenMint       string          `json:"tokenMint"`
	EscrowAddress   string          `json:"escrowAddress"`
	ExternalURL     string          `json:"externalUrl"`
	Provider        string          `json:"provider"`
	AccountID       string          `json:"accountId"`
	WalletAddress   string          `json:"walletAddress"`
	PayerAddress    string          `json:"payerAddress"`
	PayeeAddress    string          `json:"payeeAddress"`
	PaymentIntentID string          `json:"paymentIntentId"`
	Metadata        json.RawMessage `json:"metadata" wire:"optnull,loose"` // holds the x402 challenge, see sdk/x402
}

func (r *MarketRail) decodeWire(k *wire.Codec, raw string) error {
	type plain MarketRail
	if err := k.Decode(raw, (*plain)(r)); err != nil {
		return err
	}
	if r.Type != "" {
		return nil
	}
	var names struct {
		Type     Optional[string] `json:"type"`
		RailType Optional[string] `json:"railType"`
	}
	err := k.Decode(raw, &names)
	if err == nil && !names.Type.IsSet() && !names.RailType.IsSet() {
		return wire.Inside("type", wire.MustBe("present"))
	}
	r.Type = names.Type.Or(names.RailType.Value())
	return err
}

// MarketPaymentProof describes a payment that was proven.
type MarketPaymentProof struct {
	Chain            string         `json:"chain"`
	Token            string         `json:"token"`
	TransactionHash  string         `json:"transactionHash"`
	PayerAddress     string         `json:"payerAddress"`
	VerifiedAt       string         `json:"verifiedAt"`
	VerificationMode string         `json:"verificationMode"` // recorded, rpc
	Metadata         *ProofMetadata `json:"metadata"`
}

// ProofMetadata describes how a proof was settled.
type ProofMetadata struct {
	Network           string             `json:"network"`
	HeaderName        string             `json:"headerName"`
	PaymentSettlement *PaymentSettlement `json:"paymentSettlement"`
}

// PaymentSettlement is the provider's response to a payment.
type PaymentSettlement struct {
	Status       string          `json:"status"`
	Response     json.RawMessage `json:"response" wire:"optnull,loose"`
	PayerAddress string          `json:"payerAddress"`
}

// RailInput selects a rail for CreateIntent. Its fields are those of MarketRail.
type RailInput struct {
	Type            Optional[string] `json:"type,omitzero"`
	Chain           Optional[string] `json:"chain,omitzero"`
	Token           Optional[string] `json:"token,omitzero"`
	TokenAddress    Optional[string] `json:"tokenAddress,omitzero"`
	TokenMint       Optional[string] `json:"tokenMint,omitzero"`
	EscrowAddress   Optional[string] `json:"escrowAddress,omitzero"`
	ExternalURL     Optional[string] `json:"externalUrl,omitzero"`
	Provider        Optional[string] `json:"provider,omitzero"`
	AccountID       Optional[string] `json:"accountId,omitzero"`
	WalletAddress   Optional[string] `json:"walletAddress,omitzero"`
	PayerAddress    Optional[string] `json:"payerAddress,omitzero"`
	PayeeAddress    Optional[string] `json:"payeeAddress,omitzero"`
	PaymentIntentID Optional[string] `json:"paymentIntentId,omitzero"`
	Metadata        json.RawMessage  `json:"metadata,omitzero"`
}

// CreatePaymentIntent is the request of [MarketPaymentsService.CreateIntent]. Unset
// fields are taken from the order.
type CreatePaymentIntent struct {
	Rail     Optional[RailInput]   `json:"rail,omitzero"`
	Amount   Optional[json.Number] `json:"amount,omitzero"`
	Currency Optional[string]      `json:"currency,omitzero"`
}

// How the server verifies a proof: it records what the request says, or queries the
// chain.
const (
	VerifyRecorded = "recorded"
	VerifyRPC      = "rpc"
)

// PaymentProof is the request of [MarketPaymentsService.SubmitProof]. On an EVM
// chain set TransactionHash and TokenAddress, on Solana TransactionSignature and
// TokenMint. Amount is a decimal string, RawAmount the same in the token's
// smallest unit.
type PaymentProof struct {
	VerificationMode     string           `json:"verificationMode"` // VerifyRecorded or VerifyRPC
	Chain                string           `json:"chain"`
	Token                string           `json:"token"` // currency symbol, such as USDC
	PayerAddress         string           `json:"payerAddress"`
	PayeeAddress         string           `json:"payeeAddress"`
	Amount               string           `json:"amount"`
	TransactionHash      Optional[string] `json:"transactionHash,omitzero"`
	TransactionSignature Optional[string] `json:"transactionSignature,omitzero"`
	TokenAddress         Optional[string] `json:"tokenAddress,omitzero"`
	TokenMint            Optional[string] `json:"tokenMint,omitzero"`
	TokenDecimals        Optional[int]    `json:"tokenDecimals,omitzero"`
	RawAmount            Optional[string] `json:"rawAmount,omitzero"`
	Metadata             json.RawMessage  `json:"metadata,omitzero"`
}

func (p PaymentProof) check(identityRefs) error {
	return nonBlanks("verificationMode", p.VerificationMode, "chain", p.Chain, "token", p.Token,
		"payerAddress", p.PayerAddress, "payeeAddress", p.PayeeAddress, "amount", p.Amount)
}

// X402PaymentProof is the request of [MarketPaymentsService.SubmitX402Proof];
// create its signature with package sdk/x402.
type X402PaymentProof struct {
	PaymentSignature Secret
	PaymentReference Optional[string]
	Metadata         json.RawMessage
}

type x402ProofBody struct {
	Payment          x402Signature    `json:"payment"`
	PaymentReference Optional[string] `json:"paymentReference,omitzero"`
	Metadata         json.RawMessage  `json:"metadata,omitzero"`
}

type x402Signature struct {
	PaymentSignature Secret `json:"paymentSignature"`
}

func (p x402ProofBody) check(identityRefs) error {
	return nonBlankSecret("paymentSignature", p.Payment.PaymentSignature)
}

// LockEscrow is the request of [MarketPaymentsService.LockEscrow].
type LockEscrow struct {
	TransactionHash string `json:"transactionHash"`
	Chain           string `json:"chain"`
	EscrowAddress   string `json:"escrowAddress"`
}

func (l LockEscrow) check(identityRefs) error {
	return nonBlanks("transactionHash", l.TransactionHash, "chain", l.Chain, "escrowAddress", l.EscrowAddress)
}

// ReleasePayment is the request of [MarketPaymentsService.Release].
type ReleasePayment struct {
	TransactionHash Optional[string] `json:"transactionHash,omitzero"`
	Notes           Optional[string] `json:"notes,omitzero"`
}

// RefundPayment is the request of [MarketPaymentsService.Refund].
type RefundPayment struct {
	TransactionHash Optional[string] `json:"transactionHash,omitzero"`
	Reason          Optional[string] `json:"reason,omitzero"`
}

// CreateIntent starts the payment of an order. If the order has one, it is returned.
//
// POST /market/orders/{orderId}/payment-intent (contract §2.15)
func (s *MarketPaymentsService) CreateIntent(
	ctx context.Context, orderID string, token Secret, in CreatePaymentIntent,
) (*MarketPayment, error) {
	return item[MarketPayment](ctx, s.c.call(http.MethodPost, "/market/orders/{orderId}/payment-intent", orderID).pairing(token).json(in))
}

// Get returns the payment of an order, or nil and no error if it has none yet.
//
// GET /market/orders/{orderId}/payment (contract §2.15)
func (s *MarketPaymentsService) Get(ctx context.Context, orderID string) (*MarketPayment, error) {
	out, err := item[*MarketPayment](ctx, s.c.call(http.MethodGet, "/market/orders/{orderId}/payment", orderID))
	if err != nil {
		return nil, err
	}
	return *out, nil
}

// SubmitProof submits the proof of a payment.
//
// Errors: PAYMENT_RPC_REQUIRED, PAYMENT_RPC_ERROR, PAYMENT_NOT_MINED (try again),
// PAYMENT_TX_FAILED, PAYMENT_TRANSFER_NOT_FOUND.
//
// POST /market/orders/{orderId}/payment-proof (contract §2.15)
func (s *MarketPaymentsService) SubmitProof(ctx context.Context, orderID string, token Secret, in PaymentProof) (*MarketPayment, error) {
	return item[MarketPayment](ctx, s.c.call(http.MethodPost, "/market/orders/{orderId}/payment-proof", orderID).pairing(token).json(in))
}

// SubmitX402Proof submits an x402 signature as the proof of a payment.
//
// POST /market/orders/{orderId}/payment-proof (contract §2.15)
func (s *MarketPaymentsService) SubmitX402Proof(
	ctx context.Context, orderID string, token Secret, in X402PaymentProof,
) (*MarketPayment, error) {
	r := s.c.call(http.MethodPost, "/market/orders/{orderId}/payment-proof", orderID)
	return item[MarketPayment](
		ctx,
		r.json(x402ProofBody{x402Signature{in.PaymentSignature}, in.PaymentReference, in.Metadata}).pairing(token),
	)
}

// LockEscrow reports that the money is in escrow.
//
// POST /market/orders/{orderId}/payment/escrow-lock (contract §2.15)
func (s *MarketPaymentsService) LockEscrow(ctx context.Context, orderID string, token Secret, in LockEscrow) (*MarketPayment, error) {
	return item[MarketPayment](
		ctx,
		s.c.call(http.MethodPost, "/market/orders/{orderId}/payment/escrow-lock", orderID).json(in).pairing(token),
	)
}

// Release pays the provider after confirmation. A nil request sends no body.
//
// Errors: ORDER_NOT_DELIVERED, ORDER_CLOSED.
//
// POST /market/orders/{orderId}/payment/release (contract §2.15)
func (s *MarketPaymentsService) Release(ctx context.Context, orderID string, token Secret, in *ReleasePayment) (*MarketPayment, error) {
	r := s.c.call(http.MethodPost, "/market/orders/{orderId}/payment/release", orderID).pairing(token)
	if in != nil {
		r.json(*in)
	}
	return item[MarketPayment](ctx, r)
}

// Refund returns the money to the buyer. A nil request sends no body.
//
// POST /market/orders/{orderId}/payment/refund (contract §2.15)
func (s *MarketPaymentsService) Refund(ctx context.Context, orderID string, token Secret, in *RefundPayment) (*MarketPayment, error) {
	r := s.c.call(http.MethodPost, "/market/orders/{orderId}/payment/refund", orderID).pairing(token)
	if in != nil {
		r.json(*in)
	}
	return item[MarketPayment](ctx, r)
}
