package sdk

import (
	"errors"
	"reflect"

	"github.com/peaqnetwork/peaqos-agent/sdk/internal/wire"
)

// newCodec makes the codec of a client. A strict one applies the onem2m tags of the
// types that have them (contract §2.18).
func newCodec(strict bool) *wire.Codec { return wire.New(codecOptions(strict)) }

// newPageCodec makes the codec for the items of a list, whose status may be unknown.
func newPageCodec() *wire.Codec {
	o := codecOptions(false)
	o.OpenStatus = true
	return wire.New(o)
}

func codecOptions(strict bool) wire.Options {
	return wire.Options{
		StrictTag: "onem2m", Strict: strict, Decoder: ownDecoder, Replace: wireForm, RefuseEmptyNumbers: true,
	}
}

// selfDecoder is a type with a decoder of its own: a union, or a member that comes in
// two shapes. raw is one JSON value other than null.
type selfDecoder interface {
	decodeWire(k *wire.Codec, raw string) error
}

func ownDecoder(t reflect.Type) wire.DecodeFunc {
	if !reflect.PointerTo(t).Implements(reflect.TypeFor[selfDecoder]()) {
		return nil
	}
	return func(k *wire.Codec, v any, raw string) error { return v.(selfDecoder).decodeWire(k, raw) }
}

// selfEncoder is a type that is encoded as another value: a member of a union.
type selfEncoder interface{ wireForm() any }

func wireForm(v any) (any, bool) {
	if v, ok := v.(selfEncoder); ok {
		return v.wireForm(), true
	}
	return nil, false
}

// encode encodes a request body. Errors: *ValidationError.
func encode(k *wire.Codec, v any) ([]byte, error) {
	body, err := k.Encode(v)
	if fault, ok := errors.AsType[*wire.FieldError](err); ok {
		return nil, &ValidationError{fault.Field, fault.Constraint}
	}
	return body, err
}

// anyJSON checks that body is one JSON value other than null.
func anyJSON(body string) error {
	s := wire.NewScanner(body)
	if s.Peek() == 'n' || s.Skip() != nil || s.End() != nil {
		return wire.ErrSyntax
	}
	return nil
}
