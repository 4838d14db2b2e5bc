package x402

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/peaqnetwork/peaqos-agent/sdk"
)

// Requirements is the payment that a provider requires (contract §2.16).
type Requirements struct {
	Scheme              string `json:"scheme"`  // exact
	Network             string `json:"network"` // CAIP-2, such as eip155:8453
	Asset               string `json:"asset"`   // the token's contract
	PayTo               string `json:"payTo"`
	Amount              string `json:"amount"`            // in the token's smallest unit, a decimal number
	MaxTimeoutSeconds   int    `json:"maxTimeoutSeconds"` // 0 when the provider does not say
	ExtraName           string `json:"extraName"`         // name in the token's EIP-712 domain
	ExtraVersion        string `json:"extraVersion"`      // version in that domain
	AssetTransferMethod string `json:"assetTransferMethod"`
}

// object is a JSON object whose members may be spelled in camelCase or snake_case.
type object map[string]json.RawMessage

// get returns a member by its camelCase name, in either spelling; null is absent.
func (o object) get(name string) json.RawMessage {
	for _, spelling := range []string{name, snake(name)} {
		if raw, ok := o[spelling]; ok && string(raw) != "null" {
			return raw
		}
	}
	return nil
}

// scalar returns a string, or a number as its text, and whether there is one.
func (o object) scalar(name string) (text string, ok bool) {
	raw := o.get(name)
	if raw != nil && json.Unmarshal(raw, &text) == nil {
		return text, true
	}
	var n json.Number
	ok = raw != nil && json.Unmarshal(raw, &n) == nil
	return n.String(), ok
}

// word returns a string. Absent and every empty value read as fallback; a value of
// another kind is returned as its JSON, which matches no known word.
func (o object) word(name, fallback string) string {
	text, ok := o.scalar(name)
	switch raw := string(o.get(name)); {
	case raw == "" || raw == `""` || raw == "false" || raw == "0" || raw == "[]" || raw == "{}":
		return fallback
	case !ok:
		return raw
	}
	return text
}

func (o object) object(name string) object {
	var inner object
	if json.Unmarshal(o.get(name), &inner) != nil {
		return nil
	}
	return inner
}

func snake(name string) string {
	var b strings.Builder
	for _, c := range name {
		if c >= 'A' && c <= 'Z' {
			b.WriteByte('_')
			c += 'a' - 'A'
		}
		b.WriteRune(c)
	}
	return b.String()
}

// challenge is a challenge that was found, and the object that contains it.
type challenge struct {
	requirements object
	accepted     json.RawMessage // the requirements as received
	whole        object          // with accepts, resource and extensions; nil for bare requirements
	header       string          // the base64 form, when the source had it
	entries      int             // how many accepts has; the first one is read
}

var errNoChallenge = &sdk.ValidationError{Field: "paymentRequirements", Constraint: "a challenge: accepts[] or paymentRequired"}

// find searches for a challenge in the order of the contract: paymentRequired,
// paymentRequest, accepts[0], the object itself. It returns nil if there is none.
func find(source object, depth int) *challenge {
	if depth > 8 {
		return nil
	}
	header := ""
	if replaced, text := unpack(source.get("paymentRequired")); replaced != nil {
		source, header = replaced, text
	}
	if inner := source.object("paymentRequest"); inner != nil {
		if found := find(inner, depth+1); found != nil {
			return found
		}
	}
	var accepts []json.RawMessage
	if json.Unmarshal(source.get("accepts"), &accepts) == nil && len(accepts) > 0 {
		var first object
		if json.Unmarshal(accepts[0], &first) == nil && first != nil {
			return &challenge{first, accepts[0], source, header, len(accepts)}
		}
	}
	if source.get("payTo") != nil && source.get("asset") != nil {
		if raw, err := json.Marshal(source); err == nil {
			return &challenge{source, raw, nil, header, 0}
		}
	}
	return nil
}

// unpack reads a challenge that is an object or the base64 text of one. It returns nil
// for anything else.
func unpack(raw json.RawMessage) (inner object, header string) {
	var text string
	if json.Unmarshal(raw, &text) != nil {
		if json.Unmarshal(raw, &inner) != nil {
			return nil, ""
		}
		return inner, ""
	}
	decoded, err := base64.StdEncoding.DecodeString(text)
	if err != nil || strings.ContainsAny(text, "\r\n") || json.Unmarshal(decoded, &inner) != nil {
		return nil, ""
	}
	return inner, text
}

// Parse reads a provider's requirements from a challenge in any of its forms: the
// metadata of a payment's rail, a decoded challenge with accepts, or bare requirements.
// Errors: *sdk.ValidationError, for the fields paymentRequirements,
// paymentRequirements.extra, scheme and assetTransferMethod.
//
// Offline (contract §2.16)
func Parse(source json.RawMessage) (*Requirements, error) {
	found, err := locate(source)
	if err != nil {
		return nil, err
	}
	return found.read()
}

// ParsePayment reads a provider's requirements from a payment record, as CreateIntent
// and Get of [sdk.MarketPaymentsService] return it. Errors: those of Parse, and a
// *sdk.ValidationError for payment.rail.metadata if the payment has no challenge.
//
// Offline (contract §2.16)
func ParsePayment(payment *sdk.MarketPayment) (*Requirements, error) {
	metadata, err := metadataOf(payment)
	if err != nil {
		return nil, err
	}
	return Parse(metadata)
}

func metadataOf(payment *sdk.MarketPayment) (json.RawMessage, error) {
	if payment == nil || len(payment.Rail.Metadata) == 0 || string(payment.Rail.Metadata) == "null" {
		return nil, &sdk.ValidationError{
			Field:      "payment.rail.metadata",
			Constraint: "the metadata of an x402 payment intent with a provider's challenge",
		}
	}
	return payment.Rail.Metadata, nil
}

func locate(source json.RawMessage) (*challenge, error) {
	var top object
	if json.Unmarshal(source, &top) != nil {
		return nil, errNoChallenge
	}
	if found := find(top, 0); found != nil {
		return found, nil
	}
	return nil, errNoChallenge
}

func (c *challenge) read() (*Requirements, error) {
	r, extra := c.requirements, c.requirements.object("extra")
	out := &Requirements{Scheme: r.word("scheme", "exact"), AssetTransferMethod: extra.word("assetTransferMethod", "")}
	var network, asset, payTo, amount, name, version bool
	out.Network, network = r.scalar("network")
	out.Asset, asset = r.scalar("asset")
	out.PayTo, payTo = r.scalar("payTo")
	if out.Amount, amount = r.scalar("amount"); r.get("amount") == nil {
		out.Amount, amount = r.scalar("maxAmountRequired")
	}
	out.ExtraName, name = extra.scalar("name")
	out.ExtraVersion, version = extra.scalar("version")
	if seconds, ok := r.scalar("maxTimeoutSeconds"); ok {
		x, _ := strconv.ParseFloat(seconds, 64)
		out.MaxTimeoutSeconds = int(max(min(x, math.MaxInt32), math.MinInt32))
	}
	fault := func(field, constraint string) error {
		if c.entries > 1 {
			constraint += fmt.Sprintf(" (in the first of the %d entries of accepts; the others are not read)", c.entries)
		}
		return &sdk.ValidationError{Field: field, Constraint: constraint}
	}
	switch {
	case !network || !asset || !payTo || !amount:
		return nil, fault("paymentRequirements", "complete: network, asset, payTo and amount")
	case !name || !version:
		return nil, fault("paymentRequirements.extra", "the token's EIP-712 name and version")
	case out.Scheme != "exact":
		return nil, fault("scheme", "exact")
	case out.AssetTransferMethod != "" && !strings.EqualFold(out.AssetTransferMethod, "eip3009"):
		return nil, fault("assetTransferMethod", "eip3009")
	}
	return out, nil
}
