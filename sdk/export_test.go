package sdk

import (
	"github.com/peaqnetwork/peaqos-agent/sdk/internal/wire"
)

// WireJSON encodes a result as the client would send it, including secrets, so that a test
// can compare it with a recording.
func WireJSON(v any) ([]byte, error) { return newCodec(false).Encode(v) }

// FromWire decodes a recorded argument into a request. field is the wire name of a member
// that does not fit its type.
func FromWire(text string, v any) (field string, err error) {
	if err = newCodec(false).Decode(text, v); err == nil {
		return "", nil
	}
	if shape, ok := err.(*wire.ShapeError); ok && len(shape.Path) > 0 {
		field = shape.Path[1:]
	}
	return field, err
}
