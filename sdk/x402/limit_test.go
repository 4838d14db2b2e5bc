package x402_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/peaqnetwork/peaqos-agent/sdk"
	"github.com/peaqnetwork/peaqos-agent/sdk/x402"
)

const (
	baseUSDC = "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913"
	payee    = "0x8617E340B3D01FA5F11F306F4090FD50E238070D"
)

// edited returns the challenge of these tests with parts of its text replaced, in pairs.
func edited(pairs ...string) json.RawMessage {
	return json.RawMessage(strings.NewReplacer(pairs...).Replace(challenge(300)))
}

// fieldOf returns the field of a ValidationError, or what else err is.
func fieldOf(err error) string {
	var invalid *sdk.ValidationError
	switch {
	case err == nil:
		return "signed"
	case errors.As(err, &invalid):
		return invalid.Field
	}
	return err.Error()
}

// TestOnlyTheStandardIsSigned: version 2, with everything that its readers need.
func TestOnlyTheStandardIsSigned(t *testing.T) {
	packed := base64.StdEncoding.EncodeToString(edited())
	deep := strings.Repeat("[", 100) + strings.Repeat("]", 100)
	for name, c := range map[string]struct {
		source json.RawMessage
		field  string
	}{
		"standard":            {edited(), "signed"},
		"in base64":           {json.RawMessage(`{"paymentRequest":{"paymentRequired":"` + packed + `"}}`), "signed"},
		"version 1":           {edited(`"x402Version":2`, `"x402Version":1`), "x402Version"},
		"version as text":     {edited(`"x402Version":2`, `"x402Version":"2"`), "x402Version"},
		"version 2.0":         {edited(`"x402Version":2`, `"x402Version":2.0`), "x402Version"},
		"no version":          {edited(`"x402Version":2,`, ``), "x402Version"},
		"the old amount":      {edited(`"amount"`, `"maxAmountRequired"`), "amount"},
		"amount as a number":  {edited(`"10000"`, `10000`), "amount"},
		"leading zeros":       {edited(`"10000"`, `"010000"`), "amount"},
		"no scheme":           {edited(`"scheme":"exact",`, ``), "scheme"},
		"network as a number": {edited(`"eip155:8453"`, `8453`), "network"},
		"zeros in network":    {edited(`eip155:8453`, `eip155:08453`), "network"},
		"snake case":          {edited(`"payTo"`, `"pay_to"`), "payTo"},
		"both cases":          {edited(`"payTo"`, `"pay_to":"0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A","payTo"`), "payTo"},
		"no time":             {edited(`"maxTimeoutSeconds":300,`, ``), "maxTimeoutSeconds"},
		"time as text":        {edited(`"maxTimeoutSeconds":300`, `"maxTimeoutSeconds":"300"`), "maxTimeoutSeconds"},
		"time null":           {edited(`"maxTimeoutSeconds":300`, `"maxTimeoutSeconds":null`), "maxTimeoutSeconds"},
		"a negative time":     {edited(`"maxTimeoutSeconds":300`, `"maxTimeoutSeconds":-1`), "maxTimeoutSeconds"},
		"a fraction of time":  {edited(`"maxTimeoutSeconds":300`, `"maxTimeoutSeconds":1.5`), "maxTimeoutSeconds"},
		"resource as text":    {edited(`{"url":"https://x"}`, `"https://x"`), "resource"},
		"resource, no url":    {edited(`{"url":"https://x"}`, `{}`), "resource.url"},
		"resource, tags":      {edited(`{"url":"https://x"}`, `{"url":"x","tags":[1]}`), "resource.tags"},
		"resource null":       {edited(`{"url":"https://x"}`, `null`), "signed"},
		"extensions as list":  {edited(`{"a_b":1}`, `[]`), "extensions"},
		"too deep":            {edited(`"un_known":[1]`, `"un_known":`+deep), "paymentRequirements"},
		"too long":            {edited(`"un_known":[1]`, `"un_known":"`+strings.Repeat("x", 17<<10)+`"`), "paymentRequirements"},
		"half of a pair":      {edited(`USD Coin`, `USD \ud800 Coin`), "paymentRequirements"},
		"a whole pair":        {edited(`"un_known":[1]`, `"un_known":"\ud83d\ude00"`), "signed"},
		"not UTF-8":           {edited(`"un_known":[1]`, "\"un_known\":\"\xff\""), "paymentRequirements"},
	} {
		_, err := x402.Sign(c.source, sdk.NewSecret(vectorKey))
		if got := fieldOf(err); got != c.field {
			t.Errorf("%s: %s, want %s: %v", name, got, c.field, err)
		}
	}
}

// TestOnlyWhatTheCallerAllowsIsSigned: without a limit 1 USDC on Base, inclusive.
func TestOnlyWhatTheCallerAllowsIsSigned(t *testing.T) {
	const other = "0x52908400098527886E0F7030069857D2E4169EE7"
	mine := x402.Limit{Network: "eip155:3338", Asset: strings.ToLower(other), Max: "5", Window: 24 * time.Hour}
	short := x402.Limit{Network: "eip155:8453", Asset: baseUSDC, Max: "10000", Window: 60 * time.Second}
	onPeaq := edited("eip155:8453", "eip155:3338", baseUSDC, other, "10000", "5")
	for name, c := range map[string]struct {
		source json.RawMessage
		limits []x402.Limit
		field  string
	}{
		"1 USDC":              {edited("10000", "1000000"), nil, "signed"},
		"a little more":       {edited("10000", "1000001"), nil, "amount"},
		"the highest number":  {edited("10000", "115792089237316195423570985008687907853269984665640564039457584007913129639935"), nil, "amount"},
		"USDC in lower case":  {edited(baseUSDC, strings.ToLower(baseUSDC)), nil, "signed"},
		"another token":       {edited(baseUSDC, other), nil, "asset"},
		"another chain":       {edited("eip155:8453", "eip155:1"), nil, "asset"},
		"an hour":             {edited("300", "3600"), nil, "signed"},
		"longer":              {edited("300", "3601"), nil, "maxTimeoutSeconds"},
		"a year":              {edited("300", "31536000"), nil, "maxTimeoutSeconds"},
		"no time given":       {edited("300", "0"), nil, "signed"},
		"allowed":             {onPeaq, []x402.Limit{mine}, "signed"},
		"one of two":          {onPeaq, []x402.Limit{{Network: "eip155:1", Asset: other, Max: "1"}, mine}, "signed"},
		"a day":               {json.RawMessage(strings.Replace(string(onPeaq), ":300,", ":86400,", 1)), []x402.Limit{mine}, "signed"},
		"over the limit":      {json.RawMessage(strings.Replace(string(onPeaq), `"5"`, `"6"`, 1)), []x402.Limit{mine}, "amount"},
		"not in the limits":   {edited(), []x402.Limit{mine}, "asset"},
		"limit of letters":    {edited(), []x402.Limit{{Network: "eip155:8453", Asset: baseUSDC, Max: "lots"}}, "limit.max"},
		"more than default":   {edited("10000", "2000000"), []x402.Limit{{Network: "eip155:8453", Asset: baseUSDC, Max: "2000000"}}, "signed"},
		"a window of seconds": {edited(), []x402.Limit{short}, "maxTimeoutSeconds"},
	} {
		signed, err := x402.Sign(c.source, sdk.NewSecret(vectorKey), c.limits...)
		if got := fieldOf(err); got != c.field || (err == nil) != (signed != nil) {
			t.Errorf("%s: %s, want %s: %v", name, got, c.field, err)
		}
	}
}

// TestChallengesAgreeWithThePaymentRecord: amount, payee, token, chain and rail.
func TestChallengesAgreeWithThePaymentRecord(t *testing.T) {
	amount := func(s string) sdk.Optional[json.Number] { return sdk.Some(json.Number(s)) }
	for name, c := range map[string]struct {
		edit   func(*sdk.MarketPayment)
		source json.RawMessage
		field  string
	}{
		"nothing given": {func(p *sdk.MarketPayment) { *p = sdk.MarketPayment{} }, edited(), "signed"},
		"all of it": {func(p *sdk.MarketPayment) {
			p.Rail.Chain, p.Rail.Token, p.Rail.TokenAddress, p.Rail.PayeeAddress = "Base", "usdc", strings.ToLower(baseUSDC), strings.ToLower(payee)
		}, edited(), "signed"},
		"more by one":       {nil, edited("10000", "10001"), "amount"},
		"a million":         {nil, edited("10000", "1000000000000"), "amount"},
		"less":              {nil, edited("10000", "9999"), "signed"},
		"amount in e":       {func(p *sdk.MarketPayment) { p.Amount = amount("1e-2") }, edited(), "signed"},
		"a fraction less":   {func(p *sdk.MarketPayment) { p.Amount = amount("0.0099999") }, edited(), "amount"},
		"a huge exponent":   {func(p *sdk.MarketPayment) { p.Amount = amount("1e999999999") }, edited(), "payment.amount"},
		"zero":              {func(p *sdk.MarketPayment) { p.Amount = amount("0") }, edited(), "amount"},
		"negative":          {func(p *sdk.MarketPayment) { p.Amount = amount("-1") }, edited(), "amount"},
		"another payee":     {func(p *sdk.MarketPayment) { p.Rail.PayeeAddress = baseUSDC }, edited(), "payTo"},
		"ethereum":          {func(p *sdk.MarketPayment) { p.Rail.Chain = "ethereum" }, edited(), "network"},
		"peaq":              {func(p *sdk.MarketPayment) { p.Rail.Chain = "peaq" }, edited(), "network"},
		"solana":            {func(p *sdk.MarketPayment) { p.Rail.Chain = "solana" }, edited(), "network"},
		"by its number":     {func(p *sdk.MarketPayment) { p.Rail.Chain = "eip155:8453" }, edited(), "signed"},
		"another token":     {func(p *sdk.MarketPayment) { p.Rail.Token = "USDT" }, edited(), "asset"},
		"another address":   {func(p *sdk.MarketPayment) { p.Rail.TokenAddress = payee }, edited(), "asset"},
		"another currency":  {func(p *sdk.MarketPayment) { p.Currency = "PEAQ" }, edited(), "asset"},
		"dollars":           {func(p *sdk.MarketPayment) { p.Currency = "USD" }, edited(), "signed"},
		"escrow":            {func(p *sdk.MarketPayment) { p.Rail.Type = "escrow" }, edited(), "payment.rail.type"},
		"a type is missing": {func(p *sdk.MarketPayment) { p.Rail.Type = "" }, edited(), "signed"},
		"no amount given":   {func(p *sdk.MarketPayment) { p.Amount = sdk.Optional[json.Number]{} }, edited("10000", "1000000"), "signed"},
	} {
		p := &sdk.MarketPayment{Amount: amount("0.01"), Currency: "USDC", Rail: sdk.MarketRail{Type: "x402"}}
		if c.edit != nil {
			c.edit(p)
		}
		p.Rail.Metadata = c.source
		_, err := x402.SignPayment(p, sdk.NewSecret(vectorKey))
		if got := fieldOf(err); got != c.field {
			t.Errorf("%s: %s, want %s: %v", name, got, c.field, err)
		}
	}
}

// TestErrorsSayWhichEntryWasRead: of several accepts the first is.
func TestErrorsSayWhichEntryWasRead(t *testing.T) {
	solana := `"accepts":[{"scheme":"exact","network":"solana:5eykt","asset":"EPjF","payTo":"9x","amount":"1","extra":{"feePayer":"z"}},`
	_, err := x402.Parse(edited(`"accepts":[`, solana))
	if fieldOf(err) != "paymentRequirements.extra" || !strings.Contains(err.Error(), "the first of the 2 entries") {
		t.Errorf("got %v", err)
	}
}
