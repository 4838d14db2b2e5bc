package sdk

import (
	"encoding/json"
	"fmt"
	"log/slog"
)

// Optional is a field that can be left out. The zero Optional is unset, and an
// unset field is not sent; Some("") is set, and is sent as "". In answers, unset
// stands for both absent and null.
type Optional[T any] struct {
	value T
	set   bool
}

// Some returns a set Optional.
func Some[T any](value T) Optional[T] { return Optional[T]{value: value, set: true} }

// NonZero returns an Optional that is unset when value is the zero of its type:
// for configuration in which "" and 0 mean "not given".
func NonZero[T comparable](value T) Optional[T] {
	var zero T
	return Optional[T]{value: value, set: value != zero}
}

// Get returns the value and whether it is set.
func (o Optional[T]) Get() (T, bool) { return o.value, o.set }

// Value returns the value, or the zero of its type when unset.
func (o Optional[T]) Value() T { return o.value }

// Or returns the value, or fallback when unset.
func (o Optional[T]) Or(fallback T) T {
	if o.set {
		return o.value
	}
	return fallback
}

// IsSet reports whether there is a value.
func (o Optional[T]) IsSet() bool { return o.set }

// IsZero reports that there is no value; encoding/json's omitzero asks for it.
func (o Optional[T]) IsZero() bool { return !o.set }

// Format prints the value alone, or <unset>, with the verb of the caller.
func (o Optional[T]) Format(f fmt.State, verb rune) {
	if !o.set {
		fmt.Fprint(f, "<unset>")
		return
	}
	fmt.Fprintf(f, fmt.FormatString(f, verb), o.value)
}

// LogValue makes slog print the value, or null when unset.
func (o Optional[T]) LogValue() slog.Value {
	if !o.set {
		return slog.AnyValue(nil)
	}
	return slog.AnyValue(o.value)
}

// MarshalJSON writes the value, or null when unset.
func (o Optional[T]) MarshalJSON() ([]byte, error) {
	if !o.set {
		return []byte("null"), nil
	}
	return json.Marshal(o.value)
}

// UnmarshalJSON sets the value; null unsets it.
func (o *Optional[T]) UnmarshalJSON(data []byte) error {
	if string(data) == "null" {
		*o = Optional[T]{}
		return nil
	}
	o.set = true
	return json.Unmarshal(data, &o.value)
}

// slot gives the codec the place to read from or write to.
func (o *Optional[T]) slot() (value any, set *bool) { return &o.value, &o.set }
