package sandbox_test

import (
	"crypto/ecdsa"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"math/big"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ethereum/go-ethereum/crypto"
)

// challenge returns the terms that a payment asks to be signed.
func challenge(t *testing.T, payment reply) map[string]any {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(payment.str("item.rail.metadata.paymentRequest.paymentRequired"))
	if err != nil {
		t.Fatal(err)
	}
	var c struct {
		X402Version int
		Accepts     []map[string]any
	}
	if err := json.Unmarshal(b, &c); err != nil || c.X402Version != 2 || len(c.Accepts) != 1 {
		t.Fatalf("the challenge is %s: %v", b, err)
	}
	return c.Accepts[0]
}

// word returns a number in 32 bytes.
func word(decimal string) []byte {
	n, ok := new(big.Int).SetString(decimal, 10)
	if !ok {
		return make([]byte, 32)
	}
	return n.FillBytes(make([]byte, 32))
}

// addressWord returns a checked address in 32 bytes.
func addressWord(address string) []byte {
	b, _ := hex.DecodeString(address[2:])
	return append(make([]byte, 12), b...)
}

// signTransfer signs EIP-3009's TransferWithAuthorization (EIP-712); implemented here again on
// purpose.
func signTransfer(key *ecdsa.PrivateKey, terms map[string]any, a map[string]string) string {
	extra := terms["extra"].(map[string]any)
	hash := func(text string) []byte { return crypto.Keccak256([]byte(text)) }
	domain := crypto.Keccak256(
		hash("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
		hash(extra["name"].(string)), hash(extra["version"].(string)),
		word(strings.TrimPrefix(terms["network"].(string), "eip155:")), addressWord(terms["asset"].(string)),
	)
	nonce, _ := hex.DecodeString(a["nonce"][2:])
	message := crypto.Keccak256(
		hash("TransferWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)"),
		addressWord(a["from"]), addressWord(a["to"]), word(a["value"]), word(a["validAfter"]), word(a["validBefore"]), nonce,
	)
	sig, err := crypto.Sign(crypto.Keccak256([]byte{0x19, 1}, domain, message), key)
	if err != nil {
		panic(err)
	}
	sig[64] += 27
	return "0x" + hex.EncodeToString(sig)
}

// authorize returns the authorization that meets the terms.
func authorize(terms map[string]any) map[string]string {
	return map[string]string{
		"from": addressOf(agentKey), "to": terms["payTo"].(string), "value": terms["amount"].(string), "validAfter": "0",
		"validBefore": strconv.FormatInt(time.Now().Unix()+600, 10), "nonce": "0x" + strings.Repeat("ab", 32),
	}
}

// header returns the payment header of an authorization and its signature.
func header(terms map[string]any, a map[string]string, signature string) string {
	b, _ := json.Marshal(object{"x402Version": 2, "accepted": terms, "payload": object{"authorization": a, "signature": signature}})
	return base64.StdEncoding.EncodeToString(b)
}

// challenged returns an order that waits for an x402 payment, and its terms.
func (p paired) challenged() (id string, terms map[string]any) {
	p.t.Helper()
	id = p.made("svc_market_depth", "input", object{"symbol": "ETH/USD"})
	intent := p.onOrder(id, "payment-intent", object{"rail": object{"type": "x402"}}).ok(201)
	t, _ := p.t.(*testing.T)
	return id, challenge(t, intent)
}

func TestX402ChallengeNamesTheTerms(t *testing.T) {
	p := market(t, nil)
	_, terms := p.challenged()
	for name, want := range map[string]any{
		"scheme": "exact", "network": "eip155:8453", "asset": usdc, "amount": "10000",
		"payTo": "0x8617E340B3D01FA5F11F306F4090FD50E238070D", "maxTimeoutSeconds": 600.0,
	} {
		if terms[name] != want {
			t.Errorf("%s is %v, want %v", name, terms[name], want)
		}
	}
}

func TestX402PaysAndExecutes(t *testing.T) {
	p := market(t, nil)
	id, terms := p.challenged()
	a := authorize(terms)
	signed := header(terms, a, signTransfer(agentKey, terms, a))
	paid := p.onOrder(
		id, "payment-proof",
		object{"payment": object{"paymentSignature": signed}, "paymentReference": "mine", "metadata": object{"Odd_Key": 1}},
	).ok(200)
	for name, want := range map[string]any{
		"status": "held", "proof.payerAddress": addressOf(agentKey), "proof.metadata.network": "eip155:8453",
		"proof.metadata.headerName":                     "PAYMENT-SIGNATURE",
		"proof.metadata.paymentSettlement.status":       "settled",
		"proof.metadata.paymentSettlement.payerAddress": addressOf(agentKey), "proof.metadata.submitted.Odd_Key": 1.0,
	} {
		if paid.at("item."+name) != want {
			t.Errorf("%s is %v, want %v", name, paid.at("item."+name), want)
		}
	}
	if strings.Contains(paid.text, signed) {
		t.Error("the payment gives the signature away")
	}
	if b := p.onOrder(id, "payment-proof", object{"payment": object{"paymentSignature": signed}}).ok(200); b.text != paid.text {
		t.Errorf("repeated it returns %s", b.text)
	}
	p.onOrder(id, "execute", object{"payment": object{"paymentSignature": "x"}}).fails("ORDER_CLOSED")
	run := p.onOrder(id, "execute", object{"payment": object{"paymentSignature": signed}}).ok(200)
	if len(run.at("execution.outcome.result.bids").([]any)) != 5 {
		t.Errorf("executed as %s", run.text)
	}

	second, terms := p.challenged()
	// The nonce of the signature has been used.
	p.onOrder(second, "payment-proof", object{"payment": object{"paymentSignature": signed}}).fails("PAYMENT_REQUIRED")
	b := authorize(terms)
	b["nonce"] = "0x" + strings.Repeat("cd", 32)
	signed = header(terms, b, signTransfer(agentKey, terms, b))
	p.onOrder(second, "execute", object{"payment": object{"paymentSignature": signed}}).ok(200) // paid and run in one call
}

func TestX402Refusals(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(terms map[string]any, a map[string]string)
		want   string
	}{
		{"other payee", func(_ map[string]any, a map[string]string) { a["to"] = addressOf(otherKey) }, "PAYMENT_REQUIRED"},
		{"too little", func(_ map[string]any, a map[string]string) { a["value"] = "9999" }, "PAYMENT_REQUIRED"},
		{"from another payer", func(_ map[string]any, a map[string]string) { a["from"] = addressOf(otherKey) }, "PAYMENT_REQUIRED"},
		{"ended", func(_ map[string]any, a map[string]string) {
			a["validBefore"] = strconv.FormatInt(time.Now().Unix(), 10)
		}, "PAYMENT_REQUIRED"},
		{"not begun", func(_ map[string]any, a map[string]string) {
			a["validAfter"] = strconv.FormatInt(time.Now().Unix()+60, 10)
		}, "PAYMENT_REQUIRED"},
		{"short nonce", func(_ map[string]any, a map[string]string) { a["nonce"] = "0xab" }, "PAYMENT_REQUIRED"},
		{"value below zero", func(_ map[string]any, a map[string]string) { a["value"] = "-1" }, "PAYMENT_REQUIRED"},
		{"other network", func(terms map[string]any, _ map[string]string) { terms["network"] = "eip155:1" }, "PAYMENT_REQUIRED"},
		{"other asset", func(terms map[string]any, _ map[string]string) { terms["asset"] = addressOf(otherKey) }, "PAYMENT_REQUIRED"},
		{"other amount", func(terms map[string]any, _ map[string]string) { terms["amount"] = "1" }, "PAYMENT_REQUIRED"},
		{"other scheme", func(terms map[string]any, _ map[string]string) { terms["scheme"] = "upto" }, "PAYMENT_REQUIRED"},
		{
			"other domain", func(terms map[string]any, _ map[string]string) { terms["extra"].(map[string]any)["name"] = "Coin" },
			"PAYMENT_REQUIRED",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := market(t, nil)
			id, terms := p.challenged()
			a := authorize(terms)
			c.change(terms, a)
			p.onOrder(
				id, "payment-proof",
				object{"payment": object{"paymentSignature": header(terms, a, signTransfer(agentKey, terms, a))}},
			).fails(c.want)
			if got := p.status(id); got != "payment_pending" {
				t.Errorf("the order is %s", got)
			}
		})
	}
	p := market(t, nil)
	id, terms := p.challenged()
	a := authorize(terms)
	for _, bad := range []string{
		"", " ", "not base64!", base64.StdEncoding.EncodeToString([]byte("[]")),
		base64.StdEncoding.EncodeToString([]byte("{}")),
	} {
		p.onOrder(id, "payment-proof", object{"payment": object{"paymentSignature": bad}}).fails("VALIDATION_ERROR")
	}
	p.onOrder(
		id, "payment-proof", object{"payment": object{"paymentSignature": header(terms, a, signText(agentKey, "pay"))}},
	).fails("PAYMENT_REQUIRED")
	wallet := p.made("svc_walrus_blob")
	p.onOrder(wallet, "payment-intent", object{}).ok(201)
	p.onOrder(wallet, "payment-proof", object{"payment": object{"paymentSignature": header(terms, a, "0x")}}).fails("VALIDATION_ERROR")
}

// TestX402Golden checks a signature made by another program: eth-account's encode_typed_data, for
// the key 0x61…61 and the nonce 0x00 to 0x1f.
func TestX402Golden(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := market(t, nil)
		id, terms := p.challenged()
		a := authorize(terms)
		a["validBefore"], a["nonce"] = "4102444800", "0x000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
		const signature = "0xd220c54154adae8b0185b6318d9bb4e69d8d8238a5a15d1f091104a6f1bb4bf5" +
			"4a14ce62034d07676d7fb4cda4c41a46ba4e04f138bd7c409322e34630bcb7fe1b"
		p.onOrder(id, "payment-proof", object{"payment": object{"paymentSignature": header(terms, a, signature)}}).ok(200)
	})
}

// TestX402Window: a payment must be valid for six more seconds, so that it can be settled.
func TestX402Window(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for left, want := range map[int64]int{0: 402, 3: 402, 5: 402, 6: 200, 7: 200} {
			p := market(t, nil)
			id, terms := p.challenged()
			a := authorize(terms)
			a["validBefore"] = strconv.FormatInt(time.Now().Unix()+left, 10)
			h := header(terms, a, signTransfer(agentKey, terms, a))
			p.onOrder(id, "payment-proof", object{"payment": object{"paymentSignature": h}}).ok(want)
		}
	})
}
