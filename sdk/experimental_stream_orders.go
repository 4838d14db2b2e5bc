package sdk

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
)

// CreateStreamOrder is the request of [StreamsService.CreateOrder].
type CreateStreamOrder struct {
	ListingID         string             `json:"listingId"`
	BuyerID           string             `json:"buyerId"`
	BuyerPublicKeyHex string             `json:"buyerPublicKeyHex"`
	ChunkIDs          Optional[[]string] `json:"chunkIds,omitzero"`
}

func (o CreateStreamOrder) check(identityRefs) error {
	return nonBlanks("listingId", o.ListingID, "buyerId", o.BuyerID, "buyerPublicKeyHex", o.BuyerPublicKeyHex)
}

// CreateOrder orders chunks of a listing. The order then awaits payment.
//
// Experimental: the fields of the response are not known.
//
// POST /stream/orders (contract §3.3)
func (s *StreamsService) CreateOrder(ctx context.Context, in CreateStreamOrder) (*RawResponse, error) {
	return s.c.call(http.MethodPost, "/stream/orders").json(in).raw(ctx)
}

// Order returns one order.
//
// Experimental: the fields of the response are not known.
//
// GET /stream/orders/{orderId} (contract §3.3)
func (s *StreamsService) Order(ctx context.Context, orderID string) (*RawResponse, error) {
	return s.c.call(http.MethodGet, "/stream/orders/{orderId}", orderID).raw(ctx)
}

// MachineOrders lists the orders of a machine's listings.
//
// Experimental: the fields of the items are not known.
//
// GET /machines/{machineId}/stream/orders (contract §3.3)
func (s *StreamsService) MachineOrders(ctx context.Context, machineID string) (*Page[json.RawMessage], error) {
	return list[json.RawMessage](ctx, s.c.call(http.MethodGet, "/machines/{machineId}/stream/orders", machineID))
}

type payStreamOrder struct {
	PaymentReference string          `json:"paymentReference"`
	Proof            json.RawMessage `json:"proof,omitzero"`
}

func (p payStreamOrder) check(identityRefs) error {
	return nonBlank("paymentReference", p.PaymentReference)
}

// PayOrder reports that an order was paid; proof may be nil.
//
// Experimental: the fields of proof and response are not known.
//
// POST /stream/orders/{orderId}/payment (contract §3.3)
func (s *StreamsService) PayOrder(ctx context.Context, orderID, paymentReference string, proof json.RawMessage) (*RawResponse, error) {
	return s.c.call(http.MethodPost, "/stream/orders/{orderId}/payment", orderID).json(payStreamOrder{paymentReference, proof}).raw(ctx)
}

// OrderDelivery returns how a buyer fetches a paid order.
//
// Experimental: the fields of the response are not known.
//
// GET /stream/orders/{orderId}/delivery (contract §3.3)
func (s *StreamsService) OrderDelivery(ctx context.Context, orderID, buyerID string) (*RawResponse, error) {
	r := s.c.call(http.MethodGet, "/stream/orders/{orderId}/delivery", orderID).ownConnection()
	if r.err == nil {
		r.err = nonBlank("buyerId", buyerID)
	}
	return r.param("buyerId", Some(buyerID)).raw(ctx)
}

type pollSessions struct {
	StreamAgent
	Statuses []string `json:"statuses"`
}

func (p pollSessions) check(identityRefs) error { return p.StreamAgent.check() }

// PollDeliverySessions lists the machine's delivery sessions with the given statuses; by
// default, those that are requested.
//
// Experimental: the fields of the items are not known.
//
// POST /stream/delivery-sessions/poll (contract §3.3)
func (s *StreamsService) PollDeliverySessions(ctx context.Context, agent StreamAgent, statuses ...string) (*Page[json.RawMessage], error) {
	if len(statuses) == 0 {
		statuses = []string{"requested"}
	}
	return list[json.RawMessage](
		ctx, s.c.call(http.MethodPost, "/stream/delivery-sessions/poll").ownConnection().open().json(pollSessions{agent, statuses}),
	)
}

// UpdateDeliverySession is the request of [StreamsService.UpdateDeliverySession].
// DeliveryURL is a credential.
type UpdateDeliverySession struct {
	StreamAgent
	Status      string           `json:"status"`
	DeliveryURL Optional[Secret] `json:"deliveryUrl,omitzero"`
	Message     Optional[string] `json:"message,omitzero"`
}

func (u UpdateDeliverySession) check(identityRefs) error {
	return cmp.Or(u.StreamAgent.check(), nonBlank("status", u.Status))
}

// UpdateDeliverySession reports the progress of a delivery.
//
// Experimental: the fields of the response are not known.
//
// PATCH /stream/delivery-sessions/{sessionId} (contract §3.3)
func (s *StreamsService) UpdateDeliverySession(ctx context.Context, sessionID string, in UpdateDeliverySession) (*RawResponse, error) {
	return s.c.call(http.MethodPatch, "/stream/delivery-sessions/{sessionId}", sessionID).ownConnection().open().json(in).raw(ctx)
}
