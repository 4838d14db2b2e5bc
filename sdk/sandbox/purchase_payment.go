package sandbox

import (
	"cmp"
	"strings"
)

// purchaseIntent is how a buyer intends to pay.
type purchaseIntent struct {
	Rail   listingRail  `json:"rail"`
	Payer  *payer       `json:"payer,omitempty"`
	Amount intentAmount `json:"amount"`
}

type payer struct {
	Address string `json:"address"`
	Chain   string `json:"chain,omitempty"`
}

type intentAmount struct {
	Value string `json:"value"`
	Token string `json:"token"`
	Chain string `json:"chain"`
}

// purchaseReceipt is what the server knows about a payment.
type purchaseReceipt struct {
	VerifiedAt       Moment  `json:"verifiedAt"`
	Chain            string  `json:"chain,omitempty"`
	TransactionHash  string  `json:"transactionHash,omitempty"`
	VerificationMode string  `json:"verificationMode,omitempty"`
	Status           string  `json:"status,omitempty"`
	BlockNumber      *uint64 `json:"blockNumber,omitempty"`
}

// createPurchaseIntent declares how a purchase will be paid. It may be repeated until a proof was
// accepted.
func (s *Server) createPurchaseIntent(c *call) (any, error) {
	p, err := s.openPurchase(c)
	if err != nil {
		return nil, err
	}
	in, next := c.in, &purchaseIntent{}
	if o := in.object("rail"); o != nil {
		next.Rail = readStreamRail(o, false)
		in.join(o)
	} else {
		in.fault("rail", "must be an object")
	}
	if o := in.object("payer"); o != nil {
		next.Payer = &payer{Address: o.required("address"), Chain: o.text("chain")}
		in.join(o)
	}
	if in.err != nil {
		return nil, in.err
	}
	if p.Payment.Status == "verified" {
		return nil, fail("ORDER_CLOSED", "the purchase is already paid")
	}
	if next.Rail, err = s.offeredRail(p, next.Rail); err != nil {
		return nil, err
	}
	next.Amount = p.due(next)
	p.Intent, p.Status, p.Payment.Rail, p.UpdatedAt = next, "payment_pending", next.Rail.Type, c.stamp()
	c.audit("purchase.payment_intent.created", "purchase", p.ID, p.SellerID, map[string]any{"rail": next.Rail.Type})
	return c.created(map[string]any{
		"purchaseId": p.ID, "status": p.Status, "rail": next.Rail, "amount": next.Amount, "instructions": p.instructions(next),
	})
}

// offeredRail checks a rail against those of the listing and fills in what the buyer left out. A
// listing without rails accepts any.
func (s *Server) offeredRail(p *storedPurchase, r listingRail) (listingRail, error) {
	l := s.st.StreamListings.get(p.Resource.ListingID)
	if l == nil || len(l.PaymentRails) == 0 {
		return r, nil
	}
	for _, o := range l.PaymentRails {
		switch {
		case o.Type != r.Type:
		case r.Type == railX402 && o.Chain == r.Chain && o.Token == r.Token:
			return o, nil
		case r.Type == railTransfer && sameDestination(*o.Destination, *r.Destination):
			return o, nil
		}
	}
	return r, invalid("the listing does not offer this rail")
}

// sameDestination reports whether two destinations match, without regard to case. What the buyer
// left out matches.
func sameDestination(offered, sent railDestination) bool {
	same := func(a, b string) bool { return b == "" || strings.EqualFold(a, b) }
	return strings.EqualFold(offered.PayTo, sent.PayTo) && same(offered.Chain, sent.Chain) && same(offered.Token, sent.Token) && same(
		offered.TokenAddress, sent.TokenAddress,
	)
}

// due returns the amount to be paid, in the token and chain of the rail if it names them.
func (p *storedPurchase) due(in *purchaseIntent) intentAmount {
	a := intentAmount{Value: p.price(), Token: in.Rail.Token, Chain: in.Rail.Chain}
	if d := in.Rail.Destination; d != nil {
		a.Token, a.Chain = d.Token, d.Chain
	}
	payerChain := ""
	if in.Payer != nil {
		payerChain = in.Payer.Chain
	}
	a.Token, a.Chain = cmp.Or(a.Token, p.Price.Currency), cmp.Or(a.Chain, payerChain, "peaq")
	return a
}

// instructions tells a payer what to do; the members are not published.
func (p *storedPurchase) instructions(in *purchaseIntent) map[string]any {
	out := map[string]any{"reference": p.ID, "amount": in.Amount.Value, "token": in.Amount.Token, "chain": in.Amount.Chain}
	if d := in.Rail.Destination; d != nil {
		out["payTo"] = d.PayTo
		if d.TokenAddress != "" {
			out["tokenAddress"] = d.TokenAddress
		}
	} else if in.Rail.FacilitatorURL != "" {
		out["facilitatorUrl"] = in.Rail.FacilitatorURL
	}
	return out
}
