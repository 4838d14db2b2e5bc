package keystore

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestSignVectors(t *testing.T) {
	key, err := ParseKey([]byte(elevens + "\n"))
	if err != nil {
		t.Fatal(err)
	}
	s := key.Signer()
	if got := s.Address(); got != "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A" {
		t.Errorf("address %s", got)
	}
	if got := s.PublicKey(); got != "0x044f355bdcb7cc0af728ef3cceb9615d90684bb5b2ca5f859ab0f0b704075871aa385b6b1b8ead809ca67454d9683fcf2ba03456d6fe2c4abe2b07f0fbdbb2f1c1" {
		t.Errorf("public key %s", got)
	}
	for text, want := range map[string]string{
		"machineId: 42\nsentAt: 2026-11-23T12:00:00Z":              "0xd221dc2a33661bc0fd112be768bfb8db03f949c06564394a272676808ab18c165689eba5745bb22a80d84ef0f4d0dce5710b956a4fe431dfb2d69a9872525a951b",
		"machineId: did:peaq:42\nsentAt: 2026-11-23T12:00:00.123Z": "0xcfe7c95b1840abeb45e269263c5318d9ad5c8c6b55f0f099ac8fcc0ae3cfeebe4ecf3d20a6c94fe8e9538d734854c26c4602ee0a7aa77dae8acfd8414c4a98291b",
		"machineId: 42\nsentAt: 2026-11-23T12:00:00.000000+00:00":  "0xa30727ec1825a67bc2f568d99b5e78e137490f1c2753a08daa9d51c3eb564ff15208b1f04f09a2fbbb0460c8aa90e50905aa4d8ea3475d62b64e822da9c147451b",
	} {
		got, err := s.SignText(text)
		if err != nil || got != want {
			t.Errorf("signature of %q: %s, %v", text, got, err)
		}
		if who, err := RecoverText(text, got); err != nil || who != s.Address() {
			t.Errorf("recovered %s, %v", who, err)
		}
	}
}

func TestParseKeyRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"empty": "", "no prefix": elevens[2:], "upper prefix": "0X" + elevens[2:], "short": elevens[:65], "long": elevens + "1",
		"not hex": "0x" + strings.Repeat("zz", 32), "zero": "0x" + strings.Repeat("00", 32), "two line ends": elevens + "\n\n", "space before": " " + elevens,
		"the order": "0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141",
	} {
		if k, err := ParseKey([]byte(text)); err == nil {
			t.Errorf("%s: taken as %s", name, k.Signer().Address())
		} else if len(text) > 10 && strings.Contains(err.Error(), strings.TrimSpace(text)[2:10]) && name != "zero" && name != "the order" {
			t.Errorf("%s: the error repeats the key: %v", name, err)
		}
	}
}

// TestNothingPrints: neither keys nor secrets print, in any verb or encoder, not
// even from an unexported field.
func TestNothingPrints(t *testing.T) {
	key, err := ParseKey([]byte(elevens))
	if err != nil {
		t.Fatal(err)
	}
	secret := NewSecret([]byte("canary-canary"))
	type holder struct {
		secret Secret
		key    *Key
		signer *Signer
		Agent  Agent
	}
	h := holder{secret, key, key.Signer(), Agent{Token: secret}}
	bytesOf := fmt.Sprintf("%v", []byte("canary"))
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		for _, v := range []any{secret, &secret, key, h, &h, h.Agent} {
			out := fmt.Sprintf(verb, v)
			if strings.Contains(out, "canary") || strings.Contains(out, "63616e617279") || strings.Contains(out, "1111111111111111") || strings.Contains(out, bytesOf[1:len(bytesOf)-1]) {
				t.Errorf("%s of %T shows the secret: %s", verb, v, out)
			}
		}
	}
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "secret", secret, "key", key, "agent", h.Agent)
	b, err := json.Marshal(map[string]any{"secret": secret, "key": key, "agent": h.Agent})
	if err != nil {
		t.Fatal(err)
	}
	if out := log.String() + string(b); strings.Contains(out, "canary") || strings.Contains(out, "11111111") {
		t.Errorf("an encoder shows the secret: %s", out)
	}
	secret.Wipe()
	if strings.Contains(string(secret.Reveal()), "canary") {
		t.Error("not wiped")
	}
}

func FuzzParseKey(f *testing.F) {
	f.Add([]byte(elevens))
	f.Fuzz(func(t *testing.T, b []byte) {
		k, err := ParseKey(b)
		if err == nil && strings.TrimRight(strings.ToLower(string(b)), "\r\n") != k.Hex() {
			t.Errorf("%q was read as another key", b)
		}
	})
}

func FuzzRecoverText(f *testing.F) {
	f.Add("text", "0xd221dc2a33661bc0fd112be768bfb8db03f949c06564394a272676808ab18c165689eba5745bb22a80d84ef0f4d0dce5710b956a4fe431dfb2d69a9872525a951b")
	f.Fuzz(func(_ *testing.T, text, sig string) { _, _ = RecoverText(text, sig) })
}

func BenchmarkSignText(b *testing.B) {
	key, err := ParseKey([]byte(elevens))
	if err != nil {
		b.Fatal(err)
	}
	s := key.Signer()
	for b.Loop() {
		if _, err := s.SignText("machineId: 42\nsentAt: 2026-11-23T12:00:00Z"); err != nil {
			b.Fatal(err)
		}
	}
}
