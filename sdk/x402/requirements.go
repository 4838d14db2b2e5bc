package x402

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"strconv"
	"strings"

	"github.com/peaqnetwork/peaqos-agent/sdk"
)

// Requirements is what a provider asks for (contract §2.16). Amount is in the
// token's smallest unit.
type Requirements struct {
	Scheme              string `json:"scheme"`  // exact
	Network             string `json:"network"` // CAIP-2, such as eip155:8453
	Asset               string `json:"asset"`   // the token's contract
	PayTo               string `json:"payTo"`
	Amount              string `json:"amount"`
	MaxTimeoutSeconds   int    `json:"maxTimeoutSeconds"`
	ExtraName           string `json:"extraName"`    // EIP-712 domain of the token
	ExtraVersion        string `json:"extraVersion"` // likewise
	AssetTransferMethod string `json:"assetTransferMethod"`
}

// object is a JSON object whose members are read by either of their spellings.
type object map[string]json.RawMessage

// get returns a member by its camelCase or its snake_case name; null is absent.
func (o object) get(name string) json.RawMessage {
	for _, spelling := range []string{name, snake(name)} {
		if raw, ok := o[spelling]; ok && string(raw) != "null" {
			return raw
		}
	}
	return nil
}

func (o object) text(name string) string {
	var s string
	if json.Unmarshal(o.get(name), &s) != nil {
		return ""
	}
	return s
}

// scalar is a string or a number, as its text.
func (o object) scalar(name string) string {
	raw := o.get(name)
	var n json.Number
	if len(raw) > 0 && raw[0] != '"' && json.Unmarshal(raw, &n) == nil {
		return n.String()
	}
	return o.text(name)
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

// challenge is a challenge that was found, and the object around it.
type challenge struct {
	requirements object
	accepted     json.RawMessage // the requirements as they came
	whole        object          // with accepts, resource and extensions; nil when they stood alone
	header       string          // the base64 form, when the source had it
}

var errNoChallenge = &sdk.ValidationError{Field: "paymentRequirements", Constraint: "a challenge: accepts[] or paymentRequired"}

// find looks for a challenge in the order of the contract: paymentRequired,
// paymentRequest, accepts[0], the object itself.
func find(source object, depth int) (*challenge, error) {
	if source == nil || depth > 8 {
		return nil, errNoChallenge
	}
	header := ""
	if raw := source.get("paymentRequired"); raw != nil {
		replaced, text, err := unpack(raw)
		if err != nil {
			return nil, errNoChallenge
		}
		source, header = replaced, text
	}
	if inner := source.object("paymentRequest"); inner != nil {
		return find(inner, depth+1)
	}
	var accepts []json.RawMessage
	if json.Unmarshal(source.get("accepts"), &accepts) == nil && len(accepts) > 0 {
		var first object
		if json.Unmarshal(accepts[0], &first) == nil && first != nil {
			return &challenge{first, accepts[0], source, header}, nil
		}
	}
	if source.get("payTo") != nil && source.get("asset") != nil {
		raw, err := json.Marshal(source)
		return &challenge{source, raw, nil, header}, err
	}
	return nil, errNoChallenge
}

// unpack reads a challenge that is an object or the base64 text of one.
func unpack(raw json.RawMessage) (object, string, error) {
	var text string
	if json.Unmarshal(raw, &text) != nil {
		var inner object
		err := json.Unmarshal(raw, &inner)
		return inner, "", err
	}
	decoded, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
	if err != nil {
		return nil, "", err
	}
	var inner object
	if err := json.Unmarshal(decoded, &inner); err != nil {
		return nil, "", err
	}
	if inner == nil {
		return nil, "", errors.New("null")
	}
	return inner, text, nil
}

// Parse reads what a provider asks for from a challenge in any of its forms: the
// metadata of a payment's rail, a decoded challenge with accepts, or bare
// requirements. Errors: *sdk.ValidationError, of the fields paymentRequirements,
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

// ParsePayment reads what a provider asks for from a payment record, as CreateIntent
// and Get of [sdk.MarketPaymentsService] return it. Errors: *sdk.ValidationError, of
// the field payment.rail.metadata when the payment has no challenge.
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
		return nil, &sdk.ValidationError{Field: "payment.rail.metadata", Constraint: "that of an x402 payment intent with a provider's challenge"}
	}
	return payment.Rail.Metadata, nil
}

func locate(source json.RawMessage) (*challenge, error) {
	var top object
	if err := json.Unmarshal(source, &top); err != nil {
		return nil, errNoChallenge
	}
	return find(top, 0)
}

func (c *challenge) read() (*Requirements, error) {
	r := c.requirements
	out := &Requirements{
		Scheme: r.text("scheme"), Network: r.text("network"), Asset: r.text("asset"), PayTo: r.text("payTo"), Amount: r.scalar("amount"),
	}
	if out.Scheme == "" {
		out.Scheme = "exact"
	}
	if out.Amount == "" {
		out.Amount = r.scalar("maxAmountRequired")
	}
	out.MaxTimeoutSeconds, _ = strconv.Atoi(r.scalar("maxTimeoutSeconds"))
	extra := r.object("extra")
	out.ExtraName, out.ExtraVersion, out.AssetTransferMethod = extra.text("name"), extra.scalar("version"), extra.text("assetTransferMethod")
	switch {
	case out.Network == "" || out.Asset == "" || out.PayTo == "" || out.Amount == "":
		return nil, &sdk.ValidationError{Field: "paymentRequirements", Constraint: "complete: network, asset, payTo and amount"}
	case out.ExtraName == "" || out.ExtraVersion == "":
		return nil, &sdk.ValidationError{Field: "paymentRequirements.extra", Constraint: "the token's EIP-712 name and version"}
	case out.Scheme != "exact":
		return nil, &sdk.ValidationError{Field: "scheme", Constraint: "exact"}
	case out.AssetTransferMethod != "" && !strings.EqualFold(out.AssetTransferMethod, "eip3009"):
		return nil, &sdk.ValidationError{Field: "assetTransferMethod", Constraint: "eip3009"}
	}
	return out, nil
}
