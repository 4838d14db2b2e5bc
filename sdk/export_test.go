package sdk

import (
	"github.com/peaqnetwork/peaqos-agent/sdk/internal/wire"
)

// WireJSON writes a result as the client would send it, secrets revealed, so that
// a test can compare it with what was recorded.
func WireJSON(v any) ([]byte, error) { return newCodec(false).Encode(v) }

// FromWire reads a recorded argument into a request, and tells the wire name of
// what does not fit its type.
func FromWire(text string, v any) (field string, err error) {
	if err = newCodec(false).Decode(text, v); err == nil {
		return "", nil
	}
	if shape, ok := err.(*wire.ShapeError); ok && len(shape.Path) > 0 {
		field = shape.Path[1:]
	}
	return field, err
}
