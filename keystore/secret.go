package keystore

import (
	"crypto/subtle"
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
