package keystore

import (
	"bytes"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
)

const redacted = "[REDACTED]"

// Secret is a value that must never be printed. It prints as [REDACTED] with every
// fmt verb and in JSON, YAML and slog. The bytes are captured by a func, so they are
// also hidden in an unexported field, where formatters use reflection instead of the
// methods below. Copies share the bytes. The zero value is empty.
type Secret struct{ held func(wipe bool) []byte }

// NewSecret wraps a copy of b.
func NewSecret[T []byte | string](b T) Secret {
	if len(b) == 0 {
		return Secret{}
	}
	return Secret{hold(append([]byte(nil), b...))}
}

// hold captures bytes where no formatter reaches them.
func hold(b []byte) func(wipe bool) []byte {
	return func(wipe bool) []byte {
		if wipe {
			clear(b)
			b = nil
		}
		return b
	}
}

// Reveal returns the bytes themselves, not a copy. Call it only where the value is
// sent or stored.
func (s Secret) Reveal() []byte {
	if s.held == nil {
		return nil
	}
	return s.held(false)
}

// IsZero reports whether the Secret is empty or was wiped.
func (s Secret) IsZero() bool { return len(s.Reveal()) == 0 }

// Equal compares in constant time.
func (s Secret) Equal(other Secret) bool {
	return subtle.ConstantTimeCompare(s.Reveal(), other.Reveal()) == 1
}

// FoundIn reports whether a text contains the secret: as it is, in hex, or in base64 of
// either alphabet, also as a part of something longer that was encoded. A secret of less
// than 6 bytes is in too many texts by chance, and is never found.
func (s Secret) FoundIn(text []byte) bool {
	secret := s.Reveal()
	if len(secret) < 6 {
		return false
	}
	if bytes.Contains(text, secret) || bytes.Contains(bytes.ToLower(text), []byte(hex.EncodeToString(secret))) {
		return true
	}
	for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		for before := range 3 { // how many bytes of something else share the first group
			padded := append(make([]byte, before), secret...)
			padded = padded[:len(padded)/3*3] // the last group depends on what follows
			encoded := encoding.EncodeToString(padded)
			if before > 0 {
				encoded = encoded[4:]
			}
			if bytes.Contains(text, []byte(encoded)) {
				return true
			}
		}
	}
	return false
}

// Wipe overwrites the bytes and empties the Secret and all its copies. Copies that
// the runtime or an encoder made cannot be reached.
func (s Secret) Wipe() {
	if s.held != nil {
		s.held(true)
	}
}

func (s Secret) String() string               { return redacted }
func (s Secret) GoString() string             { return redacted }
func (s Secret) Format(f fmt.State, _ rune)   { _, _ = io.WriteString(f, redacted) }
func (s Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }
func (s Secret) LogValue() slog.Value         { return slog.StringValue(redacted) }
