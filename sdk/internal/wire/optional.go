package wire

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"reflect"
)

// Optional is a field that can be omitted. The zero Optional is unset, and an unset
// field is not sent. In a response, unset means absent or null.
type Optional[T any] struct {
	value T
	set   bool
}

// Some returns a set Optional.
func Some[T any](value T) Optional[T] { return Optional[T]{value: value, set: true} }

// NonZero returns an Optional that is unset when value is the zero value of its type.
func NonZero[T comparable](value T) Optional[T] {
	var zero T
	return Optional[T]{value: value, set: value != zero}
}

// Get returns the value and whether it is set.
func (o Optional[T]) Get() (T, bool) { return o.value, o.set }

// Value returns the value, or the zero value of its type when unset.
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

// IsZero reports whether there is no value. encoding/json calls it for omitzero.
func (o Optional[T]) IsZero() bool { return !o.set }

// Format prints the value with the caller's format, or <unset>.
func (o Optional[T]) Format(f fmt.State, format rune) {
	if !o.set {
		fmt.Fprint(f, "<unset>")
		return
	}
	fmt.Fprintf(f, fmt.FormatString(f, format), o.value)
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

func (o *Optional[T]) slot() (value any, set *bool) { return &o.value, &o.set }

// slotted is a pointer to an Optional of any type.
type slotted interface {
	slot() (value any, set *bool)
}

// Slot gives access to an Optional whose type is not known: pointers to its value and
// to whether it is set. ok is false if v is not a pointer to an Optional.
func Slot(v any) (value any, set *bool, ok bool) {
	o, ok := v.(slotted)
	if !ok {
		return nil, nil, false
	}
	value, set = o.slot()
	return value, set, true
}

// slotType is the type of the value of an Optional type.
func slotType(t reflect.Type) reflect.Type {
	value, _ := reflect.New(t).Interface().(slotted).slot()
	return reflect.TypeOf(value).Elem()
}
