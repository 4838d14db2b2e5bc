package sandbox

import (
	"cmp"
	"encoding/json"
	"net/http"
	"slices"
)

// Payment is an order's payment (contract §2.15).
type Payment struct {
	ID        string        `json:"id"`
	OrderID   string        `json:"orderId"`
	MachineID string        `json:"machineId"`
	Status    string        `json:"status"`
	Rail      PaymentRail   `json:"rail"`
	Notes     []string      `json:"notes"`
	CreatedAt Moment        `json:"createdAt"`
	UpdatedAt Moment        `json:"updatedAt"`
	Amount    *float64      `json:"amount,omitempty"`
	Currency  string        `json:"currency,omitempty"`
	Proof     *PaymentProof `json:"proof,omitempty"`
}

// PaymentRail says how a payment is made.
type PaymentRail struct {
	Type            string          `json:"type"`
	Chain           string          `json:"chain,omitempty"`
	Token           string          `json:"token,omitempty"`
	TokenAddress    string          `json:"tokenAddress,omitempty"`
	TokenMint       string          `json:"tokenMint,omitempty"`
	EscrowAddress   string          `json:"escrowAddress,omitempty"`
	ExternalURL     string          `json:"externalUrl,omitempty"`
	Provider        string          `json:"provider,omitempty"`
	AccountID       string          `json:"accountId,omitempty"`
	WalletAddress   string          `json:"walletAddress,omitempty"`
	PayerAddress    string          `json:"payerAddress,omitempty"`
	PayeeAddress    string          `json:"payeeAddress,omitempty"`
	PaymentIntentID string          `json:"paymentIntentId,omitempty"`
	Metadata        json.RawMessage `json:"metadata,omitempty"` // carries the x402 challenge
}

// PaymentProof records what settled a payment.
type PaymentProof struct {
	Chain            string          `json:"chain,omitempty"`
	Token            string          `json:"token,omitempty"`
	TransactionHash  string          `json:"transactionHash,omitempty"`
	PayerAddress     string          `json:"payerAddress,omitempty"`
	VerifiedAt       Moment          `json:"verifiedAt,omitzero"`
	VerificationMode string          `json:"verificationMode,omitempty"`
	Metadata         json.RawMessage `json:"metadata,omitempty"`
}

// createIntent starts an order's payment, or returns the one that was started (contract §2.15).
func (s *Server) createIntent(c *call) (any, error) {
	o, err := s.orderNamed(c)
	switch {
	case err != nil:
		return nil, err
	case o.Record != nil:
		return item(o.Record), nil
	case !o.waits():
		return nil, fail("ORDER_CLOSED", "the order is "+o.Status)
	}
	p, err := s.intent(c, o)
	if err != nil {
		return nil, err
	}
	if p.Amount != nil && *p.Amount > o.Spent { // more than what was counted when the order was created
		if err := s.mayPay(c, o, *p.Amount); err != nil {
			return nil, err
		}
		c.pair.spend(o, c.now, sum(*p.Amount, -o.Spent))
	}
	o.Record = p
	if p.Status == "not_required" {
		c.payStep(o, "not_required", "payment.not-required")
		c.step(o, "ready", "order.ready", nil)
	} else {
		c.payStep(o, "intent_created", "payment.intent-created")
		c.step(o, "payment_pending", "order.payment-pending", nil)
	}
	c.status = http.StatusCreated
	return item(p), nil
}

// mayPay checks an intent that asks more than what was counted, against the machine's policies and
// both spend limits.
func (s *Server) mayPay(c *call, o *storedOrder, amount float64) error {
	m, err := s.machine(o.MachineID)
	if err != nil {
		return err
	}
	service, err := s.offer(c, o.ServiceID)
	if err != nil {
		return err
	}
	if why := s.denialReason(viewer{m, c.pair}, service, amount); why != "" {
		return fail("AGENT_POLICY_DENIED", why)
	}
	return c.pair.maySpend(c.now, sum(amount, -o.Spent), amount)
}

// intent returns the requested payment. What the body leaves out is taken from the order's advice.
// An order that needs no payment gets not_required, whatever rail was requested.
func (s *Server) intent(c *call, o *storedOrder) (*Payment, error) {
	in := c.in
	rail, err := readPaymentRail(in)
	if err != nil {
		return nil, err
	}
	amount, sent := in.amount("amount")
	currency := in.text("currency")
	if in.err != nil {
		return nil, in.err
	}
	p := &Payment{ID: newID("pay"), OrderID: o.ID, MachineID: o.MachineID, Notes: o.Payment.Notes, CreatedAt: c.stamp(), UpdatedAt: c.stamp()}
	if !o.Payment.Required {
		p.Status, p.Rail = "not_required", PaymentRail{Type: "not-required"}
		return p, nil
	}
	rail.Type = cmp.Or(rail.Type, o.Payment.DefaultRail)
	switch {
	case rail.Type == "not-required":
		return nil, fail("PAYMENT_REQUIRED", "the service must be paid for: choose another rail")
	case s.enforceRails && !slices.Contains(o.Payment.SupportedRails, rail.Type):
		return nil, invalid("unsupported rail " + rail.Type)
	case sent && *amount < o.Price:
		return nil, invalid("amount is less than the order's price")
	}
	p.Amount, p.Currency = new(o.Price), o.Currency
	if sent {
		p.Amount = amount
	}
	if currency != "" {
		p.Currency = currency
	}
	rail.fill(o.Payment)
	rail.PaymentIntentID = newID("pint")
	p.Rail = rail
	if rail.Type == "x402" {
		p.Rail.Metadata = x402Challenge(o, p)
	}
	return p, nil
}

// railNames lists MarketPaymentRailType (contract §2.13).
func railNames() []string {
	return []string{
		"not-required", "wallet", "xvv42", "x402", "vault-stripe", "escrow", "offchain-record", "external", "onchain-escrow", "wdk-usdt-transfer",
	}
}

// readPaymentRail reads the rail of an intent. Its type may be absent.
func readPaymentRail(in *members) (PaymentRail, error) {
	sent := in.object("rail")
	if sent == nil {
		return PaymentRail{}, in.err
	}
	r := PaymentRail{Type: sent.oneOf("type", railNames()...)}
	if r.Type == "" {
		r.Type = sent.oneOf("railType", railNames()...)
	}
	for _, p := range r.texts() {
		*p.to = sent.text(p.name)
	}
	r.Metadata = sent.raw("metadata")
	in.join(sent)
	return r, in.err
}

// named is a named member of a rail.
type named struct {
	name string
	to   *string
}

func (r *PaymentRail) texts() []named {
	return []named{
		{"chain", &r.Chain},
		{"token", &r.Token},
		{"tokenAddress", &r.TokenAddress},
		{"tokenMint", &r.TokenMint},
		{"escrowAddress", &r.EscrowAddress},
		{"externalUrl", &r.ExternalURL},
		{"provider", &r.Provider},
		{"accountId", &r.AccountID},
		{"walletAddress", &r.WalletAddress},
		{"payerAddress", &r.PayerAddress},
		{"payeeAddress", &r.PayeeAddress},
		{"paymentIntentId", &r.PaymentIntentID},
	}
}

// fill takes what was not sent from the advice. The service says who is paid, not the buyer.
func (r *PaymentRail) fill(a RailAdvice) {
	for _, p := range []struct {
		to   *string
		from string
	}{
		{&r.Chain, a.Chain},
		{&r.Token, a.Token},
		{&r.TokenAddress, a.TokenAddress},
		{&r.TokenMint, a.TokenMint},
		{&r.ExternalURL, a.ExternalURL},
		{&r.Provider, a.Provider},
		{&r.PayerAddress, a.PayerAddress},
	} {
		if *p.to == "" {
			*p.to = p.from
		}
	}
	r.WalletAddress, r.PayeeAddress = a.WalletAddress, a.PayeeAddress
}

// getPayment returns null while there is no payment (contract §2.15).
func (s *Server) getPayment(c *call) (any, error) {
	o, err := s.orderNamed(c)
	if err != nil {
		return nil, err
	}
	return item(c.knownPayment(o)), nil
}

// payStep sets the status of an order's payment.
func (c *call) payStep(o *storedOrder, status, kind string) {
	o.Record.Status, o.Record.UpdatedAt = status, c.stamp()
	c.audit(kind, "market-payment", o.Record.ID, o.MachineID, map[string]any{"orderId": o.ID, "status": status})
}

// hold records that a payment was made, by a proof with this fingerprint: the order can be executed.
func (c *call) hold(o *storedOrder, paidBy string, proof *PaymentProof) {
	o.Record.Proof, o.PaidBy = proof, paidBy
	if o.Record.Rail.Type == "wallet" {
		o.Record.Rail.Type = "wdk-usdt-transfer"
	}
	c.payStep(o, "held", "payment.held")
	if o.waits() {
		c.step(o, "ready", "order.ready", nil)
	}
}

// orderPayment returns an order and its payment. Without an intent the payment is not found.
func (s *Server) orderPayment(c *call) (*storedOrder, *Payment, error) {
	o, err := s.orderNamed(c)
	switch {
	case err != nil:
		return nil, nil, err
	case c.knownPayment(o) == nil:
		return nil, nil, notFound("the order's payment")
	}
	return o, o.Record, nil
}

// payByExecute checks that an order is paid for. A signature sent with execute counts as a proof
// that was not sent before.
func (s *Server) payByExecute(c *call, o *storedOrder, signature string) error {
	if p := o.Record; signature != "" && p != nil {
		switch done, err := o.settled(fingerprint("x402", signature)); {
		case err != nil:
			return err
		case !done && p.Rail.Type == "x402":
			return s.settleX402(c, o, x402Proof{signature: signature})
		}
	}
	if p := c.knownPayment(o); o.Payment.Required && (p == nil || p.Status != "held") {
		return fail("PAYMENT_REQUIRED", "the order is not paid for")
	}
	return nil
}
