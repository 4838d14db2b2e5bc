package keystore

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

const canary = "canary-7f3a"

// TestNothingPrints: neither keys nor secrets print, in any verb or encoder, not
// from an unexported field, a map, a pointer or a panic.
func TestNothingPrints(t *testing.T) {
	key, err := ParseKey([]byte(elevens))
	must(t, err)
	secret := NewSecret(canary)
	type holder struct {
		secret Secret
		key    *Key
		value  Key
		signer *Signer
		deep   map[string]any
		Agent  Agent
		Pend   *PendingToken
	}
	h := holder{secret, key, *key, key.Signer(), map[string]any{"s": secret, "k": key}, Agent{Token: secret}, &PendingToken{Token: secret}}
	check := func(how, out string) {
		t.Helper()
		bytesOf := strings.Trim(fmt.Sprint([]byte(canary)), "[]")
		for _, leak := range []string{canary, fmt.Sprintf("%x", canary), fmt.Sprintf("%X", canary), bytesOf, elevens[2:20], "17 17 17 17", "0x11, 0x11"} {
			if strings.Contains(out, leak) {
				t.Errorf("%s shows %q: %s", how, leak, out)
			}
		}
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%b", "%t"} {
		for _, v := range []any{secret, &secret, key, *key, h, &h, []any{h}, h.Agent, &h.Agent, h.signer, *h.signer, errors.New(fmt.Sprint(secret))} {
			check(fmt.Sprintf("%s of %T", verb, v), fmt.Sprintf(verb, v))
		}
	}
	var log strings.Builder
	for _, handler := range []slog.Handler{slog.NewJSONHandler(&log, nil), slog.NewTextHandler(&log, nil)} {
		slog.New(handler).Info("x", "secret", secret, "key", key, "agent", h.Agent, "all", h)
	}
	check("slog", log.String())
	out, err := json.Marshal(map[string]any{"secret": secret, "key": key, "value": *key, "agent": h.Agent, "all": h})
	must(t, err)
	check("JSON", string(out))
	if !strings.Contains(string(out), redacted) {
		t.Errorf("JSON does not say that something was left out: %s", out)
	}
	func() {
		defer func() { check("a panic", fmt.Sprint(recover())) }()
		panic(h)
	}()
}

func TestSecret(t *testing.T) {
	b := []byte(canary)
	s := NewSecret(b)
	clear(b)
	if string(s.Reveal()) != canary || s.IsZero() || !s.Equal(NewSecret(canary)) || s.Equal(NewSecret("other")) {
		t.Error("the secret is another one")
	}
	held, twin := s.Reveal(), s
	s.Wipe()
	if strings.Contains(string(held), canary[:2]) || !s.IsZero() || !twin.IsZero() {
		t.Error("not wiped")
	}
	var zero Secret
	zero.Wipe()
	if !zero.IsZero() || !NewSecret("").IsZero() || zero.Reveal() != nil {
		t.Error("nothing is something")
	}
}
