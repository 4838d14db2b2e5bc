package sandbox

import (
	"encoding/json"
	"math/big"
	"strings"
)

// paymentClaim is what a buyer claims to have paid (contract §2.15).
type paymentClaim struct {
	mode, chain, token, payer, payee, amount string
	transaction, tokenAddress, rawAmount     string
	decimals                                 int
	metadata                                 json.RawMessage
}

// isDecimal reports whether text is an amount: 1 to 60 digits, optionally followed
// by a point and 1 to 30 digits.
func isDecimal(text string) bool {
	whole, fraction, point := strings.Cut(text, ".")
	return isDigits(whole, 60) && (!point || isDigits(fraction, 30))
}

// isDigits reports whether text consists of 1 to longest decimal digits.
func isDigits(text string, longest int) bool {
	return text != "" && len(text) <= longest && consistsOf(text, isDigit)
}

func readClaim(in *members) (paymentClaim, error) {
	p := paymentClaim{
		mode: in.oneOf("verificationMode", "recorded", "rpc"), chain: in.required("chain"), token: in.required("token"),
		payer: in.required("payerAddress"),
		payee: in.required("payeeAddress"), amount: in.required("amount"), transaction: in.text("transactionHash"),
		tokenAddress: in.text("tokenAddress"),
		rawAmount:    in.text("rawAmount"), metadata: in.raw("metadata"), decimals: 6,
	}
	if n, ok := in.integer("tokenDecimals", 0, 36); ok {
		p.decimals = n
	}
	if signature := in.text("transactionSignature"); p.transaction == "" {
		p.transaction = signature
	}
	in.text("tokenMint")
	switch {
	case in.err != nil:
	case p.mode == "":
		in.fault("verificationMode", "must be one of recorded, rpc")
	case !isDecimal(p.amount):
		in.fault("amount", "must be a string with a decimal number")
	case p.rawAmount != "" && !isDigits(p.rawAmount, 60):
		in.fault("rawAmount", "must be a string with a whole number")
	}
	return p, in.err
}

// baseUnits returns an amount in the token's smallest unit, rounded down.
func baseUnits(amount string, decimals int) *big.Int {
	r, ok := new(big.Rat).SetString(amount)
	if !ok {
		return new(big.Int)
	}
	r.Mul(r, new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(decimals)), nil)))
	return new(big.Int).Quo(r.Num(), r.Denom())
}

// submitProof settles a payment by a claim, recorded or looked up on its chain, or by an x402
// signature. Repeating it returns the payment.
func (s *Server) submitProof(c *call) (any, error) {
	o, p, err := s.orderPayment(c)
	if err != nil {
		return nil, err
	}
	if c.in.has("payment") {
		return s.submitX402(c, o)
	}
	claim, err := readClaim(c.in)
	if err != nil {
		return nil, err
	}
	if done, err := settled(o, p); done || err != nil {
		return item(p), err
	}
	if claim.mode == "rpc" && !strings.EqualFold(claim.chain, "solana") {
		if err := s.lookUp(c, p, claim); err != nil {
			return nil, err
		}
		if o, p, err = s.orderPayment(c); err != nil { // the lock was released in between
			return nil, err
		}
		if done, err := settled(o, p); done || err != nil {
			return item(p), err
		}
	} else {
		claim.mode = "recorded" // always, on Solana
	}
	c.hold(o, &PaymentProof{
		Chain: claim.chain, Token: claim.token, TransactionHash: claim.transaction, PayerAddress: claim.payer, VerifiedAt: c.stamp(),
		VerificationMode: claim.mode, Metadata: claim.metadata,
	})
	return item(p), nil
}

// settled reports whether the payment needs no proof any more. A payment of an order that is over
// cannot be proven.
func settled(o *storedOrder, p *Payment) (bool, error) {
	switch {
	case p.Status == "intent_created" && o.waits():
		return false, nil
	case p.Status == "intent_created":
		return false, fail("ORDER_CLOSED", "the order is "+o.Status)
	}
	return true, nil
}

// lockEscrow records that the price is in an escrow contract. It is believed, like a recorded
// proof; repeating it returns the payment.
func (s *Server) lockEscrow(c *call) (any, error) {
	o, p, err := s.orderPayment(c)
	if err != nil {
		return nil, err
	}
	hash, chain, escrow := c.in.required("transactionHash"), c.in.required("chain"), c.in.required("escrowAddress")
	if c.in.err != nil {
		return nil, c.in.err
	}
	if done, err := settled(o, p); done || err != nil {
		return item(p), err
	}
	if p.Rail.Type != "escrow" && p.Rail.Type != "onchain-escrow" {
		return nil, invalid("the payment uses the rail " + p.Rail.Type + ", not escrow")
	}
	p.Rail.EscrowAddress, p.Rail.Chain = escrow, chain
	c.hold(o, &PaymentProof{
		Chain: chain, Token: p.Rail.Token, TransactionHash: hash, PayerAddress: p.Rail.PayerAddress, VerifiedAt: c.stamp(),
		VerificationMode: "recorded",
	})
	return item(p), nil
}

// releasePayment pays the provider after the order was confirmed.
func (s *Server) releasePayment(c *call) (any, error) {
	o, p, err := s.orderPayment(c)
	if err != nil {
		return nil, err
	}
	notes := c.notes(p, "transactionHash", "notes")
	switch {
	case c.in.err != nil:
		return nil, c.in.err
	case p.Status == "release_pending":
	case p.Status == "intent_created" || p.Status == "held":
		return nil, fail("ORDER_NOT_DELIVERED", "the payment is "+p.Status+": confirm the order first")
	default:
		return nil, fail("ORDER_CLOSED", "the payment is "+p.Status)
	}
	p.Notes = notes
	c.payStep(o, "released", "payment.released")
	return item(p), nil
}

// refundPayment pays the buyer back. An order that has not run is cancelled.
func (s *Server) refundPayment(c *call) (any, error) {
	o, p, err := s.orderPayment(c)
	if err != nil {
		return nil, err
	}
	notes := c.notes(p, "transactionHash", "reason")
	switch {
	case c.in.err != nil:
		return nil, c.in.err
	case o.Status == "executing":
		return nil, fail("ORDER_NOT_DELIVERED", "the order is being executed")
	case p.Status == "held" || p.Status == "frozen":
	case p.Status == "intent_created":
		return nil, fail("ORDER_NOT_DELIVERED", "nothing has been paid yet")
	default:
		return nil, fail("ORDER_CLOSED", "the payment is "+p.Status)
	}
	p.Notes = notes
	c.payStep(o, "refunded", "payment.refunded")
	if o.waits() {
		c.step(o, "cancelled", "order.cancelled", map[string]any{"reason": "refunded"})
	}
	return item(p), nil
}

// notes returns the payment's notes plus those sent with release or refund.
func (c *call) notes(p *Payment, names ...string) []string {
	notes := append([]string{}, p.Notes...)
	for _, name := range names {
		if text := c.in.text(name); text != "" {
			notes = append(notes, name+": "+text)
		}
	}
	return notes
}
