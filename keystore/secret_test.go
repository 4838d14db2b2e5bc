package keystore_test

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/peaqnetwork/peaqos-agent/keystore"
)

const canary = "canary-7f3a"

// TestNothingPrints: keys and secrets do not print with any fmt verb or encoder, nor
// from an unexported field, a map, a pointer or a panic.
func TestNothingPrints(t *testing.T) {
	key, err := keystore.ParseKey([]byte(elevens))
	must(t, err)
	secret := keystore.NewSecret(canary)
	type holder struct {
		secret keystore.Secret
		key    *keystore.Key
		value  keystore.Key
		signer *keystore.Signer
		deep   map[string]any
		Agent  keystore.Agent
		Pend   *keystore.PendingToken
	}
	h := holder{
		secret, key, *key, key.Signer(),
		map[string]any{"s": secret, "k": key},
		keystore.Agent{Token: secret},
		&keystore.PendingToken{Token: secret},
	}
	check := func(how, out string) {
		t.Helper()
		bytesOf := strings.Trim(fmt.Sprint([]byte(canary)), "[]")
		for _, leak := range []string{
			canary, fmt.Sprintf("%x", canary), fmt.Sprintf("%X", canary), bytesOf, elevens[2:20], "17 17 17 17", "0x11, 0x11",
		} {
			if strings.Contains(out, leak) {
				t.Errorf("%s shows %q: %s", how, leak, out)
			}
		}
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%b", "%t"} {
		for _, v := range []any{
			secret, &secret, key, *key, h, &h, []any{h}, h.Agent, &h.Agent, h.signer, *h.signer, errors.New(fmt.Sprint(secret)),
		} {
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
	if !strings.Contains(string(out), "[REDACTED]") {
		t.Errorf("JSON does not show that a value was left out: %s", out)
	}
	func() {
		defer func() { check("a panic", fmt.Sprint(recover())) }()
		panic(h)
	}()
}

func TestSecret(t *testing.T) {
	b := []byte(canary)
	s := keystore.NewSecret(b)
	clear(b)
	if string(s.Reveal()) != canary || s.IsZero() || !s.Equal(keystore.NewSecret(canary)) || s.Equal(keystore.NewSecret("other")) {
		t.Error("the secret is not the one that was given")
	}
	held, twin := s.Reveal(), s
	s.Wipe()
	if strings.Contains(string(held), canary[:2]) || !s.IsZero() || !twin.IsZero() {
		t.Error("not wiped")
	}
	var zero keystore.Secret
	zero.Wipe()
	if !zero.IsZero() || !keystore.NewSecret("").IsZero() || zero.Reveal() != nil {
		t.Error("an empty secret is not zero")
	}
}

// TestFoundIn: a secret is found in every form in which it could leave, and in no other
// text.
func TestFoundIn(t *testing.T) {
	value := "tok_8f1c>>??canary"
	secret := keystore.NewSecret(value)
	for _, text := range []string{
		value, hex.EncodeToString([]byte(value)), strings.ToUpper(hex.EncodeToString([]byte(value))),
		base64.StdEncoding.EncodeToString([]byte(value)), base64.URLEncoding.EncodeToString([]byte(value)),
		base64.StdEncoding.EncodeToString([]byte("u:" + value)), base64.RawURLEncoding.EncodeToString([]byte("a" + value + "z")),
	} {
		if !secret.FoundIn([]byte("before " + text + " after")) {
			t.Errorf("not found in %s", text)
		}
	}
	for _, text := range []string{"", value[1:], value[:len(value)-1], "Basic dXNlcjpwYXNz", strings.Repeat("A", 200)} {
		if secret.FoundIn([]byte(text)) {
			t.Errorf("found in %s", text)
		}
	}
	if keystore.NewSecret("short").FoundIn([]byte("a short text")) || (keystore.Secret{}).FoundIn([]byte("x")) {
		t.Error("a secret of less than 6 bytes was found")
	}
}
