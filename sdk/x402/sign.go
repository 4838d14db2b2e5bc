package x402

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/ethereum/go-ethereum/crypto"

	"github.com/peaqnetwork/peaqos-agent/sdk"
)

// headerName is the header in which providers accept a signature (x402 version 2).
const headerName = "PAYMENT-SIGNATURE"

// defaultTimeout is how long an authorization is valid, in seconds, when the challenge
// does not say.
const defaultTimeout = 3600

// Signed is a signed payment. Anyone who has PaymentSignature can draw the amount once,
// until the authorization expires.
type Signed struct {
	PaymentSignature sdk.Secret    `json:"paymentSignature"` // the header value, base64
	PaymentReference string        `json:"paymentReference"` // x402:<network>:<24 hex digits>
	Network          string        `json:"network"`
	Asset            string        `json:"asset"`
	Amount           string        `json:"amount"`
	PayerAddress     string        `json:"payerAddress"`
	HeaderName       string        `json:"headerName"`
	Authorization    Authorization `json:"authorization"` // what was signed
}

// Proof is the request of [sdk.MarketPaymentsService.SubmitX402Proof].
func (s *Signed) Proof() sdk.X402PaymentProof {
	return sdk.X402PaymentProof{PaymentSignature: s.PaymentSignature, PaymentReference: sdk.Some(s.PaymentReference)}
}

// Sign signs a challenge with a raw private key, 0x and 64 hex digits. The
// authorization is valid immediately, for as long as the challenge says (one hour if it
// says 0), and its nonce is random.
//
// It signs only a challenge in the form of x402 version 2, and only what limits allow, each
// for one token. Without limits that is 1 USDC on Base, for at most an hour. Errors:
// *sdk.ValidationError, for the fields that Parse names, and for signer, x402Version, network,
// asset, payTo, amount, maxTimeoutSeconds, extensions and resource.
//
// Offline (contract §2.16)
func Sign(source json.RawMessage, key sdk.Secret, limits ...Limit) (*Signed, error) {
	found, err := locate(source)
	if err != nil {
		return nil, err
	}
	return found.sign(source, key, nil, limits)
}

// SignPayment signs the challenge in a payment record of the rail x402; see [Sign]. It
// refuses a challenge that does not agree with the record: one that asks for more than the
// record's amount, pays another address than the rail's payee, or is in another token or on
// another chain than the rail's. What the record leaves out is not compared.
//
// Offline (contract §2.16)
func SignPayment(payment *sdk.MarketPayment, key sdk.Secret, limits ...Limit) (*Signed, error) {
	metadata, err := metadataOf(payment)
	if err != nil {
		return nil, err
	}
	found, err := locate(metadata)
	if err != nil {
		return nil, err
	}
	return found.sign(metadata, key, payment, limits)
}

// isRawKey reports whether s is 0x and 64 hex digits.
func isRawKey(s string) bool {
	digits, ok := strings.CutPrefix(s, "0x")
	if !ok || len(digits) != 64 {
		return false
	}
	for i := range len(digits) {
		if c := digits[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') && (c < 'A' || c > 'F') {
			return false
		}
	}
	return true
}

// hasChallenge reports whether source holds the provider's whole challenge, which the
// provider compares with the signature: bare requirements are not enough. found reports
// whether source has a place for it, whole whether it is there.
func hasChallenge(source json.RawMessage) (found, whole bool) {
	var top object
	if json.Unmarshal(source, &top) != nil {
		return false, false
	}
	request := top
	if inner := top.object("paymentRequest"); inner != nil {
		request = inner
	} else if top.get("paymentRequired") == nil {
		var accepts []json.RawMessage
		decoded := json.Unmarshal(top.get("accepts"), &accepts) == nil && accepts != nil
		return decoded, decoded
	}
	header, _ := request.scalar("paymentRequired")
	return true, header != ""
}

// check rejects a challenge that must not be signed. payment is the record that it belongs to,
// or nil.
func (c *challenge) check(want *Requirements, payment *sdk.MarketPayment, limits []Limit) error {
	if _, err := addressWord("payTo", want.PayTo); err != nil {
		return err
	}
	if _, err := word("amount", want.Amount); err != nil {
		return err
	}
	if err := c.standard(); err != nil {
		return err
	}
	limit, err := allowing(want, limits)
	if err == nil && payment != nil {
		err = matches(payment, want, limit)
	}
	return err
}

func (c *challenge) sign(source json.RawMessage, key sdk.Secret, payment *sdk.MarketPayment, limits []Limit) (*Signed, error) {
	want, err := c.read()
	if err != nil {
		return nil, err
	}
	found, whole := hasChallenge(source)
	if !found {
		return nil, &sdk.ValidationError{Field: "payment.rail.metadata.paymentRequest", Constraint: "a challenge with accepts"}
	}
	bad := &sdk.ValidationError{Field: "signer", Constraint: "a private key: 0x and 64 hex digits"}
	if !isRawKey(key.Reveal()) {
		return nil, bad
	}
	if !whole || c.whole == nil {
		return nil, &sdk.ValidationError{Field: "paymentRequest.paymentRequired", Constraint: "the provider's challenge in base64"}
	}
	private, err := crypto.HexToECDSA(key.Reveal()[2:])
	if err != nil {
		return nil, bad
	}
	terms, err := newTerms(want)
	if err != nil {
		return nil, err
	}
	if err := c.check(want, payment, limits); err != nil {
		return nil, err
	}
	var nonce [32]byte
	if _, err := rand.Read(nonce[:]); err != nil {
		return nil, fmt.Errorf("reading random bytes for the nonce: %w", err)
	}
	payer := crypto.PubkeyToAddress(private.PublicKey)
	auth := Authorization{
		From: payer.Hex(), To: want.PayTo, Value: want.Amount, ValidAfter: "0",
		ValidBefore: strconv.FormatInt(time.Now().Unix()+int64(want.window()), 10), Nonce: "0x" + hex.EncodeToString(nonce[:]),
	}
	digest, err := terms.digest(auth)
	if err != nil {
		return nil, err
	}
	signature, err := crypto.Sign(digest, private)
	if err != nil {
		return nil, fmt.Errorf("signing the payment: %w", err)
	}
	signature[64] += 27
	return c.pack(want, auth, "0x"+hex.EncodeToString(signature))
}

// envelope is the header value before base64.
type envelope struct {
	X402Version int             `json:"x402Version"`
	Payload     payload         `json:"payload"`
	Accepted    json.RawMessage `json:"accepted"`
	Resource    json.RawMessage `json:"resource,omitempty"`
	Extensions  json.RawMessage `json:"extensions,omitempty"`
}

type payload struct {
	Authorization Authorization `json:"authorization"`
	Signature     string        `json:"signature"`
}

func (c *challenge) pack(want *Requirements, auth Authorization, signature string) (*Signed, error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(envelope{
		X402Version: 2, Payload: payload{auth, signature}, Accepted: c.accepted,
		Resource: present(c.whole["resource"]), Extensions: present(c.whole["extensions"]),
	})
	if err != nil {
		return nil, err
	}
	header := base64.StdEncoding.EncodeToString(bytes.TrimSpace(text.Bytes()))
	sum := sha256.Sum256([]byte(header))
	return &Signed{
		PaymentSignature: sdk.NewSecret(header), PaymentReference: "x402:" + want.Network + ":" + hex.EncodeToString(sum[:12]),
		Network: want.Network, Asset: want.Asset, Amount: want.Amount, PayerAddress: auth.From, HeaderName: headerName, Authorization: auth,
	}, nil
}

// present returns a member, or nil if it is null.
func present(raw json.RawMessage) json.RawMessage {
	if string(raw) == "null" {
		return nil
	}
	return raw
}

// chainOf returns the chain ID in the CAIP-2 name of an EVM chain.
func chainOf(network string) (string, error) {
	number, ok := strings.CutPrefix(network, "eip155:")
	if _, err := strconv.ParseUint(number, 10, 64); !ok || err != nil || number[0] == '0' {
		return "", &sdk.ValidationError{Field: "network", Constraint: "an EVM chain, such as eip155:8453"}
	}
	return number, nil
}
