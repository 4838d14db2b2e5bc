package wire

import (
	"bytes"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"reflect"
	"strings"
)

// Redacted is printed instead of a secret.
const Redacted = "[REDACTED]"

// Secret holds a key or token that is sent but never printed: every fmt format,
// encoding/json, slog and text encodings print [REDACTED], or nothing when it is
// empty. The value is behind a function, so that printing by reflection, as fmt does
// for a Secret in an unexported field, finds only an address.
//
// The zero Secret is empty and ready to use.
type Secret struct {
	// reveal returns the value as one of the two. A single word, so that a Secret in an
	// interface needs no allocation.
	reveal func() (string, []byte)
}

// NewSecret wraps a value. It cannot erase the caller's own copy.
func NewSecret(value string) Secret {
	if value == "" {
		return Secret{}
	}
	return Secret{reveal: func() (string, []byte) { return value, nil }}
}

// NewSecretFunc returns a Secret whose value stays with the caller: read is called
// each time the value is needed, from any goroutine, and must return it. The codec
// copies those bytes into the request body, without a string in between, and neither
// changes nor keeps them. A nil read makes an empty Secret.
func NewSecretFunc(read func() []byte) Secret {
	if read == nil {
		return Secret{}
	}
	return Secret{reveal: func() (string, []byte) { return "", read() }}
}

// Reveal returns the value itself, as a string that cannot be erased. Pass it to the
// code that needs it and store it nowhere.
func (s Secret) Reveal() string {
	text, raw := s.value()
	if raw != nil {
		return string(raw)
	}
	return text
}

// value returns the value as text or as raw bytes, which must be neither changed nor kept.
func (s Secret) value() (text string, raw []byte) {
	if s.reveal == nil {
		return "", nil
	}
	return s.reveal()
}

// IsZero reports whether the Secret was made without a value. One made by
// NewSecretFunc is never zero, whatever its function returns.
func (s Secret) IsZero() bool { return s.reveal == nil }

// Equal compares two secrets in a time that does not depend on their content.
func (s Secret) Equal(other Secret) bool {
	return subtle.ConstantTimeCompare(s.bytes(), other.bytes()) == 1
}

func (s Secret) bytes() []byte {
	text, raw := s.value()
	if raw != nil {
		return raw
	}
	return []byte(text)
}

// ContainsFunc reports whether any character of the value satisfies match. It makes no
// copy of the value.
func ContainsFunc(s Secret, match func(rune) bool) bool {
	text, raw := s.value()
	return strings.ContainsFunc(text, match) || bytes.ContainsFunc(raw, match)
}

// appendSecret appends the value as a JSON string.
func appendSecret(b []byte, s Secret) []byte {
	text, raw := s.value()
	if raw != nil {
		return AppendString(b, raw)
	}
	return AppendString(b, text)
}

// String returns [REDACTED], or "" for an empty Secret.
func (s Secret) String() string {
	if s.IsZero() {
		return ""
	}
	return Redacted
}

// GoString is String as a Go literal.
func (s Secret) GoString() string { return fmt.Sprintf("sdk.Secret(%q)", s.String()) }

// Format prints String for every format, %x and %d included.
func (s Secret) Format(f fmt.State, format rune) {
	switch {
	case format == 'v' && f.Flag('#'):
		io.WriteString(f, s.GoString())
	case format == 'q':
		fmt.Fprintf(f, "%q", s.String())
	default:
		io.WriteString(f, s.String())
	}
}

// LogValue makes slog print String.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalJSON writes "[REDACTED]", so that JSON made for a log or a file holds no
// secret. Request bodies are encoded by the client, which does write the value.
func (s Secret) MarshalJSON() ([]byte, error) { return json.Marshal(s.String()) }

// MarshalText is MarshalJSON for text encodings.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// ErrRedacted reports that a secret was read from its printed form, in which it is lost.
var ErrRedacted = errors.New("a secret reads " + Redacted + ": it was stored in its printed form, and its value is lost; " +
	"store what Reveal returns")

// UnmarshalJSON reads the value from a JSON string; null makes it empty. "[REDACTED]", which
// MarshalJSON writes, is ErrRedacted.
func (s *Secret) UnmarshalJSON(data []byte) error {
	var value string
	if err := json.Unmarshal(data, &value); err != nil {
		return &json.UnmarshalTypeError{Value: "a value other than a string", Type: reflect.TypeFor[string]()}
	}
	if value == Redacted {
		return ErrRedacted
	}
	*s = NewSecret(value)
	return nil
}

// UnmarshalText is UnmarshalJSON for text encodings.
func (s *Secret) UnmarshalText(text []byte) error {
	if string(text) == Redacted {
		return ErrRedacted
	}
	*s = NewSecret(string(text))
	return nil
}

// SecretsIn returns the values of all secrets that v holds: in exported fields and
// embedded structs, behind pointers, interfaces and Optionals, in slices and maps.
func SecretsIn(v any) []string {
	if v == nil {
		return nil
	}
	return secretsIn(reflect.ValueOf(v), nil)
}

func secretsIn(v reflect.Value, found []string) []string {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			found = secretsIn(v.Elem(), found)
		}
	case reflect.Struct:
		return secretsOf(v, found)
	case reflect.Slice:
		for i := range v.Len() {
			found = secretsIn(v.Index(i), found)
		}
	case reflect.Map:
		for _, name := range v.MapKeys() {
			found = secretsIn(v.MapIndex(name), found)
		}
	}
	return found
}

// secretsOf is secretsIn for a struct: a Secret, an Optional, or one with fields.
func secretsOf(v reflect.Value, found []string) []string {
	t := v.Type()
	if t == reflect.TypeFor[Secret]() {
		return append(found, v.Interface().(Secret).Reveal())
	}
	if reflect.PointerTo(t).Implements(reflect.TypeFor[slotted]()) {
		if v.IsZero() {
			return found
		}
		copied := reflect.New(t)
		copied.Elem().Set(v)
		value, _ := copied.Interface().(slotted).slot()
		return secretsIn(reflect.ValueOf(value).Elem(), found)
	}
	for i := range t.NumField() {
		if f := t.Field(i); f.IsExported() || f.Anonymous {
			found = secretsIn(v.Field(i), found)
		}
	}
	return found
}
