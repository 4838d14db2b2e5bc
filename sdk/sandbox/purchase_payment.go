package sandbox

import (
	"crypto/sha256"
	"encoding/hex"
)

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
	VerifiedAt       Moment `json:"verifiedAt"`
	Chain            string `json:"chain,omitempty"`
	TransactionHash  string `json:"transactionHash,omitempty"`
	VerificationMode string `json:"verificationMode,omitempty"`
	Status           string `json:"status,omitempty"`
	BlockNumber      *int   `json:"blockNumber,omitempty"`
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
		next.Payer = &payer{Address: o.need("address"), Chain: o.text("chain")}
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

// provePurchase takes the proof of a payment and tells the seller, who then
// prepares access. The same proof again gets the same answer.
func (s *Server) provePurchase(c *call) (any, error) {
	p, err := s.openPurchase(c)
	if err != nil {
		return nil, err
	}
	in := c.in
	proof := purchaseProof{rail: in.choice("rail", railTransfer, railX402), receipt: purchaseReceipt{VerifiedAt: c.stamp(), Status: "recorded"}}
	proof.read(in)
	if in.err != nil {
		return nil, in.err
	}
	switch {
	case p.Intent == nil:
		return nil, notFound("a payment intent of this purchase")
	case p.Intent.Rail.Type != proof.rail:
		return nil, invalid("rail is not that of the payment intent")
	}
	if proof.reference == "" {
		proof.reference = railTransfer + ":" + p.ID
	}
	if proof.rail == railX402 {
		proof.receipt.Chain = p.Intent.Amount.Chain
		proof.reference = "x402:" + p.Intent.Amount.Chain + ":" + proof.reference
	}
	if p.Payment.Status == "verified" {
		if p.Payment.Reference != proof.reference {
			return nil, fail("ORDER_CLOSED", "the purchase is paid already, by another payment")
		}
		return item(p.proofAnswer()), nil
	}
	if proof.mode == "rpc" {
		return nil, fail("PAYMENT_RPC_REQUIRED", "this sandbox looks up no payments of purchases: send verificationMode recorded")
	}
	s.recordPayment(c, p, &proof)
	return item(p.proofAnswer()), nil
}

// purchaseProof is what a buyer shows.
type purchaseProof struct {
	rail, mode, reference string
	receipt               purchaseReceipt
}

func (f *purchaseProof) read(in *members) {
	switch f.rail {
	case railX402:
		header := in.need("paymentHeader")
		in.text("paymentResponse")
		in.text("payerAddress")
		sum := sha256.Sum256([]byte(header))
		f.reference = hex.EncodeToString(sum[:])[:24]
	case railTransfer:
		for _, name := range []string{"token", "payerAddress", "payeeAddress", "tokenAddress", "amount", "rawAmount", "rpcUrl"} {
			in.text(name)
		}
		if f.mode = in.oneOf("verificationMode", "recorded", "rpc"); f.mode == "" {
			f.mode = "recorded"
		}
		if b := in.object("bridge"); b != nil {
			b.need("provider")
			b.need("sourceChain")
			b.need("sourceTransactionHash")
			in.join(b)
		}
		f.reference = in.text("transactionHash")
		f.receipt.TransactionHash, f.receipt.Chain, f.receipt.VerificationMode = f.reference, in.text("chain"), f.mode
	}
}

// recordPayment marks a purchase as paid and opens its delivery session.
func (s *Server) recordPayment(c *call, p *storedPurchase, f *purchaseProof) {
	p.Receipt = &f.receipt
	p.Payment = purchasePayment{Status: "verified", Rail: f.rail, Reference: f.reference, RecordedAt: c.stamp()}
	p.Status, p.UpdatedAt = "payment_verified", c.stamp()
	p.openSession(c)
	c.audit("purchase.payment_proof.recorded", "purchase", p.ID, p.SellerID, map[string]any{"rail": f.rail})
	s.tell(c, p, "purchase.payment_proof.recorded", map[string]any{
		"purchaseId": p.ID, "rail": f.rail, "reference": f.reference, "paymentStatus": "verified", "deliveryStatus": p.deliveryStatus(),
	})
}

func (p *storedPurchase) proofAnswer() any {
	return map[string]any{"purchaseId": p.ID, "paymentStatus": p.Payment.Status, "deliveryStatus": p.deliveryStatus(), "receipt": p.Receipt}
}

// deliveryStatus: with the payment verified nothing holds the delivery back.
func (p *storedPurchase) deliveryStatus() string {
	if p.Payment.Status != "verified" {
		return "blocked"
	}
	return "releasable"
}
