package sandbox

import (
	"cmp"
	"math/big"
	"strings"
)

// provePurchase takes the proof of a payment and notifies the seller, who then prepares access.
// Repeating the same proof returns the same response.
func (s *Server) provePurchase(c *call) (any, error) {
	p, err := s.purchaseNamed(c)
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
	if done, err := p.settled(proof.id); done || err != nil {
		return item(p.proofResult()), err
	}
	why := proof.contradicts(p)
	switch {
	case p.Intent == nil:
		return nil, notFound("a payment intent of this purchase")
	case why != "":
		return nil, invalid(why)
	case proof.rail == railX402:
		proof.receipt.Chain = p.Intent.Amount.Chain
		proof.reference = "x402:" + p.Intent.Amount.Chain + ":" + proof.reference
	case proof.reference == "" && proof.mode != "rpc":
		proof.reference = railTransfer + ":" + p.ID
	}
	if proof.mode == "rpc" {
		if err := s.lookUpPurchase(c, p, &proof); err != nil {
			return nil, err
		}
		if p, err = s.purchaseNamed(c); err != nil { // the lock was released in between
			return nil, err
		}
		if done, err := p.settled(proof.id); done || err != nil {
			return item(p.proofResult()), err
		}
	}
	s.recordPayment(c, p, &proof)
	return item(p.proofResult()), nil
}

// settled reports whether a purchase was paid by the proof with this fingerprint. It is paid once;
// any other proof is an error, and so is any proof for a purchase that is over without a payment.
func (p *storedPurchase) settled(proof string) (bool, error) {
	switch {
	case p.Payment.Status != "verified" && p.closed():
		return false, fail("ORDER_CLOSED", "the purchase is "+p.Status)
	case p.Payment.Status != "verified":
		return false, nil
	case p.PaidBy != "" && p.PaidBy != proof:
		return false, fail("ORDER_CLOSED", "the purchase is already paid, by another proof")
	}
	return true, nil
}

// lookUpPurchase finds a transfer of at least the price on its chain. It calls the sandbox's own
// RPC address, never one named in a request.
func (s *Server) lookUpPurchase(c *call, p *storedPurchase, f *purchaseProof) error {
	in, to := c.in, p.Intent.Rail.Destination
	t := transfer{
		chain: cmp.Or(in.text("chain"), p.Intent.Amount.Chain), hash: f.reference, token: cmp.Or(to.TokenAddress, in.text("tokenAddress")),
		payer: in.text("payerAddress"), payee: to.PayTo,
	}
	if t.payer == "" && p.Intent.Payer != nil {
		t.payer = p.Intent.Payer.Address
	}
	t.least = p.Intent.Amount.baseUnits()
	block, err := s.findTransfer(c, t)
	f.receipt.Chain, f.receipt.BlockNumber, f.receipt.Status, f.receipt.VerifiedAt = t.chain, &block, "verified", c.stamp()
	return err
}

// purchaseProof is a buyer's proof of payment.
type purchaseProof struct {
	rail, mode, reference string
	id                    string // fingerprint
	says                  transferClaim
	receipt               purchaseReceipt
}

// transferClaim is what a proof says about its transfer; "" where it says nothing.
type transferClaim struct{ chain, token, payer, payee, tokenAddress, amount, rawAmount string }

// contradicts returns how a proof contradicts the intent; "" if it does not. What is not said is not
// compared.
func (f *purchaseProof) contradicts(p *storedPurchase) string {
	in := p.Intent
	if in == nil {
		return ""
	}
	if in.Rail.Type != f.rail {
		return "rail differs from the payment intent"
	}
	payer, to := "", railDestination{}
	if in.Payer != nil {
		payer = in.Payer.Address
	}
	if in.Rail.Destination != nil {
		to = *in.Rail.Destination
	}
	if why := firstDifference(
		difference{"chain", f.says.chain, in.Amount.Chain}, difference{"token", f.says.token, in.Amount.Token},
		difference{"payeeAddress", f.says.payee, to.PayTo}, difference{"tokenAddress", f.says.tokenAddress, to.TokenAddress},
		difference{"payerAddress", f.says.payer, payer},
	); why != "" {
		return why
	}
	paid, sent := new(big.Rat).SetString(f.says.amount)
	due, _ := new(big.Rat).SetString(in.Amount.Value)
	if (sent && due != nil && paid.Cmp(due) < 0) || (f.says.rawAmount != "" && baseUnits(f.says.rawAmount, 0).Cmp(in.Amount.baseUnits()) < 0) {
		return "amount: the proof is about less than the price"
	}
	return ""
}

// baseUnits returns the amount in the smallest unit of its token: USDC and USDT have 6 decimals,
// other tokens 18.
func (a intentAmount) baseUnits() *big.Int {
	if strings.EqualFold(a.Token, "USDC") || strings.EqualFold(a.Token, "USDT") {
		return baseUnits(a.Value, 6)
	}
	return baseUnits(a.Value, 18)
}

func (f *purchaseProof) read(in *members) {
	switch f.rail {
	case railX402:
		header := in.required("paymentHeader")
		if strings.ContainsFunc(header, func(r rune) bool { return r < ' ' || r > '~' }) {
			in.fault("paymentHeader", "contains a character that cannot be in an HTTP header")
		}
		in.text("paymentResponse")
		f.says.payer = in.text("payerAddress")
		f.reference, f.id = digest(header)[:24], fingerprint("x402", header)
	case railTransfer:
		in.text("rpcUrl")
		f.says = transferClaim{
			chain: in.text("chain"), token: in.text("token"), payer: in.text("payerAddress"), payee: in.text("payeeAddress"),
			tokenAddress: in.text("tokenAddress"), amount: in.text("amount"), rawAmount: in.text("rawAmount"),
		}
		if f.says.amount != "" && !isDecimal(f.says.amount) {
			in.fault("amount", "must be a string with a decimal number")
		}
		if f.says.rawAmount != "" && !isDigits(f.says.rawAmount, 60) {
			in.fault("rawAmount", "must be a string with a whole number")
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
		f.receipt.TransactionHash, f.receipt.Chain, f.receipt.VerificationMode = f.reference, f.says.chain, f.mode
		f.id = fingerprint(
			"transfer", f.reference, f.says.chain, f.says.token, f.says.payer, f.says.payee, f.says.tokenAddress, f.says.amount, f.says.rawAmount,
		)
	}
}

// recordPayment marks a purchase as paid and opens its delivery session.
func (s *Server) recordPayment(c *call, p *storedPurchase, f *purchaseProof) {
	p.Receipt, p.PaidBy = &f.receipt, f.id
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
