package sdk

import (
	"context"
	"encoding/json"
	"net/http"
)

// StreamListingsService adds purchase information to a machine's stream listings (contract
// §2.9). This part of the API is in development at peaq.
type StreamListingsService struct{ c *Client }

// StreamRail is a way to pay for a stream: an [X402Rail] or a [TransferRail].
type StreamRail interface{ streamRail() }

// X402Rail is payment by x402.
type X402Rail struct {
	Chain          string           `json:"chain"`
	Token          string           `json:"token"`
	FacilitatorURL Optional[string] `json:"facilitatorUrl,omitzero"`
}

// TransferRail is payment by a transfer to a destination.
type TransferRail struct {
	Destination TransferDestination `json:"destination"`
}

// TransferDestination is the destination of a transfer. Chain and Token are required in a
// listing; in a purchase they default to the listing's.
type TransferDestination struct {
	PayTo        string           `json:"payTo"`
	Chain        Optional[string] `json:"chain,omitzero"`
	Token        Optional[string] `json:"token,omitzero"`
	TokenAddress Optional[string] `json:"tokenAddress,omitzero"`
}

func (X402Rail) streamRail()     {}
func (TransferRail) streamRail() {}

type typedX402Rail struct {
	Type string `json:"type"`
	X402Rail
}

type typedTransferRail struct {
	Type string `json:"type"`
	TransferRail
}

func (r X402Rail) wireForm() any     { return typedX402Rail{"x402", r} }
func (r TransferRail) wireForm() any { return typedTransferRail{"transfer", r} }

// ListingResource is the resource that a listing sells.
type ListingResource struct {
	Type         string         `json:"type"` // stream.bundle, stream.live
	Mode         string         `json:"mode"`
	SupportsLive Optional[bool] `json:"supportsLive,omitzero"`
}

// DeliveryOption is a transport of a listing. The server sets the mode and the signaling.
type DeliveryOption struct {
	TransportID string             `json:"transportId"`
	Version     string             `json:"version"`
	Features    []string           `json:"features"`
	Protocols   Optional[[]string] `json:"protocols,omitzero"`
	Encoding    Optional[string]   `json:"encoding,omitzero"`
	Params      json.RawMessage    `json:"params,omitzero"`
}

// UpdatePurchaseFields is the request of
// [StreamListingsService.UpdatePurchaseFields]. Unset fields do not change.
type UpdatePurchaseFields struct {
	Resource        Optional[ListingResource]  `json:"resource,omitzero"`
	PaymentRails    Optional[[]StreamRail]     `json:"paymentRails,omitzero"`
	DeliveryOptions Optional[[]DeliveryOption] `json:"deliveryOptions,omitzero"`
}

// UpdatePurchaseFields adds purchase information to a listing. The body of the response is
// ignored.
//
// PATCH /machines/{machineId}/stream/listings/{listingId} (contract §2.9)
func (s *StreamListingsService) UpdatePurchaseFields(ctx context.Context, machineID, listingID string, in UpdatePurchaseFields) error {
	return s.c.call(http.MethodPatch, "/machines/{machineId}/stream/listings/{listingId}", machineID, listingID).json(in).nothing(ctx)
}
