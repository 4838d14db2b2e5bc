package sandbox_test

import (
	"encoding/hex"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/crypto"

	"github.com/peaqnetwork/peaqos-agent/sdk/sandbox"
)

// highS returns the other valid form of a signature, with s in the upper half.
func highS(signature string) string {
	b, _ := hex.DecodeString(signature[2:])
	s := new(big.Int).Sub(crypto.S256().Params().N, new(big.Int).SetBytes(b[32:64]))
	s.FillBytes(b[32:64])
	b[64] = 27 + 28 - b[64]
	return "0x" + hex.EncodeToString(b)
}

// bareSign signs a hash as it is.
func bareSign(hash []byte) string {
	b, err := crypto.Sign(hash, controllerKey)
	if err != nil {
		panic(err)
	}
	b[64] += 27
	return "0x" + hex.EncodeToString(b)
}

// signatureFaults are the ways to get a signature wrong, and what the error must say.
func signatureFaults() map[string]struct {
	sign func(text string) string
	want string
} {
	right := func(text string) string { return signText(controllerKey, text) }
	fromOther := "from " + addressOf(otherKey) + ", but the expected signer is " + addressOf(controllerKey)
	zero := strings.Repeat("00", 32)
	order := hex.EncodeToString(crypto.S256().Params().N.Bytes())
	type fault = struct {
		sign func(text string) string
		want string
	}
	return map[string]fault{
		"64 bytes":       {func(s string) string { return right(s)[:130] }, "64 bytes long"},
		"66 bytes":       {func(s string) string { return right(s) + "00" }, "66 bytes long"},
		"one byte":       {func(string) string { return "0x00" }, "1 bytes long"},
		"odd digits":     {func(s string) string { return right(s)[:131] }, "odd number"},
		"no 0x":          {func(s string) string { return right(s)[2:] }, "start with 0x"},
		"0X":             {func(s string) string { return "0X" + right(s)[2:] }, "start with 0x"},
		"not hex":        {func(s string) string { return right(s)[:20] + "g" + right(s)[21:] }, "position 20"},
		"base64":         {func(string) string { return "c2lnbmF0dXJl" }, "start with 0x"},
		"space after it": {func(s string) string { return right(s) + " " }, "position 132"},
		"v 2":            {func(s string) string { return right(s)[:130] + "02" }, "v, is 2"},
		"v 37":           {func(s string) string { return right(s)[:130] + "25" }, "v, is 37"},
		"high s":         {func(s string) string { return highS(right(s)) }, "high s"},
		"r zero":         {func(s string) string { return "0x" + zero + right(s)[66:] }, "is zero"},
		"s zero":         {func(s string) string { return right(s)[:66] + zero + right(s)[130:] }, "is zero"},
		"r too large":    {func(s string) string { return "0x" + order + right(s)[66:] }, "r of the signature"},
		"another key":    {func(s string) string { return signText(otherKey, s) }, fromOther},
		"a line break":   {func(s string) string { return right(s + "\n") }, "a line break after it"},
		"CRLF":           {func(s string) string { return right(strings.ReplaceAll(s, "\n", "\r\n")) }, "CRLF"},
		"escaped":        {func(s string) string { return right(strings.ReplaceAll(s, "\n", `\n`)) }, "decode the JSON string"},
		"no prefix":      {func(s string) string { return bareSign(crypto.Keccak256([]byte(s))) }, "without the prefix of EIP-191"},
		"the hash":       {func(s string) string { return right(string(crypto.Keccak256([]byte(s)))) }, "hash of the text"},
		"other text":     {func(string) string { return right("hello") }, "but the expected signer is " + addressOf(controllerKey)},
	}
}

// TestSignatureFaults: each fault of a signature is named; a signature of good form names both
// addresses.
func TestSignatureFaults(t *testing.T) {
	r := newHarness(t)
	m := r.machine()
	said := map[string]string{}
	for name, f := range signatureFaults() {
		t.Run(name, func(t *testing.T) {
			r := r.in(t)
			check := func(where string, a reply, code string) {
				t.Helper()
				a.fails(code)
				message, _ := a.at("error.message").(string)
				if !strings.Contains(message, f.want) {
					t.Errorf("%s: %q does not say %q", where, message, f.want)
				}
				if where == "identity" {
					said[name] = message
				}
			}
			ch := r.post("/machine-identity/challenges", object{"identityRef": "did:peaq:43"}).ok(201)
			draft := with(r.draft("did:peaq:43"), "identityProof",
				object{"challengeId": ch.str("item.challengeId"), "signature": f.sign(ch.str("item.message"))})
			check("identity", r.post("/machines", draft), "MACHINE_IDENTITY_PROOF_INVALID")

			who := claim(controllerKey)
			ch = r.post("/machines/"+m+"/agent-pairings/challenges", who).ok(201)
			check("pairing", r.post("/machines/"+m+"/agent-pairings", with(who, "agentProof",
				object{"challengeId": ch.str("item.challengeId"), "signature": f.sign(ch.str("item.message"))})), "AGENT_PAIRING_PROOF_INVALID")

			ch = r.post("/machines/"+m+"/ownership-challenge", object{"ownerAddress": addressOf(controllerKey)}).ok(201)
			check("ownership", r.post("/machines/"+m+"/ownership-proof", object{
				"challengeId": ch.str("item.challengeId"), "signature": f.sign(ch.str("item.message")), "signerAddress": addressOf(controllerKey),
			}), "MACHINE_IDENTITY_PROOF_INVALID")
		})
	}
	if said["64 bytes"] == said["66 bytes"] || said["high s"] == said["v 2"] {
		t.Errorf("two faults have the same words: %v", said)
	}
}

// TestChallengeLengths: the text of a challenge has never the length of something else that is
// signed or hashed.
func TestChallengeLengths(t *testing.T) {
	for n := range 120 {
		text := sandbox.ChallengeText("t", []string{strings.Repeat("x", n)})
		switch len(text) {
		case 20, 32, 64, 65:
			t.Errorf("a text of %d bytes", len(text))
		}
		if len(text) > n+5 {
			t.Errorf("%d bytes become %d", n+3, len(text))
		}
	}
	r := newHarness(t)
	m := r.machine()
	ch := r.post("/machines/"+m+"/agent-pairings/challenges",
		with(claim(agentKey), "agentRole", "a\u202eb\u200bc\nmachine: x")).ok(201).str("item.message")
	if !strings.Contains(ch, "role: a<U+202E>b<U+200B>c machine: x\n") {
		t.Errorf("the challenge is %q", fmt.Sprint(ch))
	}
}
