package sdk

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/peaqnetwork/peaqos-agent/sdk/internal/wire"
)

// ConfirmedOrder is the result of [MarketOrdersService.Confirm].
type ConfirmedOrder struct {
	Meta    `json:"-"`
	Order   MarketOrder    `json:"order"`
	Payment *MarketPayment `json:"payment"` // nil when the order had none
}

// DisputedOrder is the result of [MarketOrdersService.Dispute].
type DisputedOrder struct {
	Meta    `json:"-"`
	Order   MarketOrder    `json:"order"`
	Payment *MarketPayment `json:"payment"`
	Dispute Dispute        `json:"dispute"`
}

// Dispute is a buyer's objection.
type Dispute struct {
	ID        string          `json:"id" wire:"req"`
	OrderID   string          `json:"orderId" wire:"req"`
	MachineID string          `json:"machineId" wire:"req"`
	Status    string          `json:"status" wire:"req"` // open, resolved
	Reason    string          `json:"reason" wire:"req"`
	Evidence  json.RawMessage `json:"evidence" wire:"optnull,loose"`
	CreatedAt string          `json:"createdAt" wire:"req"`
	UpdatedAt string          `json:"updatedAt" wire:"req"`
}

// DisputeMarketOrder is the request of [MarketOrdersService.Dispute].
type DisputeMarketOrder struct {
	Reason   string          `json:"reason"`
	Evidence json.RawMessage `json:"evidence,omitzero"`
}

func (d DisputeMarketOrder) check(identityRefs) error { return nonBlank("reason", d.Reason) }

// settledOrder is the body of both responses.
type settledOrder struct {
	Order   wire.Raw       `json:"order" wire:"req"`
	Payment *MarketPayment `json:"payment"`
	Dispute wire.Raw       `json:"dispute"`
}

// Confirm accepts a delivery. A held payment can then be released.
//
// Errors: ORDER_NOT_DELIVERED, ORDER_CLOSED.
//
// POST /market/orders/{orderId}/confirm (contract §2.14)
func (s *MarketOrdersService) Confirm(ctx context.Context, orderID string, token Secret) (*ConfirmedOrder, error) {
	out := new(ConfirmedOrder)
	r := s.c.call(http.MethodPost, "/market/orders/{orderId}/confirm", orderID).pairing(token).json(struct{}{})
	err := s.settled(ctx, r, func(body settledOrder, order MarketOrder, meta Meta) error {
		out.Meta, out.Order, out.Payment = meta, order, body.Payment
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// Dispute objects to a delivery. A held payment is frozen.
//
// POST /market/orders/{orderId}/dispute (contract §2.14)
func (s *MarketOrdersService) Dispute(ctx context.Context, orderID string, token Secret, in DisputeMarketOrder) (*DisputedOrder, error) {
	out := new(DisputedOrder)
	r := s.c.call(http.MethodPost, "/market/orders/{orderId}/dispute", orderID).json(in).pairing(token)
	err := s.settled(ctx, r, func(body settledOrder, order MarketOrder, meta Meta) error {
		out.Meta, out.Order, out.Payment = meta, order, body.Payment
		if body.Dispute == "" {
			return wire.Inside("dispute", wire.MustBe("present"))
		}
		return wire.Inside("dispute", s.c.codec.Decode(string(body.Dispute), &out.Dispute))
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (s *MarketOrdersService) settled(ctx context.Context, r *call, use func(settledOrder, MarketOrder, Meta) error) error {
	res, err := r.send(ctx)
	if err != nil {
		return err
	}
	return res.text(func(text string) error {
		var body settledOrder
		if err := s.c.codec.Decode(text, &body); err != nil {
			return err
		}
		order, err := s.c.plainOrder(string(body.Order))
		if err != nil {
			return wire.Inside("order", err)
		}
		return use(body, order, res.Meta)
	})
}
