package sandbox

import (
	"encoding/base64"
	"encoding/json"
	"math/big"
	"strings"
)

// x402Time is how long a signature may be valid.
const x402Time = 600 // seconds

// usdcDecimals are the decimals of the token that the catalogue's x402 services are paid in.
const usdcDecimals = 6

// requirements are the terms of an x402 challenge (contract §2.16).
type requirements struct {
	Scheme            string            `json:"scheme"`
	Network           string            `json:"network"`
	Asset             string            `json:"asset"`
	PayTo             string            `json:"payTo"`
	Amount            string            `json:"amount"`
	MaxTimeoutSeconds int               `json:"maxTimeoutSeconds"`
	Extra             requirementsExtra `json:"extra"`
}

// requirementsExtra is the EIP-712 domain of the asset.
type requirementsExtra struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

// networkOf returns the CAIP-2 name of a chain. Unknown names are returned unchanged.
func networkOf(chain string) string {
	switch strings.ToLower(chain) {
	case "base":
		return "eip155:8453"
	case "ethereum":
		return "eip155:1"
	case "peaq":
		return "eip155:3338"
	}
	return chain
}

// requirementsOf returns the terms of a payment's challenge.
func requirementsOf(p *Payment) requirements {
	return requirements{
		Scheme: "exact", Network: networkOf(p.Rail.Chain), Asset: p.Rail.TokenAddress, PayTo: p.Rail.PayeeAddress,
		Amount:            p.due(usdcDecimals).String(),
		MaxTimeoutSeconds: x402Time, Extra: requirementsExtra{Name: "USD Coin", Version: "2"},
	}
}

// x402Challenge returns a rail's metadata: the challenge as the provider's 402 response would
// contain it (contract §2.15, §2.16).
func x402Challenge(o *storedOrder, p *Payment) json.RawMessage {
	must := requirementsOf(p)
	required := object(map[string]any{
		"x402Version": 2, "error": "PAYMENT-SIGNATURE header is required",
		"resource": map[string]any{"url": "peaqos:service:" + o.ServiceID, "description": o.Operation, "mimeType": "application/json"},
		"accepts":  []requirements{must},
	})
	return object(map[string]any{
		"network": must.Network, "headerName": "PAYMENT-SIGNATURE",
		"paymentRequest": map[string]any{"paymentRequired": base64.StdEncoding.EncodeToString(required)},
	})
}

// x402Proof is a signed payment with its optional metadata.
type x402Proof struct {
	signature, reference string
	metadata             json.RawMessage
}

// paymentSignature returns the signature in a body's payment object, or "".
func (c *call) paymentSignature() string {
	sent := c.in.object("payment")
	if sent == nil {
		return ""
	}
	signature := sent.long("paymentSignature")
	c.in.join(sent)
	return signature
}

// submitX402 settles a payment by a signature (contract §2.15).
func (s *Server) submitX402(c *call, o *storedOrder) (any, error) {
	proof := x402Proof{signature: c.paymentSignature(), reference: c.in.text("paymentReference"), metadata: c.in.raw("metadata")}
	switch {
	case c.in.err != nil:
		return nil, c.in.err
	case strings.TrimSpace(proof.signature) == "":
		return nil, invalid("payment.paymentSignature must be a non-empty string")
	}
	if done, err := o.settled(fingerprint("x402", proof.signature)); done || err != nil {
		return item(o.Record), err
	}
	if o.Record.Rail.Type != "x402" {
		return nil, invalid("the payment uses the rail " + o.Record.Rail.Type + ", not x402")
	}
	if err := s.settleX402(c, o, proof); err != nil {
		return nil, err
	}
	return item(o.Record), nil
}

// spentNonce is an authorization that was used; a token contract accepts none twice.
type spentNonce struct {
	OrderID string `json:"orderId"`
}

// settleX402 checks a signature against the challenge and holds the payment. A signature that does
// not match fails with PAYMENT_REQUIRED, as on x402 servers. No chain is called: the transaction of
// the settlement is derived from the signature.
func (s *Server) settleX402(c *call, o *storedOrder, proof x402Proof) error {
	p := o.Record
	header, err := readPaymentHeader(proof.signature)
	if err != nil {
		return invalid("payment.paymentSignature " + err.Error())
	}
	must := requirementsOf(p)
	payer, why := header.satisfies(must, c.now)
	if why != "" {
		return fail("PAYMENT_REQUIRED", "the signed payment is invalid: "+why)
	}
	nonce := strings.ToLower(must.Network + "/" + must.Asset + "/" + payer + "/" + header.authorization.nonce)
	if s.st.Nonces.get(nonce) != nil {
		return fail("PAYMENT_REQUIRED", "the signed payment is invalid: its nonce has already been used")
	}
	s.st.Nonces.add(s.next(), nonce, "", &spentNonce{o.ID})
	metadata := map[string]any{
		"network": must.Network, "headerName": "PAYMENT-SIGNATURE", "paymentReference": referenceOf(must.Network, proof.signature),
		"paymentSettlement": map[string]any{
			"status": "settled", "payerAddress": payer,
			"response": map[string]any{
				"success": true, "network": must.Network, "payer": payer, "transaction": "0x" + digest(header.signature),
			},
		},
	}
	if proof.metadata != nil {
		metadata["submitted"] = proof.metadata
	}
	p.Rail.PayerAddress = payer
	c.hold(o, fingerprint("x402", proof.signature), &PaymentProof{
		Chain: p.Rail.Chain, Token: p.Rail.Token, PayerAddress: payer, VerifiedAt: c.stamp(), VerificationMode: "recorded",
		Metadata: object(metadata),
	})
	return nil
}

// referenceOf identifies a signature without revealing it (contract §2.16).
func referenceOf(network, signature string) string {
	return "x402:" + network + ":" + digest(signature)[:24]
}

// wholeNumber parses a decimal uint256.
func wholeNumber(s string) (*big.Int, bool) {
	if !isDigits(s, 78) {
		return nil, false
	}
	n, ok := new(big.Int).SetString(s, 10)
	return n, ok && n.BitLen() <= 256
}
