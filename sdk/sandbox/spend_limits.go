package sandbox

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

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

// amount returns the amount of a budget; 0 if there is none.
func (b *Budget) amount() float64 {
	if b == nil || b.Amount == nil {
		return 0
	}
	return *b.Amount
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

// Spending is counted per pairing and UTC day: the larger of an order's price and its budget's
// amount when the order is created, and what a payment intent asks beyond that. What a buyer says
// can only raise what counts. Amounts are compared as plain numbers: there is no exchange rate.

// spendDays is the number of days whose spending is kept, so that a step of the clock and back does
// not forget what was spent.
const spendDays = 400

// charge is an amount that was counted on a day.
type charge struct {
	Day    string  `json:"day"`
	Amount float64 `json:"amount"`
}

func utcDay(t time.Time) string { return t.UTC().Format(time.DateOnly) }

// spentOn returns what the pairing spent on the day of t.
func (p *storedPairing) spentOn(t time.Time) float64 { return p.SpentOn[utcDay(t)] }

// maySpend returns an error if amount, as part of a transaction of total, exceeds one of the two
// limits.
func (p *storedPairing) maySpend(t time.Time, amount, total float64) error {
	d := p.DelegationPolicy
	switch {
	case amount <= 0:
		return nil
	case d.PerTransactionLimit != nil && total > *d.PerTransactionLimit:
		return fail("AGENT_SPEND_LIMIT_EXCEEDED", fmt.Sprintf("%v exceeds the limit of %v per transaction", total, *d.PerTransactionLimit))
	case d.DailySpendLimit != nil && sum(p.spentOn(t), amount) > *d.DailySpendLimit:
		return fail("AGENT_DAILY_LIMIT_EXCEEDED", fmt.Sprintf(
			"%v more would exceed the limit of %v per day (UTC), of which %v is spent", amount, *d.DailySpendLimit, p.spentOn(t)))
	}
	return nil
}

// spend counts an amount of an order on the day of t.
func (p *storedPairing) spend(o *storedOrder, t time.Time, amount float64) {
	if amount <= 0 {
		return
	}
	day := utcDay(t)
	p.add(day, amount)
	o.Spent = sum(o.Spent, amount)
	o.Charges = append(o.Charges, charge{day, amount})
}

// giveBack takes an order out of the spending of the days on which it was counted.
func (p *storedPairing) giveBack(o *storedOrder) {
	for _, c := range o.Charges {
		p.add(c.Day, -c.Amount)
	}
	o.Spent, o.Charges = 0, nil
}

func (p *storedPairing) add(day string, amount float64) {
	if p.SpentOn == nil {
		p.SpentOn = map[string]float64{}
	}
	if p.SpentOn[day] = max(0, sum(p.SpentOn[day], amount)); p.SpentOn[day] == 0 {
		delete(p.SpentOn, day)
	}
	if len(p.SpentOn) > spendDays {
		delete(p.SpentOn, slices.Min(slices.DeleteFunc(slices.Collect(maps.Keys(p.SpentOn)), func(d string) bool { return d == day })))
	}
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
