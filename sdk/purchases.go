package sdk

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"
)

// PurchasesService buys streams, from reservation to delivery (contract §2.10). This part
// of the API is in development at peaq.
type PurchasesService struct{ c *Client }

// Purchase is one purchase of a stream listing.
type Purchase struct {
	Meta `json:"-"`
	ID   string `json:"id" wire:"req"`
	// Status is delivery_reserving, delivery_reserved, payment_pending, payment_verified,
	// delivery_released, active, completed, cancelled or failed.
	Status    string           `json:"status" wire:"req"`
	Resource  PurchaseResource `json:"resource" wire:"req"`
	Buyer     PurchaseBuyer    `json:"buyer" wire:"req"`
	Payment   PurchasePayment  `json:"payment" wire:"req"`
	Delivery  PurchaseDelivery `json:"delivery" wire:"req"`
	CreatedAt string           `json:"createdAt" wire:"req"`
	UpdatedAt string           `json:"updatedAt" wire:"req"`
}

// PurchaseResource is the listing that is bought.
type PurchaseResource struct {
	Type      string             `json:"type" wire:"req"` // stream.listing
	ListingID string             `json:"listingId" wire:"req"`
	Mode      string             `json:"mode"`
	Selection *PurchaseSelection `json:"selection"`
}

// PurchaseSelection is a part of a listing.
type PurchaseSelection struct {
	ChunkIDs  []string `json:"chunkIds"`
	Topic     string   `json:"topic"`
	StartTime string   `json:"startTime"`
	EndTime   string   `json:"endTime"`
}

// PurchaseBuyer is the buyer, and the key for which content keys are sealed.
type PurchaseBuyer struct {
	ID                   string               `json:"id" wire:"req"`
	PublicKey            BuyerPublicKey       `json:"publicKey" wire:"req"`
	DeliveryCapabilities []DeliveryCapability `json:"deliveryCapabilities"`
	MachineID            string               `json:"machineId"`
}

// BuyerPublicKey is a key of the type x25519.
type BuyerPublicKey struct {
	Type         string `json:"type" wire:"req"`
	PublicKeyHex string `json:"publicKeyHex" wire:"req"`
}

// PurchasePayment is the state of the payment.
type PurchasePayment struct {
	Status     string `json:"status" wire:"req"` // pending, verified
	Rail       string `json:"rail"`
	Reference  string `json:"reference"`
	RecordedAt string `json:"recordedAt"`
}

// PurchaseDelivery is the state of the delivery.
type PurchaseDelivery struct {
	Status      string   `json:"status" wire:"req"` // requested, ready, active, completed, failed
	Mode        string   `json:"mode"`
	TransportID string   `json:"transportId"`
	Protocols   []string `json:"protocols"`
	Encoding    string   `json:"encoding"`
	SessionID   string   `json:"sessionId"`
}

// CreatePurchase is the request of [PurchasesService.Create].
type CreatePurchase struct {
	Resource PurchaseResourceInput           `json:"resource"`
	Buyer    PurchaseBuyerInput              `json:"buyer"`
	Delivery Optional[PurchaseDeliveryInput] `json:"delivery,omitzero"`
}

// PurchaseResourceInput selects the listing.
type PurchaseResourceInput struct {
	Type      string                           `json:"type"` // stream.listing
	ListingID string                           `json:"listingId"`
	Selection Optional[PurchaseSelectionInput] `json:"selection,omitzero"`
}

// PurchaseSelectionInput selects a part of the listing.
type PurchaseSelectionInput struct {
	ChunkIDs  Optional[[]string] `json:"chunkIds,omitzero"`
	Topic     Optional[string]   `json:"topic,omitzero"`
	StartTime Optional[string]   `json:"startTime,omitzero"`
	EndTime   Optional[string]   `json:"endTime,omitzero"`
}

// PurchaseBuyerInput describes the buyer.
type PurchaseBuyerInput struct {
	ID                   string                              `json:"id"`
	PublicKey            BuyerPublicKey                      `json:"publicKey"`
	DeliveryCapabilities Optional[[]DeliveryCapabilityInput] `json:"deliveryCapabilities,omitzero"`
	MachineID            Optional[string]                    `json:"machineId,omitzero"`
}

// PurchaseDeliveryInput selects the transports that the buyer accepts.
type PurchaseDeliveryInput struct {
	AcceptableModes     Optional[[]string] `json:"acceptableModes,omitzero"`
	PreferredTransports Optional[[]string] `json:"preferredTransports,omitzero"`
}

func (p CreatePurchase) check(identityRefs) error {
	return nonBlanks("buyer.id", p.Buyer.ID, "buyer.publicKey.publicKeyHex", p.Buyer.PublicKey.PublicKeyHex)
}

// Create reserves a purchase. It is not safe to repeat: after ErrOutcomeUnknown there may be a
// reservation that nobody knows the ID of; it is never paid.
//
// POST /purchases (contract §2.10)
func (s *PurchasesService) Create(ctx context.Context, token Secret, in CreatePurchase) (*Purchase, error) {
	return item[Purchase](ctx, s.c.call(http.MethodPost, "/purchases").json(in).pairing(token))
}

// Get returns a purchase. Poll it to follow the purchase.
//
// GET /purchases/{purchaseId} (contract §2.10)
func (s *PurchasesService) Get(ctx context.Context, purchaseID string) (*Purchase, error) {
	return item[Purchase](ctx, s.c.call(http.MethodGet, "/purchases/{purchaseId}", purchaseID))
}

// CreatePurchaseIntent is the request of [PurchasesService.CreatePaymentIntent].
// Rail is an X402Rail or a TransferRail.
type CreatePurchaseIntent struct {
	Rail  StreamRail      `json:"rail"`
	Payer Optional[Payer] `json:"payer,omitzero"`
}

func (p CreatePurchaseIntent) check(identityRefs) error {
	if p.Rail == nil {
		return &ValidationError{"rail", "required"}
	}
	return nil
}

// Payer is the account that pays a purchase.
type Payer struct {
	Address string           `json:"address"`
	Chain   Optional[string] `json:"chain,omitzero"`
}

// PurchaseIntent says what to pay and how.
type PurchaseIntent struct {
	Meta         `json:"-"`
	PurchaseID   string          `json:"purchaseId" wire:"req"`
	Status       string          `json:"status" wire:"req"` // payment_pending
	Rail         json.RawMessage `json:"rail" wire:"req,object"`
	Amount       PurchaseAmount  `json:"amount" wire:"req"`
	Instructions json.RawMessage `json:"instructions" wire:"req,object"`
}

// PurchaseAmount is an amount of money. Value is a decimal string.
type PurchaseAmount struct {
	Value string `json:"value" wire:"req"`
	Token string `json:"token" wire:"req"`
	Chain string `json:"chain" wire:"req"`
}

// CreatePaymentIntent returns what to pay for a purchase, and how.
//
// POST /purchases/{purchaseId}/payment-intent (contract §2.10)
func (s *PurchasesService) CreatePaymentIntent(
	ctx context.Context, purchaseID string, token Secret, in CreatePurchaseIntent,
) (*PurchaseIntent, error) {
	return item[PurchaseIntent](
		ctx,
		s.c.call(http.MethodPost, "/purchases/{purchaseId}/payment-intent", purchaseID).pairing(token).json(in),
	)
}

// PurchaseProof is the proof of a payment: a [TransferProof] or an [X402Proof].
type PurchaseProof interface{ purchaseProof() error }

// TransferProof proves a transfer. Amounts are decimal strings.
type TransferProof struct {
	TransactionHash  Optional[string] `json:"transactionHash,omitzero"`
	Chain            Optional[string] `json:"chain,omitzero"`
	Token            Optional[string] `json:"token,omitzero"`
	PayerAddress     Optional[string] `json:"payerAddress,omitzero"`
	PayeeAddress     Optional[string] `json:"payeeAddress,omitzero"`
	TokenAddress     Optional[string] `json:"tokenAddress,omitzero"`
	Amount           Optional[string] `json:"amount,omitzero"`
	RawAmount        Optional[string] `json:"rawAmount,omitzero"`
	RPCURL           Optional[Secret] `json:"rpcUrl,omitzero"`           // its path or query may be a key
	VerificationMode Optional[string] `json:"verificationMode,omitzero"` // VerifyRecorded or VerifyRPC
	Bridge           Optional[Bridge] `json:"bridge,omitzero"`
}

// Bridge describes a payment through a bridge.
type Bridge struct {
	Provider              string `json:"provider"`
	SourceChain           string `json:"sourceChain"`
	SourceTransactionHash string `json:"sourceTransactionHash"`
}

// X402Proof proves an x402 payment by its signed header.
type X402Proof struct {
	Rail            string           `json:"-"` // x402 when empty
	PaymentHeader   Secret           `json:"paymentHeader"`
	PaymentResponse Optional[string] `json:"paymentResponse,omitzero"`
	PayerAddress    Optional[string] `json:"payerAddress,omitzero"`
}

type typedTransferProof struct {
	Rail string `json:"rail"`
	TransferProof
}

type typedX402Proof struct {
	Rail string `json:"rail"`
	X402Proof
}

func (TransferProof) purchaseProof() error { return nil }
func (p X402Proof) purchaseProof() error   { return nonBlankSecret("paymentHeader", p.PaymentHeader) }

func (p TransferProof) wireForm() any { return typedTransferProof{"transfer", p} }
func (p X402Proof) wireForm() any     { return typedX402Proof{cmp.Or(p.Rail, "x402"), p} }

// PurchaseReceipt is the result of [PurchasesService.SubmitPaymentProof].
type PurchaseReceipt struct {
	Meta           `json:"-"`
	PurchaseID     string          `json:"purchaseId" wire:"req"`
	PaymentStatus  string          `json:"paymentStatus" wire:"req"`  // verified
	DeliveryStatus string          `json:"deliveryStatus" wire:"req"` // blocked, releasable
	Receipt        *PaymentReceipt `json:"receipt"`
}

// PaymentReceipt describes the verified payment.
type PaymentReceipt struct {
	VerifiedAt       string        `json:"verifiedAt" wire:"req"`
	Chain            string        `json:"chain"`
	TransactionHash  string        `json:"transactionHash"`
	VerificationMode string        `json:"verificationMode"`
	Status           string        `json:"status"` // recorded, verified
	BlockNumber      Optional[int] `json:"blockNumber,omitzero"`
}

// SubmitPaymentProof submits the proof of a payment.
//
// POST /purchases/{purchaseId}/payment-proof (contract §2.10)
func (s *PurchasesService) SubmitPaymentProof(
	ctx context.Context, purchaseID string, token Secret, proof PurchaseProof,
) (*PurchaseReceipt, error) {
	r := s.c.call(http.MethodPost, "/purchases/{purchaseId}/payment-proof", purchaseID)
	if r.err == nil && proof == nil {
		r.err = &ValidationError{"rail", "required"}
	}
	if r.err == nil {
		r.err = proof.purchaseProof()
	}
	if r.err == nil {
		r.json(&proof)
	}
	return item[PurchaseReceipt](ctx, r.pairing(token))
}

// Delivery returns how to fetch a purchase. Until the seller has prepared access, the error
// is a *DeliveryNotReadyError. Each call notifies the seller, and reaches the server at most
// once.
//
// GET /purchases/{purchaseId}/delivery (contract §2.10)
func (s *PurchasesService) Delivery(ctx context.Context, purchaseID string, token Secret) (*StreamDelivery, error) {
	out := new(StreamDelivery)
	err := s.c.call(http.MethodGet, "/purchases/{purchaseId}/delivery", purchaseID).ownConnection().pairing(token).whole(ctx, out)
	var api *APIError
	if errors.As(err, &api) && api.Code == CodeStreamDeliveryNotReady && api.StatusCode == http.StatusConflict {
		api.Details = nil // the contract has none
		return nil, &DeliveryNotReadyError{PurchaseID: purchaseID, API: api}
	}
	if err != nil {
		return nil, err
	}
	return out, nil
}

// PurchaseActor is the originator of an event.
type PurchaseActor struct {
	Type      Optional[string] `json:"type,omitzero"`
	ID        Optional[string] `json:"id,omitzero"`
	MachineID Optional[string] `json:"machineId,omitzero"`
	AgentID   Optional[string] `json:"agentId,omitzero"`
}

// CreatePurchaseEvent is the request of [PurchasesService.CreateEvent]. Type is
// delivery.started, delivery.completed, delivery.failed, buyer.connected,
// seller.ready or seller.offline.
type CreatePurchaseEvent struct {
	Actor   PurchaseActor   `json:"actor"`
	Type    string          `json:"type"`
	Payload json.RawMessage `json:"payload,omitzero"`
}

func (e CreatePurchaseEvent) check(identityRefs) error {
	switch e.Type {
	case "delivery.started", "delivery.completed", "delivery.failed", "buyer.connected", "seller.ready", "seller.offline":
		return nil
	}
	return &ValidationError{"eventType", "valid PurchaseEventType"}
}

// PurchaseEvent is a recorded event.
type PurchaseEvent struct {
	Meta       `json:"-"`
	ID         string `json:"id" wire:"req"`
	PurchaseID string `json:"purchaseId" wire:"req"`
	Type       string `json:"type" wire:"req"`
	CreatedAt  string `json:"createdAt" wire:"req"`
}

// CreateEvent records an event of a purchase.
//
// POST /purchases/{purchaseId}/events (contract §2.10)
func (s *PurchasesService) CreateEvent(ctx context.Context, purchaseID string, in CreatePurchaseEvent) (*PurchaseEvent, error) {
	return item[PurchaseEvent](ctx, s.c.call(http.MethodPost, "/purchases/{purchaseId}/events", purchaseID).json(in))
}
