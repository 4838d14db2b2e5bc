package sandbox

// purchaseIntent is the way a buyer means to pay.
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

// purchaseReceipt is what the server knows of a payment.
type purchaseReceipt struct {
	VerifiedAt       Moment  `json:"verifiedAt"`
	Chain            string  `json:"chain,omitempty"`
	TransactionHash  string  `json:"transactionHash,omitempty"`
	VerificationMode string  `json:"verificationMode,omitempty"`
	Status           string  `json:"status,omitempty"`
	BlockNumber      *uint64 `json:"blockNumber,omitempty"`
}

// createPurchaseIntent declares how a purchase will be paid. Until a proof came it
// may be declared again.
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
		return nil, fail("ORDER_CLOSED", "the purchase is paid already")
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

// offeredRail checks a rail against those of the listing and takes over what the
// buyer left out. A listing without rails takes any.
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
	return r, invalid("rail is none of those that the listing offers")
}

// sameDestination: what the buyer left out counts as the same.
func sameDestination(offered, sent railDestination) bool {
	same := func(a, b string) bool { return b == "" || a == b }
	return offered.PayTo == sent.PayTo && same(offered.Chain, sent.Chain) && same(offered.Token, sent.Token) && same(offered.TokenAddress, sent.TokenAddress)
}

// due is what must be paid, in the rail's own token and chain where it names some.
func (p *storedPurchase) due(in *purchaseIntent) intentAmount {
	a := intentAmount{Value: p.price(), Token: in.Rail.Token, Chain: in.Rail.Chain}
	if d := in.Rail.Destination; d != nil {
		a.Token, a.Chain = d.Token, d.Chain
	}
	if a.Token == "" {
		a.Token = p.Price.Currency
	}
	if a.Chain == "" && in.Payer != nil {
		a.Chain = in.Payer.Chain
	}
	if a.Chain == "" {
		a.Chain = "peaq"
	}
	return a
}

// instructions tell a payer what to do; their members are not published.
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
