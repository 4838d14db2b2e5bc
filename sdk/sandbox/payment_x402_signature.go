package sandbox

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/ethereum/go-ethereum/crypto"
)

// X402.md compares these checks with those of the published facilitator.

// settleTime is how long a payment must still be valid, so that it can be settled.
const settleTime = 6 * time.Second

// maxPaymentHeader limits the value of the header, in bytes; common servers accept no longer header.
const maxPaymentHeader = 16 << 10

// paymentHeader is the payload of an x402 v2 payment header, for the scheme exact and the method
// eip3009 (contract §2.16).
type paymentHeader struct {
	authorization authorization
	signature     string
	accepted      requirements // the terms that the payer accepted
}

// authorization is EIP-3009's TransferWithAuthorization; all its numbers are strings.
type authorization struct{ from, to, value, validAfter, validBefore, nonce string }

// readPaymentHeader decodes the value of the header. Names count as written, at every depth, and
// everything that a reader of version 2 needs must be there.
func readPaymentHeader(value string) (*paymentHeader, error) {
	if len(value) > maxPaymentHeader {
		return nil, fmt.Errorf("is longer than %d bytes", maxPaymentHeader)
	}
	if strings.ContainsAny(value, "\r\n") { // ignored by the decoder, but impossible in a header
		return nil, errors.New("contains a line break")
	}
	b, err := base64.StdEncoding.Strict().DecodeString(value)
	if err != nil {
		return nil, errors.New("is not base64 (standard alphabet, padded)")
	}
	in := &members{}
	if !utf8.Valid(b) || json.Unmarshal(b, &in.all) != nil || in.all == nil {
		return nil, errors.New("does not contain a JSON object")
	}
	h := &paymentHeader{}
	if version := in.any("x402Version"); string(version) != "2" {
		in.fault("x402Version", "must be the number 2")
	}
	if payload := in.mustObject("payload"); payload != nil {
		h.signature = payload.required("signature")
		if payload.has("permit2Authorization") {
			payload.fault("permit2Authorization", "is another method than eip3009")
		}
		if a := payload.mustObject("authorization"); a != nil {
			h.authorization = authorization{
				from: a.required("from"), to: a.required("to"), value: a.required("value"), validAfter: a.required("validAfter"),
				validBefore: a.required("validBefore"), nonce: a.required("nonce"),
			}
			payload.join(a)
		}
		in.join(payload)
	}
	if a := in.mustObject("accepted"); a != nil {
		h.accepted = requirements{
			Scheme: a.required("scheme"), Network: a.required("network"), Asset: a.required("asset"), PayTo: a.required("payTo"),
			Amount: a.required("amount"),
		}
		h.accepted.MaxTimeoutSeconds, _ = a.integer("maxTimeoutSeconds", 0, math.MaxInt32)
		if !a.has("maxTimeoutSeconds") {
			a.fault("maxTimeoutSeconds", "must be an integer")
		}
		if extra := a.mustObject("extra"); extra != nil {
			h.accepted.Extra = requirementsExtra{Name: extra.required("name"), Version: extra.required("version")}
			a.join(extra)
		}
		in.join(a)
	}
	if resource := in.object("resource"); resource != nil {
		resource.required("url")
		in.join(resource)
	}
	in.object("extensions")
	if in.err != nil {
		var e *apiError
		errors.As(in.err, &e)
		return nil, errors.New("cannot be read: " + e.message)
	}
	return h, nil
}

// mustObject returns a required object; nil when it was not sent.
func (m *members) mustObject(name string) *members {
	in := m.object(name)
	if in == nil {
		m.fault(name, "must be an object")
	}
	return in
}

// differsFrom returns which of the accepted terms differs from the challenge; "" if none does.
func (a *requirements) differsFrom(must requirements) string {
	for _, d := range []struct {
		name string
		same bool
	}{
		{"scheme", a.Scheme == must.Scheme},
		{"network", a.Network == must.Network},
		{"asset", strings.EqualFold(a.Asset, must.Asset)},
		{"payTo", strings.EqualFold(a.PayTo, must.PayTo)},
		{"amount", a.Amount == must.Amount},
		{"maxTimeoutSeconds", a.MaxTimeoutSeconds == must.MaxTimeoutSeconds},
		{"extra", a.Extra == must.Extra},
	} {
		if !d.same {
			return d.name
		}
	}
	return ""
}

// satisfies returns the payer if the payment meets the terms, or the reason why it does not.
func (h *paymentHeader) satisfies(must requirements, now time.Time) (payer, why string) {
	a := h.authorization
	value, ok := wholeNumber(a.value)
	after, ok2 := wholeNumber(a.validAfter)
	before, ok3 := wholeNumber(a.validBefore)
	due, _ := wholeNumber(must.Amount)
	at, last := big.NewInt(now.Unix()), big.NewInt(now.Add(settleTime).Unix())
	if name := h.accepted.differsFrom(must); name != "" {
		return "", "its accepted." + name + " differs from the challenge"
	}
	switch {
	case !ok || !ok2 || !ok3:
		return "", "value, validAfter and validBefore of its authorization must be whole decimal numbers"
	case !isAddress(a.from) || !isAddress(a.to):
		return "", "from and to of its authorization must be addresses (0x and 40 hex digits)"
	case !strings.EqualFold(a.to, must.PayTo):
		return "", "its authorization pays " + a.to + ", not " + must.PayTo
	case due == nil || value.Cmp(due) != 0:
		return "", "its authorization is about " + value.String() + " base units, not " + must.Amount
	case at.Cmp(after) < 0:
		return "", fmt.Sprintf("it is valid after %s, and the time is %s (Unix seconds)", after, at)
	case before.Cmp(last) < 0:
		return "", fmt.Sprintf("it is valid before %s, and the time is %s: it must be valid for %v more, to be settled", before, at, settleTime)
	}
	hash, err := a.hash(must, value, after, before)
	if err != nil {
		return "", err.Error()
	}
	signer, err := recoverHash(hash, h.signature, false)
	switch {
	case err != nil:
		return "", err.Error()
	case !strings.EqualFold(signer, a.from):
		return "", "its signature is from " + signer + ", but the payer (authorization.from) is " + a.from
	}
	return signer, ""
}

// hash returns the EIP-712 digest of the authorization in the asset's domain.
func (a authorization) hash(must requirements, value, after, before *big.Int) ([]byte, error) {
	chain, ok := strings.CutPrefix(must.Network, "eip155:")
	id, ok2 := wholeNumber(chain)
	digits, ok3 := strings.CutPrefix(a.nonce, "0x")
	nonce, err := hex.DecodeString(digits)
	if !ok || !ok2 || !ok3 || err != nil || len(nonce) != 32 || !isAddress(must.Asset) {
		return nil, errors.New("its nonce must be 32 bytes in 0x-hex")
	}
	domain := crypto.Keccak256(
		crypto.Keccak256([]byte("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)")),
		crypto.Keccak256([]byte(must.Extra.Name)), crypto.Keccak256([]byte(must.Extra.Version)), word(id), addressWord(must.Asset),
	)
	message := crypto.Keccak256(
		crypto.Keccak256([]byte("TransferWithAuthorization(address from,address to,uint256 value,"+
			"uint256 validAfter,uint256 validBefore,bytes32 nonce)")),
		addressWord(a.from), addressWord(a.to), word(value), word(after), word(before), nonce,
	)
	return crypto.Keccak256([]byte{0x19, 0x01}, domain, message), nil
}

// word returns a number in 32 bytes.
func word(n *big.Int) []byte { return n.FillBytes(make([]byte, 32)) }

// addressWord returns a checked address in 32 bytes.
func addressWord(address string) []byte {
	b, _ := hex.DecodeString(address[2:])
	return append(make([]byte, 12), b...)
}
