package sandbox

import "time"

// Budget limits what an order may cost (contract §2.14).
type Budget struct {
	Amount   *float64 `json:"amount,omitempty"`
	Currency string   `json:"currency,omitempty"`
	max      *float64
}

// readBudget reads {amount, max, preferred, currency}; nil when none was sent.
func readBudget(in *members) *Budget {
	sent := in.object("budget")
	if sent == nil {
		return nil
	}
	b := &Budget{Currency: sent.text("currency")}
	b.Amount, _ = sent.amount("amount")
	b.max, _ = sent.amount("max")
	sent.amount("preferred")
	in.join(sent)
	return b
}

// covers reports whether a price is within the budget's max or, for a search, within its amount.
func (b *Budget) covers(price float64, search bool) bool {
	switch {
	case b == nil:
	case b.max != nil:
		return price <= *b.max
	case b.Amount != nil && search:
		return price <= *b.Amount
	}
	return true
}

// Spending is counted per pairing and UTC day, when an order is created. Amounts are
// compared as plain numbers: there is no exchange rate.

func utcDay(t time.Time) string { return t.UTC().Format(time.DateOnly) }

// spentOn returns what the pairing spent on the day of t.
func (p *storedPairing) spentOn(t time.Time) float64 {
	if p.SpentDay != utcDay(t) {
		return 0
	}
	return p.Spent
}

// maySpend returns an error if an amount exceeds one of the two limits.
func (p *storedPairing) maySpend(t time.Time, amount float64) error {
	d := p.DelegationPolicy
	switch {
	case amount <= 0:
		return nil
	case d.PerTransactionLimit != nil && amount > *d.PerTransactionLimit:
		return fail("AGENT_SPEND_LIMIT_EXCEEDED", "the order exceeds the limit per transaction")
	case d.DailySpendLimit != nil && sum(p.spentOn(t), amount) > *d.DailySpendLimit:
		return fail("AGENT_DAILY_LIMIT_EXCEEDED", "the order exceeds what the pairing may still spend today (UTC)")
	}
	return nil
}

// spend counts an amount. A negative one gives back what an order cancelled on the same day had
// taken.
func (p *storedPairing) spend(t time.Time, amount float64) {
	p.Spent = max(0, sum(p.spentOn(t), amount))
	p.SpentDay = utcDay(t)
}

// sum adds two amounts, rounded to nine digits: three times 0.1 is 0.3.
func sum(a, b float64) float64 { return round(a+b, 9) }

// pairingSpend reports how much of the day's limit is used (contract §3.1). The envelope is not
// published: an item.
func (s *Server) pairingSpend(c *call) (any, error) {
	p, err := s.pairingNamed(c)
	if err != nil {
		return nil, err
	}
	begun := c.now.UTC().Truncate(24 * time.Hour)
	return item(struct {
		PairingID           string   `json:"pairingId"`
		Currency            *string  `json:"currency"`
		DailySpend          float64  `json:"dailySpend"`
		DailyLimit          *float64 `json:"dailyLimit"`
		PerTransactionLimit *float64 `json:"perTransactionLimit"`
		WindowStartedAt     Moment   `json:"windowStartedAt"`
		WindowEndsAt        Moment   `json:"windowEndsAt"`
	}{
		p.ID, orNull(p.DelegationPolicy.Currency), p.spentOn(c.now), p.DelegationPolicy.DailySpendLimit, p.DelegationPolicy.PerTransactionLimit,
		Moment{begun},
		Moment{begun.Add(24 * time.Hour)},
	}), nil
}

// orNull returns nil for "", where the API needs null.
func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
