package eip191_test

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/peaqnetwork/peaqos-agent/sdk"
	"github.com/peaqnetwork/peaqos-agent/sdk/eip191"
)

const (
	key       = "0x1111111111111111111111111111111111111111111111111111111111111111"
	address   = "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A"
	publicKey = "0x044f355bdcb7cc0af728ef3cceb9615d90684bb5b2ca5f859ab0f0b704075871aa" +
		"385b6b1b8ead809ca67454d9683fcf2ba03456d6fe2c4abe2b07f0fbdbb2f1c1"
)

func signer(t *testing.T) *eip191.Signer {
	t.Helper()
	s, err := eip191.NewSigner(sdk.NewSecret(key))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSignAndRecover(t *testing.T) {
	s := signer(t)
	if s.Address() != address || s.PublicKey() != publicKey {
		t.Errorf("address %s, public key %s", s.Address(), s.PublicKey())
	}
	for _, message := range []string{"", "a", "two\r\nlines", "nul \x00", "\xff not UTF-8", strings.Repeat("long", 5000)} {
		signature, err := s.Sign([]byte(message))
		if err != nil || len(signature) != 132 || (signature[130:] != "1b" && signature[130:] != "1c") {
			t.Fatalf("%q: %s, %v", message, signature, err)
		}
		if got, err := eip191.Recover([]byte(message), signature); got != address || err != nil {
			t.Errorf("%q: recovered %s, %v", message, got, err)
		}
		if got, err := eip191.Recover([]byte(message+"\n"), signature); got == address || err != nil {
			t.Errorf("%q with a newline: recovered %s, %v", message, got, err)
		}
	}
}

func TestRecoverSaysWhichFormIsWrong(t *testing.T) {
	good, err := signer(t).Sign([]byte("m"))
	if err != nil {
		t.Fatal(err)
	}
	// The other s of the same signature: the order minus s.
	const high = "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff00"
	for name, c := range map[string]struct{ signature, says string }{
		"64 bytes":      {good[:130], "not 128"},
		"no 0x":         {good[2:], "0x is missing"},
		"v of 0":        {good[:130] + "00", "27 or 28"},
		"v of 29":       {good[:130] + "1d", "27 or 28"},
		"a high s":      {good[:66] + high + good[130:], "lower half"},
		"not hex":       {good[:131] + "g", "other characters"},
		"r of 0":        {"0x" + strings.Repeat("0", 64) + good[66:], "recovers"},
		"empty":         {"", "0x is missing"},
		"and a newline": {good + "\n", "not 131"},
	} {
		got, err := eip191.Recover([]byte("m"), c.signature)
		var fault *sdk.ValidationError
		if got != "" || !errors.As(err, &fault) || fault.Field != "signature" || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %s, %v", name, got, err)
		}
	}
}

func TestSignerKeepsItsKey(t *testing.T) {
	s := signer(t)
	var logged strings.Builder
	slog.New(slog.NewTextHandler(&logged, nil)).Info("m", "signer", s)
	printed := logged.String() + fmt.Sprintf("%v %+v %#v %x %d %s", s, s, s, s, s, []any{s})
	for _, part := range []string{"1111111111", strings.Repeat("17 ", 8)} {
		if strings.Contains(printed, part) {
			t.Errorf("%q is in %s", part, printed)
		}
	}
	for _, bad := range []string{"", "0x", key[:65], key + "1", "0x" + strings.Repeat("0", 64), "0x" + strings.Repeat("f", 64), "canary"} {
		_, err := eip191.NewSigner(sdk.NewSecret(bad))
		var fault *sdk.ValidationError
		if !errors.As(err, &fault) || (len(bad) > 4 && strings.Contains(err.Error(), bad)) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
