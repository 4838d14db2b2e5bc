package keystore

import (
	"fmt"
	"io"
	"log/slog"
)

const redacted = "[REDACTED]"

// Secret is a value that must never be printed. It hides from fmt verbs, JSON
// and slog, and because the bytes lie behind a func it stays hidden where it sits
// in somebody's unexported field, too, which printers walk into without asking.
// The zero value holds nothing.
type Secret struct{ bytes func() []byte }

// NewSecret wraps a copy of b.
func NewSecret(b []byte) Secret {
	c := append([]byte(nil), b...)
	return Secret{func() []byte { return c }}
}

// Reveal returns the bytes themselves, not a copy. Keep the call where it is needed.
func (s Secret) Reveal() []byte {
	if s.bytes == nil {
		return nil
	}
	return s.bytes()
}

// IsZero reports whether there is nothing in it.
func (s Secret) IsZero() bool { return len(s.Reveal()) == 0 }

// Wipe overwrites the bytes, as far as Go lets us: copies that the runtime made
// are out of reach.
func (s Secret) Wipe() { clear(s.Reveal()) }

func (s Secret) String() string               { return redacted }
func (s Secret) GoString() string             { return redacted }
func (s Secret) Format(f fmt.State, _ rune)   { _, _ = io.WriteString(f, redacted) }
func (s Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }
func (s Secret) LogValue() slog.Value         { return slog.StringValue(redacted) }
