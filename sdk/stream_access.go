package sdk

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"

	"github.com/peaqnetwork/peaqos-agent/sdk/internal/wire"
)

// DeliveryNotReadyError means that the seller has not prepared access yet: try again
// later. It wraps an [APIError].
type DeliveryNotReadyError struct {
	PurchaseID string
	API        *APIError
}

func (e *DeliveryNotReadyError) Error() string { return e.API.Error() }

// Unwrap returns the APIError.
func (e *DeliveryNotReadyError) Unwrap() error { return e.API }

// GoString keeps Details out of %#v.
func (e *DeliveryNotReadyError) GoString() string { return e.API.GoString() }

// MarshalText keeps Details out of JSON logs.
func (e *DeliveryNotReadyError) MarshalText() ([]byte, error) { return e.API.MarshalText() }

// buyerAccessSchema is the only known version of a BuyerAccess.
const buyerAccessSchema = "peaq.stream.buyer-access.v1"

// BuyerAccess is the key of one chunk, sealed for its recipient.
type BuyerAccess struct {
	SchemaVersion string         `json:"schemaVersion" wire:"req" enum:"peaq.stream.buyer-access.v1"` // set by the client when empty
	ChunkID       string         `json:"chunkId" wire:"req"`
	Buyer         BuyerAccessKey `json:"buyer" wire:"req"`
}

// BuyerAccessKey is a content key, wrapped for a recipient.
type BuyerAccessKey struct {
	RecipientID   string `json:"recipientId" wire:"req"`
	RecipientType string `json:"recipientType" wire:"req"` // owner, operator, machine, buyer
	Algorithm     string `json:"algorithm" wire:"req"`     // x25519-sealedbox
	PublicKeyHex  string `json:"publicKeyHex" wire:"req"`
	WrappedKeyHex string `json:"wrappedKeyHex" wire:"req"`
}

// Connect is the address of a delivery. Its URL is a credential.
type Connect struct {
	Type      string `json:"type" wire:"req"` // peaqos-p2p-url
	URL       Secret `json:"url" wire:"req"`
	ExpiresAt string `json:"expiresAt" wire:"req"`
}

// Signaling is the channel through which buyer and seller connect.
type Signaling struct {
	Type      string `json:"type" wire:"req"` // peaqos-socket
	ChannelID string `json:"channelId" wire:"req"`
}

// looseSignaling is the Signaling of a [PreparedDelivery]: an object any of whose members
// may be absent, or just the channel as a string.
type looseSignaling Signaling

func (s *looseSignaling) decodeWire(k *wire.Codec, raw string) error {
	if raw[0] == '"' {
		channel := ""
		err := k.Decode(raw, &channel)
		*s = looseSignaling{socketSignaling, channel}
		return err
	}
	members := struct {
		Type      string `json:"type"`
		ChannelID string `json:"channelId"`
	}{Type: socketSignaling}
	err := k.Decode(raw, &members)
	*s = looseSignaling(members)
	return err
}

// StreamDelivery says how to fetch a purchase, and has the keys to decrypt it.
type StreamDelivery struct {
	Meta       `json:"-"`
	PurchaseID string          `json:"purchaseId" wire:"req"`
	Delivery   DeliverySession `json:"delivery" wire:"req"`
	Access     []BuyerAccess   `json:"access"`
}

// DeliverySession is one reserved delivery.
type DeliverySession struct {
	Status      string    `json:"status" wire:"req"`
	Mode        string    `json:"mode" wire:"req"` // p2p
	TransportID string    `json:"transportId" wire:"req"`
	SessionID   string    `json:"sessionId" wire:"req"`
	Signaling   Signaling `json:"signaling" wire:"req"`
	Protocols   []string  `json:"protocols"`
	Encoding    string    `json:"encoding"`
	Connect     *Connect  `json:"connect"`
}

// PrepareAccess is the request of [PurchasesService.PrepareAccess]. The agent's credentials
// are sent in the body.
type PrepareAccess struct {
	MachineID  string          `json:"machineId"`
	AgentID    string          `json:"agentId"`
	AgentToken Secret          `json:"agentToken"`
	Items      []BuyerAccess   `json:"items"`
	Delivery   PrepareDelivery `json:"delivery"`
}

// PrepareDelivery says where the buyer connects.
type PrepareDelivery struct {
	Mode        string           `json:"mode"`        // p2p when empty
	TransportID string           `json:"transportId"` // peaqos-p2p when empty
	Connect     Connect          `json:"connect"`
	ChannelID   Optional[string] `json:"channelId,omitzero"`
}

// PreparedAccess is the result of [PurchasesService.PrepareAccess].
type PreparedAccess struct {
	Meta            `json:"-"`
	Item            PreparedOrder   `json:"item" wire:"req"`
	Access          []BuyerAccess   `json:"access"`
	DeliverySession PreparedSession `json:"deliverySession" wire:"req"`
}

// PreparedOrder is the order for which access was prepared.
type PreparedOrder struct {
	ID                string          `json:"id" wire:"req"`
	ListingID         string          `json:"listingId" wire:"req"`
	MachineID         string          `json:"machineId" wire:"req"`
	BuyerID           string          `json:"buyerId" wire:"req"`
	ChunkIDs          []string        `json:"chunkIds"`
	Amount            json.Number     `json:"amount" wire:"req"`
	Currency          string          `json:"currency" wire:"req"`
	Status            string          `json:"status" wire:"req"`
	Payment           PreparedPayment `json:"payment" wire:"req"`
	AccessGrantIDs    []string        `json:"accessGrantIds"`
	DeliverySessionID string          `json:"deliverySessionId" wire:"req"`
}

// PreparedPayment is the payment of a PreparedOrder.
type PreparedPayment struct {
	Status     string `json:"status" wire:"req"`
	Reference  string `json:"reference"`
	RecordedAt string `json:"recordedAt"`
}

// PreparedSession is the delivery that was prepared.
type PreparedSession struct {
	ID             string           `json:"id" wire:"req"`
	MachineID      string           `json:"machineId" wire:"req"`
	OrderID        string           `json:"orderId" wire:"req"`
	BuyerID        string           `json:"buyerId" wire:"req"`
	ChunkIDs       []string         `json:"chunkIds"`
	Delivery       PreparedDelivery `json:"delivery" wire:"req"`
	Status         string           `json:"status" wire:"req"`
	CreatedAt      string           `json:"createdAt" wire:"req"`
	UpdatedAt      string           `json:"updatedAt" wire:"req"`
	RequestedRange json.RawMessage  `json:"requestedRange"`
}

// PreparedDelivery describes how the session delivers.
type PreparedDelivery struct {
	Mode          string          `json:"mode" wire:"req"`
	TransportID   string          `json:"transportId" wire:"req"`
	Signaling     Signaling       `json:"signaling" wire:"-"`
	Protocols     []string        `json:"protocols"`
	Encoding      string          `json:"encoding"`
	Connect       *Connect        `json:"connect"`
	URL           Secret          `json:"url"`
	AccessToken   Secret          `json:"accessToken"`
	ExpiresAt     string          `json:"expiresAt"`
	MaxDownloads  Optional[int]   `json:"maxDownloads,omitzero"`
	DownloadCount Optional[int]   `json:"downloadCount,omitzero"`
	Message       string          `json:"message"`
	Params        json.RawMessage `json:"params"`
}

func (d *PreparedDelivery) decodeWire(k *wire.Codec, raw string) error {
	type plain PreparedDelivery
	if err := k.Decode(raw, (*plain)(d)); err != nil {
		return err
	}
	var loose struct {
		Signaling *looseSignaling `json:"signaling"`
	}
	err := k.Decode(raw, &loose)
	d.Signaling = Signaling{Type: socketSignaling}
	if loose.Signaling != nil {
		d.Signaling = Signaling(*loose.Signaling)
	}
	return err
}

// PrepareAccess gives a buyer who has paid access. The seller's machine agent calls it
// after purchase.payment_proof.recorded.
//
// POST /stream/orders/{purchaseId}/prepare-access (contract §2.10)
func (s *PurchasesService) PrepareAccess(ctx context.Context, purchaseID string, in PrepareAccess) (*PreparedAccess, error) {
	in.Delivery.Mode, in.Delivery.TransportID = cmp.Or(in.Delivery.Mode, "p2p"), cmp.Or(in.Delivery.TransportID, "peaqos-p2p")
	items := make([]BuyerAccess, len(in.Items))
	for i, entry := range in.Items {
		entry.SchemaVersion = cmp.Or(entry.SchemaVersion, buyerAccessSchema)
		items[i] = entry
	}
	in.Items = items
	return prepared(ctx, s.c.call(http.MethodPost, "/stream/orders/{purchaseId}/prepare-access", purchaseID).ownConnection().json(in))
}

// PrepareAccessRaw is PrepareAccess with the caller's own body, for delivery modes that
// [PrepareAccess] does not model. A nil body sends none.
//
// POST /stream/orders/{purchaseId}/prepare-access (contract §2.10)
func (s *PurchasesService) PrepareAccessRaw(ctx context.Context, purchaseID string, body json.RawMessage) (*PreparedAccess, error) {
	r := s.c.call(http.MethodPost, "/stream/orders/{purchaseId}/prepare-access", purchaseID).ownConnection()
	if body != nil {
		r.json(body)
	}
	return prepared(ctx, r)
}

func prepared(ctx context.Context, r *call) (*PreparedAccess, error) {
	out := new(PreparedAccess)
	if err := r.whole(ctx, out); err != nil {
		return nil, err
	}
	return out, nil
}
