package x402

import (
	"encoding/json"
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"time"

	"github.com/peaqnetwork/peaqos-agent/sdk"
)

// Limit is what the caller allows one signature to pay, in one token.
type Limit struct {
	Network string // CAIP-2, such as eip155:8453
	Asset   string // the token's contract; compared without regard to case
	Max     string // the largest amount, inclusive, in the token's smallest unit

	// Decimals of the token, to compare the challenge with the amount of a payment record;
	// 6, as USDC has, if 0.
	Decimals int

	// Window is the longest time that a signature may be valid; 1 h if 0.
	Window time.Duration
}

const (
	baseNetwork   = "eip155:8453"
	baseUSDC      = "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913"
	defaultWindow = time.Hour
)

// defaultLimit is the limit of a call without one: 1 USDC on Base, and no other token, valid
// for at most an hour.
func defaultLimit() Limit {
	return Limit{Network: baseNetwork, Asset: baseUSDC, Max: "1000000"}
}

// token is a token whose symbol is known.
type token struct{ network, asset, symbol string }

func tokens() []token {
	return []token{
		{baseNetwork, baseUSDC, "USDC"},
		{"eip155:1", "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48", "USDC"},
		{"eip155:1", "0xdAC17F958D2ee523a2206206994597C13D831ec7", "USDT"},
	}
}

// symbolOf returns the symbol of a token, or "".
func symbolOf(network, asset string) string {
	for _, t := range tokens() {
		if t.network == network && strings.EqualFold(t.asset, asset) {
			return t.symbol
		}
	}
	return ""
}

// networks maps the names of chains in payment records to CAIP-2.
func networks() map[string]string {
	return map[string]string{"base": baseNetwork, "ethereum": "eip155:1", "peaq": "eip155:3338"}
}

// allowing returns the limit for a token, and checks the amount and the time against it.
func allowing(want *Requirements, limits []Limit) (Limit, error) {
	if len(limits) == 0 {
		limits = []Limit{defaultLimit()}
	}
	for _, l := range limits {
		if l.Network != want.Network || !strings.EqualFold(l.Asset, want.Asset) {
			continue
		}
		most, ok := wholeNumber(l.Max)
		if !ok {
			return l, &sdk.ValidationError{Field: "limit.max", Constraint: "a whole number of the token's smallest unit"}
		}
		if asked, ok := wholeNumber(want.Amount); !ok || asked.Cmp(most) > 0 {
			return l, &sdk.ValidationError{
				Field:      "amount",
				Constraint: "at most " + most.String() + ", the limit of the caller; pass a Limit to allow more",
			}
		}
		window := l.Window
		if window == 0 {
			window = defaultWindow
		}
		if time.Duration(want.window())*time.Second > window {
			return l, &sdk.ValidationError{
				Field: "maxTimeoutSeconds", Constraint: fmt.Sprintf("at most %.0f, the limit of the caller", window.Seconds()),
			}
		}
		return l, nil
	}
	return Limit{}, &sdk.ValidationError{
		Field: "asset", Constraint: "a token that the caller allows (without a Limit, USDC on Base alone)",
	}
}

// window is how long the authorization is valid, in seconds.
func (r *Requirements) window() int {
	if r.MaxTimeoutSeconds > 0 {
		return r.MaxTimeoutSeconds
	}
	return defaultTimeout
}

// matches checks a challenge against the payment record that it belongs to. What the record
// leaves out is not compared.
func matches(payment *sdk.MarketPayment, want *Requirements, limit Limit) error {
	rail := payment.Rail
	fault := func(field, constraint string) error {
		return &sdk.ValidationError{Field: field, Constraint: constraint}
	}
	if rail.Type != "" && rail.Type != "x402" {
		return fault("payment.rail.type", "x402")
	}
	if rail.PayeeAddress != "" && !strings.EqualFold(rail.PayeeAddress, want.PayTo) {
		return fault("payTo", "the payee of the payment record, "+rail.PayeeAddress)
	}
	if rail.Chain != "" {
		network, known := networks()[strings.ToLower(rail.Chain)]
		if !known {
			network = rail.Chain
		}
		if network != want.Network {
			return fault("network", "the chain of the payment record, "+rail.Chain)
		}
	}
	if rail.TokenAddress != "" && !strings.EqualFold(rail.TokenAddress, want.Asset) {
		return fault("asset", "the token of the payment record, "+rail.TokenAddress)
	}
	for _, named := range []string{rail.Token, payment.Currency} {
		if !sameToken(named, want) {
			return fault("asset", "the token of the payment record, "+named)
		}
	}
	amount, ok := payment.Amount.Get()
	if !ok {
		return nil
	}
	agreed, ok := units(amount, limit.Decimals)
	if !ok {
		return fault("payment.amount", "a decimal number")
	}
	asked, ok := wholeNumber(want.Amount)
	if !ok || new(big.Rat).SetInt(asked).Cmp(agreed) > 0 {
		return fault("amount", "at most "+amount.String()+", the amount of the payment record")
	}
	return nil
}

// sameToken reports whether a symbol can be that of the token. A symbol that is not known for
// the chain cannot be compared, unless the token is known by another one.
func sameToken(symbol string, want *Requirements) bool {
	symbol = strings.ToUpper(symbol)
	own := symbolOf(want.Network, want.Asset)
	switch {
	case symbol == "" || symbol == own || symbol == "USD" && own != "":
		return true
	case own != "":
		return false
	}
	for _, t := range tokens() {
		if t.network == want.Network && t.symbol == symbol {
			return false // that symbol is another contract
		}
	}
	return true
}

// units returns an amount in the token's smallest unit, and whether it is a usable number.
func units(amount json.Number, decimals int) (*big.Rat, bool) {
	text := amount.String()
	if _, exponent, ok := strings.Cut(strings.ToLower(text), "e"); ok {
		if n, err := strconv.Atoi(exponent); err != nil || n > 100 || n < -100 {
			return nil, false
		}
	}
	out, ok := new(big.Rat).SetString(text)
	if !ok || len(text) > 200 || strings.ContainsAny(text, "/_xX") {
		return nil, false
	}
	if decimals == 0 {
		decimals = 6
	}
	scale := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(decimals)), nil)
	return out.Mul(out, new(big.Rat).SetInt(scale)), true
}

// wholeNumber reads a decimal number below 2^256, without a sign and without leading zeros.
func wholeNumber(text string) (*big.Int, bool) {
	if text == "" || len(text) > 78 || strings.TrimLeft(text, "0123456789") != "" || (text[0] == '0' && text != "0") {
		return nil, false
	}
	n, ok := new(big.Int).SetString(text, 10)
	return n, ok && n.BitLen() <= 256
}
