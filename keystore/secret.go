package keystore

import (
	"fmt"
	"io"
	"log/slog"
)

const redacted = "[REDACTED]"

// Secret is a value that must never be printed. It hides from fmt verbs, JSON
// and slog, and because the bytes lie behind a pointer it stays hidden where it
// sits in somebody's unexported field, too. The zero value holds nothing.
type Secret struct{ b *[]byte }

// NewSecret wraps a copy of b.
func NewSecret(b []byte) Secret {
	c := append([]byte(nil), b...)
	return Secret{&c}
}

// Reveal returns the bytes themselves, not a copy. Keep the call where it is needed.
func (s Secret) Reveal() []byte {
	if s.b == nil {
		return nil
	}
	return *s.b
}

// IsZero reports whether there is nothing in it.
func (s Secret) IsZero() bool { return s.b == nil || len(*s.b) == 0 }

// Wipe overwrites the bytes, as far as Go lets us: copies that the runtime made
// are out of reach.
func (s Secret) Wipe() {
	if s.b != nil {
		clear(*s.b)
	}
}

func (s Secret) String() string               { return redacted }
func (s Secret) GoString() string             { return redacted }
func (s Secret) Format(f fmt.State, _ rune)   { _, _ = io.WriteString(f, redacted) }
func (s Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }
func (s Secret) LogValue() slog.Value         { return slog.StringValue(redacted) }
