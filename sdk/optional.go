package sdk

import "github.com/peaqnetwork/peaqos-agent/sdk/internal/wire"

// Optional is a field that can be omitted. The zero Optional is unset, and an unset
// field is not sent; Some("") is set, and is sent as "". In a response, unset means absent
// or null.
//
//	func (o Optional[T]) Get() (T, bool)    // the value, and whether it is set
//	func (o Optional[T]) Value() T          // the value, or the zero value of T
//	func (o Optional[T]) Or(fallback T) T   // the value, or fallback
//	func (o Optional[T]) IsSet() bool       // whether there is a value
//
// It prints as its value, or as <unset>, and reads and writes JSON as its value or null.
type Optional[T any] = wire.Optional[T]

// Some returns a set Optional.
func Some[T any](value T) Optional[T] { return wire.Some(value) }

// NonZero returns an Optional that is unset when value is the zero value of its type:
// for configuration in which "" and 0 mean "not given".
func NonZero[T comparable](value T) Optional[T] { return wire.NonZero(value) }
