package sandbox

import (
	"cmp"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math/big"
	"strings"
	"time"

	"github.com/ethereum/go-ethereum/crypto"
)

// paymentHeader is the payload of an x402 v2 payment header, for the scheme exact and the method
// eip3009 (contract §2.16).
type paymentHeader struct {
	X402Version int `json:"x402Version"`
	Payload     struct {
		Authorization authorization `json:"authorization"`
		Signature     string        `json:"signature"`
	} `json:"payload"`
	Accepted struct {
		Scheme            string            `json:"scheme"`
		Network           string            `json:"network"`
		Asset             string            `json:"asset"`
		PayTo             string            `json:"payTo"`
		Amount            string            `json:"amount"`
		MaxAmountRequired string            `json:"maxAmountRequired"`
		Extra             requirementsExtra `json:"extra"`
	} `json:"accepted"`
}

// authorization is EIP-3009's TransferWithAuthorization; all its numbers are strings.
type authorization struct {
	From        string `json:"from"`
	To          string `json:"to"`
	Value       string `json:"value"`
	ValidAfter  string `json:"validAfter"`
	ValidBefore string `json:"validBefore"`
	Nonce       string `json:"nonce"`
}

// readPaymentHeader decodes the value of the header.
func readPaymentHeader(value string) (*paymentHeader, error) {
	b, err := base64.StdEncoding.DecodeString(value)
	if err != nil {
		return nil, errors.New("is not base64")
	}
	var h paymentHeader
	if json.Unmarshal(b, &h) != nil || h.Payload.Signature == "" {
		return nil, errors.New("does not hold a signed payment")
	}
	return &h, nil
}

// satisfies returns the payer if the payment meets the terms, or the reason why it does not.
func (h *paymentHeader) satisfies(must requirements, now time.Time) (payer, why string) {
	a, got := h.Payload.Authorization, h.Accepted
	got.Amount = cmp.Or(got.Amount, got.MaxAmountRequired)
	value, ok := wholeNumber(a.Value)
	after, ok2 := wholeNumber(a.ValidAfter)
	before, ok3 := wholeNumber(a.ValidBefore)
	due, _ := wholeNumber(must.Amount)
	second := big.NewInt(now.Unix())
	switch {
	case h.X402Version != 2:
		return "", "its version is not 2"
	case got.Scheme != must.Scheme || got.Network != must.Network || !strings.EqualFold(got.Asset, must.Asset) ||
		!strings.EqualFold(got.PayTo, must.PayTo) || got.Amount != must.Amount:
		return "", "its terms differ from the challenge"
	case !ok || !ok2 || !ok3 || !isAddress(a.From) || !isAddress(a.To):
		return "", "its authorization cannot be read"
	case !strings.EqualFold(a.To, must.PayTo) || due == nil || value.Cmp(due) != 0:
		return "", "it pays another payee or another amount"
	case second.Cmp(after) < 0 || second.Cmp(before) >= 0:
		return "", "it is not valid at this time"
	}
	hash, err := a.hash(must, value, after, before)
	if err != nil {
		return "", err.Error()
	}
	signer, err := recoverHash(hash, h.Payload.Signature)
	if err != nil || !strings.EqualFold(signer, a.From) {
		return "", "it is not signed by the payer"
	}
	return signer, ""
}

// hash returns the EIP-712 digest of the authorization in the asset's domain.
func (a authorization) hash(must requirements, value, after, before *big.Int) ([]byte, error) {
	chain, ok := strings.CutPrefix(must.Network, "eip155:")
	id, ok2 := wholeNumber(chain)
	nonce, err := hex.DecodeString(strings.TrimPrefix(a.Nonce, "0x"))
	if !ok || !ok2 || err != nil || len(nonce) != 32 || !isAddress(must.Asset) {
		return nil, errors.New("its nonce or its network cannot be read")
	}
	domain := crypto.Keccak256(
		crypto.Keccak256([]byte("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)")),
		crypto.Keccak256([]byte(must.Extra.Name)), crypto.Keccak256([]byte(must.Extra.Version)), word(id), addressWord(must.Asset),
	)
	message := crypto.Keccak256(
		crypto.Keccak256([]byte("TransferWithAuthorization(address from,address to,uint256 value,"+
			"uint256 validAfter,uint256 validBefore,bytes32 nonce)")),
		addressWord(a.From), addressWord(a.To), word(value), word(after), word(before), nonce,
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
