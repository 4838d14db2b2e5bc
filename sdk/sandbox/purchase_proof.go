package sandbox

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
)

// provePurchase takes the proof of a payment and notifies the seller, who then prepares access.
// Repeating the same proof returns the same response.
func (s *Server) provePurchase(c *call) (any, error) {
	p, err := s.openPurchase(c)
	if err != nil {
		return nil, err
	}
	in := c.in
	proof := purchaseProof{
		rail: in.choice("rail", railTransfer, railX402), receipt: purchaseReceipt{VerifiedAt: c.stamp(), Status: "recorded"},
	}
	proof.read(in)
	if in.err != nil {
		return nil, in.err
	}
	switch {
	case p.Intent == nil:
		return nil, notFound("a payment intent of this purchase")
	case p.Intent.Rail.Type != proof.rail:
		return nil, invalid("rail differs from the payment intent")
	case proof.rail == railX402:
		proof.receipt.Chain = p.Intent.Amount.Chain
		proof.reference = "x402:" + p.Intent.Amount.Chain + ":" + proof.reference
	case proof.reference == "" && proof.mode != "rpc":
		proof.reference = railTransfer + ":" + p.ID
	}
	if proof.mode == "rpc" && p.Payment.Status != "verified" {
		if err := s.lookUpPurchase(c, p, &proof); err != nil {
			return nil, err
		}
		if p, err = s.openPurchase(c); err != nil { // the lock was released in between
			return nil, err
		}
	}
	switch {
	case p.Payment.Status != "verified":
		s.recordPayment(c, p, &proof)
	case p.Payment.Reference != proof.reference:
		return nil, fail("ORDER_CLOSED", "the purchase is already paid, by another payment")
	}
	return item(p.proofResult()), nil
}

// lookUpPurchase finds a transfer of at least the price on its chain. It calls the sandbox's own
// RPC address, never one named in a request.
func (s *Server) lookUpPurchase(c *call, p *storedPurchase, f *purchaseProof) error {
	in, to := c.in, p.Intent.Rail.Destination
	t := transfer{
		chain: cmp.Or(in.text("chain"), p.Intent.Amount.Chain), hash: f.reference, token: cmp.Or(in.text("tokenAddress"), to.TokenAddress),
		payer: in.text("payerAddress"), payee: to.PayTo,
	}
	if t.payer == "" && p.Intent.Payer != nil {
		t.payer = p.Intent.Payer.Address
	}
	decimals := 18
	if token := p.Intent.Amount.Token; token == "USDC" || token == "USDT" {
		decimals = 6
	}
	t.least = baseUnits(p.Intent.Amount.Value, decimals)
	block, err := s.findTransfer(c, t)
	f.receipt.Chain, f.receipt.BlockNumber, f.receipt.Status, f.receipt.VerifiedAt = t.chain, &block, "verified", c.stamp()
	return err
}

// purchaseProof is a buyer's proof of payment.
type purchaseProof struct {
	rail, mode, reference string
	receipt               purchaseReceipt
}

func (f *purchaseProof) read(in *members) {
	switch f.rail {
	case railX402:
		header := in.required("paymentHeader")
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
			b.required("provider")
			b.required("sourceChain")
			b.required("sourceTransactionHash")
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
	s.notify(c, p, "purchase.payment_proof.recorded", map[string]any{
		"purchaseId": p.ID, "rail": f.rail, "reference": f.reference, "paymentStatus": "verified", "deliveryStatus": p.deliveryStatus(),
	})
}

func (p *storedPurchase) proofResult() any {
	return map[string]any{"purchaseId": p.ID, "paymentStatus": p.Payment.Status, "deliveryStatus": p.deliveryStatus(), "receipt": p.Receipt}
}

// deliveryStatus returns releasable once the payment is verified, blocked before.
func (p *storedPurchase) deliveryStatus() string {
	if p.Payment.Status != "verified" {
		return "blocked"
	}
	return "releasable"
}
