package agent

import (
	"errors"
	"strings"
	"testing"
	"time"
)

const testSigner = "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A"

func goodChallenge() Challenge {
	return Challenge{
		ChallengeID: "c1", IdentityRef: "did:peaq:42", Message: "Prove did:peaq:42\nNonce: abc", ExpiresAt: "2026-11-24T12:05:00Z",
		VerificationMethod: "eip191", ControllerAddresses: []string{strings.ToLower(testSigner)},
	}
}

func TestChallengeVet(t *testing.T) {
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	for name, spoil := range map[string]func(*Challenge){
		"no id":               func(c *Challenge) { c.ChallengeID = "" },
		"no text":             func(c *Challenge) { c.Message = "" },
		"no expiry":           func(c *Challenge) { c.ExpiresAt = "" },
		"expiry is no time":   func(c *Challenge) { c.ExpiresAt = "soon" },
		"expired":             func(c *Challenge) { c.ExpiresAt = "2026-11-24T12:00:00Z" },
		"another identity":    func(c *Challenge) { c.IdentityRef = "did:peaq:43" },
		"another method":      func(c *Challenge) { c.VerificationMethod = "ed25519" },
		"not our key":         func(c *Challenge) { c.ControllerAddresses = []string{"0x" + strings.Repeat("1", 40)} },
		"no controllers":      func(c *Challenge) { c.ControllerAddresses = nil },
		"too long":            func(c *Challenge) { c.Message = strings.Repeat("a ", 3000) },
		"not UTF-8":           func(c *Challenge) { c.Message = "did:peaq:42 \xff" },
		"a carriage return":   func(c *Challenge) { c.Message = "did:peaq:42\r\nx" },
		"an escape":           func(c *Challenge) { c.Message = "did:peaq:42 \x1b[2K" },
		"a bidi mark":         func(c *Challenge) { c.Message = "did:peaq:42 \u202e24" },
		"presence":            func(c *Challenge) { c.Message = "machineId: 42\nsentAt: 2026-11-23T12:00:00Z" },
		"presence inside":     func(c *Challenge) { c.Message = "hello\nsentAt: 2026-11-23T12:00:00Z" },
		"monetization":        func(c *Challenge) { c.Message = "peaq-mcr monetization\nregistry: 0x00" },
		"a login":             func(c *Challenge) { c.Message = "x.example wants you to sign in with your Ethereum account:\n0x00" },
		"bare hex":            func(c *Challenge) { c.Message = "0x" + strings.Repeat("ab", 32) },
		"bare hex without 0x": func(c *Challenge) { c.Message = strings.Repeat("ab", 32) },
		"bare hex over lines": func(c *Challenge) { c.Message = "0xab\ncd" },
	} {
		c := goodChallenge()
		spoil(&c)
		err := c.Vet("did:peaq:42", testSigner, now)
		if !errors.Is(err, ErrRefused) {
			t.Errorf("%s: Vet = %v, want a refusal", name, err)
		}
		if got := challengeResult(err); (got == "expired") != (name == "expired") {
			t.Errorf("%s is counted as %s", name, got)
		}
	}
	for _, ref := range []string{"did:peaq:42", "peaqos:machine:42"} {
		if err := goodChallenge().Vet(ref, testSigner, now); err != nil {
			t.Errorf("a good challenge for %s was refused: %v", ref, err)
		}
	}
}

func TestChallengeNamesMachine(t *testing.T) {
	c := goodChallenge()
	if !c.NamesMachine() {
		t.Error("the text names 42")
	}
	if c.Message = "number 421"; c.NamesMachine() {
		t.Error("421 is not 42")
	}
}

func FuzzChallengeVet(f *testing.F) {
	f.Add("Prove did:peaq:42", "2026-11-24T12:05:00Z", "did:peaq:42")
	f.Fuzz(func(t *testing.T, message, expires, ref string) {
		c := goodChallenge()
		c.Message, c.ExpiresAt, c.IdentityRef = message, expires, ref
		err := c.Vet("did:peaq:42", testSigner, time.Unix(0, 0))
		if err == nil && (len(message) > maxChallenge || strings.ContainsAny(message, "\r\t\x00\x1b")) {
			t.Errorf("accepted %q", message)
		}
	})
}
