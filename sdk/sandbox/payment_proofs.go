package sandbox

import (
	"cmp"
	"encoding/json"
	"fmt"
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

// fingerprint identifies what a claim says was paid, so that the same proof is recognized when it is
// sent again.
func (p *paymentClaim) fingerprint() string {
	return fingerprint("claim", p.chain, p.token, p.payer, p.payee, p.amount, p.transaction, p.tokenAddress, p.rawAmount)
}

// fingerprint returns a digest of the parts of a proof.
func fingerprint(parts ...string) string {
	b, _ := json.Marshal(parts)
	return digest(string(b))
}

// contradicts returns how a claim contradicts the payment that it should settle; "" if it does not.
// What the payment leaves open is not compared. Addresses are compared without regard to case. Of a
// claim that is looked up, the transaction itself decides about contract, payee and amount.
func (p *paymentClaim) contradicts(due *Payment) string {
	rail := due.Rail
	all := []difference{{"chain", p.chain, rail.Chain}, {"token", p.token, rail.Token}}
	if !p.isLookedUp() {
		all = append(all, difference{"tokenAddress", p.tokenAddress, rail.TokenAddress}, difference{"payeeAddress", p.payee, rail.payee()})
	}
	if why := firstDifference(all...); why != "" || p.isLookedUp() {
		return why
	}
	least := due.due(p.decimals)
	if baseUnits(p.amount, p.decimals).Cmp(least) < 0 || (p.rawAmount != "" && baseUnits(p.rawAmount, 0).Cmp(least) < 0) {
		return "amount: the proof is about less than the payment's amount"
	}
	return ""
}

// isLookedUp reports whether a claim is looked up on its chain; a claim about Solana never is.
func (p *paymentClaim) isLookedUp() bool {
	return p.mode == "rpc" && !strings.EqualFold(p.chain, "solana")
}

// payee returns the address that is paid.
func (r *PaymentRail) payee() string { return cmp.Or(r.PayeeAddress, r.WalletAddress) }

// difference is a member of a proof, what was sent and what is expected.
type difference struct{ member, sent, want string }

// firstDifference describes the first member that differs, without regard to case and to the two
// names of a chain (base is eip155:8453); "" if none does.
// What is empty on either side is not compared.
func firstDifference(all ...difference) string {
	for _, d := range all {
		if d.sent != "" && d.want != "" && !strings.EqualFold(networkOf(d.sent), networkOf(d.want)) {
			return fmt.Sprintf("%s is %.80q, but the payment intent has %.80q", d.member, d.sent, d.want)
		}
	}
	return ""
}

// submitProof settles a payment by a claim, recorded or looked up on its chain, or by an x402
// signature. The proof that settled it returns the payment whenever it is sent again.
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
	proof := claim.fingerprint()
	if done, err := o.settled(proof); done || err != nil {
		return item(p), err
	}
	if why := claim.contradicts(p); why != "" {
		return nil, invalid(why)
	}
	if claim.isLookedUp() {
		if err := s.lookUp(c, p, claim); err != nil {
			return nil, err
		}
		if o, p, err = s.orderPayment(c); err != nil { // the lock was released in between
			return nil, err
		}
		if done, err := o.settled(proof); done || err != nil {
			return item(p), err
		}
	} else {
		claim.mode = "recorded" // always, on Solana
	}
	c.hold(o, proof, &PaymentProof{
		Chain: claim.chain, Token: claim.token, TransactionHash: claim.transaction, PayerAddress: claim.payer, VerifiedAt: c.stamp(),
		VerificationMode: claim.mode, Metadata: claim.metadata,
	})
	return item(p), nil
}

// settled reports whether an order's payment was settled by this proof. An order is paid once,
// whatever the rail and the route: another proof is an error, and so is any proof for an order that
// is over. A payment that is not required needs no proof.
func (o *storedOrder) settled(proof string) (bool, error) {
	switch p := o.Record; {
	case p.Status == "not_required":
		return true, nil
	case p.Status == "intent_created" && o.waits():
		return false, nil
	case p.Status == "intent_created":
		return false, fail("ORDER_CLOSED", "the order is "+o.Status)
	case o.PaidBy != "" && o.PaidBy != proof:
		return false, fail("ORDER_CLOSED", "the order is already paid, by another proof; the payment is "+p.Status)
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
	proof := fingerprint("escrow", hash, chain, strings.ToLower(escrow))
	if done, err := o.settled(proof); done || err != nil {
		return item(p), err
	}
	if p.Rail.Type != "escrow" && p.Rail.Type != "onchain-escrow" {
		return nil, invalid("the payment uses the rail " + p.Rail.Type + ", not escrow")
	}
	if why := firstDifference(
		difference{"chain", chain, p.Rail.Chain}, difference{"escrowAddress", escrow, p.Rail.EscrowAddress},
	); why != "" {
		return nil, invalid(why)
	}
	p.Rail.EscrowAddress, p.Rail.Chain = escrow, chain
	c.hold(o, proof, &PaymentProof{
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
	s.giveBack(o)
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
