package sdk

import (
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
)

// redacted stands wherever a secret would have been printed.
const redacted = "[REDACTED]"

// Secret holds a key or token that is sent but never shown: every fmt verb,
// encoding/json, slog and text encodings print [REDACTED], or nothing when it is
// empty. The value sits behind a function, so that printing by reflection, as
// fmt does for a Secret in an unexported field, finds only an address.
//
// The zero Secret is empty and ready to use.
type Secret struct {
	reveal func() string
}

// NewSecret wraps a value. The caller's own copy is the caller's to forget.
func NewSecret(value string) Secret {
	if value == "" {
		return Secret{}
	}
	return Secret{reveal: func() string { return value }}
}

// Reveal returns the value itself. Hand it to what needs it, store it nowhere.
func (s Secret) Reveal() string {
	if s.reveal == nil {
		return ""
	}
	return s.reveal()
}

// IsZero reports whether the secret is empty.
func (s Secret) IsZero() bool { return s.reveal == nil }

// Equal compares two secrets in a time that tells nothing of their content.
func (s Secret) Equal(other Secret) bool {
	return subtle.ConstantTimeCompare([]byte(s.Reveal()), []byte(other.Reveal())) == 1
}

// String returns [REDACTED], or "" for an empty secret.
func (s Secret) String() string {
	if s.IsZero() {
		return ""
	}
	return redacted
}

// GoString is String as a Go literal.
func (s Secret) GoString() string { return fmt.Sprintf("sdk.Secret(%q)", s.String()) }

// Format prints the same word for every verb, %x and %d included.
func (s Secret) Format(f fmt.State, verb rune) {
	switch {
	case verb == 'v' && f.Flag('#'):
		io.WriteString(f, s.GoString())
	case verb == 'q':
		fmt.Fprintf(f, "%q", s.String())
	default:
		io.WriteString(f, s.String())
	}
}

// LogValue makes slog print String.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalJSON writes "[REDACTED]": what is logged or stored as JSON holds no
// secret. Requests are encoded by the client itself, which reveals them.
func (s Secret) MarshalJSON() ([]byte, error) { return json.Marshal(s.String()) }

// MarshalText is MarshalJSON for text encodings.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalJSON takes the value from a JSON string; null leaves it empty.
func (s *Secret) UnmarshalJSON(data []byte) error {
	var value string
	if err := json.Unmarshal(data, &value); err != nil {
		return &json.UnmarshalTypeError{Value: "other than a string", Type: nil, Field: ""}
	}
	*s = NewSecret(value)
	return nil
}
