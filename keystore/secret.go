package keystore

import (
	"crypto/subtle"
	"fmt"
	"io"
	"log/slog"
)

const redacted = "[REDACTED]"

// Secret is a value that must never be printed. It prints as [REDACTED] under
// every fmt verb and in JSON, YAML and slog; and because the bytes lie behind a
// func they stay hidden where a Secret sits in somebody's unexported field, too,
// which printers walk into without asking it. Copies share the bytes. The zero
// value holds nothing.
type Secret struct{ held func(wipe bool) []byte }

// NewSecret wraps a copy of b.
func NewSecret[T []byte | string](b T) Secret {
	if len(b) == 0 {
		return Secret{}
	}
	return Secret{hold(append([]byte(nil), b...))}
}

// hold puts bytes where no printer reaches them.
func hold(b []byte) func(wipe bool) []byte {
	return func(wipe bool) []byte {
		if wipe {
			clear(b)
			b = nil
		}
		return b
	}
}

// Reveal returns the bytes themselves, not a copy. Keep the call where the value
// is sent or stored.
func (s Secret) Reveal() []byte {
	if s.held == nil {
		return nil
	}
	return s.held(false)
}

// IsZero reports whether there is nothing in it, or no longer.
func (s Secret) IsZero() bool { return len(s.Reveal()) == 0 }

// Equal compares in constant time.
func (s Secret) Equal(other Secret) bool {
	return subtle.ConstantTimeCompare(s.Reveal(), other.Reveal()) == 1
}

// Wipe overwrites the bytes, as far as Go lets us, and empties the Secret and all
// its copies. Copies that the runtime or an encoder made are out of reach.
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
