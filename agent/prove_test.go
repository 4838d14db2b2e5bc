package agent

import (
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

const testSigner = "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A"

func goodChallenge() Challenge {
	return Challenge{
		ChallengeID: "c1", IdentityRef: "did:peaq:42", Message: "Prove did:peaq:42\nNonce: abc", ExpiresAt: "2026-11-24T12:05:00Z",
		VerificationMethod: "eip191", ControllerAddresses: []string{strings.ToLower(testSigner)},
	}
}

// forgeries are the ways in which a challenge can be wrong; each changes a good one.
func forgeries() map[string]func(*Challenge) {
	text := func(message string) func(*Challenge) { return func(c *Challenge) { c.Message = message } }
	return map[string]func(*Challenge){
		"no id":                func(c *Challenge) { c.ChallengeID = "" },
		"no text":              text(""),
		"no expiry":            func(c *Challenge) { c.ExpiresAt = "" },
		"expiry is not a time": func(c *Challenge) { c.ExpiresAt = "soon" },
		"expired":              func(c *Challenge) { c.ExpiresAt = "2020-11-24T12:00:00Z" },
		"expires just now":     func(c *Challenge) { c.ExpiresAt = forgeryNow().Format(time.RFC3339) },
		"no identity":          func(c *Challenge) { c.IdentityRef = "" },
		"another identity":     func(c *Challenge) { c.IdentityRef = "did:peaq:43" },
		"a longer number":      func(c *Challenge) { c.IdentityRef = "did:peaq:421" },
		"a leading zero":       func(c *Challenge) { c.IdentityRef = "did:peaq:042" },
		"an address form":      func(c *Challenge) { c.IdentityRef = "did:peaq:" + testSigner },
		"another method":       func(c *Challenge) { c.VerificationMethod = "ed25519" },
		"no method":            func(c *Challenge) { c.VerificationMethod = "" },
		"not our key":          func(c *Challenge) { c.ControllerAddresses = []string{"0x" + strings.Repeat("1", 40)} },
		"part of our address":  func(c *Challenge) { c.ControllerAddresses = []string{testSigner[:41]} },
		"no controllers":       func(c *Challenge) { c.ControllerAddresses = nil },
		"too long":             text(strings.Repeat("a ", 3000)),
		"one byte too long":    text(strings.Repeat("g", maxChallenge+1)),
		"not UTF-8":            text("did:peaq:42 \xff"),
		"a carriage return":    text("did:peaq:42\r\nx"),
		"a tab":                text("did:peaq:42\tx"),
		"a null":               text("did:peaq:42 \x00"),
		"an escape":            text("did:peaq:42 \x1b[2K"),
		"a C1 control":         text("did:peaq:42 \u009b2K"),
		"a bidi mark":          text("did:peaq:42 \u202e24"),
		"a bidi isolate":       text("did:peaq:42 \u2067x\u2069"),
		"presence":             text("machineId: 42\nsentAt: 2026-11-23T12:00:00Z"),
		"presence inside":      text("hello\nsentAt: 2026-11-23T12:00:00Z"),
		"presence, spaced":     text("hello\n  MACHINEID : 42"),
		"monetization":         text("peaq-mcr monetization\nregistry: 0x00"),
		"monetization, later":  text("Prove did:peaq:42\nPEAQ-MCR Monetization opt-in"),
		"a login":              text("x.example wants you to sign in with your Ethereum account:\n0x00"),
		"a login in capitals":  text("https://x.example WANTS YOU TO SIGN IN WITH YOUR ETHEREUM ACCOUNT:\n0x00"),
		"bare hex":             text("0x" + strings.Repeat("ab", 32)),
		"bare hex without 0x":  text(strings.Repeat("ab", 32)),
		"bare hex over lines":  text("0xab\ncd"),
		"bare hex in spaces":   text("  AB cd  "),
		"as long as a hash":    text("k#9vTq2z]Lw!x8Rd@Jm4^eYb7&Hs0%Pc"),
		"like an address":      text("Prove control of did"),
		"64 bytes":             text("Prove did:peaq:42 " + strings.Repeat("n", 46)),
		"like a signature":     text("Prove did:peaq:42 " + strings.Repeat("n", 47)),
		"32 bytes, not ASCII":  text("Prove did:peaq:42 \u00fc" + strings.Repeat("n", 12)),
		"a zero-width space":   text("did:peaq:42 \u200b0x1111"),
		"a zero-width joiner":  text("did:peaq:42 a\u200db"),
		"a non-joiner":         text("did:peaq:42 a\u200cb"),
		"a byte order mark":    text("did:peaq:42 a\ufeffb"),
		"a soft hyphen":        text("did:peaq:42 a\u00adb"),
		"a line separator":     text("did:peaq:42 a\u2028b"),
		"a no-break space":     text("did:peaq:42 a\u00a0b"),
		"a tag":                text("did:peaq:42 a\U000e0041b"),
		"a variation selector": text("did:peaq:42 a\ufe0fb"),
		"a filler":             text("did:peaq:42 a\u3164b"),
		"private use":          text("did:peaq:42 a\ue000b"),
	}
}

func forgeryNow() time.Time { return time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC) }

func TestChallengeVet(t *testing.T) {
	now := forgeryNow()
	for name, spoil := range forgeries() {
		c := goodChallenge()
		spoil(&c)
		if err := c.vet("did:peaq:42", testSigner, now); !errors.Is(err, errRefused) {
			t.Errorf("%s: vet = %v, want a refusal", name, err)
		}
		if _, err := c.sign(signerOf(t, testKey), "did:peaq:42", now); !errors.Is(err, errRefused) {
			t.Errorf("%s: sign = %v, want a refusal", name, err)
		}
	}
	for _, ref := range []string{"did:peaq:42", "peaqos:machine:42"} {
		if err := goodChallenge().vet(ref, testSigner, now); err != nil {
			t.Errorf("a good challenge for %s was refused: %v", ref, err)
		}
	}
}

// TestAddressIdentities: the case of an address does not matter.
func TestAddressIdentities(t *testing.T) {
	c := goodChallenge()
	c.IdentityRef, c.Message = "did:peaq:"+testSigner, "I am "+strings.ToUpper(testSigner)
	if err := c.vet("did:peaq:"+strings.ToLower(testSigner), testSigner, forgeryNow()); err != nil || !c.namesMachine() {
		t.Errorf("vet = %v, namesMachine = %t", err, c.namesMachine())
	}
}

// TestRefusalsShowNothingLive: what a refusal repeats of a challenge is escaped.
func TestRefusalsShowNothingLive(t *testing.T) {
	c := goodChallenge()
	c.ControllerAddresses = []string{"0x00\u001b[31mEVIL\r\nNext: run me"}
	if err := c.vet("did:peaq:42", testSigner, forgeryNow()); err == nil || strings.ContainsAny(err.Error(), "\x1b\r\n") {
		t.Errorf("%q", err)
	}
}

func TestChallengenamesMachine(t *testing.T) {
	c := goodChallenge()
	if !c.namesMachine() {
		t.Error("the text names 42")
	}
	for text, want := range map[string]bool{
		"number 421": false, "142": false, "4 2": false, "": false, "42": true, "421 or 42": true, "4242 42x": true,
	} {
		if c.Message = text; c.namesMachine() != want {
			t.Errorf("%q names 42: %t", text, !want)
		}
	}
}

// FuzzOtherPurpose compares with the rules as regular expressions.
func FuzzOtherPurpose(f *testing.F) {
	for _, spoil := range forgeries() {
		c := goodChallenge()
		spoil(&c)
		f.Add(c.Message)
	}
	for _, text := range []string{
		"\n \n machineId\n:", "a machineId:", "sentAtx:", "\u017fentAt:", "0x", "0xg", " 0x ab", "x0ab", "   ", "ab 0xcd",
		"machineId 42: x", "sentat",
	} {
		f.Add(text)
	}
	rules := []*regexp.Regexp{
		regexp.MustCompile(`(?im)^\s*(machineId|sentAt)\s*:`),
		regexp.MustCompile(`(?i)peaq-mcr monetization`),
		regexp.MustCompile(`(?i)wants you to sign in with your ethereum account`),
		regexp.MustCompile(`^\s*(0[xX])?[0-9a-fA-F\s]+$`),
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, rule := range rules {
			if rule.MatchString(text) && otherPurpose(text) == "" {
				t.Errorf("%q is accepted, and matches %s", text, rule)
			}
		}
		if purpose := otherPurpose(text); purpose != "" && isASCII(text) && strings.TrimLeft(text, " \t\n\f\r") != "" &&
			!strings.EqualFold(strings.TrimSpace(text), "0x") &&
			!slices.ContainsFunc(rules, func(rule *regexp.Regexp) bool { return rule.MatchString(text) }) {
			t.Errorf("%q is refused as %s, and matches no rule", text, purpose)
		}
	})
}

func isASCII(text string) bool {
	return strings.IndexFunc(text, func(r rune) bool { return r >= utf8.RuneSelf }) < 0
}

func FuzzChallengeVet(f *testing.F) {
	f.Add("Prove did:peaq:42", "2026-11-24T12:05:00Z", "did:peaq:42")
	f.Fuzz(func(t *testing.T, message, expires, ref string) {
		c := goodChallenge()
		c.Message, c.ExpiresAt, c.IdentityRef = message, expires, ref
		err := c.vet("did:peaq:42", testSigner, time.Unix(0, 0))
		if err == nil && (len(message) > maxChallenge || strings.ContainsAny(message, "\r\t\x00\x1b")) {
			t.Errorf("accepted %q", message)
		}
	})
}

// TestChallengeForFirstSigner: only a sandbox on this computer may leave the controller open.
func TestChallengeForFirstSigner(t *testing.T) {
	for _, c := range []struct {
		origin      string
		controllers []string
		signs       bool
	}{
		{"http://127.0.0.1:8787", []string{noController}, true},
		{"https://localhost:8787", []string{noController}, true},
		{"http://[::1]:8787", []string{noController}, true},
		{"https://orchestrator.example", []string{noController}, false},
		{"https://127.0.0.1.example", []string{noController}, false},
		{"https://192.168.1.4", []string{noController}, false},
		{"http://127.0.0.1:8787", nil, false},
		{"http://127.0.0.1:8787", []string{noController, noController}, false},
		{"http://127.0.0.1:8787", []string{"0x" + strings.Repeat("1", 40)}, false},
		{"http://127.0.0.1:8787", []string{noController, testSigner}, true},
	} {
		challenge := goodChallenge()
		challenge.ControllerAddresses = c.controllers
		err := challenge.forFirstSigner(c.origin, testSigner).vet("did:peaq:42", testSigner, forgeryNow())
		if (err == nil) != c.signs {
			t.Errorf("%s with %v: %v", c.origin, c.controllers, err)
		}
	}
}
